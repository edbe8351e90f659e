package hooks

import (
	"bytes"
	"unicode/utf8"

	"hookline/internal/errs"
)

// CheckScript refuses bytes that cannot be a hook.lua, without reading any
// Lua: empty, too big, not UTF-8, with a NUL, or compiled Lua. It returns
// errs.CodeBadScript.
func CheckScript(script []byte) error {
	switch {
	case len(bytes.TrimSpace(script)) == 0:
		return errs.New(errs.CodeBadScript, "the script is empty").At(ScriptName)
	case len(script) > MaxScriptBytes:
		return errs.New(errs.CodeBadScript, "the script is larger than %d bytes", MaxScriptBytes).At(ScriptName)
	case script[0] == 0x1b:
		return errs.New(errs.CodeBadScript, "the script is compiled Lua; only source is accepted").At(ScriptName)
	case bytes.IndexByte(script, 0) >= 0:
		return errs.New(errs.CodeBadScript, "the script holds a NUL byte").At(ScriptName)
	case loneReturn(script):
		return errs.New(errs.CodeBadScript, "the script holds a carriage return that ends no line").At(ScriptName).
			WithHint("save it with the line ends of Unix")
	case !utf8.Valid(script):
		return errs.New(errs.CodeBadScript, "the script is not UTF-8").At(ScriptName)
	}
	return nil
}

// loneReturn reports whether a carriage return stands without a line feed:
// Lua ends a line there, and with it a comment, where people see none.
func loneReturn(script []byte) bool {
	for i, c := range script {
		if c == '\r' && (i+1 == len(script) || script[i+1] != '\n') {
			return true
		}
	}
	return false
}
