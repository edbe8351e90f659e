package hooks_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"hookline/hooks"
)

func TestKeys(t *testing.T) {
	r := hooks.Report{"ExecutablePath": "/a", "Signal": "6", "Package": "nginx"}
	if diff := cmp.Diff([]string{"fp:/a:6", "pkg:nginx"}, hooks.MatchKeys(r)); diff != "" {
		t.Error(diff)
	}
	delete(r, "Package")
	if diff := cmp.Diff([]string{"fp:/a:6"}, hooks.MatchKeys(r)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"fp:a", "fp:b"}, hooks.Match{Fingerprints: []string{"a", "b"}}.Keys()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"pkg:nginx"}, hooks.Match{Fingerprints: []string{}, Package: "nginx"}.Keys()); diff != "" {
		t.Error(diff)
	}
}

func TestMatches(t *testing.T) {
	r := hooks.Report{"ExecutablePath": "/a", "Signal": "6", "Package": "nginx", "PackageVersion": "1.22.1-9+deb12u1"}
	for _, tc := range []struct {
		name  string
		level hooks.Level
		m     hooks.Match
		want  bool
	}{
		{"fingerprint", hooks.LevelProblem, hooks.Match{Fingerprints: []string{"/a:11", "/a:6"}}, true},
		{"another fingerprint", hooks.LevelProblem, hooks.Match{Fingerprints: []string{"/a:11"}}, false},
		{"a package does not count at level problem", hooks.LevelProblem, hooks.Match{Package: "nginx"}, false},
		{"package", hooks.LevelPackage, hooks.Match{Package: "nginx"}, true},
		{"another package", hooks.LevelPackage, hooks.Match{Package: "nginx-core"}, false},
		{"no package at all", hooks.LevelPackage, hooks.Match{}, false},
		{"from the same version", hooks.LevelPackage, hooks.Match{Package: "nginx", From: "1.22.1-9+deb12u1"}, true},
		{"from a later one", hooks.LevelPackage, hooks.Match{Package: "nginx", From: "1.22.1-9+deb12u2"}, false},
		{"below the same", hooks.LevelPackage, hooks.Match{Package: "nginx", Below: "1.22.1-9+deb12u1"}, false},
		{"below a later epoch", hooks.LevelPackage, hooks.Match{Package: "nginx", Below: "1:0"}, true},
		{"within", hooks.LevelPackage, hooks.Match{Package: "nginx", From: "1.22", Below: "1.23~"}, true},
		{"no level", "", hooks.Match{Package: "nginx", Fingerprints: []string{"/a:6"}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := tc.m.Matches(tc.level, r); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
	ranged := hooks.Match{Package: "nginx", From: "1"}
	for _, v := range []string{"", "latest", "1 2", "1.99999999999999999999"} {
		if ranged.Matches(hooks.LevelPackage, hooks.Report{"Package": "nginx", "PackageVersion": v}) {
			t.Errorf("version %q is in a range", v)
		}
	}
}

func TestCompareVersions(t *testing.T) {
	order := []string{"1.0~rc1", "1.0", "1.0-1", "1.0-1+b1", "1.0-2", "1.0-10", "1.0.1", "1.2", "1.10", "1.10a", "1.10+dfsg", "1:0.1", "2:0"}
	for i, a := range order {
		for j, b := range order {
			got, err := hooks.CompareVersions(a, b)
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if err != nil || got != want {
				t.Errorf("%s against %s: %d, %v; want %d", a, b, got, err, want)
			}
		}
	}
	for _, bad := range []string{"", "a", ":1", "x:1", "-1:1", "1.0_1", "١", "1.0-", strings.Repeat("1.", 100)} {
		if _, err := hooks.CompareVersions(bad, "1"); err == nil {
			t.Errorf("%q is taken for a version", bad)
		}
	}
}

func FuzzCompareVersions(f *testing.F) {
	f.Add("1.0~rc1-1", "1:2+b1")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, err1 := hooks.CompareVersions(a, b)
		y, err2 := hooks.CompareVersions(b, a)
		if (err1 == nil) != (err2 == nil) || x != -y || x < -1 || x > 1 {
			t.Errorf("%q, %q: %d %v, the other way %d %v", a, b, x, err1, y, err2)
		}
	})
}

func TestCovers(t *testing.T) {
	for _, tc := range []struct {
		pattern, path string
		want          bool
	}{
		{"/a/b", "/a/b", true},
		{"/a/b", "/a/b/c", false},
		{"/a/b", "/a", false},
		{"/a/*", "/a/b", true},
		{"/a/*", "/a/b/c", false},
		{"/a/*", "/a", false},
		{"/a/*", "/a/", false},
		{"/a/*", "/ab/c", false},
		{"/a/**", "/a/b", true},
		{"/a/**", "/a/b/c/d", true},
		{"/a/**", "/a", false},
		{"/a/**", "/ab", false},
	} {
		if got := hooks.ReadingOnly("/zzz", tc.pattern).Reads(tc.path); got != tc.want {
			t.Errorf("%s covers %s: %v", tc.pattern, tc.path, got)
		}
	}
}

type rolloutVector struct {
	Statement string `json:"statement"` // digest
	Peer      string `json:"peer"`      // digest of its SPKI
	Percent   int64  `json:"percent"`   // the least that lets it in, 1..100
}

func leastPercent(statement, peer string) int64 {
	for p := range int64(101) {
		if hooks.InRollout(statement, peer, p) {
			return p
		}
	}
	return -1
}

func TestRolloutVectors(t *testing.T) {
	if *update {
		var v []rolloutVector
		for i := range 12 {
			s, p := hooks.Digest([]byte{byte(i % 3)}), hooks.Digest([]byte{100, byte(i)})
			v = append(v, rolloutVector{s, p, leastPercent(s, p)})
		}
		writeJSON(t, "rollout.json", v)
	}
	var got []rolloutVector
	readJSON(t, "rollout.json", &got)
	for _, v := range got {
		if !hooks.InRollout(v.Statement, v.Peer, v.Percent) || hooks.InRollout(v.Statement, v.Peer, v.Percent-1) {
			t.Errorf("%+v: least is %d", v, leastPercent(v.Statement, v.Peer))
		}
	}
	if len(got) == 0 || hooks.InRollout("zz", got[0].Peer, 100) || hooks.InRollout(got[0].Statement, "", 100) {
		t.Error("something that is no digest is in a rollout")
	}
}

// About the asked share of peers is in, and a rollout that grows keeps them.
func TestRolloutShare(t *testing.T) {
	const peers = 4000
	in := 0
	s := hooks.Digest([]byte("a statement"))
	for i := range peers {
		p := hooks.Digest([]byte{byte(i), byte(i >> 8)})
		if hooks.InRollout(s, p, 25) {
			in++
			if !hooks.InRollout(s, p, 26) {
				t.Fatal("a peer falls out of a larger rollout")
			}
		}
	}
	if in < peers/4-150 || in > peers/4+150 {
		t.Errorf("%d of %d peers at 25 percent", in, peers)
	}
}
