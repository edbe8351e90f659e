package replay

import (
	"testing"

	"hookline/hooks"
)

// A linter that was taken over cannot make up files or places before the first.
func TestPlaced(t *testing.T) {
	for _, tc := range []struct{ in, want Finding }{
		{Finding{File: hooks.ScriptName, Line: 3, Column: 4}, Finding{File: hooks.ScriptName, Line: 3, Column: 4}},
		{Finding{File: hooks.ScriptName}, Finding{File: hooks.ScriptName, Line: 1, Column: 1}},
		{Finding{File: "/etc/passwd", Key: "fields[0]", Line: -7, Column: -1}, Finding{File: hooks.ScriptName, Line: 1, Column: 1}},
		{Finding{File: hooks.ManifestName, Key: "fields[0]", Line: 9, Column: 9}, Finding{File: hooks.ManifestName, Key: "fields[0]"}},
	} {
		if got := placed(tc.in); got != tc.want {
			t.Errorf("%+v: %+v, want %+v", tc.in, got, tc.want)
		}
	}
}
