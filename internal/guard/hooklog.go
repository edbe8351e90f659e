package guard

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Bounds of what the record keeps of one run's log, in bytes of JSON: a hook
// must not be able to wash the record out by what it logs.
const (
	maxLogKept = 4 << 10
	maxLogLine = 512
)

// keptLog is what of a hook's log goes into the record: whole lines from its
// start, long ones cut, and at the end how many more there were. The sandbox
// has redacted them.
func keptLog(log []string) []string {
	var lines, kept []string
	for _, text := range log {
		lines = append(lines, strings.Split(text, "\n")...)
	}
	size := 0
	for i, line := range lines {
		if len(line) > maxLogLine {
			line = cut(line, maxLogLine) + " …"
		}
		b, err := json.Marshal(line)
		if size += len(b) + 1; err != nil || size > maxLogKept {
			return append(kept, fmt.Sprintf("… %d more lines", len(lines)-i))
		}
		kept = append(kept, line)
	}
	return kept
}
