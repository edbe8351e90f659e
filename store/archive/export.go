package archive

import (
	"context"
	"io"
	"slices"

	"hookline/internal/errs"
)

// pageSize is how many records are read at a time: of the largest reports they
// are 64 MB.
const pageSize = 64

// Progress is how far an export or an import has come.
type Progress struct {
	Step    string // "export", "check", "compare" or "import"
	Records int64
	Percent float64 // 0 to 100; less than 0 where nobody knows
}

// Export writes the whole of a store. progress may be nil. What it writes,
// Import takes: a store that is not consistent, and one that changes while it
// is read, is an error, and what was written is of no use.
func Export(ctx context.Context, src Source, to io.Writer, progress func(Progress)) (s Summary, err error) {
	end, err := src.ArchiveBegin(ctx)
	if err != nil {
		return s, err
	}
	defer func() {
		if broken := end(); err == nil {
			err = broken
		}
	}()
	w, err := newWriter(to)
	if err != nil {
		return s, cannotWrite(err)
	}
	x := &exporter{src: src, writer: w, check: newChecker(), progress: progress}
	if err := x.all(ctx); err != nil {
		_ = w.zstd.Close() // it holds memory only
		return s, err
	}
	if s, err = w.finish(); err != nil {
		return s, cannotWrite(err)
	}
	return s, nil
}

type exporter struct {
	src      Source
	check    *checker
	progress func(Progress)
	*writer
}

func (x *exporter) all(ctx context.Context) error {
	foreign, err := x.src.ArchiveForeign(ctx)
	if err != nil {
		return err
	}
	more := append(Later(), foreign...)
	slices.Sort(more)
	for _, k := range append(Kinds(), more...) {
		if err := x.section(ctx, k); err != nil {
			return err
		}
	}
	if err := x.check.end(); err != nil {
		return inconsistent(err)
	}
	return nil
}

func (x *exporter) section(ctx context.Context, k Kind) error {
	for after := ""; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		page, err := x.src.ArchivePage(ctx, k, after, pageSize)
		if err != nil {
			return err
		}
		for _, r := range page {
			if err := x.put(r, after); err != nil {
				return err
			}
			after = r.Key
		}
		if x.progress != nil {
			x.progress(Progress{Step: "export", Records: x.Records, Percent: -1})
		}
		if len(page) < pageSize {
			break
		}
	}
	if x.inKind == 0 && slices.Contains(Later(), k) {
		return nil
	}
	if err := x.endOf(k); err != nil {
		return cannotWrite(err)
	}
	return nil
}

func (x *exporter) put(r Record, after string) error {
	if r.Key <= after || len(r.Key) > maxKey {
		return errs.New(errs.CodeInternal, "cannot export: the %s %q does not come after %q", r.Kind, clip(r.Key), clip(after))
	}
	if err := x.check.add(r); err != nil {
		return inconsistent(errs.New(errs.CodeConflict, "%s %q: %s", r.Kind, clip(r.Key), err))
	}
	line, err := Line(r)
	if err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot export")
	}
	if err := x.record(line); err != nil {
		return cannotWrite(err)
	}
	return nil
}

func inconsistent(err error) error {
	return errs.New(errs.CodeConflict, "cannot export: the store changed while it was read, or is damaged: %s", err).
		WithHint("stop the servers that use the store, and export it again")
}

func cannotWrite(err error) error {
	return errs.Wrap(errs.CodeUnavailable, errs.Plain(err), "cannot write the archive").
		WithHint("make room where the archive is written, or write it elsewhere")
}
