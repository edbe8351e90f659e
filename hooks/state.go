package hooks

import "hookline/internal/errs"

// Next is the whole state machine of a hook version. An event that the state
// does not allow is errs.CodeTransitionNotAllowed.
//
//	state                        event             next
//	submitted                    request-changes   changes-requested
//	submitted, changes-requested reject            rejected
//	submitted, changes-requested approve           approved
//	approved                     activate          active
//	active                       pause             paused
//	active, paused               expire            expired
//	active, paused               supersede         superseded
//	active, paused               disable           disabled
//	paused, disabled, expired,
//	superseded                   activate          active
//	all but rejected, revoked    revoke            revoked
//
// Rejected and revoked are final.
func Next(s State, e Event) (State, error) {
	if next, ok := transition(s, e); ok {
		return next, nil
	}
	return "", errs.New(errs.CodeTransitionNotAllowed, "cannot %s a hook version that is %s", e, s)
}

func transition(s State, e Event) (State, bool) {
	if e == EventRevoke {
		return StateRevoked, s.known() && s != StateRejected && s != StateRevoked
	}
	switch s {
	case StateSubmitted, StateChangesRequested:
		return reviewed(s, e)
	case StateApproved, StateDisabled, StateExpired, StateSuperseded:
		return StateActive, e == EventActivate
	case StateActive, StatePaused:
		return running(s, e)
	}
	return "", false
}

func reviewed(s State, e Event) (State, bool) {
	switch e {
	case EventRequestChanges:
		return StateChangesRequested, s == StateSubmitted
	case EventReject:
		return StateRejected, true
	case EventApprove:
		return StateApproved, true
	}
	return "", false
}

func running(s State, e Event) (State, bool) {
	switch e {
	case EventPause:
		return StatePaused, s == StateActive
	case EventActivate:
		return StateActive, s == StatePaused
	case EventExpire:
		return StateExpired, true
	case EventSupersede:
		return StateSuperseded, true
	case EventDisable:
		return StateDisabled, true
	}
	return "", false
}

func (s State) known() bool {
	switch s {
	case StateSubmitted, StateChangesRequested, StateRejected, StateApproved, StateActive,
		StatePaused, StateExpired, StateSuperseded, StateDisabled, StateRevoked:
		return true
	}
	return false
}
