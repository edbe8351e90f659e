package confine

import (
	"bytes"
	"encoding/binary"
	"os"
	"path"
	"strings"
	"testing"

	"hookline/internal/errs"
)

func TestLoaderOf(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		head string
		says string
	}{
		"nothing":         {"", "only a compiled program"},
		"a script":        {"#!/bin/sh\n" + strings.Repeat("x", 100), "only a compiled program"},
		"half a head":     {"\x7fELF\x02\x01\x01", "only a compiled program"},
		"another machine": {string(elf(func(b []byte) { b[18] = 3 })), "another kind of machine"},
		"of 32 bits":      {string(elf(func(b []byte) { b[4] = 1 })), "another kind of machine"},
		"too many parts":  {string(elf(func(b []byte) { b[56] = 65 })), "only a compiled program"},
		"parts beyond":    {string(elf(func(b []byte) { b[33] = 0xff })), "only a compiled program"},
		"a name unended":  {string(elf(func(b []byte) { b[64+32] = 3 })), "only a compiled program"},
		"a name too long": {string(elf(func(b []byte) { b[64+34] = 1 })), "only a compiled program"},
		"no loader":       {string(elf(func(b []byte) { b[64] = 1 })), ""},
	} {
		got, err := loaderOf(strings.NewReader(tt.head))
		if got != "" || (err == nil) != (tt.says == "") || err != nil && (!errs.Is(err, errs.CodeDenied) || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got, err := loaderOf(bytes.NewReader(elf(nil))); got != "/lib/l" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if f, err := os.Open("/usr/bin/env"); err == nil {
		defer f.Close()
		if got, err := loaderOf(f); err != nil || !path.IsAbs(got) {
			t.Errorf("a real program: %q, %v", got, err)
		}
	}
}

// elf is the head of a program for this machine that needs the loader /lib/l,
// changed by change.
func elf(change func([]byte)) []byte {
	b := make([]byte, 64+56, 64+56+7)
	copy(b, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(b[18:], machine())
	le.PutUint64(b[32:], 64)
	le.PutUint16(b[54:], 56)
	le.PutUint16(b[56:], 1)
	le.PutUint32(b[64:], elfInterp)
	le.PutUint64(b[64+8:], 64+56)
	le.PutUint64(b[64+32:], 7)
	b = append(b, "/lib/l\x00"...)
	if change != nil {
		change(b)
	}
	return b
}

// FuzzLoaderOf: whatever a file holds, the answer is an absolute path without
// zero bytes, nothing, or a refusal.
func FuzzLoaderOf(f *testing.F) {
	f.Add([]byte("#!/bin/sh\n"))
	f.Add(elf(nil))
	f.Add(elf(func(b []byte) { b[56] = 2 }))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := loaderOf(bytes.NewReader(b))
		if err != nil && (got != "" || !errs.Is(err, errs.CodeDenied)) {
			t.Fatalf("%q, %v", got, err)
		}
		if got != "" && (got[0] != '/' || strings.Contains(got, "\x00")) {
			t.Fatalf("%q", got)
		}
	})
}
