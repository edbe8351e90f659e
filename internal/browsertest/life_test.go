package browsertest_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/api"
	"hookline/internal/browsertest"
	"hookline/internal/client"
)

// life is one hook from a problem to its end, and the people around it.
type life struct {
	*testing.T
	*shared
	alice, carol *browsertest.Tab // author and operator; reviewer
	problem      string
	originals    []string
	dir          string
	first, next  api.Version
}

const (
	lifeHook = "life-of-a-hook"
	password = "four unrelated words, by Alice" // of hers
)

// TestLife is the whole life of a hook, by the pages, the command line and the
// reviewer's own page, with real programs.
func TestLife(t *testing.T) {
	l := &life{T: t, shared: everybody(t)}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"alice signs in with her password", l.signIn},
		{"a problem", l.lookAtProblem},
		{"a hook is submitted", l.submit},
		{"changes are requested", l.requestChanges},
		{"alice answers", l.answerLate},
		{"the next version", l.submitNext},
		{"bob approves on his machine's page", l.approveOnPage},
		{"carol approves in the terminal", l.approveInTerminal},
		{"it is activated", l.activate},
		{"results arrive live", l.results},
		{"exports", l.exports},
		{"it is disabled", l.disable},
	} {
		step.do()
		for name, tab := range map[string]*browsertest.Tab{"alice": l.alice, "carol": l.carol} {
			if tab != nil {
				calm(t, tab, step.name+", "+name)
			}
		}
		if t.Failed() {
			t.Fatalf("it went wrong at: %s", step.name)
		}
	}
}

// signIn: a first password from an admin, another one of her own, by which
// she signs in.
func (l *life) signIn() {
	const first = "for a first time only"
	admin := l.tab(l.T, "admin", "/users/alice")
	must(l.T, admin.Send("#password", "Set the password", map[string]string{"new_password": first, "new_password_again": first}))
	must(l.T, admin.Says("password"))
	calm(l.T, admin, "the page of a user")
	tab := l.comesIn("/account", first)
	must(l.T, tab.Send("#password", "Set the password", map[string]string{"old_password": first, "new_password": password, "new_password_again": password}))
	must(l.T, tab.Says("The password is set"))
	calm(l.T, tab, "the account")
	l.alice = l.comesIn("/problems", password)
}

// comesIn opens a page as nobody, which asks to sign in, and does so as alice.
func (l *life) comesIn(path, password string) *browsertest.Tab {
	tab := l.tab(l.T, "", path)
	must(l.T, tab.Until("the sign-in page comes first", "document.querySelector('input[type=password]')"))
	tab.Trouble() // a page that asks to sign in is no good answer to a browser
	must(l.T, tab.Send("#sign-in", "Sign in", map[string]string{"user": "alice", "password": password}))
	must(l.T, tab.Until("alice is where she wanted to go", "location.pathname === '"+path+"' && document.querySelector('form[action=\"/logout\"]')"))
	return tab
}

// lookAtProblem: a program fails on a machine, and alice looks for it.
func (l *life) lookAtProblem() {
	for range 2 {
		l.file()
	}
	c := l.client("alice")
	waitFor(l.T, "the reports are there", func() bool {
		j, err := c.Job(l.Context(), l.originals[1])
		l.problem = j.Workload.ProblemID
		return err == nil
	})
	must(l.T, l.alice.Open("/problems?package=life"))
	must(l.T, l.alice.Until("the problem is in the list", "document.querySelector("+js("main a[href='/problems/"+l.problem+"']")+")"))
	must(l.T, l.alice.Open("/problems/"+l.problem))
	must(l.T, l.alice.Until("the problem's reports are links", "document.querySelector("+js("main a[href='/jobs/"+l.originals[1]+"']")+")"))
	must(l.T, l.alice.Until("it leads to a new hook", "document.querySelector('main a[href^=\"/hooks/new?\"]')"))
	must(l.T, l.alice.Open("/hooks/new?problem="+l.problem))
	must(l.T, l.alice.Says("hookline hook init"))
}

func (l *life) file() {
	id, err := l.world.File(l.Context(), "life", hooks.Report{"Signal": "11", "StackFrames": "parse\nread_config\nmain"})
	must(l.T, err)
	l.originals = append(l.originals, id)
}

func (l *life) client(person string) *client.Client {
	c, err := l.world.Client(person)
	must(l.T, err)
	return c
}

// submit: alice writes the hook from the report and signs it with her key.
func (l *life) submit() {
	var err error
	l.dir, err = l.world.InitHook(l.Context(), "alice", lifeHook, l.originals[0])
	must(l.T, err)
	l.first, err = l.world.Deployment.Submit(l.Context(), "alice", l.dir)
	must(l.T, err)
}

// requestChanges: carol finds it in her queue, comments on a line, and wants
// changes; alice reads that.
func (l *life) requestChanges() {
	l.carol = l.tab(l.T, "carol", "/reviews")
	review := "/versions/" + l.first.Digest + "/review"
	must(l.T, l.carol.Until("the version waits for carol", "document.querySelector("+js("main a[href='"+review+"']")+")"))
	must(l.T, l.carol.Open(review))
	must(l.T, l.carol.Click("link", "Comment on line 2"))
	must(l.T, l.carol.Until("the form is for line 2", "document.querySelector('#comment [name=line]').value === '2'"))
	must(l.T, l.carol.Send("#comment", "Send", map[string]string{"text": "Why **this** line?"}))
	must(l.T, l.carol.Until("the comment is there, as Markdown", "[...document.querySelectorAll('#comments strong')].some(e => e.textContent === 'this')"))
	must(l.T, l.carol.Send("#answer", "Request changes", map[string]string{"comment": "Read less, please."}))
	must(l.T, l.carol.Says("Changes requested: "+lifeHook+"@1."))
	must(l.T, l.alice.Open(review))
	must(l.T, l.alice.Says("Read less, please."))
	must(l.T, l.alice.Until("alice sees the comment", "document.querySelector('#comments').innerText.includes('Why this line?')"))
}

// answerLate: alice answers, but her session is over by then; she signs in
// again, and what she typed is sent.
func (l *life) answerLate() {
	const answer = "Because of the kernel: \"a & b\" <c>."
	must(l.T, l.alice.Click("link", "Answer"))
	must(l.T, l.alice.Until("the form is for an answer", "document.querySelector('#comment [name=parent]').value"))
	must(l.T, l.alice.ForgetCookies())
	must(l.T, l.alice.Send("#comment", "Send", map[string]string{"text": answer}))
	must(l.T, l.alice.Until("she is asked to sign in", "document.querySelector('#sign-in')"))
	l.alice.Trouble() // see signIn
	must(l.T, l.alice.Send("#sign-in", "Sign in", map[string]string{"user": "alice", "password": password}))
	must(l.T, l.alice.Click("button", "Send it"))
	must(l.T, l.alice.Until("the answer is there", "document.querySelector('#comments')?.innerText.includes("+js(answer)+")"))
}

// submitNext: alice changes the script and submits it again; carol sees what
// changed.
func (l *life) submitNext() {
	f, err := os.OpenFile(filepath.Join(l.dir, "hook.lua"), os.O_APPEND|os.O_WRONLY, 0)
	must(l.T, err)
	_, err = f.WriteString("-- it reads less now\n")
	must(l.T, err)
	must(l.T, f.Close())
	l.next, err = l.world.Deployment.Submit(l.Context(), "alice", l.dir)
	must(l.T, err)
	if l.next.Number != l.first.Number+1 {
		l.Fatalf("the next version has number %d", l.next.Number)
	}
}

// approveOnPage: bob signs on the page that his own machine serves; the link
// lets one browser in, once.
func (l *life) approveOnPage() {
	page, err := l.world.ServeReview(l.Context(), "bob", l.next.Digest)
	must(l.T, err)
	l.Cleanup(page.Kill)
	bob, err := l.browser.Visit(l.world.HTTP, "")
	must(l.T, err)
	l.Cleanup(bob.Close)
	must(l.T, browsertest.EnterReview(bob, page))
	must(l.T, bob.Says(lifeHook+"@2"))
	must(l.T, bob.Says("it reads less now"))
	must(l.T, bob.Send("form[action$='/sign']", "Sign with this key", map[string]string{"confirm": l.next.Digest[:8], "comment": "Fine."}))
	must(l.T, bob.Says("Signed."))
	calm(l.T, bob, "bob signs")

	other, err := l.browser.Visit(l.world.HTTP, "")
	must(l.T, err)
	l.Cleanup(other.Close)
	must(l.T, other.Open(page.Ready))
	must(l.T, other.Says("opens nothing"))
}

// approveInTerminal: carol approves with the command that the page shows her.
func (l *life) approveInTerminal() {
	must(l.T, l.carol.Open("/versions/"+l.next.Digest+"/review"))
	must(l.T, l.carol.Says("hookline review approve "+l.next.Digest))
	v, err := l.world.Approve(l.Context(), "carol", l.next.Digest)
	must(l.T, err)
	if v.State != "approved" {
		l.Fatalf("after two approvals it is %s", v.State)
	}
}

// activate: alice, who operates too, gives it a number of results and a day.
func (l *life) activate() {
	must(l.T, l.alice.Open("/versions/"+l.next.Digest))
	must(l.T, l.alice.Send("#activate", "Activate", map[string]string{"quantity": "5"}))
	l.shows("active")
	v, err := l.client("alice").Version(l.Context(), l.next.Digest)
	must(l.T, err)
	if v.State != "active" || v.Activation.Quantity != 5 {
		l.Errorf("it is %s with %+v", v.State, v.Activation)
	}
}

// shows waits until alice's page of the version shows a state.
func (l *life) shows(state string) {
	must(l.T, l.alice.Until("the version is "+state, "document.querySelector('#state .state')?.textContent === "+js(state)))
}

// results: while alice looks at the version's page, results come: first those
// of the reports that were there, then one of a new report. Her page shows
// them and is never loaded again.
func (l *life) results() {
	_, err := browsertest.Evaluate[bool](l.alice, "window.sameDocument = true")
	must(l.T, err)
	l.file()
	for _, id := range l.originals {
		link := "document.querySelector(" + js("#results a[href='/jobs/"+id+"']") + ")"
		must(l.T, l.alice.Until("the result of job "+id+" is on the page", link))
	}
	same, err := browsertest.Evaluate[bool](l.alice, "window.sameDocument === true")
	must(l.T, err)
	if !same {
		l.Error("the page was loaded again: the results did not come live")
	}
}

// exports: what is exported is what the filters leave, no row more or less.
func (l *life) exports() {
	var all []string
	results, err := l.client("alice").Results(l.Context(), client.List{Version: l.next.Digest, Limit: 200})
	must(l.T, err)
	for _, r := range results.Items {
		all = append(all, r.JobID)
	}
	if len(all) != len(l.originals) {
		l.Fatalf("the server has %d results of this version, want %d", len(all), len(l.originals))
	}
	must(l.T, l.alice.Open("/results?hook="+lifeHook))
	name, content, err := l.alice.Download(func() error { return l.alice.Click("link", "CSV") })
	must(l.T, err)
	rows, err := csv.NewReader(bytes.NewReader(content)).ReadAll()
	must(l.T, err)
	column := slices.Index(rows[0], "report")
	if column < 0 || !strings.HasSuffix(name, ".csv") {
		l.Fatalf("the file %s has no column report: %v", name, rows[0])
	}
	var exported []string
	for _, r := range rows[1:] {
		exported = append(exported, r[column])
	}
	sameRows(l.T, name, exported, all)

	name, content, err = l.alice.Download(func() error { return l.alice.Click("link", "NDJSON") })
	must(l.T, err)
	exported = nil
	for dec := json.NewDecoder(bytes.NewReader(content)); dec.More(); {
		var row struct{ Report string }
		must(l.T, dec.Decode(&row))
		exported = append(exported, row.Report)
	}
	sameRows(l.T, name, exported, all)
}

func sameRows(t *testing.T, what string, is, want []string) {
	t.Helper()
	is, want = slices.Sorted(slices.Values(is)), slices.Sorted(slices.Values(want))
	if !slices.Equal(is, want) {
		t.Errorf("%s has the rows\n%s\nwant\n%s", what, strings.Join(is, "\n"), strings.Join(want, "\n"))
	}
}

// disable: alice stops it, and says why; the audit log has both.
func (l *life) disable() {
	const reason = "the question is answered"
	must(l.T, l.alice.Open("/versions/"+l.next.Digest))
	must(l.T, l.alice.Send("#disable", "Disable", map[string]string{"reason": reason}))
	l.shows("disabled")
	must(l.T, l.alice.Says(reason))
	v, err := l.client("alice").Version(l.Context(), l.next.Digest)
	must(l.T, err)
	if v.State != "disabled" || v.Activation.Reason != reason {
		l.Errorf("it is %s, %+v", v.State, v.Activation)
	}
	must(l.T, l.alice.Open("/audit?target=version/"+l.next.Digest))
	must(l.T, l.alice.Says("hooks.disable"))
}

// js is a text as a literal of JavaScript.
func js(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		panic(fmt.Sprintf("a text is always JSON: %v", err))
	}
	return string(b)
}
