package worker

import (
	"math"
	"math/rand/v2"

	lua "github.com/yuin/gopher-lua"
)

func (v *vm) openMath() {
	one := func(f func(float64) float64) lua.LGFunction {
		return func(l *lua.LState) int {
			l.Push(lua.LNumber(f(float64(l.CheckNumber(1)))))
			return 1
		}
	}
	two := func(f func(a, b float64) float64) lua.LGFunction {
		return func(l *lua.LState) int {
			l.Push(lua.LNumber(f(float64(l.CheckNumber(1)), float64(l.CheckNumber(2)))))
			return 1
		}
	}
	t := v.library("math", map[string]lua.LGFunction{
		"abs": one(math.Abs), "acos": one(math.Acos), "asin": one(math.Asin), "atan": one(math.Atan),
		"ceil": one(math.Ceil), "cos": one(math.Cos), "cosh": one(math.Cosh), "exp": one(math.Exp),
		"floor": one(math.Floor), "log": one(math.Log), "log10": one(math.Log10),
		"sin": one(math.Sin), "sinh": one(math.Sinh), "sqrt": one(math.Sqrt), "tan": one(math.Tan), "tanh": one(math.Tanh),
		"deg":   one(func(x float64) float64 { return x * 180 / math.Pi }),
		"rad":   one(func(x float64) float64 { return x * math.Pi / 180 }),
		"atan2": two(math.Atan2), "fmod": two(math.Mod), "pow": two(math.Pow),
		"mod": two(math.Mod), "frexp": mathFrexp, "ldexp": mathLdexp, "modf": mathModf,
		"max": extreme(math.Max), "min": extreme(math.Min),
	})
	t.RawSetString("pi", lua.LNumber(math.Pi))
	t.RawSetString("huge", lua.LNumber(math.Inf(1)))
	source := rand.New(rand.NewPCG(v.rand, 0)) //nolint:gosec // Lua's math.random is no secret
	t.RawSetString("random", v.function("math", "random", func(l *lua.LState) int { return mathRandom(l, source) }))
	t.RawSetString("randomseed", v.function("math", "randomseed", func(l *lua.LState) int {
		*source = *rand.New(rand.NewPCG(math.Float64bits(float64(l.CheckNumber(1))), 0)) //nolint:gosec // the same
		return 0
	}))
}

func mathRandom(l *lua.LState, source *rand.Rand) int {
	var low, high int
	switch l.GetTop() {
	case 0:
		l.Push(lua.LNumber(source.Float64()))
		return 1
	case 1:
		low, high = 1, whole(l, 1)
	default:
		low, high = whole(l, 1), whole(l, 2)
	}
	if low > high {
		l.ArgError(l.GetTop(), "interval is empty")
	}
	l.Push(lua.LNumber(low + source.IntN(high-low+1)))
	return 1
}

func mathFrexp(l *lua.LState) int {
	fraction, exponent := math.Frexp(float64(l.CheckNumber(1)))
	l.Push(lua.LNumber(fraction))
	l.Push(lua.LNumber(exponent))
	return 2
}

func mathLdexp(l *lua.LState) int {
	l.Push(lua.LNumber(math.Ldexp(float64(l.CheckNumber(1)), min(max(whole(l, 2), -5000), 5000))))
	return 1
}

func mathModf(l *lua.LState) int {
	number, fraction := math.Modf(float64(l.CheckNumber(1)))
	l.Push(lua.LNumber(number))
	l.Push(lua.LNumber(fraction))
	return 2
}

func extreme(pick func(a, b float64) float64) lua.LGFunction {
	return func(l *lua.LState) int {
		best := float64(l.CheckNumber(1))
		for i := 2; i <= l.GetTop(); i++ {
			best = pick(best, float64(l.CheckNumber(i)))
		}
		l.Push(lua.LNumber(best))
		return 1
	}
}
