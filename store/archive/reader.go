package archive

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/zstd"

	"hookline/internal/errs"
)

// reader reads an archive record by record, and refuses what is not exactly
// one. Its memory is bounded whatever the file holds.
type reader struct {
	zstd *zstd.Decoder
	in   *bufio.Reader
	*tally
	kinds []Kind // whose sections are still to come
	kind  Kind   // the one after those whose section is open, or was the last
	open  bool
	last  string // the key before
	ended bool
}

// newReader reads the header.
func newReader(from io.Reader) (*reader, error) {
	dec, err := zstd.NewReader(from, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxDecode))
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot read the archive")
	}
	r := &reader{zstd: dec, in: bufio.NewReaderSize(dec, 64<<10), tally: newTally(), kinds: Kinds()}
	if err := r.header(); err != nil {
		r.free()
		return nil, err
	}
	return r, nil
}

func (r *reader) free() { r.zstd.Close() }

func (r *reader) header() error {
	text, l, err := r.line()
	if err != nil {
		return err
	}
	if l.Format == nil || *l.Format != formatName || l.Version == nil {
		return errs.New(errs.CodeBadInput, "cannot read the archive: it is none: line 1 names no format %s", formatName).
			WithHint("give a file that hookline admin export has written")
	}
	if *l.Version > formatVersion {
		return errs.New(errs.CodeBadInput, "cannot read the archive: it has version %d of its format, and this program reads %d", *l.Version, formatVersion).
			WithHint("import it with the newer Hookline that wrote it")
	}
	if !ends(text, header()) {
		return r.bad("the header is not %s", header()[:len(header())-1])
	}
	r.add(text)
	return nil
}

// next reads the next record; io.EOF after the last one, when everything has
// been held against the checksums and nothing follows.
func (r *reader) next() (Record, error) {
	for !r.ended {
		text, l, err := r.line()
		if err != nil {
			return Record{}, err
		}
		switch {
		case l.Kind != nil && l.Key != nil:
			return r.record(text, l)
		case l.Kind != nil:
			err = r.endOfKind(text, *l.Kind)
		case l.Total != nil:
			err = r.end(text)
		default:
			err = r.bad("it is no record, no end of a kind and no end of the archive")
		}
		if err != nil {
			return Record{}, err
		}
	}
	return Record{}, io.EOF
}

func (r *reader) record(text []byte, l line) (Record, error) {
	if err := r.begins(*l.Kind); err != nil {
		return Record{}, err
	}
	rec, err := l.record(text)
	if err != nil {
		return rec, r.bad("%s %q: %s", *l.Kind, clip(*l.Key), err)
	}
	if r.inKind > 0 && rec.Key <= r.last {
		return rec, r.bad("%s %q does not come after %q", rec.Kind, clip(rec.Key), clip(r.last))
	}
	r.last = rec.Key
	r.addRecord(text)
	return rec, nil
}

// begins refuses a kind where another's section is open or should come first.
func (r *reader) begins(k Kind) error {
	switch {
	case len(r.kinds) > 0 && k == r.kinds[0], r.open && k == r.kind:
		return nil
	case len(r.kinds) > 0:
		return r.bad("a line of kind %q stands among those of kind %q", clip(string(k)), r.kinds[0])
	case r.open || !k.foreign() && !slices.Contains(Later(), k) || k <= r.kind:
		return r.bad("a line of kind %q stands in the wrong place", clip(string(k)))
	}
	r.kind, r.open = k, true
	return nil
}

func (r *reader) endOfKind(text []byte, k Kind) error {
	if err := r.begins(k); err != nil {
		return err
	}
	if !ends(text, r.endKind(k)) {
		return r.bad("the end of kind %q does not fit: there are %d records with the SHA-256 %s before it", k, r.inKind, sum(r.section))
	}
	if len(r.kinds) > 0 {
		r.kinds = r.kinds[1:]
	} else if r.open = false; r.inKind == 0 {
		return r.bad("kind %q has an end and no records", k)
	}
	r.nextKind(k, text)
	return nil
}

func (r *reader) end(text []byte) error {
	if len(r.kinds) > 0 || r.open {
		return r.bad("the end of the archive stands before the end of kind %q", slices.Concat(r.kinds, []Kind{r.kind})[0])
	}
	if !ends(text, r.tally.end()) {
		return r.bad("the end of the archive does not fit: there are %d records, and lines with the SHA-256 %s before it", r.Records, sum(r.all))
	}
	r.close(text)
	r.ended = true
	switch _, err := r.in.ReadByte(); {
	case err == nil:
		return errs.New(errs.CodeBadInput, "cannot read the archive: something follows its end in line %d", r.lines)
	case !errors.Is(err, io.EOF):
		return r.cut(err)
	}
	return nil
}

// line reads a line with its newline and takes it apart.
func (r *reader) line() (text []byte, l line, err error) {
	for {
		part, err := r.in.ReadSlice('\n')
		text = append(text, part...)
		switch {
		case len(text) > MaxLine:
			return nil, l, r.bad("it is longer than %d bytes", MaxLine)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return nil, l, r.cut(err)
		}
		if err := json.Unmarshal(text, &l); err != nil {
			return nil, l, r.bad("it is not JSON of an archive: %s", plainCause(err))
		}
		return text, l, nil
	}
}

// cut says that the file ends, or cannot be decompressed, inside of a line.
func (r *reader) cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errs.New(errs.CodeBadInput, "cannot read the archive: it is cut off in line %d", r.lines+1).
			WithHint("copy it again, whole")
	}
	if _, coded := errs.As(err); coded {
		return err
	}
	return errs.Wrap(errs.CodeBadInput, errs.Plain(err), "cannot read the archive: line %d", r.lines+1).
		WithHint("the file is damaged or no archive: copy it again, whole")
}

// bad refuses the line that is read.
func (r *reader) bad(format string, args ...any) error {
	return errs.New(errs.CodeBadInput, "cannot read the archive: line %d: %s", r.lines+1, fmt.Sprintf(format, args...))
}
