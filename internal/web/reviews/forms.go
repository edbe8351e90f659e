package reviews

import (
	"net/url"
	"strconv"
	"strings"

	"hookline/internal/web/kit"
	"hookline/review"
)

// answer takes the words that need no signature. An approval is a signature,
// which no page of a server can make: the service refuses one without, once it
// has asked who this is.
func (p *pages) answer(r *kit.Request) (kit.Answer, error) {
	v := review.Verdict(r.Typed("verdict"))
	life, err := p.Review.Review(r.Context(), r.Who, r.ID("digest"), v, typed(r, "comment"), nil)
	if err != nil {
		return r.Again(p.version, err)
	}
	if v == review.VerdictReject {
		r.Say("Rejected for good: %s.", refOf(life.Version).Name())
	} else {
		r.Say("Changes requested: %s.", refOf(life.Version).Name())
	}
	return kit.Redirect{To: path(life.Version.Digest)}, nil
}

// typed is a text as its author meant it: browsers send line ends as two
// characters.
func typed(r *kit.Request, name string) string {
	return strings.ReplaceAll(r.Typed(name), "\r\n", "\n")
}

// comment takes a comment on the whole or a line, or an answer. What cannot be
// read as a line is one that no part has: the service refuses it, once it has
// asked who this is.
func (p *pages) comment(r *kit.Request) (kit.Answer, error) {
	line := review.NoLine
	if text := r.Typed("line"); text == "" {
		line = 0
	} else if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		line = n
	}
	digest := r.ID("digest")
	c, err := p.Review.Comment(r.Context(), r.Who, digest, review.Part(r.Typed("part")), line, r.Typed("parent"), typed(r, "text"))
	if err != nil {
		return r.Again(p.version, err)
	}
	if c.Parent != "" { // its thread may be an old one
		return kit.Redirect{To: path(digest) + "?threads=" + c.ID + "#c-" + c.ID}, nil
	}
	return kit.Redirect{To: path(digest) + "#c-" + c.ID}, nil
}

// resolve settles a thread, or opens it again.
func (p *pages) resolve(r *kit.Request) (kit.Answer, error) {
	digest, thread, open := r.ID("digest"), r.Typed("thread"), r.Typed("open") == "yes"
	if err := p.Review.Resolve(r.Context(), r.Who, digest, thread, open); err != nil {
		return r.Again(p.version, err)
	}
	if open {
		r.Say("The thread is open again.")
	} else {
		r.Say("The thread is settled.")
	}
	return kit.Redirect{To: path(digest) + "?" + url.Values{"threads": {thread}}.Encode() + "#comments"}, nil
}
