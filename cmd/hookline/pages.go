package main

import (
	"context"

	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
)

const (
	pageSize = 200
	maxPages = 2000
)

// walker goes through whole lists, and ends: no page may lead back, and one
// walker asks for at most maxPages of all its lists, whatever the server says.
type walker struct {
	client *client.Client
	left   int
}

func newWalker(c *client.Client) *walker { return &walker{client: c, left: maxPages} }

// turn takes one page off what is left.
func (w *walker) turn() error {
	if w.left == 0 {
		return errs.New(errs.CodeTooLarge, "cannot look through all versions: the server has more than %d pages of them", maxPages).
			WithHint("name a version by its full digest, or list a part with: hookline hook list --after")
	}
	w.left--
	return nil
}

// eachHook calls f with the newest version of every hook, by name.
func (w *walker) eachHook(ctx context.Context, f func(api.Version) error) error {
	for l := (client.List{Limit: pageSize}); ; {
		if err := w.turn(); err != nil {
			return err
		}
		page, err := w.client.Hooks(ctx, l)
		if err != nil {
			return err
		}
		for _, v := range page.Items {
			if err := f(v); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		if page.Next <= l.After || len(page.Items) == 0 {
			return endless()
		}
		l.After = page.Next
	}
}

// eachVersion calls f with every version of a hook, newest first.
func (w *walker) eachVersion(ctx context.Context, hook string, f func(api.Version)) error {
	for below := int64(0); ; {
		if err := w.turn(); err != nil {
			return err
		}
		page, err := w.client.VersionsOf(ctx, hook, below, pageSize)
		if err != nil {
			return err
		}
		for _, v := range page.Items {
			if v.Number < 1 || below != 0 && v.Number >= below {
				return endless()
			}
			below = v.Number
			f(v)
		}
		if page.Next == "" || below == 1 {
			return nil
		}
		if len(page.Items) == 0 {
			return endless()
		}
	}
}

func endless() error {
	return errs.New(errs.CodeInternal, "cannot read the server's list: a page leads back, or nowhere").
		WithHint("tell whoever runs the server")
}
