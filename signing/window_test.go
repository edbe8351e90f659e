package signing_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"hookline/internal/errs"
	"hookline/signing"

	"github.com/google/go-cmp/cmp"
)

// A key counts in [from, until). Until is held against the later of floor and
// clock, from against the clock alone: a clock that is set back opens nothing.
func TestKeyWindows(t *testing.T) {
	k := newTeam(t)
	st := k.statement(t, nil)
	files := sign(t, st, k.alice, k.bob, k.carol)
	from, until := start.Add(time.Hour), start.Add(2*time.Hour)
	middle := from.Add(time.Minute)
	both := signing.Window{From: from, Until: until}
	for _, tt := range []struct {
		name       string
		window     signing.Window
		floor, now time.Time
		counts     bool
	}{
		{"no bounds, long ago", signing.Window{}, time.Time{}, start.AddDate(-9, 0, 0), true},
		{"in the middle", both, time.Time{}, middle, true},
		{"a moment before from", both, time.Time{}, from.Add(-1), false},
		{"exactly from", both, time.Time{}, from, true},
		{"a moment before until", both, time.Time{}, until.Add(-1), true},
		{"exactly until", both, time.Time{}, until, false},
		{"long after", both, time.Time{}, until.AddDate(1, 0, 0), false},
		{"from alone, before", signing.Window{From: from}, time.Time{}, from.Add(-1), false},
		{"from alone, at it", signing.Window{From: from}, time.Time{}, from, true},
		{"from alone, years later", signing.Window{From: from}, time.Time{}, from.AddDate(9, 0, 0), true},
		{"until alone, years before", signing.Window{Until: until}, time.Time{}, until.AddDate(-9, 0, 0), true},
		{"until alone, at it", signing.Window{Until: until}, time.Time{}, until, false},
		{"floor later than the clock, both inside", both, middle, from, true},
		{"clock set back inside, floor exactly until", both, until, middle, false},
		{"clock set back inside, floor a moment before until", both, until.Add(-1), middle, true},
		{"clock set back before from, floor inside", both, middle, from.Add(-1), false},
		{"clock past until, floor inside", both, middle, until, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for who, key := range map[string]signing.KeyID{"author": k.alice.Public().ID, "reviewer": k.carol.Public().ID} {
				other := *k
				other.policy.Persons = append([]signing.Person(nil), k.policy.Persons...)
				for i := range other.policy.Persons {
					if tt.window != (signing.Window{}) && other.policy.Persons[i].Keys[0].ID == key {
						other.policy.Persons[i].Windows = map[signing.KeyID]signing.Window{key: tt.window}
					}
				}
				_, err := signing.Rules{Policy: other.load(t), Floor: tt.floor, Now: tt.now}.Verify([]byte(script), st, files)
				switch {
				case tt.counts:
					wantCode(t, err, "")
				case who == "author":
					wantCode(t, err, errs.CodeKeyWindow)
				default:
					wantCode(t, err, errs.CodeThresholdNotMet)
				}
			}
		})
	}
}

// A window is of one key: a person's other key counts beside it.
func TestWindowIsOfOneKey(t *testing.T) {
	k := newTeam(t)
	k.policy.Persons[1].Windows = map[signing.KeyID]signing.Window{k.bob.Public().ID: {Until: start}}
	p := k.load(t)
	st := k.statement(t, nil)
	_, err := verify(p, []byte(script), st, sign(t, st, k.alice, k.carol, k.bob))
	wantCode(t, err, errs.CodeThresholdNotMet)
	v, err := verify(p, []byte(script), st, sign(t, st, k.alice, k.carol, k.bob, k.bob2))
	if err != nil {
		t.Fatal(err)
	}
	if got := v.Standing().Reviewers[0]; got != (signing.Signer{Person: "bob", KeyID: k.bob2.Public().ID}) {
		t.Errorf("counted %+v", got)
	}
}

func TestPolicyWindowsRoundTrip(t *testing.T) {
	k := newTeam(t)
	from, until := start, start.AddDate(1, 0, 0)
	k.policy.Persons[0].Windows = map[signing.KeyID]signing.Window{
		k.alice.Public().ID: {From: from, Until: until}, k.alice2.Public().ID: {From: from},
	}
	k.policy.Persons[2].Windows = map[signing.KeyID]signing.Window{k.carol.Public().ID: {Until: until}}
	k.policy.Forbidden = []string{}
	p := k.load(t)
	want := k.policy
	want.Digest = p.Digest
	if diff := cmp.Diff(&want, p); diff != "" {
		t.Error(diff)
	}
	if !bytes.Equal(p.YAML(), k.policy.YAML()) {
		t.Error("YAML of the parsed policy differs")
	}
	short := strings.ReplaceAll(string(p.YAML()), string(k.carol.Public().ID), k.carol.Public().ID.Short())
	again, err := signing.ParsePolicy([]byte(short))
	if err != nil || cmp.Diff(want.Persons, again.Persons) != "" {
		t.Errorf("with the short id of a key: %v", err)
	}
}

func TestPolicyWindowRefusals(t *testing.T) {
	k := newTeam(t)
	id := k.carol.Public().ID
	policy := func(windows string) []byte { // carol is the last but one
		text := string(k.policy.YAML())
		dave := "  - name: dave\n"
		if !strings.Contains(text, dave) {
			t.Fatal("the policy has no dave")
		}
		return []byte(strings.Replace(text, dave, "    windows:\n"+windows+dave, 1))
	}
	const from, until = "        from: \"2026-11-02T09:00:00Z\"\n", "        until: \"2027-11-02T09:00:00Z\"\n"
	key := "      - key: " + string(id) + "\n"
	if _, err := signing.ParsePolicy(policy(key + from + until)); err != nil {
		t.Fatalf("the one that is right: %v", err)
	}
	with := func(line, old, replacement string) string { return strings.Replace(line, old, replacement, 1) }
	for _, tt := range []struct{ name, windows, message string }{
		{"no key", "      - from: \"2026-11-02T09:00:00Z\"\n", "persons[2].windows[0].key"},
		{"a stranger's key", "      - key: " + string(k.mallory.Public().ID) + "\n" + from, "no key with the id"},
		{"another person's key", "      - key: " + string(k.bob.Public().ID) + "\n" + from, "no key with the id"},
		{"a prefix of no id", "      - key: " + string(id)[:15] + "\n" + from, "no key with the id"},
		{"an id in capitals", "      - key: " + strings.ToUpper(string(id)) + "\n" + from, "no key with the id"},
		{"twice", key + from + key + until, "a window already"},
		{"twice, once by the short id", key + from + "      - key: " + id.Short() + "\n" + until, "a window already"},
		{"neither bound", key, "neither from nor until"},
		{"empty bounds", key + "        from: \"\"\n        until: \"\"\n", "neither from nor until"},
		{"the end before the beginning", key + with(from, "2026", "2028") + until, "ends before it begins"},
		{"the end at the beginning", key + with(from, "2026", "2027") + until, "ends before it begins"},
		{"a day", key + with(from, "T09:00:00Z", ""), "windows[0].from"},
		{"no time", key + with(until, "2027-11-02T09:00:00Z", "soon"), "windows[0].until"},
		{"a date of YAML, which has other forms", key + strings.ReplaceAll(from, "\"", ""), "must be text"},
		{"half a second", key + with(from, "00Z", "00.5Z"), "windows[0].from"},
		{"another zone", key + with(until, "00Z", "00+01:00"), "windows[0].until"},
		{"the thirtieth of February", key + with(from, "11-02", "02-30"), "windows[0].from"},
		{"the zero time, which would be no bound", key + from + with(until, "2027-11-02T09:00:00Z", "0001-01-01T00:00:00Z"), "windows[0].until"},
		{"a year that cannot be written", key + from + with(until, "2027-11-02T09:00:00Z", "9999-12-31T23:59:59-01:00"), "windows[0].until"},
		{"an unknown member", key + from + "        reason: left\n", "unknown key"},
		{"a member twice", key + from + from, "from"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p, err := signing.ParsePolicy(policy(tt.windows))
			wantCode(t, err, errs.CodePolicyInvalid)
			if p != nil || err == nil || !strings.Contains(err.Error(), tt.message) {
				t.Errorf("got %v, want it to name %q", err, tt.message)
			}
		})
	}
}
