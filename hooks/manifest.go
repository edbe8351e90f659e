package hooks

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"hookline/internal/errs"
	"hookline/internal/strict"
)

// ManifestName is the file name of a manifest.
const ManifestName = "hook.yaml"

// maxDescription caps a description in bytes.
const maxDescription = 200

// Manifest is a hook.yaml: what the author writes. It is never signed and
// decides nothing; the statement made from it does.
type Manifest struct {
	Hook         string                   `yaml:"hook"`
	Description  string                   `yaml:"description"`
	Level        Level                    `yaml:"level"`
	Match        Match                    `yaml:"match"`
	As           Identity                 `yaml:"as"`
	Capabilities Capabilities             `yaml:"capabilities"`
	Fields       map[string]ManifestField `yaml:"fields"`
	Limits       Limits                   `yaml:"limits"`
}

// ManifestField declares one result field; its name is the key.
type ManifestField struct {
	Type     FieldType  `yaml:"type"`
	Class    FieldClass `yaml:"class"`
	MaxBytes int64      `yaml:"max_bytes"`
	Raw      bool       `yaml:"raw"`
}

// Limits are the bounds of a manifest; every one must be given.
type Limits struct {
	Lifetime       time.Duration `yaml:"lifetime"` // of the signed version, whole seconds
	MaxReports     int64         `yaml:"max_reports"`
	MaxRunsPerPeer int64         `yaml:"max_runs_per_peer"`
	MaxPercent     int64         `yaml:"max_percent"`
	MaxBytes       int64         `yaml:"max_bytes"`
	MaxResultBytes int64         `yaml:"max_result_bytes"`
	MaxRuntime     time.Duration `yaml:"max_runtime"` // whole milliseconds
}

// Binding is what a manifest does not say: to whom and when it is bound.
type Binding struct {
	Deployment string // "d-" and 32 hex digits
	Author     string // key id
	Version    int64
	Now        time.Time
}

// ParseManifest reads a hook.yaml. Every refusal is errs.CodeBadManifest, its
// Field is "hook.yaml:line:column" and its message names the key.
func ParseManifest(b []byte) (Manifest, error) {
	var m Manifest
	at, err := strict.DecodeAt(ManifestName, b, MaxManifestBytes, &m)
	if err != nil {
		if e, ok := errs.As(err); ok && e.Code != errs.CodeInternal {
			c := *e
			c.Code = errs.CodeBadManifest
			return Manifest{}, &c
		}
		return Manifest{}, err
	}
	written := m.inOrder()
	key, problem := m.normalise()
	if problem == nil {
		key, problem = m.check()
	}
	if problem != nil {
		name, entry := m.asWritten(key, written)
		e := errs.New(errs.CodeBadManifest, "%s %s", name, problem.Message).At(at.At(entry))
		e.Hint = problem.Hint
		return Manifest{}, e
	}
	return m, nil
}

// lists are the lists whose order means nothing to an author, by key.
func (m *Manifest) lists() map[string]*[]string {
	c := &m.Capabilities
	lists := map[string]*[]string{
		"match.fingerprints": &m.Match.Fingerprints, "capabilities.fs.read": &c.FSRead,
		"capabilities.fs.list": &c.FSList, "capabilities.fs.stat": &c.FSStat,
	}
	for i := range c.CmdRun {
		at := fmt.Sprintf("capabilities.cmd.run[%d].", i)
		lists[at+"paths"], lists[at+"reads"] = &c.CmdRun[i].Paths, &c.CmdRun[i].Reads
	}
	return lists
}

// inOrder is what is in the lists, as the author wrote it.
func (m *Manifest) inOrder() map[string][]string {
	written := map[string][]string{}
	for key, list := range m.lists() {
		written[key] = slices.Clone(*list)
	}
	return written
}

// asWritten splits the key of an entry in a sorted list into the list's key
// and the entry's key in the file, the last of several equal ones. Any other
// key is both.
func (m *Manifest) asWritten(key string, written map[string][]string) (name, entry string) {
	at := strings.LastIndexByte(key, '[')
	if at < 0 {
		return key, key
	}
	list := key[:at]
	sorted, ok := m.lists()[list]
	i, err := strconv.Atoi(strings.TrimSuffix(key[at+1:], "]"))
	if !ok || err != nil || i >= len(*sorted) {
		return key, key
	}
	for j, v := range slices.Backward(written[list]) {
		if v == (*sorted)[i] {
			return list, fmt.Sprintf("%s[%d]", list, j)
		}
	}
	return list, list
}

// normalise sorts the lists and gives defaults: as service, and empty lists
// for those that are absent. The commands keep the author's order here, so
// that refusals point at the right one; canonical sorts them.
func (m *Manifest) normalise() (string, *errs.Error) {
	if m.As == "" {
		m.As = AsService
	}
	lists := m.lists()
	for _, key := range slices.Sorted(maps.Keys(lists)) {
		list := lists[key]
		if *list == nil {
			*list = []string{}
		}
		if i := sortedUnique(*list); i >= 0 {
			return fmt.Sprintf("%s[%d]", key, i), malformed("", "lists %q twice", clip((*list)[i]))
		}
	}
	return m.normaliseCommands()
}

func (m *Manifest) normaliseCommands() (string, *errs.Error) {
	commands := m.Capabilities.CmdRun
	if commands == nil {
		m.Capabilities.CmdRun = []Command{}
	}
	for i := range commands {
		if commands[i].Args == nil {
			commands[i].Args = []string{}
		}
		for _, before := range commands[:i] {
			if before.Name == commands[i].Name {
				return fmt.Sprintf("capabilities.cmd.run[%d].name", i), malformed("", "lists %q twice", clip(before.Name))
			}
		}
	}
	return "", nil
}

// check is what can be said without a binding. It returns the key of the
// manifest that is wrong.
func (m Manifest) check() (string, *errs.Error) {
	if problem := checkDescription(m.Description); problem != "" {
		return "description", malformed("description", "%s", problem)
	}
	if m.Hook == "" {
		return "hook", malformed("hook", "is missing")
	}
	if m.Limits.Lifetime == 0 {
		return "limits.lifetime", malformed("", "is missing; every limit must be given").WithHint("for example 7d")
	}
	if m.Limits.Lifetime%time.Second != 0 {
		return "limits.lifetime", malformed("", "must be whole seconds")
	}
	if m.Limits.MaxRuntime == 0 {
		return "limits.max_runtime", malformed("", "is missing or 0; every limit must be given").WithHint("for example 2s, at most %ds", MaxRuntimeSeconds)
	}
	if r := m.Limits.MaxRuntime; r%time.Millisecond != 0 || r > MaxRuntimeSeconds*time.Second {
		return "limits.max_runtime", malformed("", "must be from 1ms to %ds, in whole milliseconds", MaxRuntimeSeconds)
	}
	s := newStatement(m.Predicate(time.Unix(0, 0)), Digest(nil))
	_, err := s.Canonical()
	e, ok := errs.As(err)
	if !ok {
		return "", nil
	}
	if e.Field == "" {
		return "hook", e // too large as a whole
	}
	return m.keyOf(e.Field, s.Predicate), e
}

func checkDescription(s string) string {
	switch {
	case s == "":
		return "is missing: say in one line what the hook is for"
	case len(s) > maxDescription:
		return fmt.Sprintf("is longer than %d bytes", maxDescription)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return "must be one line of printable text"
		}
	}
	return ""
}

// keyOf turns a key of the predicate into the manifest's key for the same.
func (m Manifest) keyOf(field string, p Predicate) string {
	switch field {
	case "not_before", "not_after":
		return "limits.lifetime"
	case "max_runtime_ms":
		return "limits.max_runtime"
	case "max_reports", "max_runs_per_peer", "max_percent", "max_bytes", "max_result_bytes":
		return "limits." + field
	}
	var i int
	if n, _ := fmt.Sscanf(field, "fields[%d]", &i); n == 1 && i < len(p.Fields) {
		_, member, _ := strings.Cut(field, "]")
		if member == ".name" {
			member = ""
		}
		return "fields." + p.Fields[i].Name + member
	}
	const command = "capabilities.cmd.run["
	if n, _ := fmt.Sscanf(field, command+"%d]", &i); n == 1 && i < len(p.Capabilities.CmdRun) {
		_, member, _ := strings.Cut(field, "]")
		name := p.Capabilities.CmdRun[i].Name
		at := slices.IndexFunc(m.Capabilities.CmdRun, func(c Command) bool { return c.Name == name })
		return fmt.Sprintf("%s%d]%s", command, at, member)
	}
	return field
}

// predicate binds the manifest; the times count from b.Now.
func (m Manifest) predicate(b Binding) Predicate {
	fields := make([]DeclaredField, 0, len(m.Fields))
	for _, name := range slices.Sorted(maps.Keys(m.Fields)) {
		f := m.Fields[name]
		fields = append(fields, DeclaredField{Name: name, Type: f.Type, Class: f.Class, MaxBytes: f.MaxBytes, Raw: f.Raw})
	}
	notBefore := max(b.Now.Unix(), 0)
	return Predicate{
		Deployment: b.Deployment, Hook: m.Hook, Version: b.Version, Author: b.Author,
		Level: m.Level, Match: m.Match, Capabilities: m.Capabilities.canonical(), As: m.As, Fields: fields,
		NotBefore: notBefore, NotAfter: notBefore + int64(m.Limits.Lifetime/time.Second),
		MaxReports: m.Limits.MaxReports, MaxRunsPerPeer: m.Limits.MaxRunsPerPeer, MaxPercent: m.Limits.MaxPercent,
		MaxBytes: m.Limits.MaxBytes, MaxResultBytes: m.Limits.MaxResultBytes,
		MaxRuntimeMS: m.Limits.MaxRuntime.Milliseconds(),
	}
}

// Predicate is what a statement of this manifest would bind, for lint and
// trial runs that need neither key nor deployment.
func (m Manifest) Predicate(now time.Time) Predicate {
	return m.predicate(Binding{Deployment: "d-" + strings.Repeat("0", 32), Author: strings.Repeat("0", 64), Version: 1, Now: now})
}

// Statement makes the statement that people sign: the script's digest and
// every limit, valid from b.Now for the manifest's lifetime.
func (m Manifest) Statement(b Binding, script []byte) (Statement, error) {
	if err := CheckScript(script); err != nil {
		return Statement{}, err
	}
	s := newStatement(m.predicate(b), Digest(script))
	if _, err := s.Canonical(); err != nil {
		return Statement{}, err
	}
	return s, nil
}

func newStatement(p Predicate, scriptDigest string) Statement {
	return Statement{
		Type:          StatementType,
		Subject:       []Subject{{Name: ScriptName, Digest: SubjectDigest{SHA256: scriptDigest}}},
		PredicateType: PredicateType,
		Predicate:     p,
	}
}
