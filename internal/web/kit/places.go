package kit

import (
	"sync"

	"hookline/internal/errs"
)

// What is under way at a time. A page holds up to a hundred rows of up to 1 MiB
// and looks for seconds; an export does so for as long as it is read.
const (
	maxPages       = 64 // in all, of people who are signed in
	maxUserPages   = 16
	maxExports     = 16 // in all
	maxUserExports = 4
)

// places bounds how many of something are under way.
type places struct {
	what           string
	most, mostUser int

	mu   sync.Mutex
	all  int
	user map[string]int
}

// enter takes a place; leave gives it back, once.
func (p *places) enter(user string) (leave func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.user[user] >= p.mostUser:
		return nil, errs.New(errs.CodeRateLimited, "%d %s of yours are under way, and that is the most", p.mostUser, p.what).WithHint("wait until one has ended")
	case p.all >= p.most:
		return nil, errs.New(errs.CodeUnavailable, "%d %s are under way, and that is the most", p.most, p.what).WithHint("try again in a minute")
	}
	if p.user == nil {
		p.user = map[string]int{}
	}
	p.all++
	p.user[user]++
	return sync.OnceFunc(func() { p.leave(user) }), nil
}

func (p *places) leave(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all--
	if p.user[user]--; p.user[user] == 0 {
		delete(p.user, user)
	}
}
