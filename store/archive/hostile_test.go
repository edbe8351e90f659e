package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"hookline/internal/errs"
	"hookline/store/archive"
)

// nowhere is a target that must not be asked for anything.
type nowhere struct{ archive.Target }

var errAsked = errors.New("the target was asked")

func (nowhere) ArchiveMark(context.Context) (archive.Mark, error) { return archive.Mark{}, errAsked }

func read(content []byte) error {
	_, err := archive.Import(context.Background(), nowhere{}, bytes.NewReader(content), archive.ImportOptions{}, nil)
	return err
}

// seal gives lines the checksums and counts that fit them.
func seal(lines string) string {
	var out strings.Builder
	all, section := sha256.New(), sha256.New()
	total, count := 0, 0
	for _, line := range strings.SplitAfter(lines, "\n") {
		var l struct {
			Kind, Key string
			Count     *int
			Total     *int
		}
		switch err := json.Unmarshal([]byte(line), &l); {
		case err != nil:
		case l.Key != "":
			count++
			total++
			section.Write([]byte(line))
		case l.Count != nil:
			line = fmt.Sprintf(`{"kind":%q,"count":%d,"sha256":"%s"}`+"\n", l.Kind, count, hex.EncodeToString(section.Sum(nil)))
			section.Reset()
			count = 0
		case l.Total != nil:
			line = fmt.Sprintf(`{"total":%d,"sha256":"%s"}`+"\n", total, hex.EncodeToString(all.Sum(nil)))
		}
		all.Write([]byte(line))
		out.WriteString(line)
	}
	return out.String()
}

// replaced replaces the first place, which must be there.
func replaced(t *testing.T, s, from, to string) string {
	t.Helper()
	if !strings.Contains(s, from) {
		t.Fatalf("there is no %q", from)
	}
	return strings.Replace(s, from, to, 1)
}

// Whatever is not exactly an archive is refused, with the line, before
// anything is asked of the store.
func TestReader(t *testing.T) {
	content, err := os.ReadFile(golden)
	must(t, err)
	good := string(plain(t, content))
	if seal(good) != good {
		t.Fatal("the test does not seal as the product does")
	}
	lines := strings.SplitAfter(good, "\n")
	for name, c := range map[string]struct {
		lines string
		want  string
	}{
		"nothing":             {"", "cut off in line 1"},
		"another format":      {replaced(t, good, "hookline-archive", "x"), "line 1 names no format"},
		"no version":          {replaced(t, good, `,"version":1`, ""), "line 1 names no format"},
		"a newer version":     {replaced(t, good, `"version":1`, `"version":2`), "has version 2 of its format, and this program reads 1"},
		"version 0":           {replaced(t, good, `"version":1`, `"version":0`), "line 1: the header is not"},
		"more in the header":  {replaced(t, good, `"version":1`, `"version":1,"host":"x"`), "line 1: the header is not"},
		"no JSON":             {replaced(t, good, `{"kind":"user"`, `x{"kind":"user"`), "line 2: it is not JSON"},
		"an empty line":       {replaced(t, good, "\n", "\n\n"), "line 2: it is not JSON"},
		"a blank":             {replaced(t, good, `{"kind":"user"`, ` {"kind":"user"`), "line 2: user \"alice\": it is not in the one form"},
		"no data":             {lines[0] + `{"kind":"user","key":"x"}` + "\n", "line 2: user \"x\": data is no object"},
		"data is a list":      {lines[0] + `{"kind":"user","key":"x","data":[]}` + "\n", "line 2: user \"x\": data is no object"},
		"a record of nothing": {lines[0] + "{}\n", "line 2: it is no record, no end"},
		"a key twice":         {replaced(t, good, `"roles":`, `"roles":["admin"],"roles":`), "one form"},
		"keys in another order": {
			replaced(t, good, `{"created_at":null,"roles":[]}`, `{"roles":[],"created_at":null}`), "line 3: user \"bob\": it is not in the one form of a record from byte",
		},
		"a field missing":         {replaced(t, good, `{"created_at":null,"roles":[]}`, `{"roles":[]}`), "the field created_at is missing"},
		"a field of another type": {replaced(t, good, `"created_at":null,"roles":[]`, `"created_at":null,"roles":{}`), "the field roles: it cannot be a object"},
		"a time in another form":  {replaced(t, good, `12:00:00.123Z`, `12:00:00.1230Z`), "the field created_at: no time"},
		"a time of 1970":          {replaced(t, good, `{"created_at":null,"roles":[]}`, `{"created_at":"1970-01-01T00:00:00.000Z","roles":[]}`), "one form"},
		"a zero that is left out": {replaced(t, good, `"failed_code":"lost"`, `"denied":0,"failed_code":"lost"`), "one form"},
		"a no that is left out":   {replaced(t, good, `"created_at":null,"roles":[]`, `"created_at":null,"off":false,"roles":[]`), "one form"},
		"no labels":               {replaced(t, good, `"name":"host <1>"`, `"labels":[],"name":"host <1>"`), "one form"},
		"comments without records": {
			seal(strings.Join(lines[:len(lines)-2], "") + `{"kind":"comment","count":0,"sha256":""}` + "\n" + lines[len(lines)-2]), `a line of kind "comment" stands in the wrong place`,
		},
		"a count below zero":          {replaced(t, good, `"failed_code":"lost"`, `"denied":-1,"failed_code":"lost"`), "cannot count -1"},
		"an escape too much":          {replaced(t, good, `"name":"laptop"`, `"name":"\u006captop"`), "one form"},
		"an unknown field in a lease": {replaced(t, good, `"leases":[{`, `"leases":[{"x":1,`), "an unknown field inside a list"},
		"records out of order":        {lines[0] + lines[2] + lines[1] + strings.Join(lines[3:], ""), `line 3: user "alice" does not come after "bob"`},
		"a record twice":              {lines[0] + lines[1] + strings.Join(lines[1:], ""), `line 3: user "alice" does not come after "alice"`},
		"a record missing":            {lines[0] + strings.Join(lines[2:], ""), "line 3: the end of kind \"user\" does not fit"},
		"a record changed":            {replaced(t, good, `"laptop"`, `"Laptop"`), "line 6: the end of kind \"token\" does not fit"},
		"no end of a kind":            {lines[0] + lines[1] + lines[2] + strings.Join(lines[4:], ""), `line 4: a line of kind "token" stands among those of kind "user"`},
		"a kind missing":              {lines[0] + strings.Join(lines[4:], ""), `line 2: a line of kind "token" stands among those of kind "user"`},
		"kinds in another order":      {lines[0] + strings.Join(lines[4:6], "") + strings.Join(lines[1:4], "") + strings.Join(lines[6:], ""), "line 2: a line of kind"},
		"the end too early":           {seal(lines[0] + lines[len(lines)-2]), `line 2: the end of the archive stands before the end of kind "user"`},
		"the end changed":             {replaced(t, good, `"total":40`, `"total":41`), "the end of the archive does not fit"},
		"no end":                      {strings.Join(lines[:len(lines)-2], ""), "it is cut off in line"},
		"cut in a line":               {good[:len(good)-10], "it is cut off in line"},
		"no newline at the end":       {good[:len(good)-1], "it is cut off in line"},
		"something behind it":         {good + "\n", "something follows its end"},
		"two archives":                {good + good, "something follows its end"},
		"an unknown kind without records": {
			seal(strings.Join(lines[:len(lines)-2], "") + `{"kind":"zz","count":0,"sha256":""}` + "\n" + lines[len(lines)-2]), `kind "zz" has an end and no records`,
		},
		"unknown kinds out of order": {
			seal(strings.Join(lines[:len(lines)-2], "") + `{"kind":"aa","key":"x","data":{}}` + "\n" + `{"kind":"aa","count":1,"sha256":""}` + "\n" + lines[len(lines)-2]), `a line of kind "aa" stands in the wrong place`,
		},
		"a kind that is no name": {
			seal(strings.Join(lines[:len(lines)-2], "") + `{"kind":"z/z","key":"x","data":{}}` + "\n" + lines[len(lines)-2]), `a line of kind "z/z" stands in the wrong place`,
		},
		"a line without end": {lines[0] + `{"kind":"user","key":"` + strings.Repeat("x", archive.MaxLine), "line 2: it is longer than"},
		"deep nesting":       {lines[0] + `{"kind":"user","key":"x","data":{"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + "}}\n", "line 2: user \"x\": it is nested deeper"},
		"deepest nesting":    {lines[0] + strings.Repeat("[", 1<<20) + "\n", "line 2: it is not JSON"},
		"many values":        {lines[0] + `{"kind":"user","key":"x","data":{"x":[` + strings.Repeat("1,", 1<<19) + "1]}}\n", "more than 262144 values"},
		"a long key":         {lines[0] + `{"kind":"user","key":"` + strings.Repeat("x", 2000) + `","data":{}}` + "\n", "a key has 1 to 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(packed(t, []byte(c.lines)))
			if !errs.Is(err, errs.CodeBadInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// What stands around the lines is held to its form too.
func TestCompression(t *testing.T) {
	good, err := os.ReadFile(golden)
	must(t, err)
	if err := read(good); !errors.Is(err, errAsked) {
		t.Fatalf("the golden archive: %v", err)
	}
	flipped := bytes.Clone(good)
	flipped[len(flipped)/2] ^= 1
	sum := bytes.Clone(good)
	sum[len(sum)-1] ^= 1
	var wide bytes.Buffer
	enc, err := zstd.NewWriter(&wide, zstd.WithWindowSize(64<<20))
	must(t, err)
	_, err = io.Copy(enc, io.LimitReader(zeros{}, 80<<20))
	must(t, err)
	must(t, enc.Close())
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"empty":          {nil, "cut off in line 1"},
		"not compressed": {[]byte(`{"format":"hookline-archive","version":1}` + "\n"), "line 1: "},
		"cut":            {good[:len(good)-5], "cut off"},
		"a bit flipped":  {flipped, "line "},
		"its sum":        {sum, "line "},
		"garbage behind": {append(bytes.Clone(good), "garbage"...), "line "},
		"a wide window":  {wide.Bytes(), "line 1: window size"},
		"zeros":          {packed(t, make([]byte, 64<<20)), "line 1: it is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(c.content)
			if !errs.Is(err, errs.CodeBadInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// What no server has written is refused, although the file is in order.
func TestRecordsThatNoServerWrote(t *testing.T) {
	content, err := os.ReadFile(golden)
	must(t, err)
	good := string(plain(t, content))
	for name, c := range map[string]struct{ from, to, want string }{
		"an unknown role":         {`"roles":["author","operator"]`, `"roles":["author","root"]`, `line 2: user "alice": there is no role "root"`},
		"a role twice":            {`"roles":["author","operator"]`, `"roles":["author","author"]`, "the role author twice"},
		"a kind of token":         {`"kind":"api"`, `"kind":"root"`, `no kind of token "root"`},
		"a state":                 {`"state":"changes-requested"`, `"state":"active"`, `a version is never "active"`},
		"a statement":             {`"statement":"`, `"statement":"AAAA`, "its digest is not that of its statement"},
		"a number":                {`"number":1`, `"number":0`, "cannot have the number 0"},
		"a number twice":          {`"number":2`, `"number":1`, "same hook and number"},
		"a verdict":               {`"verdict":"approve"`, `"verdict":"maybe"`, `no verdict "maybe"`},
		"a review's file":         {`"signature":"Ym9iJ3M="`, `"signature":"AAAA"`, "not among those of its version"},
		"an activation's state":   {`"state":"active"`, `"state":"approved"`, `an activation is never "approved"`},
		"an activation's hook":    {`"hook":"first","keys"`, `"hook":"other","keys"`, `no such version of hook "other"`},
		"a version not approved":  {`"state":"approved"`, `"state":"rejected"`, "that is approved"},
		"a ledger's sum":          {`"issued":3`, `"issued":4`, "issued is 4"},
		"a count below zero":      {`"empty":0`, `"empty":-1`, "cannot count -1"},
		"a count that overflows":  {`"empty":0`, `"empty":9223372036854775807`, "cannot count"},
		"a bound":                 {`"quantity":10`, `"quantity":1`, "> quantity 1"},
		"a lease's bytes":         {`"reserved":100,"taken_at"`, `"reserved":99,"taken_at"`, "1 leases with 99 bytes"},
		"a lease that is no name": {`"leases":[{"id":"`, `"leases":[{"id":"$`, "has no id of one"},
		"a lease without job":     {`"leases":[{"id":"0`, `"leases":[{"id":"1`, "its lease is not out"},
		"an outcome":              {`"outcome":"timed-out"`, `"outcome":"empty"`, `a job with outcome "empty" is not failed`},
		"a status":                {`"status":"pending"`, `"status":"waiting"`, `no status "waiting"`},
		"a report's outcome":      {`"outcome":"","peer_id":"`, `"outcome":"empty","peer_id":"`, "a report has no outcome"},
		"a workload":              {`"workload":"hook"`, `"workload":"x"`, `no workload "x"`},
		"a job's version":         {`"match","version":"`, `"match","version":"x`, "no activation of version"},
		"a job's outcome counted": {`"outcome":"timed-out"`, `"outcome":"deferred"`, "its jobs add up to"},
		"a result's size":         {`"bytes":8,"created_at"`, `"bytes":9,"created_at"`, "it has 8 bytes and says 9"},
		"a result's job":          {`{"kind":"result","key":"0`, `{"kind":"result","key":"1`, "no job that has received it"},
		"a problem's count":       {`"reports":1`, `"reports":-1`, "cannot count -1"},
	} {
		t.Run(name, func(t *testing.T) {
			err := read(packed(t, []byte(seal(replaced(t, good, c.from, c.to)))))
			if !errs.Is(err, errs.CodeBadInput) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

// FuzzReader: no file makes the reader fail otherwise than with a refusal, and
// what it takes is in the one form, sums and all.
func FuzzReader(f *testing.F) {
	content, err := os.ReadFile(golden)
	must(f, err)
	good := plain(f, content)
	f.Add(content)
	for _, line := range bytes.SplitAfter(good, []byte("\n")) {
		f.Add(line)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, text := range []string{string(b), "{\"format\":\"hookline-archive\",\"version\":1}\n" + string(b)} {
			for _, file := range [][]byte{[]byte(text), packed(t, []byte(text)), packed(t, []byte(seal(text)))} {
				if err := read(file); !errs.Is(err, errs.CodeBadInput) && !errors.Is(err, errAsked) {
					t.Fatalf("%v", err)
				}
			}
		}
	})
}
