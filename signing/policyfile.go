package signing

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/internal/errs"
	"hookline/internal/strict"

	"go.yaml.in/yaml/v3"
)

// policyFile is the YAML form. Pointers tell a missing key from a zero.
type policyFile struct {
	Policy      *int           `yaml:"policy"`
	Deployment  string         `yaml:"deployment"`
	Profile     string         `yaml:"profile"`
	Reviewers   *int           `yaml:"reviewers"`
	Needs       map[string]int `yaml:"needs"`
	Forbidden   []string       `yaml:"forbidden"`
	MaxLifetime *time.Duration `yaml:"max_lifetime"`
	Persons     []personFile   `yaml:"persons"`
}

type personFile struct {
	Name    string       `yaml:"name"`
	Roles   []string     `yaml:"roles"`
	Keys    []string     `yaml:"keys"`
	Windows []windowFile `yaml:"windows"`
}

// windowFile says when one of the person's keys counts. Times are RFC 3339;
// one of the two may be left out.
type windowFile struct {
	Key   string `yaml:"key"` // key id, or its first 16 digits
	From  string `yaml:"from"`
	Until string `yaml:"until"`
}

// ParsePolicy reads a policy file. It refuses unknown and missing keys, an
// unknown policy version, one key under two names, a name twice, a team
// without reviewers or with too few people to approve anything, and a lifetime
// over 14 days: errs.CodePolicyInvalid, with the place ("policy.yaml:7:3") in Field. Needs and
// forbidden may be left out; every other key is required.
func ParsePolicy(b []byte) (*Policy, error) { return ParsePolicyFile("policy.yaml", b) }

// ParsePolicyFile is ParsePolicy of a file that errors call by its name: the
// path that a person gave.
func ParsePolicyFile(name string, b []byte) (*Policy, error) {
	var f policyFile
	at, err := strict.DecodeAt(name, b, MaxPolicyBytes, &f)
	if err != nil {
		return nil, asPolicyInvalid(err)
	}
	p, err := f.policy(b)
	if err != nil {
		return nil, locate(err, at)
	}
	return p, nil
}

// policy turns the decoded file into a valid policy; errors name the path of
// the key.
func (f policyFile) policy(b []byte) (*Policy, error) {
	switch {
	case f.Policy == nil:
		return nil, invalid("policy", "the key is missing")
	case *f.Policy != PolicyVersion:
		return nil, invalid("policy", "version %d is not known, only %d", *f.Policy, PolicyVersion)
	case f.Reviewers == nil:
		return nil, invalid("reviewers", "the key is missing")
	case f.MaxLifetime == nil:
		return nil, invalid("max_lifetime", "the key is missing")
	}
	p := &Policy{
		Deployment:  f.Deployment,
		Profile:     Profile(f.Profile),
		Reviewers:   *f.Reviewers,
		Needs:       f.Needs,
		Forbidden:   f.Forbidden,
		MaxLifetime: *f.MaxLifetime,
		Digest:      PolicyDigest(b),
	}
	persons, err := f.persons()
	if err != nil {
		return nil, err
	}
	p.Persons = persons
	if err := p.validate(); err != nil {
		return nil, err
	}
	return p, nil
}

// locate replaces the path of a key by its place in the file.
func locate(err error, at strict.Positions) error {
	e, ok := errs.As(err)
	if !ok || e.Field == "" {
		return err
	}
	c := *e
	c.Message = e.Message + " (" + e.Field + ")"
	c.Field = at.At(e.Field)
	return &c
}

func asPolicyInvalid(err error) error {
	e, ok := errs.As(err)
	if !ok {
		return errs.Wrap(errs.CodePolicyInvalid, err, "cannot read the policy")
	}
	c := *e
	c.Code = errs.CodePolicyInvalid
	return &c
}

func (f policyFile) persons() ([]Person, error) {
	if len(f.Persons) > MaxPersons {
		return nil, invalid("persons", "there are %d, not 1 to %d", len(f.Persons), MaxPersons)
	}
	persons := make([]Person, 0, len(f.Persons))
	for i, pf := range f.Persons {
		if len(pf.Keys) > MaxKeysPerPerson {
			return nil, invalid(fmt.Sprintf("persons[%d].keys", i), "there are %d, not 1 to %d", len(pf.Keys), MaxKeysPerPerson)
		}
		person := Person{Name: pf.Name}
		for _, r := range pf.Roles {
			person.Roles = append(person.Roles, Role(r))
		}
		for j, text := range pf.Keys {
			k, err := ParsePublicKey([]byte(text))
			if err != nil {
				return nil, errs.Wrap(errs.CodePolicyInvalid, err, "cannot accept the policy").At(fmt.Sprintf("persons[%d].keys[%d]", i, j))
			}
			person.Keys = append(person.Keys, k)
		}
		windows, err := windowsOf(person.Keys, pf.Windows, fmt.Sprintf("persons[%d].windows", i))
		if err != nil {
			return nil, err
		}
		person.Windows = windows
		persons = append(persons, person)
	}
	return persons, nil
}

func windowsOf(keys []PublicKey, files []windowFile, at string) (map[KeyID]Window, error) {
	if len(files) == 0 {
		return nil, nil
	}
	windows := make(map[KeyID]Window, len(files))
	for i, f := range files {
		at := fmt.Sprintf("%s[%d]", at, i)
		j := slices.IndexFunc(keys, func(k PublicKey) bool { return f.Key == string(k.ID) || f.Key == k.ID.Short() })
		if j < 0 {
			return nil, invalid(at+".key", "the person has no key with the id %.70q", f.Key)
		}
		if _, twice := windows[keys[j].ID]; twice {
			return nil, invalid(at+".key", "the key has a window already")
		}
		from, err := optionalTime(f.From)
		if err != nil {
			return nil, invalid(at+".from", "it is no time like 2026-01-31T12:00:00Z")
		}
		until, err := optionalTime(f.Until)
		if err != nil {
			return nil, invalid(at+".until", "it is no time like 2026-01-31T12:00:00Z")
		}
		if from.IsZero() && until.IsZero() {
			return nil, invalid(at, "it has neither from nor until")
		}
		windows[keys[j].ID] = Window{From: from, Until: until}
	}
	return windows, nil
}

// optionalTime reads a time in its one form: UTC, whole seconds. The zero time
// would be no bound at all.
func optionalTime(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err == nil && (t.IsZero() || t.UTC().Format(time.RFC3339) != text) {
		err = strconv.ErrSyntax
	}
	return t.UTC(), err
}

// YAML writes the policy as a file that ParsePolicy reads back. Digest is not
// part of it; the digest of what was written is PolicyDigest of these bytes.
func (p *Policy) YAML() []byte {
	var b strings.Builder
	b.WriteString(policyHeader)
	fmt.Fprintf(&b, "policy: %d\ndeployment: %s\nprofile: %s\n", PolicyVersion, p.Deployment, p.Profile)
	fmt.Fprintf(&b, "reviewers: %d # distinct people besides the author\n", p.Reviewers)
	writeNeeds(&b, p.Needs)
	fmt.Fprintf(&b, "forbidden: [%s] # capabilities that nobody may use\n", strings.Join(p.Forbidden, ", "))
	fmt.Fprintf(&b, "max_lifetime: %s # from not_before to not_after of a hook\n", strict.FormatDuration(p.MaxLifetime))
	b.WriteString("persons:\n")
	for _, person := range p.Persons {
		writePerson(&b, person)
	}
	return []byte(b.String())
}

const policyHeader = `# Who may sign hooks, and how many reviewers a hook needs. Peers take it as a
# target of the deployment's signed metadata: hookline trust replace changes it.
`

func writeNeeds(b *strings.Builder, needs map[string]int) {
	if len(needs) == 0 {
		b.WriteString("needs: {} # more reviewers for a capability\n")
		return
	}
	b.WriteString("needs: # more reviewers for a capability\n")
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		fmt.Fprintf(b, "  %s: %d\n", quote(name), needs[name])
	}
}

func writePerson(b *strings.Builder, person Person) {
	roles := make([]string, len(person.Roles))
	for i, r := range person.Roles {
		roles[i] = string(r)
	}
	fmt.Fprintf(b, "  - name: %s\n    roles: [%s]\n    keys:\n", quote(person.Name), strings.Join(roles, ", "))
	for _, k := range person.Keys {
		b.WriteString("      - |\n")
		for line := range strings.Lines(string(k.PEM())) {
			b.WriteString("        " + line)
		}
	}
	writeWindows(b, person)
}

func writeWindows(b *strings.Builder, person Person) {
	if len(person.Windows) == 0 {
		return
	}
	b.WriteString("    windows:\n")
	for _, k := range person.Keys {
		w, ok := person.Windows[k.ID]
		if !ok {
			continue
		}
		fmt.Fprintf(b, "      - key: %s\n", quote(string(k.ID)))
		for _, end := range []struct {
			name string
			t    time.Time
		}{{"from", w.From}, {"until", w.Until}} {
			if !end.t.IsZero() {
				fmt.Fprintf(b, "        %s: %s\n", end.name, quote(end.t.UTC().Format(time.RFC3339)))
			}
		}
	}
}

// quote keeps names such as "no" and "007" strings.
func quote(s string) string {
	out, err := yaml.Marshal(s)
	if err != nil {
		return fmt.Sprintf("%q", s)
	}
	return strings.TrimSuffix(string(out), "\n")
}
