package kit

import (
	"context"
	"time"

	"hookline/internal/errs"
)

// partTime is how long one part of a page may take.
const partTime = 3 * time.Second

// Part is a part of a page that may fail without the others.
type Part[T any] struct {
	Value T
	Err   *refusal // in words; nil where all is well
}

// Load makes a part, within 3 seconds. What fails is told in the part's place.
func Load[T any](r *Request, name string, f func(ctx context.Context) (T, error)) Part[T] {
	ctx, cancel := context.WithTimeout(r.Context(), partTime)
	defer cancel()
	v, err := f(ctx)
	if err == nil {
		return Part[T]{Value: v}
	}
	r.kit.Log.WarnContext(r.Context(), "a part of a page could not be shown", "page", r.route.Path, "part", name, "error", err)
	switch e, ok := errs.As(err); {
	case ok && e.Kind() != errs.Internal:
		return Part[T]{Err: refusalOf(e)}
	case ctx.Err() != nil:
		return Part[T]{Err: &refusal{Code: errs.CodeUnavailable, Detail: "this part took longer than " + partTime.String(), Hint: "load the page again; ask for less"}}
	}
	return Part[T]{Err: &refusal{Code: errs.CodeInternal, Detail: "this part could not be made", Hint: "the server's log has the cause"}}
}
