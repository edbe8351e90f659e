package browsertest

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// note runs inside the loop that reads what the browser says: it returns at
// once and asks for nothing.
func (s *seen) note(event any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		s.bad("exception: %s", exception(e.ExceptionDetails))
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning || e.Type == runtime.ConsoleAPICalledTypeAssert {
			s.bad("console.%s: %s", e.Type, arguments(e.Args))
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			s.bad("%s %s: %s %s", e.Entry.Source, e.Entry.Level, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			csp := d.ContentSecurityPolicyIssueDetails
			s.bad("against the content security policy: %s %s %s", csp.ContentSecurityPolicyViolationType, csp.ViolatedDirective, csp.BlockedURL)
		}
	case *page.EventJavascriptDialogOpening:
		s.bad("dialog: %s %q", e.Type, e.Message)
		go s.dialog()
	case *browser.EventDownloadWillBegin:
		s.downloads[e.GUID] = ""
	case *browser.EventDownloadProgress:
		s.downloaded(e)
	default:
		s.noteNetwork(event)
	}
}

func (s *seen) bad(format string, args ...any) {
	s.trouble = append(s.trouble, fmt.Sprintf(format, args...))
}

func (s *seen) downloaded(e *browser.EventDownloadProgress) {
	switch e.State {
	case browser.DownloadProgressStateCompleted:
		s.downloads[e.GUID] = e.FilePath
	case browser.DownloadProgressStateCanceled:
		s.bad("a download was cancelled")
		delete(s.downloads, e.GUID)
	}
}

func (s *seen) noteNetwork(event any) {
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if strings.HasPrefix(e.Request.URL, "data:") {
			return
		}
		if e.RedirectResponse != nil { // under the same id
			return
		}
		s.requests[e.RequestID] = &Request{URL: e.Request.URL, Type: string(e.Type)}
		s.order = append(s.order, e.RequestID)
	case *network.EventResponseReceived:
		if r := s.requests[e.RequestID]; r != nil {
			r.Status, r.Type, r.Bytes = e.Response.Status, string(e.Type), int64(e.Response.EncodedDataLength)
			r.Cached = e.Response.FromDiskCache || e.Response.FromPrefetchCache
			r.Header = http.Header{}
			for name, value := range e.Response.Headers {
				r.Header.Add(name, fmt.Sprint(value))
			}
		}
	case *network.EventRequestServedFromCache:
		if r := s.requests[e.RequestID]; r != nil {
			r.Cached = true
		}
	case *network.EventLoadingFinished:
		if r := s.requests[e.RequestID]; r != nil {
			r.Bytes = int64(e.EncodedDataLength)
		}
	case *network.EventLoadingFailed:
		if r := s.requests[e.RequestID]; r != nil && !e.Canceled {
			s.bad("cannot load %s: %s %s", r.URL, e.ErrorText, e.BlockedReason)
		}
	}
}

func exception(d *runtime.ExceptionDetails) string {
	if d.Exception != nil && d.Exception.Description != "" {
		return d.Exception.Description
	}
	return d.Text
}

func arguments(args []*runtime.RemoteObject) string {
	var texts []string
	for _, a := range args {
		texts = append(texts, a.Description+string(a.Value))
	}
	return strings.Join(texts, " ")
}

// Trouble is what went wrong in the pages since it was asked last: scripts that
// failed or complained, what the content security policy stopped, requests that
// failed, dialogs.
func (t *Tab) Trouble() []string {
	t.seen.mu.Lock()
	defer t.seen.mu.Unlock()
	trouble := t.seen.trouble
	t.seen.trouble = nil
	return trouble
}

// FirstVisit opens a page with an empty cache, waits until the network is quiet
// and returns its requests in their order.
func (t *Tab) FirstVisit(path string) ([]Request, error) {
	if err := t.do("leave", chromedp.Navigate("about:blank")); err != nil {
		return nil, err
	}
	if _, err := chromedp.Call(t.ctx, network.ClearBrowserCache, cdp.Empty{}); err != nil {
		return nil, fmt.Errorf("cannot empty the cache: %w", err)
	}
	t.seen.mu.Lock()
	t.seen.requests, t.seen.order = map[network.RequestID]*Request{}, nil
	t.seen.mu.Unlock()
	if err := t.Open(path); err != nil {
		return nil, err
	}
	return t.requests()
}

// quiet is how long nothing must happen until a page counts as loaded.
const quiet = 100 * time.Millisecond

// requests waits until no request is under way but streams, and no other
// follows for a while.
func (t *Tab) requests() (all []Request, err error) {
	still, known := time.Now(), -1
	err = t.eventually(func() error {
		var done bool
		all, done = t.seen.snapshot()
		if !done || len(all) != known {
			known, still = len(all), time.Now()
		}
		if time.Since(still) < quiet {
			return fmt.Errorf("the page does not come to rest: %+v", all)
		}
		return nil
	})
	return all, err
}

func (s *seen) snapshot() (all []Request, done bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done = true
	for _, id := range s.order {
		r := s.requests[id]
		all = append(all, *r)
		if r.Status == 0 {
			done = false
		}
	}
	return all, done && len(all) > 0
}

// Download clicks what the function clicks, and returns the content of the file
// that comes of it, with its name.
func (t *Tab) Download(click func() error) (name string, content []byte, err error) {
	before := len(t.seen.files())
	if err := click(); err != nil {
		return "", nil, err
	}
	err = t.eventually(func() error {
		files := t.seen.files()
		if len(files) <= before || slices.Contains(files, "") {
			return errors.New("no file was downloaded")
		}
		slices.SortFunc(files, func(a, b string) int { return modified(a).Compare(modified(b)) })
		newest := files[len(files)-1]
		name = filepath.Base(newest)
		content, err = os.ReadFile(newest)
		return err
	})
	if err != nil {
		err = fmt.Errorf("%w%s", err, t.where())
	}
	return name, content, err
}

func (s *seen) files() (files []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.downloads {
		files = append(files, f)
	}
	return files
}

func modified(path string) time.Time {
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}
