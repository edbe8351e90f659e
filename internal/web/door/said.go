package door

import (
	"encoding/base64"
	"net/http"
	"strings"
	"unicode/utf8"
)

// maxSaid is the longest sentence that is kept for the next page, in bytes.
const maxSaid = 600

// Say keeps a sentence for the next page of this browser. It travels in a
// cookie, not in the session: what pages only tell is no reason to write one.
func (d *Door) Say(r *http.Request, sentence string) {
	v := visitOf(r.Context())
	if v == nil {
		return
	}
	if len(sentence) > maxSaid {
		sentence = strings.ToValidUTF8(sentence[:maxSaid], "")
	}
	d.setCookie(v.w, saidCookie, base64.RawURLEncoding.EncodeToString([]byte(sentence)))
}

// Said takes the sentence. Whoever could set a cookie here could say anything:
// pages show it as text.
func (d *Door) Said(r *http.Request) string {
	v := visitOf(r.Context())
	c, err := r.Cookie(d.cookieName(saidCookie))
	if v == nil || err != nil {
		return ""
	}
	d.setCookie(v.w, saidCookie, "")
	b, err := base64.RawURLEncoding.DecodeString(c.Value)
	if err != nil || len(b) > maxSaid || !utf8.Valid(b) {
		return ""
	}
	return string(b)
}
