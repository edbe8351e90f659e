package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// Escaped JSON means the same and shows nothing that it is not.
func TestEscapeJSON(t *testing.T) {
	text := "a\u202eb\u009bc\u200bd\U000e0001e ü 日\t"
	b, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	got := string(EscapeJSON(append(b, '\n')))
	if strings.ContainsFunc(strings.TrimSuffix(got, "\n"), Dangerous) || !strings.Contains(got, `\u202e`) || !strings.Contains(got, "ü 日") {
		t.Errorf("escaped as %q", got)
	}
	var back string
	if err := json.Unmarshal([]byte(got), &back); err != nil || back != text {
		t.Errorf("it means %q, %v", back, err)
	}
}
