package browsertest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"hookline/internal/onebox"
)

// Tab is one tab of a visitor with a profile of their own: no cookie, no cache.
// It is for one goroutine.
type Tab struct {
	Base string // the site's address, without a slash at its end

	ctx   context.Context
	close context.CancelFunc
	seen  seen
}

// seen is what the browser told while pages were looked at.
type seen struct {
	mu        sync.Mutex
	trouble   []string
	requests  map[network.RequestID]*Request
	order     []network.RequestID
	downloads map[string]string // by id; "" is under way
	dialog    func()            // answers a dialog
}

// Request is one request of a page, as it went over the network.
type Request struct {
	URL    string
	Type   string // Document, Stylesheet, Script, Image, EventSource, …
	Status int64
	Bytes  int64 // of the answer with its headers, as sent
	Cached bool  // nothing was sent
	Header http.Header
}

// Visit opens a tab with an empty profile. What is downloaded goes to the
// folder; "" is nowhere.
func (b *Browser) Visit(base, downloads string) (*Tab, error) {
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t := &Tab{Base: strings.TrimSuffix(base, "/"), ctx: ctx, close: cancel}
	t.seen.requests, t.seen.downloads = map[network.RequestID]*Request{}, map[string]string{}
	t.seen.dialog = func() {
		_, _ = chromedp.Call(ctx, page.HandleJavaScriptDialog, page.HandleJavaScriptDialogParams{Accept: false}) // the tab may have gone
	}
	if err := t.listen(downloads); err != nil {
		cancel()
		return nil, fmt.Errorf("cannot open a tab: %w", err)
	}
	return t, nil
}

// Close closes the tab and forgets its profile.
func (t *Tab) Close() { t.close() }

func (t *Tab) listen(downloads string) error {
	// The first command must not have a deadline: the tab would go with it.
	if err := chromedp.Listen(t.ctx, t.seen.note); err != nil {
		return err
	}
	if err := chromedp.ListenBrowser(t.ctx, t.seen.note); err != nil {
		return err
	}
	if _, err := chromedp.Call(t.ctx, audits.Enable, cdp.Empty{}); err != nil {
		return err
	}
	if downloads == "" {
		return nil
	}
	_, err := chromedp.CallBrowser(t.ctx, browser.SetDownloadBehavior, browser.SetDownloadBehaviorParams{
		Behavior: browser.SetDownloadBehaviorBehaviorAllow, DownloadPath: downloads, EventsEnabled: new(true),
		BrowserContextID: chromedp.FromContext(t.ctx).BrowserContextID,
	})
	return err
}

// do runs steps one after the other, each in bounded time.
func (t *Tab) do(what string, steps ...chromedp.Action[chromedp.Void]) error {
	for _, step := range steps {
		if _, err := run(t, step); err != nil {
			return fmt.Errorf("cannot %s: %w%s", what, err, t.where())
		}
	}
	return nil
}

func run[T any](t *Tab, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(t.ctx, Patience)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// where says what the tab shows, for an error.
func (t *Tab) where() string {
	ctx, cancel := context.WithTimeout(t.ctx, Patience/10)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.title + "\n" + document.body.innerText.slice(0, 3000)`))
	if err != nil {
		return ""
	}
	return "\nthe page is " + text
}

// Open goes to a page by its path, or by a whole address, and waits until it
// is loaded.
func (t *Tab) Open(path string) error {
	if strings.HasPrefix(path, "/") {
		path = t.Base + path
	}
	return t.do("open "+path, chromedp.Navigate(path))
}

// NoScript keeps the pages' own scripts from running, from the next page on.
func (t *Tab) NoScript() error {
	_, err := chromedp.Call(t.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
}

// ForgetCookies takes the tab's cookies away, as the end of a session does.
func (t *Tab) ForgetCookies() error {
	_, err := chromedp.Call(t.ctx, network.ClearBrowserCookies, cdp.Empty{})
	return err
}

// Path is the path and the query of the page.
func (t *Tab) Path() (string, error) {
	return Evaluate[string](t, "location.pathname + location.search")
}

// Evaluate is the value of an expression in the page, a promise's too.
func Evaluate[T any](t *Tab, expression string) (T, error) {
	v, err := run(t, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		err = fmt.Errorf("cannot evaluate %.200s: %w", expression, err)
	}
	return v, err
}

// Until waits until an expression holds in the page, which may be another by
// then.
func (t *Tab) Until(what, expression string) error {
	err := t.eventually(func() error {
		holds, err := Evaluate[bool](t, "Boolean("+expression+")")
		if err == nil && !holds {
			err = errors.New("it does not hold")
		}
		return err
	})
	if err != nil {
		err = fmt.Errorf("waited, and never: %s: %w%s", what, err, t.where())
	}
	return err
}

func (t *Tab) eventually(check func() error) error {
	return onebox.Eventually(t.ctx, Patience, check)
}

// Says waits until the page says a text.
func (t *Tab) Says(text string) error {
	return t.Until("the page says "+text, "document.body && document.body.innerText.includes("+quote(text)+")")
}

// Click clicks with the mouse on a thing, by its role ("button", "link",
// "checkbox", "tab") and its name, exactly. It does not wait for what comes of
// it.
func (t *Tab) Click(role, name string) error {
	return t.ClickIn("body", role, name)
}

// ClickIn is Click inside the first element that a CSS selector finds.
func (t *Tab) ClickIn(within, role, name string) error {
	mark := "[data-browsertest]"
	found := "(" + findNamed + ")(" + quote(within) + ", " + quote(role) + ", " + quote(name) + ")"
	if err := t.Until("there is the "+role+" "+name+" in "+within, found); err != nil {
		return err
	}
	return t.do("click the "+role+" "+name, chromedp.Click(chromedp.CSS(mark)))
}

// Press types on the keyboard, wherever the page's focus is: "\t", "\r", words.
func (t *Tab) Press(keys string) error {
	return t.do("press "+quote(keys), chromedp.KeyEvent(keys))
}

// Fill types into the field with this label, in place of what stands there;
// of a list it chooses the entry.
func (t *Tab) Fill(label, text string) error {
	return t.FillIn("body", label, text)
}

// FillIn is Fill inside the first element that a CSS selector finds.
func (t *Tab) FillIn(within, label, text string) error {
	found := "(" + findNamed + ")(" + quote(within) + ", 'field', " + quote(label) + ")"
	if err := t.Until("there is the field "+label+" in "+within, found); err != nil {
		return err
	}
	return t.fill(label, "[data-browsertest]", text)
}

// Send fills the fields of a form by their names, and clicks its button of
// this name. It does not wait for what comes of it.
func (t *Tab) Send(form, button string, fields map[string]string) error {
	for name, text := range fields {
		field := form + " [name=" + quote(name) + "]"
		if err := t.Until("there is the field "+field, "document.querySelector("+quote(field)+")"); err != nil {
			return err
		}
		if err := t.fill(name, field, text); err != nil {
			return err
		}
	}
	return t.ClickIn(form, "button", button)
}

// fill types into a field; what a person would choose in a picker is set.
func (t *Tab) fill(what, field, text string) error {
	set, err := Evaluate[bool](t, `(() => {
		const e = document.querySelector(`+quote(field)+`), text = `+quote(text)+`;
		if (e.tagName === "SELECT") e.value = [...e.options].find(o => o.text.trim() === text || o.value === text).value;
		else if (["date", "datetime-local", "time"].includes(e.type)) e.value = text;
		else if (e.type === "radio") return false;
		else { e.value = ""; return false }
		e.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`)
	if err != nil || set {
		return err
	}
	return t.do("fill "+what, chromedp.SendKeys(chromedp.CSS(field), text))
}

// findNamed marks the first visible element of a role and a name, and says
// whether there is one. The accessible name is computed as far as our pages
// need it: aria-label, a label, the text.
const findNamed = `function(within, role, name) {
	const roles = {
		button: "button, [role=button], input[type=submit], summary", link: "a[href]", tab: "[role=tab]", checkbox: "input[type=checkbox]",
		radio: "input[type=radio]", field: "input:not([type=hidden]):not([type=checkbox]):not([type=radio]), textarea, select",
	};
	const clean = s => (s || "").replace(/\s+/g, " ").trim();
	const names = e => {
		const by = (e.getAttribute("aria-labelledby") || "").split(/\s+/).filter(Boolean).map(id => clean(document.getElementById(id)?.textContent)).join(" ");
		return [clean(e.getAttribute("aria-label")), by, ...[...(e.labels || [])].flatMap(l =>
			[clean(l.textContent), clean([...l.childNodes].filter(n => n.nodeType === 3).map(n => n.data).join(" "))]),
			clean(e.textContent), clean(e.innerText), clean(e.getAttribute("title"))];
	};
	const root = document.querySelector(within);
	if (!root || document.readyState !== "complete") return false;
	for (const old of document.querySelectorAll("[data-browsertest]")) old.removeAttribute("data-browsertest");
	for (const e of root.querySelectorAll(roles[role])) {
		if (!e.checkVisibility({visibilityProperty: true}) || e.disabled || !names(e).includes(name)) continue;
		e.setAttribute("data-browsertest", "");
		return true;
	}
	return false;
}`

// quote is a text as a literal of JavaScript.
func quote(s string) string {
	b, _ := json.Marshal(s) // of a string it cannot fail
	return string(b)
}

// Look sets how wide the window is, in pixels, and whether its visitor likes
// it dark.
func (t *Tab) Look(width int64, dark bool) error {
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	return t.do("set the looks", func(ctx context.Context, s *chromedp.Target) (none chromedp.Void, err error) {
		if _, err = cdp.Call(ctx, s, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
			Width: width, Height: 800, DeviceScaleFactor: 1,
		}); err != nil {
			return none, err
		}
		_, err = cdp.Call(ctx, s, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
			{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
		}})
		return none, err
	})
}

// maxPicture bounds a picture's height in pixels; what is below is cut.
const maxPicture = 10_000

// Picture is the whole page as PNG.
func (t *Tab) Picture() ([]byte, error) {
	return run(t, func(ctx context.Context, s *chromedp.Target) ([]byte, error) {
		m, err := cdp.Call(ctx, s, page.GetLayoutMetrics, cdp.Empty{})
		if err != nil {
			return nil, fmt.Errorf("cannot measure the page: %w", err)
		}
		shot, err := cdp.Call(ctx, s, page.CaptureScreenshot, page.CaptureScreenshotParams{
			Format: page.CaptureScreenshotFormatPng, CaptureBeyondViewport: new(true),
			Clip: &page.Viewport{Width: float64(m.CSSLayoutViewport.ClientWidth), Height: min(m.CSSContentSize.Height, maxPicture), Scale: 1},
		})
		return shot.Data, err
	})
}
