package signing

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
)

// PolicyVersion is the version of the policy file that this build knows.
const PolicyVersion = 1

// maxReviewers is how many can sign: one of the files is the author's. A
// threshold above it could never be met.
const maxReviewers = MaxSignatureFiles - 1

// MaxLifetime bounds max_lifetime of every policy.
const MaxLifetime = 14 * 24 * time.Hour

// The capabilities that a policy can name in needs and forbidden.
const (
	CapFSRead     = "fs.read"     // reads files
	CapFSList     = "fs.list"     // lists folders
	CapFSStat     = "fs.stat"     // looks at sizes, times and owners
	CapCmdRun     = "cmd.run"     // runs programs
	CapSyslog     = "syslog"      // runs a program that reads the kernel's log
	CapAsReporter = "as.reporter" // runs as the user who owns the report
	CapAsRoot     = "as.root"     // runs as root
	CapRaw        = "raw"         // brings back text that was not redacted
)

// Roles lists every role in the order in which policies print them.
func Roles() []Role { return []Role{RoleAuthor, RoleReviewer, RoleOperator, RoleRevoker} }

// classPrefix starts the names of the capabilities to bring a class of fields
// back: "class.personal".
const classPrefix = "class."

// rawPrefix starts the names of the capabilities to bring one text field back
// as it is: "raw.KernelLog". CapRaw stands for every such field.
const rawPrefix = CapRaw + "."

// CapabilityNames lists what needs and forbidden may name, but for the raw
// text fields, which they may name one by one: "raw.KernelLog".
func CapabilityNames() []string {
	names := []string{CapFSRead, CapFSList, CapFSStat, CapCmdRun, CapSyslog, CapAsReporter, CapAsRoot, CapRaw}
	for _, class := range hooks.FieldClasses() {
		names = append(names, classPrefix+string(class))
	}
	return names
}

// CapabilitiesOf lists what a statement uses, under the names of the policy
// and in their order.
func CapabilitiesOf(p hooks.Predicate) []string {
	c := p.Capabilities
	uses := map[string]bool{
		CapFSRead: len(c.FSRead) > 0, CapFSList: len(c.FSList) > 0, CapFSStat: len(c.FSStat) > 0, CapCmdRun: len(c.CmdRun) > 0,
		CapSyslog:     slices.ContainsFunc(c.CmdRun, func(cmd hooks.Command) bool { return cmd.Syslog }),
		CapAsReporter: p.As == hooks.AsReporter, CapAsRoot: p.As == hooks.AsRoot,
	}
	var raw []string
	for _, f := range p.Fields {
		uses[classPrefix+string(f.Class)] = true
		if f.Raw {
			uses[CapRaw] = true
			raw = append(raw, rawPrefix+f.Name)
		}
	}
	slices.Sort(raw)
	return append(slices.DeleteFunc(CapabilityNames(), func(name string) bool { return !uses[name] }), raw...)
}

// isCapability reports whether needs and forbidden may name it.
func isCapability(name string) bool {
	field, raw := strings.CutPrefix(name, rawPrefix)
	return slices.Contains(CapabilityNames(), name) || raw && hooks.ValidFieldName(field)
}

// Has reports whether the person holds the role.
func (p Person) Has(r Role) bool { return slices.Contains(p.Roles, r) }

// Person finds the person who holds a key.
func (p *Policy) Person(id KeyID) (Person, bool) {
	i, _ := p.find(id)
	if i < 0 {
		return Person{}, false
	}
	return p.Persons[i], true
}

// find returns the index of the person who holds the key, -1 where nobody does.
func (p *Policy) find(id KeyID) (int, PublicKey) {
	for i := range p.Persons {
		for _, k := range p.Persons[i].Keys {
			if k.ID == id {
				return i, k
			}
		}
	}
	return -1, PublicKey{}
}

// NeededFor is how many reviewers a statement needs: the policy's number, or
// more where it uses a capability that asks for more.
func (p *Policy) NeededFor(pred hooks.Predicate) int {
	needed := p.Reviewers
	for _, name := range CapabilitiesOf(pred) {
		needed = max(needed, p.Needs[name])
	}
	return needed
}

// Shortfalls names the capabilities whose need no author can reach with the
// reviewers that the policy lists: in effect they are forbidden.
func (p *Policy) Shortfalls() []string {
	var short []string
	for _, name := range slices.Sorted(maps.Keys(p.Needs)) {
		if !p.reachable(p.Needs[name]) {
			short = append(short, name)
		}
	}
	return short
}

// RunThreshold is the largest number of people whose signatures a hook can
// need: its author and the reviewers of the capability that asks for most,
// as far as there are so many. Whoever may change the policy must not be fewer.
func (p *Policy) RunThreshold() int {
	most := p.Reviewers
	for _, n := range p.Needs {
		if n > most && p.reachable(n) {
			most = n
		}
	}
	return 1 + most
}

// reachable reports whether some author finds n reviewers beside himself.
func (p *Policy) reachable(n int) bool {
	reviewers := 0
	for i := range p.Persons {
		if p.Persons[i].Has(RoleReviewer) {
			reviewers++
		}
	}
	for i := range p.Persons {
		others := reviewers
		if p.Persons[i].Has(RoleReviewer) {
			others--
		}
		if p.Persons[i].Has(RoleAuthor) && others >= n {
			return true
		}
	}
	return false
}

var (
	personName     = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)
	deploymentName = regexp.MustCompile(`^d-[0-9a-f]{32}$`)
)

// validate checks everything that ParsePolicy promises; errors name the key.
func (p *Policy) validate() error {
	switch {
	case !deploymentName.MatchString(p.Deployment):
		return invalid("deployment", "it is not \"d-\" and 32 hexadecimal digits")
	case p.Profile != ProfileTeam && p.Profile != ProfileSolo:
		return invalid("profile", "it is neither team nor solo")
	case p.Profile == ProfileSolo && p.Reviewers != 0:
		return invalid("reviewers", "profile solo has zero reviewers")
	case p.Profile == ProfileTeam && (p.Reviewers < 1 || p.Reviewers > maxReviewers):
		return invalid("reviewers", "profile team needs 1 to %d reviewers", maxReviewers)
	case p.MaxLifetime <= 0 || p.MaxLifetime > MaxLifetime || p.MaxLifetime%time.Second != 0:
		return invalid("max_lifetime", "it is not between 1s and 14d in whole seconds")
	}
	if err := p.validateCapabilities(); err != nil {
		return err
	}
	if err := p.validatePersons(); err != nil {
		return err
	}
	if !p.reachable(p.Reviewers) {
		return invalid("persons", "no author finds %d reviewers beside himself", p.Reviewers)
	}
	return nil
}

func (p *Policy) validateCapabilities() error {
	for name, n := range p.Needs {
		if !isCapability(name) {
			return invalid("needs", "%q is no capability; known are %s", name, strings.Join(CapabilityNames(), ", "))
		}
		if n < 1 || n > maxReviewers {
			return invalid("needs."+name, "it is not between 1 and %d", maxReviewers)
		}
	}
	for i, name := range p.Forbidden {
		if !isCapability(name) {
			return invalid("forbidden", "%q is no capability; known are %s", name, strings.Join(CapabilityNames(), ", "))
		}
		if slices.Contains(p.Forbidden[:i], name) {
			return invalid("forbidden", "%q is listed twice", name)
		}
	}
	return nil
}

// validatePersons refuses above all one key under two names: it would count
// as two people.
func (p *Policy) validatePersons() error {
	if len(p.Persons) == 0 || len(p.Persons) > MaxPersons {
		return invalid("persons", "there are %d, not 1 to %d", len(p.Persons), MaxPersons)
	}
	names, keys := map[string]bool{}, map[KeyID]string{}
	for i, person := range p.Persons {
		at := fmt.Sprintf("persons[%d]", i)
		if !personName.MatchString(person.Name) {
			return invalid(at+".name", "it is not 1 to 64 of a-z, 0-9, dot, dash and underscore")
		}
		if names[person.Name] {
			return invalid(at+".name", "%q is there twice", person.Name)
		}
		names[person.Name] = true
		if err := validateRoles(at, person.Roles); err != nil {
			return err
		}
		if len(person.Keys) == 0 || len(person.Keys) > MaxKeysPerPerson {
			return invalid(at+".keys", "there are %d, not 1 to %d", len(person.Keys), MaxKeysPerPerson)
		}
		for j, k := range person.Keys {
			if owner, taken := keys[k.ID]; taken {
				return invalid(fmt.Sprintf("%s.keys[%d]", at, j), "the same key is already listed for %q", owner)
			}
			keys[k.ID] = person.Name
			if w := person.Windows[k.ID]; !w.Until.IsZero() && !w.From.Before(w.Until) {
				return invalid(fmt.Sprintf("%s.keys[%d]", at, j), "its window ends before it begins")
			}
		}
	}
	return nil
}

func validateRoles(at string, roles []Role) error {
	if len(roles) == 0 {
		return invalid(at+".roles", "there is none; known are %s", roleNames())
	}
	for i, r := range roles {
		if !slices.Contains(Roles(), r) {
			return invalid(at+".roles", "%q is no role; known are %s", r, roleNames())
		}
		if slices.Contains(roles[:i], r) {
			return invalid(at+".roles", "%q is listed twice", r)
		}
	}
	return nil
}

// roleNames are all roles, for a message.
func roleNames() string {
	var names []string
	for _, r := range Roles() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

func invalid(field, format string, args ...any) *errs.Error {
	return errs.New(errs.CodePolicyInvalid, "cannot accept the policy: "+format, args...).At(field)
}

// PolicyDigest is the identity of a policy: the hex SHA-256 of its bytes.
func PolicyDigest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
