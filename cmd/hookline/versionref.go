package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/client"
	"hookline/internal/errs"
)

const (
	minPrefix    = 8
	digestDigits = 64
)

// versionRef is how a person names a version: a digest, a prefix of one of at
// least 8 digits, or hook@number.
type versionRef struct {
	text   string
	prefix string
	hook   string
	number int64
}

func parseVersionRef(text string) (versionRef, error) {
	r := versionRef{text: text}
	if hook, number, ok := strings.Cut(text, "@"); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 1 || !hooks.ValidHookName(hook) {
			return r, usagef("%q is not hook@number", text)
		}
		r.hook, r.number = hook, n
		return r, nil
	}
	lower := strings.ToLower(text)
	if len(lower) < minPrefix || len(lower) > digestDigits || strings.Trim(lower, "0123456789abcdef") != "" {
		return r, usagef("%q is neither a version digest (at least %d digits of it) nor hook@number", text, minPrefix)
	}
	r.prefix = lower
	return r, nil
}

// exact reports whether the reference names one statement for ever: of two
// statements an author can make the first digits agree, and a server can say
// at any time which one a number means.
func (r versionRef) exact() bool { return len(r.prefix) == digestDigits }

// resolve finds the full digest. The server's answer is only a claim: what it
// then sends is held against the reference by check.
func (r versionRef) resolve(ctx context.Context, c *client.Client) (string, error) {
	if r.exact() {
		return r.prefix, nil
	}
	if r.hook != "" {
		page, err := c.VersionsOf(ctx, r.hook, r.number+1, 1)
		if err != nil {
			return "", err
		}
		if len(page.Items) == 0 || page.Items[0].Number != r.number {
			return "", notFound(r.text)
		}
		return page.Items[0].Digest, nil
	}
	found := map[string]bool{}
	w := newWalker(c)
	err := w.eachHook(ctx, func(v api.Version) error {
		return w.eachVersion(ctx, v.Hook, func(v api.Version) {
			if strings.HasPrefix(v.Digest, r.prefix) {
				found[v.Digest] = true
			}
		})
	})
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", notFound(r.text)
	case len(found) > 1:
		return "", errs.New(errs.CodeBadInput, "cannot tell which version %s is: %s", r.text, strings.Join(slices.Sorted(maps.Keys(found)), ", "))
	}
	return slices.Collect(maps.Keys(found))[0], nil
}

func notFound(text string) error {
	return errs.New(errs.CodeNotFound, "there is no version %s", text).WithHint("list them with: hookline hook list, hookline hook show HOOK")
}

// check holds the bytes that came against what was asked for: the person
// decides over these bytes, whatever the server says about them.
func (r versionRef) check(digest string, v api.Version) (hooks.Statement, error) {
	var none hooks.Statement
	if got := hooks.Digest(v.Statement); got != digest || !strings.HasPrefix(got, r.prefix) {
		return none, errs.New(errs.CodeStatementMalformed, "the server sent another statement: its digest is %s, not %s", got, digest).
			WithHint("do not sign it; tell whoever runs the server")
	}
	st, err := hooks.ParseStatement(v.Statement)
	if err != nil {
		return none, err
	}
	if got := hooks.Digest(v.Script); got != st.ScriptDigest() {
		return none, errs.New(errs.CodeScriptDigest, "the server sent another script than the statement names: %s, not %s", got, st.ScriptDigest()).
			WithHint("do not sign it; tell whoever runs the server")
	}
	if r.hook != "" && (st.Predicate.Hook != r.hook || st.Predicate.Version != r.number) {
		return none, errs.New(errs.CodeStatementMalformed, "the server sent %s@%d instead of %s", st.Predicate.Hook, st.Predicate.Version, r.text).
			WithHint("do not sign it; tell whoever runs the server")
	}
	return st, nil
}

// fetched is a version whose bytes were checked on this machine.
type fetched struct {
	version   api.Version
	digest    string
	statement hooks.Statement
}

// fetch resolves, gets and checks one version.
func (a *app) fetch(ctx context.Context, c *client.Client, text string) (fetched, error) {
	r, err := parseVersionRef(text)
	if err != nil {
		return fetched{}, err
	}
	digest, err := r.resolve(ctx, c)
	if err != nil {
		return fetched{}, err
	}
	v, err := c.Version(ctx, digest)
	if err != nil {
		return fetched{}, err
	}
	st, err := r.check(digest, v)
	if err != nil {
		return fetched{}, err
	}
	// What the server says beside the statement must not be taken for it.
	v.Digest, v.Hook, v.Number, v.Predicate = digest, st.Predicate.Hook, st.Predicate.Version, &st.Predicate
	return fetched{version: v, digest: digest, statement: st}, nil
}

// resolveDigest is fetch for commands that need the digest alone.
func (a *app) resolveDigest(ctx context.Context, c *client.Client, text string) (string, error) {
	r, err := parseVersionRef(text)
	if err != nil {
		return "", err
	}
	return r.resolve(ctx, c)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
