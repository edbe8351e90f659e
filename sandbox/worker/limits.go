package worker

import (
	"time"

	"hookline/sandbox"
)

// The limits that the worker keeps by itself. Those that broker and parent
// keep as well are in package sandbox: instructions, heap, frames, log.
//
// Where a script comes to one of them it gets a clear answer. None of them is
// what keeps the host safe: that is package confine, with 128 MiB of data and
// a few seconds of processor time, whatever happens in here.

// Of the VM. Its own bounds are far larger, or there are none.
const (
	callDepth     = 200      // calls within one another; an overflow of its stack is an error that pcall holds
	registrySize  = 1024     // values at the start: 16 KiB, which most hooks never outgrow
	registryMax   = 32 << 10 // values: 512 KiB; what many arguments, results and locals need
	maxArrayIndex = 1 << 20  // t[n] = 1 fills all of 1 to n in one step; above that the key is hashed: 16 MiB at most
)

// Of coroutines. Each has a stack and a registry of its own, and each resume
// within another takes Go stack, whose end cannot be caught.
const (
	maxThreads     = 1000 // of one run: suspended ones are never given back
	maxThreadDepth = 16   // that resume one another
	threadRegistry = 256  // values at the start: 4 KiB
	threadFrames   = 100  // calls within one another in a coroutine: about 10 KiB
)

// Of the source, looked at before it is parsed: parser and compiler recurse
// over brackets, blocks and chains of operators, and can take no context.
const (
	maxNesting         = 150                  // brackets or blocks within one another
	maxChain           = 250                  // operators, calls and indexes in one expression
	maxFunctions       = 1000                 // each takes 20 KB as the compiler leaves it
	compileSteps       = 16                   // steps that a byte of source counts: what compiling ordinary text takes
	compileHeapLooks   = 5 * time.Millisecond // between two looks at the heap while the compiler runs
	graceAfterDeadline = 100 * time.Millisecond
	// graceAfterDeadline is how long a step that cannot be interrupted may go
	// on after the time is over before the process ends without it.
)

// Of the library.
const (
	maxStringBytes   = 4 << 20 // one string that it makes: the heap holds eight of them
	maxJSONBytes     = 1 << 20 // of json.encode and json.decode: fields are far smaller
	maxJSONDepth     = 32      // of json.decode, which recurses
	maxFieldJSON     = 8       // of json.encode and fields; a table within itself ends there
	maxKeptPatterns  = 64      // patterns that stay compiled
	maxKeptPattern   = 256     // bytes of such a pattern
	patternItemBytes = 96      // that a byte of a pattern can become
	maxLogLine       = 4 << 10 // one log or print
	maxErrorSent     = 4 * sandbox.MaxErrorBytes
	// maxErrorSent is what the broker gets of an error's text: more than it
	// keeps, since it redacts first.
)

// Of counting. Between two looks at time and heap there are so many steps; a
// look costs about as much as 40 of them. The larger the heap, the closer.
const (
	checkEvery      = 1024
	checkEveryLarge = 128
	largeHeap       = 12 << 20

	// The bound on memory is on what lives after a collection. What is not
	// collected yet may come on top, up to this. Of the data limit of 128 MiB
	// the runtime takes 72 before it starts, most of it never touched: more
	// than 50 MiB of objects would end in a crash instead of a clear word.
	maxUncollected = 42 << 20
	softMemory     = 46 << 20 // of all that the runtime uses: collect harder above
)

// Of a traced trial run, besides sandbox.MaxTraceBytes: what a person reads.
const (
	maxTraceLines  = 1000
	maxTraceLine   = 600 // bytes
	maxTraceSource = 120 // bytes of the source line
	maxTraceValue  = 60  // bytes of a name, and of a text
	maxTraceCount  = 1000
	maxTraceIndent = 16
)
