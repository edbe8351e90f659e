package reviewpage

import (
	"bytes"
	"context"
	"net/http"
	"regexp"
	"strings"
	"time"

	"hookline/internal/errs"
	"hookline/internal/looks"
)

// maxWaiting rows are in the queue.
const maxWaiting = 500

// confirmDigits of the digest are typed before a signature.
const confirmDigits = 8

var wholeDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

// basic is what every page has.
type basic struct {
	Title, Style, Home string
	Alert, AlertHint   string // what went wrong with a form
	Code               errs.Code
}

func (p *Page) basic(title string) basic { return basic{Title: title, Style: p.sheet.Path} }

func (p *Page) signedIn(title string) basic {
	b := p.basic(title)
	b.Home = p.base
	return b
}

// render writes a page only when all of it could be made.
func (p *Page) render(w http.ResponseWriter, status int, page string, data any) {
	var out bytes.Buffer
	if err := p.pages[page].ExecuteTemplate(&out, "layout", data); err != nil {
		p.Say("a page could not be shown: " + err.Error())
		http.Error(w, "the page could not be shown", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(out.Bytes()) // a client that has gone is no failure of ours
}

// fail shows an error; home is the way back, "" for whoever was not let in.
func (p *Page) fail(w http.ResponseWriter, home string, err error) {
	b := p.basic("Not shown")
	b.Home = home
	p.render(w, b.explain(err), "error", b)
}

// explain puts an error on a page, and says with which status it goes.
func (b *basic) explain(err error) int {
	b.Alert, b.Code = looks.Sentence(text(err.Error())), errs.CodeOf(err)
	if e, ok := errs.As(err); ok {
		b.AlertHint = looks.Sentence(text(e.Hint))
		return e.Kind().HTTPStatus()
	}
	return http.StatusInternalServerError
}

type queuePage struct {
	basic
	Rows []queueRow
	More bool
}

type queueRow struct {
	Waiting
	Link, Age string
}

func (p *Page) queue(w http.ResponseWriter, r *http.Request) error {
	list, err := p.waiting(r.Context())
	if err != nil {
		return err
	}
	page := queuePage{basic: p.signedIn("Waiting for review"), More: len(list) > maxWaiting}
	for _, v := range list[:min(maxWaiting, len(list))] {
		row := queueRow{Waiting: v, Age: age(p.Now().Sub(v.SubmittedAt))}
		if wholeDigest.MatchString(v.Digest) {
			row.Link = p.base + "versions/" + v.Digest
		}
		page.Rows = append(page.Rows, row)
	}
	p.render(w, http.StatusOK, "queue", page)
	return nil
}

// version fetches, verifies, shows, and keeps what it has shown.
func (p *Page) version(w http.ResponseWriter, r *http.Request) error {
	digest, err := digestOf(r)
	if err != nil {
		return err
	}
	v, err := p.fetch(r.Context(), digest)
	if err != nil {
		p.drop(digest)
		return err
	}
	shown := p.view(v)
	p.keep(shown)
	page := p.filled(shown, form{})
	page.Split = r.URL.Query().Get("view") == "split"
	p.render(w, http.StatusOK, "version", page)
	return nil
}

func (p *Page) waiting(ctx context.Context) ([]Waiting, error) {
	p.desk.Lock()
	defer p.desk.Unlock()
	return p.Desk.Waiting(ctx, maxWaiting+1)
}

func (p *Page) fetch(ctx context.Context, digest string) (*Version, error) {
	p.desk.Lock()
	defer p.desk.Unlock()
	v, err := p.Desk.Read(ctx, digest)
	if err == nil && v.Digest != digest {
		err = errs.New(errs.CodeInternal, "cannot show %s: another version came", digest)
	}
	return v, err
}

func digestOf(r *http.Request) (string, error) {
	digest := r.PathValue("digest")
	if !wholeDigest.MatchString(digest) {
		return "", errs.New(errs.CodeNotFound, "a version is named by its whole digest here")
	}
	return digest, nil
}

// keep holds what was shown; the oldest goes first.
func (p *Page) keep(v *view) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(v.Digest)
	p.held = append(p.held, v)
	p.held = p.held[max(0, len(p.held)-maxHeld):]
}

func (p *Page) drop(digest string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(digest)
}

func (p *Page) forget(digest string) {
	var kept []*view
	for _, v := range p.held {
		if v.Digest != digest {
			kept = append(kept, v)
		}
	}
	p.held = kept
}

// shown is what this process has shown under a digest.
func (p *Page) shown(r *http.Request) (*view, error) {
	digest, err := digestOf(r)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, v := range p.held {
		if v.Digest == digest {
			return v, nil
		}
	}
	return nil, errs.New(errs.CodeConflict, "this version is not kept any more").WithHint("open it again from the queue, and read it again")
}

// file sends the exact bytes, to be saved: as a page of its own, text that
// hides characters would look like something else.
func (p *Page) file(w http.ResponseWriter, r *http.Request) error {
	v, err := p.shown(r)
	if err != nil {
		return err
	}
	files := map[string][]byte{"statement.json": v.Statement, "hook.lua": v.Script}
	name := r.PathValue("file")
	b, ok := files[name]
	if !ok {
		return errs.New(errs.CodeNotFound, "there is no such file")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	_, _ = w.Write(b) // a client that has gone is no failure of ours
	return nil
}

// form is what somebody typed.
type form struct {
	Confirm, SignComment string
	Comment              string
}

// readForm parses a form within its time, and gives the answer its own.
func readForm(w http.ResponseWriter, r *http.Request, answer time.Duration) error {
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Now().Add(bodyTime)) // a test's recorder has none
	err := r.ParseForm()
	_ = c.SetReadDeadline(time.Time{})
	_ = c.SetWriteDeadline(time.Now().Add(answer))
	if err != nil {
		return errs.Wrap(errs.CodeBadInput, err, "cannot read the form").WithHint("a comment has at most 4000 bytes")
	}
	return nil
}

func (p *Page) sign(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, signTime); err != nil {
		return err
	}
	v, err := p.shown(r)
	if err != nil {
		return err
	}
	f := form{Confirm: r.PostForm.Get("confirm"), SignComment: r.PostForm.Get("comment")}
	if err := p.signShown(r.Context(), v, f); err != nil {
		p.again(w, v, f, err)
		return nil
	}
	http.Redirect(w, r, p.base+"versions/"+v.Digest, http.StatusSeeOther)
	return nil
}

// signShown signs what was shown, byte for byte.
func (p *Page) signShown(ctx context.Context, v *view, f form) error {
	if v.Blocked != nil {
		return v.Blocked
	}
	if p.Desk.Key().Ref == "" {
		return errs.New(errs.CodeBadInput, "nothing was signed: no key was given").WithHint("start again with one: hookline review serve --key FILE")
	}
	if !strings.EqualFold(strings.TrimSpace(f.Confirm), v.Digest[:confirmDigits]) {
		return errs.New(errs.CodeBadInput, "nothing was signed: these are not the first %d digits of the digest", confirmDigits).
			WithHint("compare the digest with the one that you mean, and type its first %d digits", confirmDigits)
	}
	if !p.desk.TryLock() {
		return errs.New(errs.CodeConflict, "nothing was signed: something else is going on").
			WithHint("a passphrase may be asked for in the terminal")
	}
	defer p.desk.Unlock()
	signer, err := p.Desk.Sign(ctx, v.Exact, f.SignComment)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.signs[v.Digest] = signer
	return nil
}

func (p *Page) answer(w http.ResponseWriter, r *http.Request) error {
	if err := readForm(w, r, answerTime); err != nil {
		return err
	}
	v, err := p.shown(r)
	if err != nil {
		return err
	}
	f := form{Comment: r.PostForm.Get("comment")}
	if err := p.say(r, v, f); err != nil {
		p.again(w, v, f, err)
		return nil
	}
	http.Redirect(w, r, p.base+"versions/"+v.Digest, http.StatusSeeOther)
	return nil
}

func (p *Page) say(r *http.Request, v *view, f form) error {
	verdict := r.PostForm.Get("verdict")
	if verdict != "reject" && verdict != "request-changes" {
		return errs.New(errs.CodeBadInput, "nothing was sent: %q is no verdict", verdict)
	}
	if strings.TrimSpace(f.Comment) == "" {
		return errs.New(errs.CodeBadInput, "nothing was sent: the author needs to know why").WithHint("write a comment")
	}
	p.desk.Lock()
	defer p.desk.Unlock()
	return p.Desk.Answer(r.Context(), v.Digest, verdict, f.Comment)
}

// again shows the same version with what went wrong and what was typed.
func (p *Page) again(w http.ResponseWriter, v *view, f form, err error) {
	page := p.filled(v, f)
	status := page.explain(err)
	p.render(w, status, "version", page)
}
