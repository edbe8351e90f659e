package archive

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// The file's format, and the version of it that this program reads and writes.
const (
	formatName    = "hookline-archive"
	formatVersion = 1
)

// Compression. The level, one thread and a window of its own make the bytes
// the same each time.
const (
	windowSize = 4 << 20
	maxWindow  = 8 << 20  // that a reader takes
	maxDecode  = 64 << 20 // memory that a reader spends on it
)

// Summary is what an archive holds.
type Summary struct {
	Kinds   []KindCount // in the order of the file
	Records int64
	SHA256  string // hex, of the content: of what zstd -dc gives
}

// KindCount is how many records of a kind there are.
type KindCount struct {
	Kind    Kind
	Records int64
}

// tally counts and hashes the lines of a file.
type tally struct {
	Summary
	lines   int64
	all     hash.Hash
	section hash.Hash
	inKind  int64
}

func newTally() *tally { return &tally{all: sha256.New(), section: sha256.New()} }

func (t *tally) add(line []byte) {
	t.lines++
	_, _ = t.all.Write(line) // a hash never fails
}

func (t *tally) addRecord(line []byte) {
	t.add(line)
	_, _ = t.section.Write(line)
	t.inKind++
	t.Records++
}

// endKind is the line after the records of a kind.
func (t *tally) endKind(k Kind) []byte {
	return fmt.Appendf(nil, `{"kind":%q,"count":%d,"sha256":"%s"}`+"\n", string(k), t.inKind, sum(t.section))
}

func (t *tally) nextKind(k Kind, end []byte) {
	t.add(end)
	t.Kinds = append(t.Kinds, KindCount{k, t.inKind})
	t.section.Reset()
	t.inKind = 0
}

// end is the last line.
func (t *tally) end() []byte {
	return fmt.Appendf(nil, `{"total":%d,"sha256":"%s"}`+"\n", t.Records, sum(t.all))
}

func (t *tally) close(end []byte) {
	t.add(end)
	t.SHA256 = sum(t.all)
}

func sum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

func header() []byte {
	return fmt.Appendf(nil, `{"format":"%s","version":%d}`+"\n", formatName, formatVersion)
}

// writer writes the lines of an archive.
type writer struct {
	zstd *zstd.Encoder
	*tally
}

func newWriter(to io.Writer) (*writer, error) {
	enc, err := zstd.NewWriter(to, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(windowSize), zstd.WithEncoderCRC(true))
	if err != nil {
		return nil, err
	}
	w := &writer{zstd: enc, tally: newTally()}
	w.add(header())
	_, err = enc.Write(header())
	return w, err
}

func (w *writer) record(line []byte) error {
	w.addRecord(line)
	_, err := w.zstd.Write(line)
	return err
}

func (w *writer) endOf(k Kind) error {
	end := w.endKind(k)
	w.nextKind(k, end)
	_, err := w.zstd.Write(end)
	return err
}

func (w *writer) finish() (Summary, error) {
	end := w.end()
	w.close(end)
	if _, err := w.zstd.Write(end); err != nil {
		return Summary{}, err
	}
	return w.Summary, w.zstd.Close()
}

// ends reports whether a line is the one that must stand there.
func ends(line, want []byte) bool { return bytes.Equal(line, want) }
