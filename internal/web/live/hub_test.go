package live

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"hookline/internal/errs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func mustFollow(t *testing.T, h *Hub, user, since string, topics ...string) *stream {
	t.Helper()
	s, err := h.follow(user, topics, since)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// woken is whether a stream has something to send.
func woken(s *stream) bool {
	select {
	case <-s.wake:
		return true
	default:
		return false
	}
}

func wantTopics(t *testing.T, s *stream, want ...string) {
	t.Helper()
	if len(want) > 0 != woken(s) {
		t.Errorf("woken: %v, want topics %v", len(want) == 0, want)
	}
	if got, _ := s.take(); !slices.Equal(got, want) {
		t.Errorf("topics %v, want %v", got, want)
	}
}

func TestPublishReachesThoseWhoFollow(t *testing.T) {
	h := NewHub(Pace{})
	a, b := mustFollow(t, h, "a", "", Overview, Job("1")), mustFollow(t, h, "b", "", Overview)
	h.Publish(Overview, Job("1"), Peer("nobody follows"))
	h.Publish(Overview)
	h.Publish(Job("1"))
	wantTopics(t, a, Job("1"), Overview)
	wantTopics(t, a)
	h.Publish(Overview) // b has not taken the first yet
	wantTopics(t, a, Overview)
	wantTopics(t, b, Overview)

	h.Publish(Overview)
	c := mustFollow(t, h, "c", "", Overview) // came after it
	wantTopics(t, c)
	h.Publish(Overview) // the others have it among what they will send; c has not
	wantTopics(t, c, Overview)

	for _, s := range []*stream{a, b, c} {
		s.leave()
	}
	h.Publish(Overview)
	wantTopics(t, c)
	if h.Len() != 0 || len(h.topics) != 0 || len(h.users) != 0 {
		t.Errorf("after all left: %d streams, %d topics, %d users", h.Len(), len(h.topics), len(h.users))
	}
}

func TestMarks(t *testing.T) {
	h := NewHub(Pace{})
	h.Publish(Job("1"))
	mark := h.Mark()
	h.Publish(Job("2"))
	for _, c := range []struct {
		since string
		want  []string
	}{
		{"", nil},
		{mark, []string{Job("2")}},
		{h.Mark(), nil},
		{NewHub(Pace{}).Mark(), []string{Job("1"), Job("2")}},
		{"again", []string{Job("1"), Job("2")}},
		{h.epoch + ".-1", []string{Job("1"), Job("2")}},
	} {
		s := mustFollow(t, h, "a", c.since, Job("1"), Job("2"))
		wantTopics(t, s, c.want...)
		s.leave()
	}

	for i := range maxRemembered {
		h.Publish(Job(fmt.Sprint("other ", i)))
	}
	if len(h.last) > maxRemembered {
		t.Errorf("%d topics are remembered", len(h.last))
	}
	s := mustFollow(t, h, "a", mark, Job("2")) // the change is forgotten, but not that there were some
	wantTopics(t, s, Job("2"))
	s.leave()
	s = mustFollow(t, h, "a", h.Mark(), Job("2"))
	wantTopics(t, s)
}

func TestBoundsOfTheHub(t *testing.T) {
	h := NewHub(Pace{})
	var all []*stream
	for i := range MaxStreamsPerUser {
		all = append(all, mustFollow(t, h, "one", "", Problem(fmt.Sprint(i))))
	}
	_, err := h.follow("one", []string{Overview}, "")
	wantCode(t, err, errs.CodeRateLimited)
	for i := h.Len(); i < MaxStreams; i++ {
		all = append(all, mustFollow(t, h, fmt.Sprint("user ", i), "", Overview))
	}
	_, err = h.follow("another", []string{Overview}, "")
	wantCode(t, err, errs.CodeUnavailable)
	all[0].leave()
	mustFollow(t, h, "one", "", Overview).leave()
	h.Close()
	h.Close()
	_, err = h.follow("another", []string{Overview}, "")
	wantCode(t, err, errs.CodeUnavailable)
}

func wantCode(t *testing.T, err error, want errs.Code) {
	t.Helper()
	if !errs.Is(err, want) {
		t.Errorf("%v, want %s", err, want)
	}
}

// TestPublishNeverWaits: streams that send nothing hold nobody up, and what
// they have not sent stays bounded.
func TestPublishNeverWaits(t *testing.T) {
	h := NewHub(Pace{})
	slow := mustFollow(t, h, "slow", "", Overview, Reviews)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := h.follow(fmt.Sprint("user ", i), []string{Overview, Job("1")}, "")
			if err != nil {
				t.Error(err)
				return
			}
			for range 2000 {
				h.Publish(Overview, Reviews, Job("1"))
				if i%2 == 0 {
					s.take()
				}
			}
			s.leave()
		})
	}
	all.Wait()
	if len(slow.pending) != 2 {
		t.Errorf("%d topics wait", len(slow.pending))
	}
	wantTopics(t, slow, Overview, Reviews)
	slow.leave()
}

func TestTopicsOf(t *testing.T) {
	hex32, hex64 := strings.Repeat("0f", 16), strings.Repeat("0f", 32)
	good := []string{
		Overview, Reviews, Peers, Problem(hex32), Peer(hex32), Version(hex64), Job("01960000-0000-7000-8000-000000000001"), Hook("kernel-taint"),
	}
	if got, err := topicsOf(append(good, Overview)); err != nil || len(got) != len(good) {
		t.Errorf("%v, %v", got, err)
	}
	many := make([]string, MaxTopics+1)
	for i := range many {
		many[i] = Overview
	}
	for _, bad := range [][]string{
		nil,
		{},
		many,
		{""},
		{"x"},
		{Overview, "x"},
		{"overview\nevent: changed"},
		{Overview + "\n"},
		{Job("../../etc")},
		{Hook("A")},
		{Hook("")},
		{Problem(hex64)},
		{Version(hex32)},
		{Hook(strings.Repeat("a", 65))},
		{"job/" + strings.Repeat("a", 1<<20)},
	} {
		if got, err := topicsOf(bad); !errs.Is(err, errs.CodeBadInput) {
			t.Errorf("%.100q: %v, %v", bad, got, err)
		}
	}
}

// TestNoTopicForgesAnEvent: whatever a topic says, an event is three lines.
func TestNoTopicForgesAnEvent(t *testing.T) {
	for _, topic := range []string{"a\nevent: over\ndata: x\n\n", "a\r\revent: over", "a\u2028b", "\x00</script>", `"],"x`} {
		got := changedEvent([]string{topic}, "m.1")
		lines := strings.FieldsFunc(got, func(r rune) bool { return r == '\n' || r == '\r' || r == '\u2028' })
		if len(lines) != 3 || !strings.HasPrefix(lines[2], `data: ["`) || !strings.HasSuffix(got, "\"]\n\n") || strings.ContainsRune(got, 0) {
			t.Errorf("%q became %q", topic, got)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	h := NewHub(Pace{})
	for i := range MaxStreams {
		if _, err := h.follow(fmt.Sprint(i), []string{Overview}, ""); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		h.Publish(Overview, Job("1"), Peer("1"), Problem("1"), Version("1"), Hook("1"))
	}
}
