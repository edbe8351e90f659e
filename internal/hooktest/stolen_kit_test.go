package hooktest_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	_ "modernc.org/sqlite" // the thief reads the database

	"hookline/hooks"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobpb"
	"hookline/internal/onebox"
	"hookline/signing"
	"hookline/signing/signer"
	"hookline/signing/trust"
)

// heist is a deployment whose server was stolen: people founded it, a hook of
// theirs ran on its machines, and now somebody else holds the server's folder
// and answers at its address. The people still have their own machines: what
// they sign from now on the thief gets to see, and may withhold.
type heist struct {
	d       *onebox.Deployment
	thief   *thief
	mallory *signer.Signer // the thief's own key
	loot    loot

	alice, bob, carol *signer.Signer
	alice2, bob2      *signer.Signer // other keys of the same persons
}

// loot is what lay in the server's folder.
type loot struct {
	ca        *enroll.CA
	key       crypto.PrivateKey // of the CA
	statement []byte
	script    []byte
	files     [][]byte // alice's, bob's and carol's
	trust     []byte
	trusted   *trust.Trusted
	reports   map[string][]byte // by job id, of all peers
	results   [][]byte
}

// target is a machine that the thief talks to.
type target struct {
	*onebox.Peer
	*hold
	spki     string
	original string // the report that it filed with the real server
}

// newKey makes a key pair; with a path it is also kept in files as people keep
// theirs, for the command line. The encryption is a cheap one of the format.
func newKey(t *testing.T, path, passphrase string) *signer.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	s, err := signer.New(key)
	must(t, err)
	if path == "" {
		return s
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	box, err := encrypted.EncryptWithCustomKDFParameters(der, []byte(passphrase), encrypted.Legacy)
	must(t, err)
	must(t, os.WriteFile(path+".key", pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: box}), 0o600))
	must(t, os.WriteFile(path+".pub", s.Public().PEM(), 0o600))
	return s
}

// foundHeist founds a deployment with the real programs: two of its people
// have two keys.
func foundHeist(t *testing.T) *heist {
	t.Helper()
	d := deployment(t)
	person := func(name string) *signer.Signer { return newKey(t, d.Path(name), d.Passphrase) }
	h := &heist{
		d: d, alice: person("alice"), bob: person("bob"), carol: person("carol"),
		alice2: newKey(t, "", ""), bob2: newKey(t, "", ""), mallory: newKey(t, "", ""),
	}
	must(t, d.MakePolicy(t.Context(), onebox.Team()))
	secondKeys(t, d, map[string]*signer.Signer{"alice": h.alice2, "bob": h.bob2})
	must(t, d.MakeTrust(t.Context(), onebox.Team()))
	must(t, d.StartServer(t.Context()))
	must(t, d.MakeTokens(t.Context(), onebox.Team()))
	return h
}

// secondKeys gives persons of the policy another key each.
func secondKeys(t *testing.T, d *onebox.Deployment, keys map[string]*signer.Signer) {
	t.Helper()
	path := filepath.Join(d.Offline(), "policy.yaml")
	b, err := os.ReadFile(path)
	must(t, err)
	p, err := signing.ParsePolicy(b)
	must(t, err)
	for i, person := range p.Persons {
		if s, ok := keys[person.Name]; ok {
			p.Persons[i].Keys = append(p.Persons[i].Keys, s.Public())
		}
	}
	must(t, os.WriteFile(path, p.YAML(), 0o600))
}

// enrol adds an opted-in machine that has filed a report.
func (h *heist) enrol(t *testing.T, name string) *target {
	t.Helper()
	m := &target{Peer: addPeer(t, h.d, name, "--send-reports=yes", "--hooks=yes")}
	var err error
	m.original, err = file(t.Context(), h.d, m.Peer, name)
	must(t, err)
	b, err := os.ReadFile(filepath.Join(m.State(), "net", "cert.pem"))
	must(t, err)
	block, _ := pem.Decode(b)
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	m.spki = hex.EncodeToString(sum[:])
	return m
}

// steal stops the server, takes its folder, and puts the thief in its place.
func (h *heist) steal(t *testing.T, targets ...*target) {
	t.Helper()
	must(t, h.d.Stop())
	dir := h.d.Path("loot")
	must(t, os.CopyFS(dir, os.DirFS(h.d.Path("server"))))
	must(t, os.Chmod(filepath.Join(dir, enroll.CAKeyFile), 0o600))
	h.loot.read(t, dir)
	var err error
	h.loot.ca, err = enroll.LoadOrCreateCA(dir, h.loot.predicate(t).Deployment, time.Now())
	must(t, err)
	h.loot.readKey(t, filepath.Join(dir, enroll.CAKeyFile))
	h.loot.open(t)
	h.thief = startThief(t, h.d.GRPC, h.loot.ca)
	for _, m := range targets {
		m.hold = h.thief.of(m.spki[:32]) // the id that a certificate names
	}
	for _, m := range targets {
		m.reconnects(t, 0)
	}
}

func (l *loot) read(t *testing.T, dir string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "hookline.db"))
	must(t, err)
	defer db.Close()
	must(t, db.QueryRowContext(t.Context(), "SELECT statement, script FROM hook_versions").Scan(&l.statement, &l.script))
	l.files = column(t, db, "SELECT file FROM signatures ORDER BY position")
	l.results = column(t, db, "SELECT fields FROM hook_results ORDER BY id")
	l.reports = map[string][]byte{}
	for _, id := range column(t, db, "SELECT id FROM jobs WHERE workload = 'report'") {
		var report []byte
		must(t, db.QueryRowContext(t.Context(), "SELECT report FROM jobs WHERE id = ?", string(id)).Scan(&report))
		l.reports[string(id)] = report
	}
	l.trust, err = os.ReadFile(filepath.Join(dir, "trust.json"))
	must(t, err)
}

func column(t *testing.T, db *sql.DB, query string) (out [][]byte) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var b []byte
		must(t, rows.Scan(&b))
		out = append(out, slices.Clone(b))
	}
	must(t, rows.Err())
	return out
}

// open reads the stolen trust metadata as a machine of the deployment would.
func (l *loot) open(t *testing.T) {
	t.Helper()
	var kept struct{ Bundle trust.Bundle } // and what was ever revoked
	must(t, json.Unmarshal(l.trust, &kept))
	b := kept.Bundle
	l.trust = encoded(t, b)
	var err error
	l.trusted, err = trust.Anchor{RootDigest: trust.Digest(b.Roots[0]), Deployment: l.predicate(t).Deployment}.Open(b)
	must(t, err)
}

func (l *loot) predicate(t *testing.T) hooks.Predicate {
	t.Helper()
	st, err := hooks.ParseStatement(l.statement)
	must(t, err)
	return st.Predicate
}

// stolen is a run of the real hook with all that people signed.
func (h *heist) stolen(original string) *jobpb.HookRun {
	return &jobpb.HookRun{OriginalId: original, Statement: h.loot.statement, Script: h.loot.script, Signatures: slices.Clone(h.loot.files)}
}

// canary is a script that must not run: it would bring a field that no hook
// of the people brings.
const canary = `report.set("Tainted", "CANARY")
`

// statementOf is the statement of a script with the limits of the real hook,
// which change makes different; the hook has another name, so that its
// versions and runs are its own.
func (h *heist) statementOf(t *testing.T, script string, change func(*hooks.Predicate)) []byte {
	t.Helper()
	p := h.loot.predicate(t)
	p.Hook, p.Version = "other", 1
	if change != nil {
		change(&p)
	}
	b, err := hooks.Statement{
		Type: hooks.StatementType, PredicateType: hooks.PredicateType, Predicate: p,
		Subject: []hooks.Subject{{Name: hooks.ScriptName, Digest: hooks.SubjectDigest{SHA256: hooks.Digest([]byte(script))}}},
	}.Canonical()
	must(t, err)
	return b
}

// signed is a run of another script that these keys signed.
func (h *heist) signed(t *testing.T, original, script string, change func(*hooks.Predicate), keys ...*signer.Signer) *jobpb.HookRun {
	t.Helper()
	st := h.statementOf(t, script, change)
	run := &jobpb.HookRun{OriginalId: original, Statement: st, Script: []byte(script)}
	for _, k := range keys {
		run.Signatures = append(run.Signatures, sign(t, k, st))
	}
	return run
}

func (h *heist) everybody() []*signer.Signer { return []*signer.Signer{h.alice, h.bob, h.carol} }

func sign(t *testing.T, k *signer.Signer, statement []byte) []byte {
	t.Helper()
	f, err := k.Sign(statement)
	must(t, err)
	return f
}

// recorded is what these tests look at in a line of a machine's own record.
type recorded struct {
	onebox.Record
	Digest string `json:"digest"`
	Reason string `json:"reason"`
}

// records are the lines of a machine's own record.
func (m *target) records(t *testing.T) (all []recorded) {
	t.Helper()
	out, err := m.Do(t.Context(), "log", "--output", "json")
	must(t, err)
	for dec := json.NewDecoder(strings.NewReader(out)); dec.More(); {
		var l recorded
		must(t, dec.Decode(&l))
		all = append(all, l)
	}
	return all
}

// hasCanary reports whether a result has the canary's mark.
func hasCanary(fields []byte) bool { return bytes.Contains(fields, []byte("CANARY")) }

// refusedIn finds a job's line, and checks that it did nothing but refuse.
func refusedIn(t *testing.T, all []recorded, job string, code errs.Code) {
	t.Helper()
	lines := 0
	for _, r := range all {
		if r.JobID != job {
			continue
		}
		lines++
		if r.Kind != "decision" || r.Decision != "refused" && r.Decision != "deferred" || r.Code != string(code) {
			t.Errorf("the record says of the job %+v, want a refusal with %s", r, code)
		}
	}
	if lines != 1 {
		t.Errorf("the record has %d lines about the job, want one refusal with %s", lines, code)
	}
}

// ran are the jobs of which a record says that they ran.
func ran(all []recorded) (jobs []string) {
	for _, r := range all {
		if r.Kind == "decision" && r.Decision == "run" {
			jobs = append(jobs, r.JobID)
		}
	}
	return jobs
}

// nothingElseRan checks a machine's whole record: only these jobs ran besides
// those of before, no result has the canary's field, and the counts on disk
// are those of the record.
func (m *target) nothingElseRan(t *testing.T, before int, jobs ...string) {
	t.Helper()
	all := m.records(t)
	got := ran(all)
	if len(got) < before || !slices.Equal(got[before:], jobs) {
		t.Errorf("since then ran %v, want %v", got[min(before, len(got)):], jobs)
	}
	outcomes := 0
	for _, r := range all {
		if r.Kind != "outcome" {
			continue
		}
		outcomes++
		if !slices.Contains(got, r.JobID) {
			t.Errorf("a job that was not let run has an outcome: %+v", r)
		}
		if hasCanary(r.Fields) {
			t.Errorf("a script that must not run left %s", r.Fields)
		}
	}
	if outcomes != len(got) {
		t.Errorf("%d jobs ran and have %d outcomes", len(got), outcomes)
	}
	var counted int64
	for _, v := range stateOf(t, m.Peer).Versions {
		counted += v.Runs
	}
	if counted != int64(len(got)) {
		t.Errorf("%d runs are counted on disk, the record has %d", counted, len(got))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for job, e := range m.ends {
		if hasCanary(e.fields) {
			t.Errorf("job %s brought the thief %s", job, e.fields)
		}
	}
}

func mustHex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	must(t, err)
	return b
}
