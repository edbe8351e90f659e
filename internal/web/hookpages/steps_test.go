package hookpages

import (
	"testing"
	"time"

	"hookline/hooks"
	"hookline/internal/web/inwords"
	"hookline/review"
)

// A version was reviewed, whatever became of its signatures since.
func TestRefusedSignaturesUndoNoReview(t *testing.T) {
	refused := inwords.Signatures{Refused: "its signatures were taken back"}
	for _, state := range []hooks.State{hooks.StateRevoked, hooks.StateDisabled, hooks.StateSuperseded, hooks.StateExpired} {
		life := review.Life{Activation: &hooks.Activation{State: state, Reason: "why"}}
		list := steps(life, refused, time.Time{})
		if reviewed := list[1]; reviewed.Name != "Review" || !reviewed.Done || reviewed.Note != "" {
			t.Errorf("%s: %+v", state, reviewed)
		}
		if last := list[len(list)-1]; !last.Here || last.Name != titles()[state] || last.Note != "why" {
			t.Errorf("%s: ends in %+v", state, last)
		}
	}
	if list := steps(review.Life{Version: review.Version{State: hooks.StateRevoked}}, refused, time.Time{}); len(list) != 2 || list[1].Name != "Revoked" || !list[1].Here {
		t.Errorf("revoked before it was active: %+v", list)
	}
}
