package inwords

import (
	"fmt"
	"time"

	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/review"
	"hookline/signing"
)

// Signatures say whose signatures on a version count now, and whose do not
// and why, by the code that the peers use and not by what a row says. All texts
// in it are fit to be shown.
type Signatures struct {
	List   []Signature
	Given  int // reviewers whose signature counts
	Needed int // reviewers; 0 of a version that is refused as a whole too
	Met    bool
	// Refused says why the version may not run whoever signs it; "" is nothing.
	Refused string
	Code    errs.Code // of Refused
}

// Signature is one of them.
type Signature struct {
	Person     string // "" is nobody whom the policy knows
	Role       string // "author" or "reviewer"
	KeyID      string
	Counts     bool
	Why        string    // why it does not
	Code       errs.Code // of Why
	UploadedBy string    // account
	At         time.Time // of the upload
}

// Uploader is "uploaded by alice" where that is not who signed.
func (s Signature) Uploader() string {
	if s.UploadedBy == "" || s.UploadedBy == s.Person {
		return ""
	}
	return "uploaded by " + s.UploadedBy
}

// Words are how far the signatures are: "1 of 2 reviewers".
func (s Signatures) Words() string {
	if s.Refused != "" && s.Needed == 0 {
		return "refused"
	}
	if s.Needed == 1 {
		return fmt.Sprintf("%d of 1 reviewer", s.Given)
	}
	return fmt.Sprintf("%d of %d reviewers", s.Given, s.Needed)
}

// SignaturesOf examines the signatures of a version under the rules.
func SignaturesOf(rules signing.Rules, l review.Life) Signatures {
	v := l.Version
	_, standing, err := rules.Examine(v.Script, v.Statement, v.Signatures)
	if err != nil {
		return Signatures{Refused: looks.Visible(err.Error()), Code: errs.CodeOf(err)}
	}
	out := Signatures{Given: len(standing.Reviewers), Needed: standing.Needed, Met: standing.Met()}
	author := Signature{Person: looks.Visible(standing.Author.Person), Role: "author", KeyID: string(standing.Author.KeyID), Counts: true}
	author.UploadedBy, author.At = looks.Visible(v.SubmittedBy), v.SubmittedAt
	out.List = append(out.List, author)
	for _, r := range standing.Reviewers {
		out.List = append(out.List, uploaded(Signature{Person: looks.Visible(r.Person), KeyID: string(r.KeyID), Counts: true}, l))
	}
	for _, void := range standing.Void {
		out.List = append(out.List, uploaded(Signature{
			Person: looks.Visible(void.Person), KeyID: string(void.KeyID), Why: looks.Visible(void.Reason), Code: void.Code,
		}, l))
	}
	for _, id := range standing.Unknown {
		out.List = append(out.List, uploaded(Signature{
			KeyID: looks.Visible(string(id)), Why: "the policy does not know this key", Code: errs.CodeSignerUnknown,
		}, l))
	}
	return out
}

// uploaded adds who brought a reviewer's signature, as the reviews say.
func uploaded(s Signature, l review.Life) Signature {
	s.Role = "reviewer"
	for _, r := range l.Reviews {
		if r.KeyID == s.KeyID && r.Verdict == review.VerdictApprove {
			s.UploadedBy, s.At = looks.Visible(r.User), r.At
		}
	}
	return s
}
