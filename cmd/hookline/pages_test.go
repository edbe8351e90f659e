package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"hookline/internal/api"
)

// A server whose lists never end is told from one with many hooks.
func TestWalksEnd(t *testing.T) {
	hook := func(name string, number int64) api.Version {
		return api.Version{Hook: name, Number: number, Digest: strings.Repeat("f", 64)}
	}
	page := func(next string, items ...api.Version) api.Page[api.Version] {
		return api.Page[api.Version]{Items: items, Next: next}
	}
	asked := 0
	tests := []struct {
		name  string
		hooks func(after string) api.Page[api.Version]
		below func(below int64) api.Page[api.Version]
		text  string
	}{
		{name: "the same page", hooks: func(string) api.Page[api.Version] { return page("a", hook("a", 1)) }},
		{name: "back and forth", hooks: func(after string) api.Page[api.Version] {
			if after == "b" {
				return page("a", hook("a", 1))
			}
			return page("b", hook("b", 1))
		}},
		{name: "empty pages", hooks: func(after string) api.Page[api.Version] { return page(after + "a") }},
		{name: "always one more hook", hooks: func(after string) api.Page[api.Version] {
			return page(fmt.Sprintf("h%09d", asked), hook("h", 1))
		}, text: "more than 2000 pages"},
		{name: "the same versions", below: func(int64) api.Page[api.Version] { return page("5", hook("a", 5)) }},
		{name: "versions that count up", below: func(below int64) api.Page[api.Version] { return page("1", hook("a", below+9)) }},
		{name: "numbers below one", below: func(int64) api.Page[api.Version] { return page("1", hook("a", 0)) }},
		{name: "empty pages of versions", below: func(int64) api.Page[api.Version] { return page("1") }},
		{name: "two numbers on the way up", below: func(int64) api.Page[api.Version] { return page("", hook("a", 5), hook("a", 6)) }},
		{name: "always one less", below: func(below int64) api.Page[api.Version] {
			if below == 0 {
				below = 1 << 50
			}
			return page("1", hook("a", below-1))
		}, text: "more than 2000 pages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newStage(t)
			asked = 0
			s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
				q := r.URL.Query()
				asked++
				var out any
				switch {
				case r.URL.Path == "/api/hooks" && tt.hooks != nil:
					out = tt.hooks(q.Get("after"))
				case r.URL.Path == "/api/hooks":
					out = page("", hook("a", 1))
				case strings.HasPrefix(r.URL.Path, "/api/hooks/") && tt.below != nil:
					below, _ := strconv.ParseInt(q.Get("below"), 10, 64) // 0 where there is none
					out = tt.below(below)
				case strings.HasPrefix(r.URL.Path, "/api/hooks/"):
					out = page("")
				default:
					return false
				}
				_ = json.NewEncoder(w).Encode(out)
				return true
			}
			text := tt.text
			if text == "" {
				text = "a page leads back"
			}
			s.want(1, text, "review", "show", "00000000")
			if asked > maxPages+1 {
				t.Errorf("%d requests", asked)
			}
		})
	}
}

// A list of several pages is walked whole.
func TestPrefixOnALaterPage(t *testing.T) {
	s := newStage(t)
	s.thief.answer = func(w http.ResponseWriter, r *http.Request) bool {
		p := api.Page[api.Version]{Items: []api.Version{{Hook: "aaa", Number: 1, Digest: strings.Repeat("f", 64)}}, Next: "aaa"}
		switch {
		case r.URL.Path == "/api/hooks" && r.URL.Query().Get("after") == "":
		case r.URL.Path == "/api/hooks/aaa/versions":
			p.Next = ""
		default:
			return false
		}
		_ = json.NewEncoder(w).Encode(p)
		return true
	}
	s.want(0, s.digest, "review", "show", s.digest[:8])
}
