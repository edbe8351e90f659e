package httpapi

import (
	"container/list"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Rates of requests. A person's script may burst; a loop that guesses tokens
// may not.
const (
	tokenRate   = 100 // requests a second and token
	tokenBurst  = 300
	failRate    = 1 // failed authentications a second and address
	failBurst   = 30
	maxLimiters = 4096
)

// limits holds one limiter for each of the last maxLimiters keys. A key that
// falls out starts afresh, which memory bounded by design costs.
type limits struct {
	now   func() time.Time
	rate  rate.Limit
	burst int

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // newest first, of *limiter
}

type limiter struct {
	key string
	*rate.Limiter
}

func newLimits(now func() time.Time, perSecond rate.Limit, burst int) *limits {
	return &limits{now: now, rate: perSecond, burst: burst, byKey: map[string]*list.Element{}, order: list.New()}
}

// allow takes one event of a key; false means that it came too early.
func (l *limits) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e, ok := l.byKey[key]; ok {
		l.order.MoveToFront(e)
		return e.Value.(*limiter).AllowN(l.now(), 1)
	}
	if l.order.Len() >= maxLimiters {
		oldest := l.order.Back()
		delete(l.byKey, oldest.Value.(*limiter).key)
		l.order.Remove(oldest)
	}
	fresh := &limiter{key, rate.NewLimiter(l.rate, l.burst)}
	l.byKey[key] = l.order.PushFront(fresh)
	return fresh.AllowN(l.now(), 1)
}

// addressKey is the client's address without its port; of IPv6 the /64, since
// one host owns all of it. Forwarding headers are not believed.
func addressKey(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return remote
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if ip = ip.Unmap(); ip.Is4() {
		return ip.String()
	}
	network, err := ip.WithZone("").Prefix(64)
	if err != nil {
		return host
	}
	return network.String()
}
