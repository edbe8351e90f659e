package reviews

import (
	"fmt"
	"slices"
	"strings"

	"hookline/hooks"
	"hookline/internal/looks"
	"hookline/review"
	"hookline/signing"
)

// standing is what a version still needs, and what one account can do for it.
// Accounts and the persons of the policy are different things: the page takes
// an account for the person of the same name, and says so where there is none.
// Who signed decides when a signature comes, whatever stands here.
type standing struct {
	Given, Needed int
	Reviewers     []string // persons whose approval counts
	Because       string   // why it needs more than others: "fs.read asks for 2"
	Refused       string   // why it may not run, whoever signs it
	Open          bool     // it waits for reviewers
	May           bool     // the account's approval may be what it waits for
	Not           string   // why it may not approve
	Unknown       string   // why that is not known
}

// standingOf holds a version against the rules, for an account.
func standingOf(rules signing.Rules, l review.Life, user string, mayReview bool) standing {
	v := l.Version
	s := standing{Open: l.State() == hooks.StateSubmitted}
	st, found, err := rules.Examine(v.Script, v.Statement, v.Signatures)
	if err != nil {
		s.Refused, s.Open = looks.Visible(err.Error()), false
		return s
	}
	s.Given, s.Needed, s.Because = len(found.Reviewers), found.Needed, because(rules.Policy, st.Predicate)
	for _, r := range found.Reviewers {
		s.Reviewers = append(s.Reviewers, looks.Visible(r.Person))
	}
	s.Not = hinders(rules.Policy, l, found, user)
	if s.Not == "" && !mayReview {
		s.Not = "your account has no role of a reviewer"
	}
	known := slices.ContainsFunc(rules.Policy.Persons, func(p signing.Person) bool { return p.Name == user })
	if s.Not == "" && !known {
		s.Unknown = "the policy has no person of your account's name; whether your key counts shows when you sign"
	}
	s.May = s.Open && s.Not == ""
	return s
}

// because names the capabilities that ask for more reviewers than the policy
// does for any hook.
func because(policy *signing.Policy, p hooks.Predicate) string {
	var more []string
	for _, name := range signing.CapabilitiesOf(p) {
		if n := policy.Needs[name]; n > policy.Reviewers {
			more = append(more, fmt.Sprintf("%s asks for %d", name, n))
		}
	}
	return strings.Join(more, ", ")
}

// hinders is why an approval of the account would count for nothing, "" where
// nothing is known against it.
func hinders(policy *signing.Policy, l review.Life, found signing.Standing, user string) string {
	mine := func(r review.Review) bool { return r.User == user && r.Verdict == review.VerdictApprove }
	counted := func(id string) bool {
		return slices.ContainsFunc(found.Reviewers, func(s signing.Signer) bool { return string(s.KeyID) == id })
	}
	i := slices.IndexFunc(policy.Persons, func(p signing.Person) bool { return p.Name == user })
	switch {
	case found.Author.Person == user:
		return "author"
	case l.Version.SubmittedBy == user:
		return "you submitted it"
	case slices.ContainsFunc(found.Reviewers, func(s signing.Signer) bool { return s.Person == user }),
		slices.ContainsFunc(l.Reviews, func(r review.Review) bool { return mine(r) && counted(r.KeyID) }):
		return "you have approved it"
	case i >= 0 && !policy.Persons[i].Has(signing.RoleReviewer):
		return "not a reviewer in the policy"
	}
	return ""
}

// Count is "2 of 2 reviewers, 1 given".
func (s standing) Count() string {
	if s.Needed == 0 && s.Refused == "" {
		return "no reviewer needed"
	}
	return fmt.Sprintf("%d of %d", s.Given, s.Needed)
}

// Words are what the policy still needs, as a sentence without its stop.
func (s standing) Words() string {
	if s.Refused != "" {
		return "it may not run, whoever signs it: " + s.Refused
	}
	words := fmt.Sprintf("%d reviewers needed, %d given", s.Needed, s.Given)
	if s.Needed == 1 {
		words = fmt.Sprintf("1 reviewer needed, %d given", s.Given)
	}
	if len(s.Reviewers) > 0 {
		words += ": " + strings.Join(s.Reviewers, ", ")
	}
	if s.Because != "" {
		words += " (" + s.Because + ")"
	}
	return words
}

// You is what the account can do about it.
func (s standing) You() string {
	switch {
	case s.Refused != "" || !s.Open:
		return ""
	case s.Not != "":
		return "you may not approve: " + s.Not
	case s.Unknown != "":
		return "it is unknown whether you may approve: " + s.Unknown
	}
	return "you may approve"
}
