package strict

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"hookline/internal/errs"
)

var durationType = reflect.TypeFor[time.Duration]()

// value decodes n into v; path is where it stands in the document.
func (d *decoder) value(n *yaml.Node, v reflect.Value, path string) error {
	d.at[path] = d.place(n)
	if v.Type() == durationType {
		return d.duration(n, v)
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path)
	case reflect.Struct:
		return d.structure(n, v, path)
	case reflect.Map:
		return d.mapping(n, v, path)
	case reflect.Slice:
		return d.list(n, v, path)
	case reflect.String:
		return d.text(n, v, path)
	case reflect.Bool:
		return d.boolean(n, v, path)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return d.integer(n, v, path)
	}
	return errs.New(errs.CodeInternal, "strict.Decode cannot fill a %s", v.Type())
}

func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.bad(n, "%s must be a mapping of keys to values, not %s", named(path), describe(n))
	}
	known := members(v.Type())
	return d.pairs(n, path, func(key string, k, val *yaml.Node, at string) error {
		i, ok := known[key]
		if !ok {
			return d.bad(k, "unknown key %q%s", clip(key), inside(path)).WithHint("known keys: %s", strings.Join(names(known), ", "))
		}
		return d.value(val, v.Field(i), at)
	})
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.MappingNode {
		return d.bad(n, "%s must be a mapping of keys to values, not %s", named(path), describe(n))
	}
	if v.Type().Key().Kind() != reflect.String {
		return errs.New(errs.CodeInternal, "strict.Decode cannot fill a %s", v.Type())
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(n.Content)/2))
	return d.pairs(n, path, func(key string, _, val *yaml.Node, at string) error {
		e := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(val, e, at); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), e)
		return nil
	})
}

// pairs calls each for the keys of a mapping and refuses keys that are not
// plain text or come twice.
func (d *decoder) pairs(n *yaml.Node, path string, each func(key string, k, val *yaml.Node, at string) error) error {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, val := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.ShortTag() != "!!str" {
			return d.bad(k, "a key must be text, not %s", describe(k))
		}
		if seen[k.Value] {
			return d.bad(k, "key %q comes twice%s", clip(k.Value), inside(path))
		}
		seen[k.Value] = true
		at := k.Value
		if path != "" {
			at = path + "." + k.Value
		}
		if err := each(k.Value, k, val, at); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.SequenceNode {
		return d.bad(n, "%s must be a list, not %s", named(path), describe(n)).WithHint("an empty list is written []")
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		if err := d.value(c, v.Index(i), path+"["+strconv.Itoa(i)+"]"); err != nil {
			return err
		}
	}
	return nil
}

func (d *decoder) text(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!str" {
		err := d.bad(n, "%s must be text, not %s", named(path), describe(n))
		if n.Kind == yaml.ScalarNode && n.ShortTag() != "!!null" {
			// Without quotes a version 1.10 is the number 1.1.
			return err.WithHint("put it in quotes: \"%s\"", clip(n.Value))
		}
		return err
	}
	v.SetString(n.Value)
	return nil
}

func (d *decoder) boolean(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind == yaml.ScalarNode && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 {
		switch n.Value {
		case "true", "yes":
			v.SetBool(true)
			return nil
		case "false", "no":
			v.SetBool(false)
			return nil
		}
	}
	return d.bad(n, "%s must be true or false, not %s", named(path), describe(n))
}

func (d *decoder) integer(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode || n.ShortTag() != "!!int" {
		return d.bad(n, "%s must be a whole number, not %s", named(path), describe(n))
	}
	i, err := strconv.ParseInt(n.Value, 10, v.Type().Bits())
	if err != nil || strconv.FormatInt(i, 10) != n.Value {
		return d.bad(n, "%s must be a plain decimal number of at most %d bits, not %s", named(path), v.Type().Bits(), clip(n.Value))
	}
	v.SetInt(i)
	return nil
}

func (d *decoder) duration(n *yaml.Node, v reflect.Value) error {
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!str" {
		if dur, err := ParseDuration(n.Value); err == nil {
			v.SetInt(int64(dur))
			return nil
		}
	}
	return d.bad(n, "not a duration: %s", describe(n)).WithHint("write it as 500ms, 2s, 48h or 7d")
}

// members maps the yaml names of a struct's members to their indexes.
func members(t reflect.Type) map[string]int {
	m := make(map[string]int, t.NumField())
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("yaml"); name != "" && name != "-" {
			m[name] = i
		}
	}
	return m
}

func names(m map[string]int) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

func named(path string) string {
	if path == "" {
		return "the file"
	}
	return clip(path)
}

func inside(path string) string {
	if path == "" {
		return ""
	}
	return " in " + clip(path)
}
