package hooks

import "fmt"

// Check holds the ledger against its identities, for an activation of this
// quantity and this bound in bytes, and says which one is broken.
func (l Ledger) Check(quantity, maxBytes int64) error {
	sum := l.Leased
	for _, c := range l.columns() {
		if c.n < 0 {
			return fmt.Errorf("the ledger is broken: %s is %d", c.name, c.n)
		}
	}
	sum += l.Received + l.Empty + l.Failed + l.Refused + l.Deferred + l.Cancelled + l.TimedOut
	switch {
	case l.Issued != sum:
		return fmt.Errorf("the ledger is broken: issued is %d, its parts sum to %d", l.Issued, sum)
	case l.Leased > MaxLeasesOut:
		return fmt.Errorf("the ledger is broken: %d leases out, at most %d", l.Leased, MaxLeasesOut)
	case l.Received+l.Leased > quantity:
		return fmt.Errorf("the ledger is broken: received %d + leased %d > quantity %d", l.Received, l.Leased, quantity)
	case l.Bytes+l.Reserved > maxBytes:
		return fmt.Errorf("the ledger is broken: bytes %d + reserved %d > max_bytes %d", l.Bytes, l.Reserved, maxBytes)
	}
	return nil
}

type column struct {
	name string
	n    int64
}

func (l Ledger) columns() []column {
	return []column{
		{"issued", l.Issued},
		{"leased", l.Leased},
		{"received", l.Received},
		{"empty", l.Empty},
		{"failed", l.Failed},
		{"refused", l.Refused},
		{"deferred", l.Deferred},
		{"cancelled", l.Cancelled},
		{"timed_out", l.TimedOut},
		{"bytes", l.Bytes},
		{"reserved", l.Reserved},
	}
}

// Settle ends one lease: one fewer out, one more of its outcome; a received
// one adds the bytes of its result. An outcome that is none counts as failed,
// so that the sum holds. The lease's reservation is the store's to release.
func (l *Ledger) Settle(o Outcome, bytes int64) {
	l.Leased--
	switch o {
	case OutcomeReceived:
		l.Received++
		l.Bytes += bytes
	case OutcomeEmpty:
		l.Empty++
	case OutcomeRefused:
		l.Refused++
	case OutcomeDeferred:
		l.Deferred++
	case OutcomeCancelled:
		l.Cancelled++
	case OutcomeTimedOut:
		l.TimedOut++
	case OutcomeFailed:
		l.Failed++
	default:
		l.Failed++
	}
}

// OverIssued reports whether so many leases came to nothing that the
// activation must pause: issued > 2 × quantity + 10.
func (a Activation) OverIssued() bool { return a.Ledger.Issued > 2*a.Quantity+10 }
