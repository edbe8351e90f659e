package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"hookline/internal/api"
	"hookline/internal/errs"
	"hookline/internal/onebox"
)

// revoke has the version that ran revoked, and one that lacks an approval made.
func (s *demo) revoke(ctx context.Context) error {
	s.step("alice submits a second version, which only bob signs; carol revokes the first: her key alone is enough for that")
	if err := s.second(ctx); err != nil {
		return err
	}
	if err := s.d.Revoke(ctx, "carol", "version", s.version.Digest, "it reads more than it needs"); err != nil {
		return err
	}
	if err := s.heardOfRevocation(ctx); err != nil {
		return err
	}
	s.say("the server has told the machine, which never forgets it")
	v, err := s.d.Version(ctx, "alice", s.version.Digest)
	if err != nil {
		return err
	}
	s.say("%s@%d: %s", v.Hook, v.Number, v.State)
	s.version = v
	return nil
}

// second makes the next version of the hook, one approval short.
func (s *demo) second(ctx context.Context) error {
	dir := s.d.Path("demo-hook")
	script, err := os.OpenFile(filepath.Join(dir, "hook.lua"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	if _, err = script.WriteString("-- one more line\n"); err == nil {
		err = script.Close()
	}
	if err != nil {
		return err
	}
	v, err := s.d.Submit(ctx, "alice", dir)
	if err != nil {
		return err
	}
	if v, err = s.d.Approve(ctx, "bob", v.Digest); err != nil {
		return err
	}
	s.say("%s@%d: %s, %d of %d approvals", v.Hook, v.Number, v.State, v.Approvals, v.Needed)
	s.next, err = s.d.Version(ctx, "alice", v.Digest)
	return err
}

func (s *demo) heardOfRevocation(ctx context.Context) error {
	return onebox.Eventually(ctx, 30*time.Second, func() error {
		out, err := s.peer.Do(ctx, "status")
		if err == nil && !regexp.MustCompile(`(?m)^revoked +1 seen`).MatchString(out) {
			err = fmt.Errorf("the peer does not know of the revocation:\n%s", out)
		}
		return err
	})
}

// attempt is one thing that a stolen server tries.
type attempt struct {
	what    string
	sends   func(s *demo) api.Version
	allow   string // what the owner says before it
	refusal errs.Code
}

func attempts() []attempt {
	first := func(s *demo) api.Version { return s.version }
	second := func(s *demo) api.Version { return s.next }
	return []attempt{
		{"changes one byte of the script", oneByteOff, "yes", errs.CodeScriptDigest},
		{"stretches the deadline in the signed statement", oneDayLonger, "yes", errs.CodeSignatureInvalid},
		{"sends the second version, one approval short", second, "yes", errs.CodeThresholdNotMet},
		{"hides the revocation and sends the first again", first, "yes", errs.CodeRevoked},
		{"asks a machine whose owner has not opted in", first, "no", errs.CodeNotOptedIn},
	}
}

func oneByteOff(s *demo) api.Version {
	v := s.next
	v.Script = bytes.Clone(v.Script)
	v.Script[len(v.Script)-2] ^= 1
	return v
}

func oneDayLonger(s *demo) api.Version {
	v := s.next
	signed := fmt.Sprintf(`"not_after":%d`, v.Predicate.NotAfter)
	v.Statement = bytes.Replace(v.Statement, []byte(signed), fmt.Appendf(nil, `"not_after":%d`, v.Predicate.NotAfter+86400), 1)
	return v
}

func (s *demo) refusals(ctx context.Context) error {
	s.step("now the server is stolen: a thief has its folder, answers at its address, and sends what nobody signed")
	thief, err := s.d.Steal(ctx)
	if err != nil {
		return err
	}
	for _, a := range attempts() {
		if err := s.attempt(ctx, thief, a); err != nil {
			return fmt.Errorf("the stolen server %s: %w", a.what, err)
		}
	}
	return thief.Stop()
}

// attempt sends one job and reads what the peer's own record says of it.
func (s *demo) attempt(ctx context.Context, thief *onebox.Thief, a attempt) error {
	if _, err := s.peer.Do(ctx, "allow", "--hooks="+a.allow); err != nil {
		return err
	}
	v := a.sends(s)
	job, _, err := thief.Send(onebox.Theft{Original: s.job, Statement: v.Statement, Script: v.Script, Signatures: v.Signatures})
	if err != nil {
		return err
	}
	records, err := s.peer.Log(ctx, "--job", job)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(records, func(r onebox.Record) bool { return r.Decision == "refused" || r.Decision == "deferred" })
	if i < 0 || records[i].Code != string(a.refusal) || strings.Contains(fmt.Sprint(records), "run") {
		return fmt.Errorf("the peer's record says %+v of job %s, want %q", records, job, a.refusal)
	}
	s.refused = append(s.refused, records[i].Code)
	s.say("%s%s%s: the stolen server %s (hook job %s)", s.color("31"), records[i].Code, s.color("0"), a.what, job)
	return nil
}
