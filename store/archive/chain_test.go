package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"hookline/collector"
	"hookline/hooks"
	"hookline/internal/auth"
	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/jobs"
	"hookline/internal/wiretest"
	"hookline/review"
	"hookline/store/archive"
	"hookline/store/mongo"
	"hookline/store/sqlite"
)

var update = flag.Bool("update", false, "write the golden archive again")

const golden = "testdata/small.ndjson.zst"

// backend opens stores of one kind: each name is another one.
type backend interface {
	target(t testing.TB, name string) target
	source(t testing.TB, name string) archive.Source
}

type target interface {
	archive.Target
	Close() error
}

type inSQLite struct{ dir string }

func (b inSQLite) path(name string) string { return filepath.Join(b.dir, name, "hookline.db") }

func (b inSQLite) target(t testing.TB, name string) target {
	t.Helper()
	d, err := sqlite.Open(t.Context(), b.path(name), sqlite.Options{Import: true})
	must(t, err)
	return d
}

func (b inSQLite) source(t testing.TB, name string) archive.Source {
	t.Helper()
	a, err := sqlite.OpenArchive(t.Context(), b.path(name))
	must(t, err)
	t.Cleanup(func() { must(t, a.Close()) })
	return a
}

type inMongo struct{ server, test string }

func (b inMongo) open(t testing.TB, name string, o mongo.Options) *mongo.DB {
	t.Helper()
	d, err := mongo.Open(t.Context(), wiretest.In(t, b.server, b.test+name), o)
	must(t, err)
	return d
}

func (b inMongo) target(t testing.TB, name string) target {
	t.Helper()
	return b.open(t, name, mongo.Options{Import: true})
}

func (b inMongo) source(t testing.TB, name string) archive.Source {
	t.Helper()
	d := b.open(t, name, mongo.Options{})
	t.Cleanup(func() { must(t, d.Close()) })
	return d
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err, detail(err))
	}
}

// fill imports an archive into a new store.
func fill(t testing.TB, b backend, name string, content []byte) archive.Summary {
	t.Helper()
	d := b.target(t, name)
	s, err := archive.Import(t.Context(), d, bytes.NewReader(content), archive.ImportOptions{}, nil)
	must(t, err)
	must(t, d.Close())
	return s
}

// same demands the same bytes, and shows the first line that differs.
func same(t testing.TB, got, want []byte) {
	t.Helper()
	if bytes.Equal(got, want) {
		return
	}
	g, w := bytes.Split(plain(t, got), []byte("\n")), bytes.Split(plain(t, want), []byte("\n"))
	for i := range min(len(g), len(w)) {
		if !bytes.Equal(g[i], w[i]) {
			t.Fatalf("line %d is\n%.2000s\nand was\n%.2000s", i+1, g[i], w[i])
		}
	}
	t.Fatalf("%d lines, %d before, the same but for their number or compression", len(g), len(w))
}

func plain(t testing.TB, b []byte) []byte {
	t.Helper()
	dec, err := zstd.NewReader(nil)
	must(t, err)
	defer dec.Close()
	out, err := dec.DecodeAll(b, nil)
	must(t, err)
	return out
}

func packed(t testing.TB, b []byte) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithLowerEncoderMem(true))
	must(t, err)
	return enc.EncodeAll(b, nil)
}

// The format of version 1 is what it is: the archive of the fixtures does not
// change, and its hash is that of its content.
func TestGolden(t *testing.T) {
	got, s := export(t, small())
	if *update {
		must(t, os.WriteFile(golden, got, 0o600))
	}
	want, err := os.ReadFile(golden)
	must(t, err)
	same(t, got, want)
	if sum := sha256.Sum256(plain(t, got)); hex.EncodeToString(sum[:]) != s.SHA256 {
		t.Error("the SHA-256 is not that of the content")
	}
}

// What was imported is exported again, byte by byte, from whatever backend
// and into whatever other.
func TestThereAndBack(t *testing.T) {
	for name, m := range map[string]memory{"empty": {}, "small": small(), "many": many()} {
		t.Run(name, func(t *testing.T) {
			want, exported := export(t, m)
			for _, b := range backends(t) {
				imported := fill(t, b, "a", want)
				if fmt.Sprint(imported) != fmt.Sprint(exported) {
					t.Errorf("imported %v of %v", imported, exported)
				}
				got, _ := export(t, b.source(t, "a"))
				same(t, got, want)
				for _, other := range backends(t) {
					fill(t, other, "b", got)
					back, _ := export(t, other.source(t, "b"))
					same(t, back, want)
				}
			}
		})
	}
}

func backends(t testing.TB) []backend {
	t.Helper()
	test := sha256.Sum256([]byte(t.TempDir()))
	return []backend{inSQLite{t.TempDir()}, inMongo{wiretest.Server(t), hex.EncodeToString(test[:4])}}
}

// stopped is a target that fails before, or after, its nth put.
type stopped struct {
	target
	n     int
	after bool
}

var errStop = errors.New("stopped")

func (s *stopped) ArchivePut(ctx context.Context, all []archive.Record, m archive.Mark) error {
	if s.n--; s.n == 0 && !s.after {
		return errStop
	}
	err := s.target.ArchivePut(ctx, all, m)
	if s.n == 0 && err == nil {
		err = errStop
	}
	return err
}

// An import that stops anywhere goes on with the same archive, and with no
// other; nobody else uses the store meanwhile.
func TestStopAnywhere(t *testing.T) {
	want, _ := export(t, small())
	other, _ := export(t, memory{"widget": small()["widget"]})
	for _, b := range backends(t) {
		for n := 1; ; n += 1 + n/3 {
			name := fmt.Sprint("stop", n)
			d := &stopped{target: b.target(t, name), n: n, after: n%2 == 0}
			_, err := archive.Import(t.Context(), d, bytes.NewReader(want), archive.ImportOptions{}, nil)
			must(t, d.Close())
			if err == nil {
				if n < 8 {
					t.Errorf("there were only %d puts", n)
				}
				break
			}
			if !errors.Is(err, errStop) {
				t.Fatal(err)
			}
			again := b.target(t, name)
			if _, err := archive.Import(t.Context(), again, bytes.NewReader(other), archive.ImportOptions{Merge: true}, nil); n > 1 && !errs.Is(err, errs.CodeConflict) {
				t.Errorf("another archive came in after %d puts: %v", n, err)
			} else if n == 1 {
				must(t, again.Close())
				continue
			}
			_, err = archive.Import(t.Context(), again, bytes.NewReader(want), archive.ImportOptions{}, nil)
			must(t, err)
			must(t, again.Close())
			got, _ := export(t, b.source(t, name))
			same(t, got, want)
		}
	}
}

// A store with records takes an archive only where it is asked to, and only
// one that does not contradict it.
func TestMerge(t *testing.T) {
	for _, b := range backends(t) {
		whole, _ := export(t, small())
		part := small()
		delete(part, archive.KindAudit)
		delete(part, "zebra")
		some, _ := export(t, part)
		fill(t, b, "merge", some)
		d := b.target(t, "merge")
		in := func(content []byte, merge bool) error {
			_, err := archive.Import(t.Context(), d, bytes.NewReader(content), archive.ImportOptions{Merge: merge}, nil)
			return err
		}
		if err := in(whole, false); !errs.Is(err, errs.CodeConflict) {
			t.Errorf("into a store with records: %v", err)
		}
		for name, contradiction := range contradictions() {
			content, _ := export(t, contradiction)
			if err := in(content, true); !errs.Is(err, errs.CodeConflict) {
				t.Errorf("%s: %v", name, err)
			}
		}
		m, err := d.ArchiveMark(t.Context())
		if err != nil || m != (archive.Mark{}) {
			t.Errorf("a refused merge has begun: %v %v", m, err)
		}
		must(t, in(whole, true))
		must(t, in(whole, true))
		must(t, d.Close())
		got, _ := export(t, b.source(t, "merge"))
		same(t, got, whole)
	}
}

// Two stores that share nothing become one.
func TestMergeOfOthers(t *testing.T) {
	whole, _ := export(t, small())
	other := memory{}
	other.add(archive.KindUser, "carol", auth.User{Name: "carol", Roles: []auth.Role{auth.RoleViewer}}, nil)
	both := small()
	both[archive.KindUser] = append(both[archive.KindUser], other[archive.KindUser]...)
	want, _ := export(t, both)
	some, _ := export(t, other)
	for _, b := range backends(t) {
		fill(t, b, "others", some)
		d := b.target(t, "others")
		_, err := archive.Import(t.Context(), d, bytes.NewReader(whole), archive.ImportOptions{Merge: true}, nil)
		must(t, err)
		must(t, d.Close())
		got, _ := export(t, b.source(t, "others"))
		same(t, got, want)
	}
}

// contradictions are archives that small does not go with.
func contradictions() map[string]memory {
	user, peer, token := small(), small(), small()
	u := user[archive.KindUser][1].Value.(auth.User)
	u.CreatedAt = at(77)
	user[archive.KindUser][1].Value = u
	p := peer[archive.KindPeer][0]
	v := p.Value.(enroll.Peer)
	v.ID = "another"
	peerOnly := memory{archive.KindPeer: {{Kind: archive.KindPeer, Key: "another", Value: v}}}
	k := token[archive.KindToken][0].Value.(auth.Token)
	k.ID = id("token", 9)
	tokenOnly := memory{archive.KindToken: {{Kind: archive.KindToken, Key: k.ID, Value: k}}}
	extra := memory{archive.KindUser: {small()[archive.KindUser][0]}}
	extra[archive.KindUser][0].Extra = nil
	number := memory{}
	addVersion(number, "first", 1, hooks.StateSubmitted, nil)
	r := number[archive.KindVersion][0].Value.(review.Version)
	r.Statement = []byte("another statement")
	r.Digest = hooks.Digest(r.Statement)
	number[archive.KindVersion][0] = archive.Record{Kind: archive.KindVersion, Key: r.Digest, Value: r}
	return map[string]memory{
		"a peer's pending jobs": pending(), "another user": user, "a peer's key": peerOnly, "a token's hash": tokenOnly, "other unknown fields": extra, "a version's number": number,
		"another foreign record": {"widget": {{Kind: "widget", Key: "w.$1", Value: archive.Foreign(`{}`)}}},
	}
}

// pending has a hook job under way of the peer that has one in small.
func pending() memory {
	m, peer := memory{}, small()[archive.KindPeer][0].Key
	v := addVersion(m, "second", 1, hooks.StateApproved, nil)
	j := addHookJob(m, 9, peer, v, addReport(m, id("report", 9), peer, hooks.Report{}).ID, "")
	m.add(archive.KindActivation, v, archive.Activation{
		Activation: hooks.Activation{Digest: v, Hook: "second", State: hooks.StateActive, Quantity: 1, MaxBytes: 1, Ledger: hooks.Ledger{Issued: 1, Leased: 1}},
		Leases:     []collector.Lease{{ID: j.ID, Version: v}},
	}, nil)
	return m
}

// changing is a store in which a job ends while it is read.
type changing struct{ memory }

func (c changing) ArchivePage(ctx context.Context, k archive.Kind, after string, limit int) ([]archive.Record, error) {
	page, err := c.memory.ArchivePage(ctx, k, after, limit)
	page = slices.Clone(page)
	for i, r := range page {
		if j, ok := r.Value.(jobs.Job); ok && j.Status == jobs.Pending {
			j.Status, j.Outcome = jobs.Failed, hooks.OutcomeRefused
			page[i].Value = j
		}
	}
	return page, err
}

func TestExportOfAStoreThatChanges(t *testing.T) {
	_, err := archive.Export(t.Context(), changing{small()}, &bytes.Buffer{}, nil)
	if e, ok := errs.As(err); !ok || e.Code != errs.CodeConflict || !strings.Contains(e.Message, "changed while it was read") {
		t.Errorf("got %v", err)
	}
	broken := small()
	broken[archive.KindActivation][0].Extra = archive.Extra{"state": []byte(`"x"`)}
	if _, err := archive.Export(t.Context(), broken, &bytes.Buffer{}, nil); err == nil {
		t.Error("an unknown field replaced a known one")
	}
}

// What no import would take is not exported.
func TestExportOfADamagedStore(t *testing.T) {
	wide := archive.Extra{}
	for i := range 1000 {
		wide[fmt.Sprint(i)] = []byte("1")
	}
	for name, r := range map[string]archive.Record{
		"a text that is not UTF-8": {Kind: archive.KindAudit, Key: "z", Value: auth.Entry{ID: "z", Detail: "\xff"}},
		"a key that is not UTF-8":  {Kind: archive.KindAudit, Key: "z\xff", Value: auth.Entry{ID: "z\xff"}},
		"too many fields":          {Kind: archive.KindAudit, Key: "z", Value: auth.Entry{ID: "z"}, Extra: wide},
		"deep nesting": {Kind: archive.KindAudit, Key: "z", Value: auth.Entry{ID: "z"}, Extra: archive.Extra{
			"x": []byte(strings.Repeat("[", 200) + strings.Repeat("]", 200)),
		}},
		"lines of its own":       {Kind: "zz", Key: "z", Value: archive.Foreign("{}}\n{")},
		"another form":           {Kind: "zz", Key: "z", Value: archive.Foreign(`{"b":1,"a":2}`)},
		"no object":              {Kind: "zz", Key: "z", Value: archive.Foreign(`[]`)},
		"nothing":                {Kind: "zz", Key: "z", Value: archive.Foreign(``)},
		"a kind that is no name": {Kind: "z/z", Key: "z", Value: archive.Foreign(`{}`)},
	} {
		m := small()
		m[r.Kind] = append(m[r.Kind], r)
		if _, err := archive.Export(t.Context(), m, &bytes.Buffer{}, nil); err == nil {
			t.Errorf("%s was exported", name)
		}
	}
}

// Bytes on a full disk, and a cancelled context, end an export and an import.
func TestEndedEarly(t *testing.T) {
	if _, err := archive.Export(t.Context(), small(), short{}, nil); !errs.Is(err, errs.CodeUnavailable) {
		t.Errorf("to a full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := archive.Export(ctx, small(), &bytes.Buffer{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("export: %v", err)
	}
	content, _ := export(t, small())
	if _, err := archive.Import(ctx, nowhere{}, bytes.NewReader(content), archive.ImportOptions{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("import: %v", err)
	}
}

type short struct{}

func (short) Write([]byte) (int, error) { return 0, unix.ENOSPC }

func BenchmarkExport(b *testing.B) {
	m := many()
	for b.Loop() {
		_, err := archive.Export(b.Context(), m, io.Discard, nil)
		must(b, err)
	}
	b.ReportMetric(float64(b.N*len(m[archive.KindJob]))/b.Elapsed().Seconds(), "jobs/s")
}
