package worker

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var (
	errJSONCycle  = errors.New("nests deeper than 8, or within itself")
	errJSONNumber = errors.New("a number is not finite")
	errJSONKeys   = errors.New("a table has neither the keys 1 to n nor only text as keys")
	errJSONLarge  = errors.New("larger than 1 MiB as JSON")
)

func (v *vm) openJSON() {
	v.null = v.l.NewUserData()
	v.array = v.l.CreateTable(0, 1)
	v.array.RawSetString("__metatable", lua.LFalse)
	t := v.library("json", map[string]lua.LGFunction{"encode": v.jsonEncode, "decode": v.jsonDecode})
	t.RawSetString("null", v.null)
}

func (v *vm) jsonEncode(l *lua.LState) int {
	v.arguments(l, 1)
	text, err := v.encode(l.Get(1))
	if err != nil {
		v.fail(l, "json.encode", err)
	}
	l.Push(lua.LString(text))
	return 1
}

// encode writes a value as JSON: sorted keys, no white space, text made valid
// UTF-8. Metamethods are not run.
func (v *vm) encode(value lua.LValue) ([]byte, error) {
	e := encoder{v: v}
	if err := e.value(value, 0); err != nil {
		return nil, err
	}
	return e.out, nil
}

type encoder struct {
	v   *vm
	out []byte
}

func (e *encoder) value(value lua.LValue, depth int) error {
	e.v.budget.spend(1)
	if len(e.out) > maxJSONBytes {
		return errJSONLarge
	}
	switch value := value.(type) {
	case lua.LString:
		return e.text(string(value))
	case lua.LNumber:
		return e.number(float64(value))
	case lua.LBool:
		e.out = strconv.AppendBool(e.out, bool(value))
		return nil
	case *lua.LTable:
		if depth >= maxFieldJSON {
			return errJSONCycle
		}
		return e.table(value, depth+1)
	}
	if value == e.v.null {
		e.out = append(e.out, "null"...)
		return nil
	}
	return errors.New("a " + value.Type().String() + " is no value of a field")
}

func (e *encoder) text(s string) error {
	if len(s) > maxJSONBytes {
		return errJSONLarge
	}
	e.v.budget.allocated(len(s))
	e.v.budget.spend(int64(len(s)) / 2)
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(strings.ToValidUTF8(s, "\uFFFD")); err != nil {
		return err
	}
	e.out = append(e.out, strings.TrimSuffix(b.String(), "\n")...)
	return nil
}

func (e *encoder) number(f float64) error {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return errJSONNumber
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		e.out = strconv.AppendInt(e.out, int64(f), 10)
		return nil
	}
	text, err := json.Marshal(f)
	e.out = append(e.out, text...)
	return err
}

func (e *encoder) table(t *lua.LTable, depth int) error {
	size := e.v.size(t)
	var keys []string
	count := 0
	wrong := false
	t.ForEach(func(key, _ lua.LValue) {
		e.v.budget.spend(1)
		switch key := key.(type) {
		case lua.LString:
			keys = append(keys, string(key))
		case lua.LNumber:
			count++
			wrong = wrong || float64(key) != math.Trunc(float64(key)) || key < 1 || int(key) > size
		default:
			wrong = true
		}
	})
	switch {
	case wrong || count != size || count > 0 && len(keys) > 0:
		return errJSONKeys
	case count > 0 || len(keys) == 0 && t.Metatable == e.v.array:
		return e.array(t, size, depth)
	}
	return e.object(t, keys, depth)
}

func (e *encoder) array(t *lua.LTable, size, depth int) error {
	e.out = append(e.out, '[')
	for i := 1; i <= size; i++ {
		if i > 1 {
			e.out = append(e.out, ',')
		}
		if err := e.value(element(t, i), depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, ']')
	return nil
}

func (e *encoder) object(t *lua.LTable, keys []string, depth int) error {
	slices.Sort(keys)
	e.out = append(e.out, '{')
	for i, key := range keys {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		if err := e.text(key); err != nil {
			return err
		}
		e.out = append(e.out, ':')
		if err := e.value(t.RawGetString(key), depth); err != nil {
			return err
		}
	}
	e.out = append(e.out, '}')
	return nil
}

func (v *vm) jsonDecode(l *lua.LState) int {
	v.arguments(l, 1)
	text := l.CheckString(1)
	if len(text) > maxJSONBytes {
		v.fail(l, "json.decode", errJSONLarge)
	}
	v.budget.allocated(4 * len(text)) // values are larger than their text
	v.budget.spend(int64(len(text)))
	d := decoder{v: v, l: l, dec: json.NewDecoder(strings.NewReader(text))}
	value, err := d.value(0)
	if err == nil && strings.TrimSpace(text[d.dec.InputOffset():]) != "" {
		err = errors.New("text after the value")
	}
	if err != nil {
		v.fail(l, "json.decode", err)
	}
	l.Push(value)
	return 1
}

var errJSONText = errors.New("the text is not JSON")

// decoder makes Lua values token by token, so that depth and memory are
// looked at on the way.
type decoder struct {
	v   *vm
	l   *lua.LState
	dec *json.Decoder
}

func (d *decoder) value(depth int) (lua.LValue, error) {
	d.v.budget.allocated(64)
	if depth > maxJSONDepth {
		return nil, errors.New("nests deeper than 32")
	}
	token, err := d.dec.Token()
	if err != nil {
		return nil, errJSONText
	}
	switch token := token.(type) {
	case string:
		return lua.LString(token), nil
	case float64:
		return lua.LNumber(token), nil
	case bool:
		return lua.LBool(token), nil
	case json.Delim:
		if token == '[' {
			return d.array(depth)
		}
		return d.object(depth)
	}
	return d.v.null, nil
}

func (d *decoder) array(depth int) (lua.LValue, error) {
	t := d.l.CreateTable(0, 0)
	n := 0
	for ; d.dec.More(); n++ {
		item, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		t.RawSetInt(n+1, item)
	}
	if n == 0 {
		t.Metatable = d.v.array
	}
	_, err := d.dec.Token()
	return t, syntax(err)
}

func (d *decoder) object(depth int) (lua.LValue, error) {
	t := d.l.CreateTable(0, 0)
	for d.dec.More() {
		key, err := d.dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, errJSONText
		}
		item, err := d.value(depth + 1)
		if err != nil {
			return nil, err
		}
		t.RawSetString(name, item)
	}
	_, err := d.dec.Token()
	return t, syntax(err)
}

func syntax(err error) error {
	if err != nil {
		return errJSONText
	}
	return nil
}
