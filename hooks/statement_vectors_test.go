package hooks_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/errs"
)

// vector is one line of statement/index.json: a file with the digest that it
// must have, or the code that it must be refused with.
type vector struct {
	File    string    `json:"file"`
	Why     string    `json:"why"`
	Digest  string    `json:"digest,omitempty"`
	Refused errs.Code `json:"refused,omitempty"`
	Field   string    `json:"field,omitempty"` // that the refusal names
}

func TestStatementVectors(t *testing.T) {
	if *update {
		writeStatementVectors(t)
	}
	var index []vector
	readJSON(t, "statement/index.json", &index)
	if len(index) < 40 {
		t.Fatalf("only %d vectors", len(index))
	}
	for _, v := range index {
		t.Run(v.File, func(t *testing.T) {
			b := read(t, "statement/"+v.File)
			s, err := hooks.ParseStatement(b)
			if v.Refused != "" {
				wantCode(t, err, v.Refused)
				if e, ok := errs.As(err); !ok || e.Field != v.Field {
					t.Errorf("got %v, want field %q", err, v.Field)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := hooks.Digest(b); got != v.Digest {
				t.Errorf("digest %s, want %s", got, v.Digest)
			}
			if again := canonical(t, s); !bytes.Equal(again, b) {
				t.Errorf("encoded again:\n%s\nwant\n%s", again, b)
			}
		})
	}
}

func writeStatementVectors(t *testing.T) {
	var index []vector
	for _, v := range validStatements(t) {
		name := "valid/" + v.name + ".json"
		write(t, "statement/"+name, v.b)
		index = append(index, vector{File: name, Why: v.why, Digest: hooks.Digest(v.b)})
	}
	for _, v := range invalidStatements(t) {
		name := "invalid/" + v.name + ".json"
		write(t, "statement/"+name, v.b)
		_, err := hooks.ParseStatement(v.b)
		e, ok := errs.As(err)
		if !ok {
			t.Fatalf("%s is not refused: %v", v.name, err)
		}
		index = append(index, vector{File: name, Why: v.why, Refused: e.Code, Field: e.Field})
	}
	writeJSON(t, "statement/index.json", index)
}

type named struct {
	name, why string
	b         []byte
}

func validStatements(t *testing.T) []named {
	change := func(edit func(m *hooks.Manifest)) []byte {
		m := manifest()
		edit(&m)
		return canonical(t, statement(t, m))
	}
	return []named{
		{"problem", "level problem, two fingerprints", canonical(t, statement(t, manifest()))},
		{"package", "level package with a version range", canonical(t, statement(t, packageManifest()))},
		{"package-any-version", "no version bounds", change(func(m *hooks.Manifest) {
			*m = packageManifest()
			m.Match.From, m.Match.Below = "", ""
		})},
		{"no-capabilities", "a hook that reads its report only", change(func(m *hooks.Manifest) {
			m.Capabilities.FSRead = []string{}
		})},
		{"commands", "lists, looks, and commands with each placeholder", canonical(t, statement(t, commandManifest()))},
		{"as-root", "every identity has its own digest", change(func(m *hooks.Manifest) { m.As = hooks.AsRoot })},
		{"escapes", "quotes, backslashes and HTML's marks in a fingerprint", change(func(m *hooks.Manifest) {
			m.Match.Fingerprints = []string{`/a:11:op<int>&:"q"\:%C3%A9`}
		})},
		{"highest-limits", "every limit at its cap", change(func(m *hooks.Manifest) {
			m.Limits.MaxReports, m.Limits.MaxRunsPerPeer = hooks.MaxReports, hooks.MaxRunsPerPeer
			m.Limits.MaxBytes, m.Limits.MaxResultBytes = hooks.MaxTotalBytes, hooks.MaxResultBytes
			m.Limits.MaxRuntime = hooks.MaxRuntimeSeconds * 1e9
		})},
	}
}

func invalidStatements(t *testing.T) []named {
	base := string(canonical(t, statement(t, manifest())))
	pkg := string(canonical(t, statement(t, packageManifest())))
	swap := func(in, old, with string) []byte {
		if strings.Count(in, old) != 1 {
			t.Fatalf("%q is %d times in the base statement", old, strings.Count(in, old))
		}
		return []byte(strings.Replace(in, old, with, 1))
	}
	out := []named{
		{"empty", "nothing at all", nil},
		{"not-json", "no JSON", []byte("hook")},
		{"null", "null", []byte("null")},
		{"array", "an array", []byte("[]")},
		{"cut", "the end is missing", []byte(base[:len(base)-1])},
		{"trailing-newline", "a newline at the end", []byte(base + "\n")},
		{"trailing-value", "a second value", []byte(base + "{}")},
		{"too-large", "over the size cap", []byte(base + strings.Repeat(" ", hooks.MaxStatementBytes))},
		{"too-deep", "over the depth cap", swap(base, `"fs.read":[`, `"fs.read":[[[[[[[]]]]]],`)},
		{"too-many", "over the cap on values", swap(base, `"fs.read":[`, `"fs.read":[`+strings.Repeat("1,", hooks.MaxStatementValues))},
		{"utf-8", "a letter beyond ASCII", swap(base, "kernel-taint", "kernel-t\u00e4int")},
		{"space", "white space", swap(base, `"version":3`, `"version": 3`)},
		{"escaped", "an escape where none is needed", swap(base, "kernel-taint", `kern\u0065l-taint`)},
		{"order", "two keys the other way round", swap(base, `"version":3,"author":"`+strings.Repeat("ab", 32)+`"`, `"author":"`+strings.Repeat("ab", 32)+`","version":3`)},
		{"unknown-key", "a key that is not ours", swap(base, `"version":3`, `"version":3,"unlimited":true`)},
		{"duplicate-key", "a key twice", swap(base, `"version":3`, `"version":3,"version":3`)},
		{"case-variant", "a key in another case", swap(base, `"version":3`, `"Version":3`)},
		{"missing-key", "a key less", swap(base, `"as":"service",`, ``)},
		{"missing-not-before", "not_before may be 0, not absent", swap(base, `"not_before":1770000000,`, ``)},
		{"null-list", "null for an empty list", swap(pkg, `"fingerprints":[]`, `"fingerprints":null`)},
		{"float", "a float", swap(base, `"max_percent":100`, `"max_percent":100.0`)},
		{"exponent", "an exponent", swap(base, `"max_percent":100`, `"max_percent":1e2`)},
		{"beyond-2-53", "an integer beyond 2^53", swap(base, `"version":3`, `"version":9007199254740992`)},
		{"beyond-int64", "an integer beyond 64 bits", swap(base, `"version":3`, `"version":99999999999999999999`)},
		{"statement-v0.1", "the older in-toto statement", swap(base, "/Statement/v1", "/Statement/v0.1")},
		{"predicate-v2", "a predicate of a later version, with keys of its own", swap(swapString(base, `"version":3`, `"version":3,"more":[]`), "/hook/v1", "/hook/v2")},
		{"predicate-other", "somebody else's predicate", swap(base, hooks.PredicateType, "https://slsa.dev/provenance/v1")},
		{"no-subject", "no subject", []byte(base[:strings.Index(base, `[{"name":"hook.lua"`)] + "[]" + base[strings.Index(base, `,"predicateType"`):])},
		{"two-subjects", "two subjects", swap(base, `"subject":[`, `"subject":[{"name":"hook.lua","digest":{"sha256":"`+strings.Repeat("0", 64)+`"}},`)},
		{"subject-name", "another file", swap(base, `"hook.lua"`, `"other.lua"`)},
		{"subject-digest", "uppercase digits", swap(base, hooks.Digest([]byte(script)), strings.ToUpper(hooks.Digest([]byte(script))))},
		{"deployment", "a deployment of 31 digits", swap(base, "ddeeff", "ddeef")},
		{"author", "a short key id", swap(base, strings.Repeat("ab", 32), "abab")},
		{"hook-dash", "a name that ends in a dash", swap(base, "kernel-taint", "kernel-")},
		{"hook-long", "a name of 65 bytes", swap(base, "kernel-taint", strings.Repeat("a", 65))},
		{"hook-upper", "a name with capitals", swap(base, "kernel-taint", "Kernel")},
		{"version-zero", "version 0", swap(base, `"version":3`, `"version":0`)},
		{"as-nobody", "an identity that is none", swap(base, `"as":"service"`, `"as":"nobody"`)},
		{"level", "a level that is none", swap(base, `"level":"problem"`, `"level":"global"`)},
		{"window", "not_after before not_before", swap(base, `"not_before":1770000000`, `"not_before":1990000000`)},
	}
	out = append(out, invalidCommands(string(canonical(t, statement(t, commandManifest()))), swap)...)
	out = append(out, invalidMembers(base, pkg, swap)...)
	sortNamed(out)
	return out
}

func invalidCommands(base string, swap func(in, old, with string) []byte) []named {
	const df, reads = `["-k","{path}"]`, `"/usr/**","/var/lib/dpkg/**"`
	program := func(p string) []byte { return swap(base, `"/bin/df"`, `"`+p+`"`) }
	out := []named{
		{"list-missing", "no fs.list", swap(base, `"fs.list":["/proc/{pid}/fd"],`, "")},
		{"list-null", "null for a list", swap(base, `"fs.list":["/proc/{pid}/fd"]`, `"fs.list":null`)},
		{"stat-unsorted", "paths out of order", swap(base, `"fs.stat":[`, `"fs.stat":["/z",`)},
		{"pid-folder", "a placeholder in a folder", swap(base, `"/proc/{pid}/fd"`, `"/proc/{pid}/*"`)},
		{"pid-elsewhere", "a placeholder outside of /proc", swap(base, `"/proc/{pid}/fd"`, `"/run/{pid}/fd"`)},
		{"pid-alone", "a process without a file", swap(base, `"/proc/{pid}/fd"`, `"/proc/{pid}"`)},
		{"path-placeholder", "another placeholder in a path", swap(base, `"/proc/{pid}/fd"`, `"/proc/{path}/fd"`)},
		{"command-name", "a command's name with a slash", swap(base, `"name":"disk"`, `"name":"a/b"`)},
		{"commands-unsorted", "commands out of order", swap(base, `"name":"disk"`, `"name":"z"`)},
		{"commands-twice", "a command twice", swap(base, `"name":"disk"`, `"name":"kernel-log"`)},
		{"command-null", "no arguments at all", swap(base, df, "null")},
		{"command-member", "a member less", swap(base, `,"syslog":true`, "")},
		{"argument-part", "a placeholder as a part of an argument", swap(base, df, `["--path={path}"]`)},
		{"argument-unknown", "a placeholder that is none", swap(base, df, `["{user}","{path}"]`)},
		{"argument-empty", "an empty argument", swap(base, df, `["","{path}"]`)},
		{"argument-long", "an argument of 257 bytes", swap(base, df, `["`+strings.Repeat("a", 257)+`","{path}"]`)},
		{"arguments-many", "33 arguments", swap(base, df, `["{path}"`+strings.Repeat(`,"a"`, 32)+`]`)},
		{"paths-missing", "{path} without what it may be", swap(base, `"paths":["/var/lib/app/**"]`, `"paths":[]`)},
		{"paths-vain", "paths without {path}", swap(base, df, `["-k"]`)},
		{"paths-pid", "{pid} in the paths of an argument", swap(base, `"paths":["/var/lib/app/**"]`, `"paths":["/proc/{pid}/fd"]`)},
		{"reads-one-level", "one level, which the kernel cannot hold a program to", swap(base, reads, `"/usr/*"`)},
	}
	for name, p := range map[string]string{"relative": "df", "pattern": "/bin/*", "placeholder": "/proc/{pid}/exe", "self": "/proc/self/exe", "key": "/etc/ssl/private/df"} {
		out = append(out, named{"program-" + name, "a program that is none: " + p, program(p)})
	}
	for name, p := range map[string]string{
		"etc": "/etc/**", "ssh": "/etc/ssh/**", "home": "/home/**", "home-of": "/home/alice/**", "var": "/var/**", "var-lib": "/var/lib/**", "proc": "/proc/**",
		"dev": "/dev/**", "run": "/run/systemd/**", "shadow": "/etc/shadow", "environ": "/proc/1/environ", "process": "/proc/1/limits", "keys": "/opt/app/secrets/**",
	} {
		out = append(out, named{"reads-" + name, "what no program may read: " + p, swap(base, reads, `"`+p+`"`)})
	}
	return out
}

func swapString(in, old, with string) string { return strings.Replace(in, old, with, 1) }

func invalidMembers(base, pkg string, swap func(in, old, with string) []byte) []named {
	first := `"/usr/bin/app:11:a:b:c"`
	out := []named{
		{"no-fingerprints", "level problem without a fingerprint", swap(base, first+`,"/usr/bin/app:6:x:y:z"`, "")},
		{"fingerprint-space", "a fingerprint with a space", swap(base, first, `"/usr/bin/a pp"`)},
		{"fingerprint-control", "a control character, escaped", swap(base, first, `"\u0001"`)},
		{"fingerprints-unsorted", "fingerprints out of order", swap(base, first, `"z"`)},
		{"fingerprints-twice", "a fingerprint twice", swap(base, first, first+","+first)},
		{"problem-with-package", "both levels at once", swap(base, `"package":""`, `"package":"nginx"`)},
		{"package-with-fingerprint", "both levels at once", swap(pkg, `"fingerprints":[]`, `"fingerprints":["a"]`)},
		{"package-name", "no Debian package name", swap(pkg, `"nginx"`, `"Nginx"`)},
		{"package-empty", "level package without a package", swap(pkg, `"nginx"`, `""`)},
		{"package-version", "no Debian version", swap(pkg, `"1.22.1-9"`, `"latest"`)},
		{"package-range", "a range that holds nothing", swap(pkg, `"1.22.1-9"`, `"2:1"`)},
		{"fields-unsorted", "fields out of order", swap(base, `"name":"KernelTaint"`, `"name":"Zebra"`)},
		{"field-name", "a field name with a space", swap(base, `"name":"KernelTaint"`, `"name":"Kernel Taint"`)},
		{"field-reserved", "a field name that is Hookline's own", swap(base, `"name":"KernelTaint"`, `"name":"HookError_x"`)},
		{"field-type", "a type that is none", swap(base, `"type":"text"`, `"type":"blob"`)},
		{"field-class", "a class that is none", swap(base, `"type":"text","class":"technical"`, `"type":"text","class":"secret"`)},
		{"field-unlimited", "a field without a limit", swap(base, `"max_bytes":1024`, `"max_bytes":0`)},
		{"field-over-result", "a field larger than a result", swap(base, `"max_bytes":1024`, `"max_bytes":8193`)},
		{"result-over-total", "a result larger than all results", swap(base, `"max_bytes":1048576`, `"max_bytes":8000`)},
	}
	for name, path := range map[string]string{
		"relative": "proc/x", "dots": "/proc/../etc", "double-slash": "//proc", "slash-end": "/proc/", "root": "/", "everything": "/**",
		"top-level": "/*", "star-inside": "/proc/*/x", "star-in-name": "/proc/x*", "two-stars": "/proc/*/**", "long": "/" + strings.Repeat("a", 512),
	} {
		out = append(out, named{"path-" + name, "a path that is refused: " + path[:min(len(path), 20)], swap(base, `"/proc/pressure/*"`, `"`+path+`"`)})
	}
	for key, value := range map[string]string{
		"not_after": "1770604800", "max_reports": "100", "max_runs_per_peer": "1", "max_percent": "100",
		"max_result_bytes": "8192", "max_runtime_ms": "2000",
	} {
		line := fmt.Sprintf(`"%s":%s`, key, value)
		out = append(out,
			named{"limit-zero-" + key, "a limit of 0", swap(base, line, fmt.Sprintf(`"%s":0`, key))},
			named{"limit-negative-" + key, "a negative limit", swap(base, line, fmt.Sprintf(`"%s":-1`, key))},
			named{"limit-high-" + key, "a limit over its cap", swap(base, line, fmt.Sprintf(`"%s":9007199254740993`, key))},
		)
		if key != "max_runtime_ms" {
			out = append(out, named{"limit-missing-" + key, "a limit that is absent", swap(base, line+",", "")})
		}
	}
	return out
}
