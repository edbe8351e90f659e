package archive

import (
	"context"
	"errors"
	"io"

	"hookline/internal/errs"
)

// A batch is what one ArchivePut gets: it ends with its kind, at a number of
// records or at the first that takes it over so many bytes.
const (
	batchRecords = 200
	batchBytes   = 4 << 20
)

// ImportOptions say how an archive comes into a store.
type ImportOptions struct {
	// Merge takes a store that has records: those of the archive that it lacks are added, and one that it has
	// with other content refuses the whole.
	Merge bool
	// Size is that of the file in bytes, for the progress; 0 is unknown.
	Size int64
}

// Import brings an archive into a store. It reads the file several times: the
// whole of it is checked before anything is written. An import that was
// stopped goes on where it was when it is started again with the same archive;
// until then no server starts on the store.
func Import(ctx context.Context, dst Target, file io.ReadSeeker, o ImportOptions, progress func(Progress)) (Summary, error) {
	i := &importer{dst: dst, file: file, o: o, progress: progress}
	if err := i.verify(ctx); err != nil {
		return Summary{}, err
	}
	m, err := i.prepare(ctx)
	if err != nil {
		return Summary{}, err
	}
	if err := i.each(ctx, "import", m.Records, func(batch []Record, n int64) error {
		return dst.ArchivePut(ctx, batch, Mark{i.sum.SHA256, n})
	}); err != nil {
		return Summary{}, err
	}
	return i.sum, dst.ArchiveDone(ctx)
}

type importer struct {
	dst      Target
	file     io.ReadSeeker
	o        ImportOptions
	progress func(Progress)
	sum      Summary
}

// verify reads the whole file, and holds it against its checksums and what a
// server writes.
func (i *importer) verify(ctx context.Context) error {
	count := &counted{from: i.file}
	r, err := newReader(count)
	if err != nil {
		return err
	}
	defer r.free()
	check := newChecker()
	for {
		rec, err := r.next()
		switch {
		case errors.Is(err, io.EOF):
			if err := check.end(); err != nil {
				return refuse("%s", err)
			}
			i.sum = r.Summary
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		if err := check.add(rec); err != nil {
			return refuse("line %d: %s %q: %s", r.lines, rec.Kind, clip(rec.Key), err)
		}
		if r.Records%pageSize == 0 {
			i.tell("check", r.Records, count.n, i.o.Size)
		}
	}
}

func refuse(format string, args ...any) error {
	return errs.New(errs.CodeBadInput, "cannot import the archive: "+format, args...).
		WithHint("nothing was imported; no server has written this: export it again, or import another file")
}

// prepare says where to begin, and marks the store as one that is being
// filled.
func (i *importer) prepare(ctx context.Context) (m Mark, err error) {
	if m, err = i.dst.ArchiveMark(ctx); err != nil {
		return m, err
	}
	if m != (Mark{}) {
		return m, i.resumes(m)
	}
	empty, err := i.dst.ArchiveEmpty(ctx)
	switch {
	case err != nil:
		return m, err
	case !empty && !i.o.Merge:
		return m, errs.New(errs.CodeConflict, "cannot import: the store has records").
			WithHint("import into a new store; or add what is missing with --merge")
	case !empty:
		err = i.each(ctx, "compare", 0, func(batch []Record, _ int64) error { return i.dst.ArchiveCheck(ctx, batch) })
	}
	if err != nil {
		return m, err
	}
	m.Archive = i.sum.SHA256
	return m, i.dst.ArchivePut(ctx, nil, m)
}

func (i *importer) resumes(m Mark) error {
	if m.Archive == i.sum.SHA256 && m.Records <= i.sum.Records {
		return nil
	}
	return errs.New(errs.CodeConflict, "cannot import: the import of another archive into this store is not finished").
		WithHint("import the archive with the SHA-256 %s first, or begin with a new store", m.Archive)
}

// each reads the records after the first skip ones, and hands them on in
// batches with the number of records until then.
func (i *importer) each(ctx context.Context, step string, skip int64, do func(batch []Record, n int64) error) error {
	if _, err := i.file.Seek(0, io.SeekStart); err != nil {
		return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot read the archive again")
	}
	r, err := newReader(i.file)
	if err != nil {
		return err
	}
	defer r.free()
	b := &batch{do: do}
	for {
		rec, err := r.next()
		if errors.Is(err, io.EOF) {
			return errors.Join(b.flush(), i.unchanged(r))
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil && r.Records > skip {
			err = b.add(rec, r.Records)
		}
		if err != nil {
			return err
		}
		if r.Records%pageSize == 0 {
			i.tell(step, r.Records, r.Records, i.sum.Records)
		}
	}
}

// unchanged refuses a file that is not the one that was checked.
func (i *importer) unchanged(r *reader) error {
	if r.SHA256 == i.sum.SHA256 {
		return nil
	}
	return errs.New(errs.CodeConflict, "cannot import: the archive has changed while it was read")
}

func (i *importer) tell(step string, records, done, of int64) {
	if i.progress == nil {
		return
	}
	p := Progress{Step: step, Records: records, Percent: -1}
	if of > 0 {
		p.Percent = 100 * float64(min(done, of)) / float64(of)
	}
	i.progress(p)
}

// batch gathers records of one kind.
type batch struct {
	do      func(batch []Record, n int64) error
	records []Record
	bytes   int
	n       int64
}

func (b *batch) add(r Record, n int64) error {
	if len(b.records) > 0 && (b.records[0].Kind != r.Kind || len(b.records) >= batchRecords || b.bytes >= batchBytes) {
		if err := b.flush(); err != nil {
			return err
		}
	}
	line, err := Line(r)
	b.records, b.bytes, b.n = append(b.records, r), b.bytes+len(line), n
	return err
}

func (b *batch) flush() error {
	if len(b.records) == 0 {
		return nil
	}
	err := b.do(b.records, b.n)
	b.records, b.bytes = nil, 0
	return err
}

// counted counts the bytes that are read.
type counted struct {
	from io.Reader
	n    int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	c.n += int64(n)
	return n, err
}
