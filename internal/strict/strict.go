// Package strict decodes YAML that people write (manifests, policies, owner's
// configuration) into structs, and refuses everything that it does not
// understand, naming file, line and column.
//
// It takes a small, unambiguous part of YAML: one document of mappings, lists
// and plain or quoted scalars. Unknown and duplicate keys, wrong types, null,
// tags, anchors, aliases and merge keys are refused, and so are files that are
// too big, too deep or hold too many values. Missing keys leave zero values;
// the caller validates those, and Positions tells it where.
package strict

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"hookline/internal/errs"
)

// Caps on every document.
const (
	MaxDepth  = 16     // nesting of mappings and lists
	MaxValues = 10_000 // keys, values and lists together
)

// Positions maps the path of a value ("limits.max_reports", "fs.read[2]") to
// its place in the file ("hook.yaml:7:3"). The root has the path "".
type Positions map[string]string

// At returns the place of path, or of the nearest value around it that is in
// the file, so that a missing key is reported at its parent.
func (p Positions) At(path string) string {
	for {
		if at, ok := p[path]; ok || path == "" {
			return at
		}
		i := strings.LastIndexAny(path, ".[")
		path = path[:max(i, 0)]
	}
}

// Decode reads the one YAML document in b into the struct that into points
// to, whose members carry `yaml:"name"` tags. Members may be strings, bools,
// integers, time.Duration ("48h", "7d"), structs, pointers to these, lists and
// maps with string keys. Every refusal is an *errs.Error with
// errs.CodeBadInput, or errs.CodeTooLarge over maxBytes, whose Field is
// "file:line:column".
func Decode(file string, b []byte, maxBytes int, into any) error {
	_, err := DecodeAt(file, b, maxBytes, into)
	return err
}

// DecodeAt is Decode that also returns where each value stands.
func DecodeAt(file string, b []byte, maxBytes int, into any) (Positions, error) {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, errs.New(errs.CodeInternal, "strict.Decode needs a pointer to a struct, got %T", into)
	}
	if len(b) > maxBytes {
		return nil, errs.New(errs.CodeTooLarge, "the file is larger than %d bytes", maxBytes).At(file)
	}
	if !utf8.Valid(b) {
		return nil, badAt(fmt.Sprintf("%s:%d:1", file, invalidLine(b)), "the file is not UTF-8")
	}
	root, err := parse(file, b)
	if err != nil {
		return nil, err
	}
	d := &decoder{file: file, at: Positions{}}
	if err := d.survey(root, 1); err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode {
		return nil, d.bad(root, "the file must be a mapping of keys to values, not %s", describe(root))
	}
	if err := d.value(root, v.Elem(), ""); err != nil {
		return nil, err
	}
	return d.at, nil
}

// parse returns the root of the one document in b.
func parse(file string, b []byte) (root *yaml.Node, err error) {
	// The scanner of the YAML library is outside of our control and its input
	// is hostile: a fault in it must refuse the file, not end the process.
	defer func() {
		if r := recover(); r != nil {
			root, err = nil, badAt(file, "cannot parse YAML")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(b))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, badAt(file+":1:1", "the file is empty")
		}
		return nil, syntaxError(file, err)
	}
	if len(doc.Content) != 1 {
		return nil, badAt(file+":1:1", "the file is empty")
	}
	var more yaml.Node
	if err := dec.Decode(&more); err == nil {
		return nil, badAt(fmt.Sprintf("%s:%d:%d", file, more.Line, more.Column), "the file has a second YAML document; only one is allowed")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntaxError(file, err)
	}
	return doc.Content[0], nil
}

// syntaxError turns the library's "yaml: line 3: …" into our form.
func syntaxError(file string, err error) error {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(msg, "line "); ok {
		if num, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(num); err == nil {
				line, msg = n, text
			}
		}
	}
	return badAt(fmt.Sprintf("%s:%d:1", file, line), "cannot parse YAML: "+msg)
}

func badAt(field, message string) *errs.Error {
	return errs.New(errs.CodeBadInput, "%s", message).At(field)
}

func invalidLine(b []byte) int {
	line := 1
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return line
		}
		if r == '\n' {
			line++
		}
		b = b[n:]
	}
	return line
}

// decoder carries what one Decode needs on every level.
type decoder struct {
	file   string
	values int
	at     Positions
}

func (d *decoder) place(n *yaml.Node) string {
	return fmt.Sprintf("%s:%d:%d", d.file, max(n.Line, 1), max(n.Column, 1))
}

func (d *decoder) bad(n *yaml.Node, format string, args ...any) *errs.Error {
	return badAt(d.place(n), fmt.Sprintf(format, args...))
}

// survey holds the whole tree against the caps and refuses the parts of YAML
// that make one text mean several things, before anything is decoded.
func (d *decoder) survey(n *yaml.Node, depth int) error {
	d.values++
	switch {
	case depth > MaxDepth:
		return d.bad(n, "nesting is deeper than %d", MaxDepth)
	case d.values > MaxValues:
		return d.bad(n, "the file has more than %d values", MaxValues)
	case n.Kind == yaml.AliasNode:
		return d.bad(n, "aliases (*%s) are not allowed", n.Value)
	case n.Anchor != "":
		return d.bad(n, "anchors (&%s) are not allowed", n.Anchor)
	case n.Style&yaml.TaggedStyle != 0:
		return d.bad(n, "tags (%s) are not allowed", n.Tag)
	}
	for _, c := range n.Content {
		if err := d.survey(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// describe names what a node is, for messages.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	case yaml.ScalarNode:
		switch n.ShortTag() {
		case "!!null":
			return "empty"
		case "!!int", "!!float":
			return "the number " + n.Value
		case "!!bool":
			return "the bool " + n.Value
		case "!!timestamp":
			return "the date " + n.Value
		}
		return strconv.Quote(clip(n.Value))
	}
	return "something else"
}

// clip keeps hostile values from filling a message.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
