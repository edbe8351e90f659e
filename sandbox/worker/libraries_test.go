package worker

import "testing"

// A library is there for every script that can reach it, however it is named.
func TestLibrariesAreMadeForThoseWhoNameThem(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		`assert(math.floor(1.5) == 1 and table.concat({ 1, 2 }) == "12" and coroutine.wrap(function() return 3 end)() == 3)`,
		`for _, name in ipairs({ "ma\116h", "ta\98le", "co\114outine" }) do assert(type(_G[name]) == "table", name) end`,
		`local g = _G local n = 0 for _, v in pairs(g) do if v == g["m" .. "ath"] or v == g["t" .. "able"] or v == g["co" .. "routine"] then n = n + 1 end end assert(n == 3)`,
		`local found = math
			assert(found.pi > 3)`,
		`function table.first(t) return t[1] end assert(table.first({ 7 }) == 7)`,
	} {
		k := &worker{}
		v := k.newVM(script)
		fn, line, err := compile(v.l, script)
		if err != nil {
			t.Fatalf("%s: line %d: %v", script, line, err)
		}
		if code, text, _ := v.execute(fn); code != "" {
			t.Errorf("%s: %s: %s", script, code, text)
		}
	}
	bare := (&worker{}).newVM(`local x = 1`)
	for _, name := range []string{"math", "table", "coroutine"} {
		if v := bare.l.GetGlobal(name); v.Type().String() != "nil" {
			t.Errorf("%s is made for a script that cannot reach it", name)
		}
	}
}
