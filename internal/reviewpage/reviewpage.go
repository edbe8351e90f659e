// Package reviewpage is the page on which a reviewer reads and signs. It is
// served on loopback by the reviewer's own program, so that nobody who holds
// the server can change what is shown before a signature.
//
// Who opens it has the one-time link that the program printed; after that a
// cookie and a path that nobody else knows. All that is shown is text: nothing
// of what a server or an author wrote becomes markup, and no page has a script.
// What is signed are the bytes that were shown, kept here in between.
package reviewpage

import (
	"context"
	"embed"
	"html/template"
	"net/http"
	"sync"
	"time"

	"hookline/internal/code"
	"hookline/internal/errs"
	"hookline/internal/looks"
	"hookline/internal/wording"
	"hookline/signing"
)

// Desk fetches, verifies and signs for the page. It is asked one thing at a
// time.
type Desk interface {
	// Waiting are versions that wait for a review, by the server's word, at
	// most limit.
	Waiting(ctx context.Context, limit int) ([]Waiting, error)
	// Read fetches a version by its whole digest and verifies it.
	Read(ctx context.Context, digest string) (*Version, error)
	// Sign signs these very bytes, if the signature counts, and uploads it. It
	// fetches nothing of the version again.
	Sign(ctx context.Context, what Exact, comment string) (signing.Signer, error)
	// Answer uploads "reject" or "request-changes".
	Answer(ctx context.Context, digest, verdict, comment string) error
	// Key is what Sign signs with.
	Key() Key
}

// Key is a private key, as far as the page knows it.
type Key struct {
	Ref string        // as the person named it; "" is none
	ID  signing.KeyID // "" until it was opened
}

// Waiting is a version in the queue; all of it is the server's word.
type Waiting struct {
	Digest, Hook, State, SubmittedBy string
	Number                           int64
	SubmittedAt                      time.Time
	Approvals, Needed                int
}

// Exact is what a signature covers, with the signatures that are there.
type Exact struct {
	Digest            string // hex SHA-256 of Statement
	Statement, Script []byte
	Signatures        [][]byte
}

// Version is a version as this machine found it.
type Version struct {
	Exact
	Hook     string // as the statement has it
	Number   int64
	Parts    []Part // the statement in words
	Against  Difference
	Findings []Finding // of lint on this machine
	NoLint   string    // why it could not run
	Checks   []signing.Step
	Standing *signing.Standing // nil where the signatures are refused
	Blocked  error             // why it is not to be signed here; nil where it may be
	Warnings []string
	Server   Claims
}

// Claims are what the server says beside.
type Claims struct {
	State, SubmittedBy string
	SubmittedAt        time.Time
	Reviews            []Word
}

// Word is what somebody said about a version.
type Word struct {
	User, Verdict, Comment string
	At                     time.Time
}

// Part is a part of a statement: rows, or a table whose first row is its head.
type Part struct {
	Title string
	Rows  []Row
	Table [][]string
}

// Row is one thing that a statement says; one without a name goes on with the
// one above.
type Row struct {
	Name, Value string
	Note        string
	Path        bool
}

// Difference is what changed since the last version that people approved.
type Difference struct {
	To       string   // hook@number; "" where there is none
	Signed   string   // whose signatures that has
	Revoked  []string // approved later, and revoked since
	Unknown  bool     // the version is refused before anything is compared
	Distrust string   // why the version that the server offers is none
	Members  []wording.Change
	Script   []byte // of that version
}

// Finding is one of lint.
type Finding struct{ Place, Severity, Message, Code string }

// Parts is what the page is made from.
type Parts struct {
	Desk Desk
	Addr string // host:port that it is served under, and no other
	// First is the digest that the link leads to; "" is the queue.
	First string
	Idle  time.Duration // after which Serve ends when nobody uses it
	Now   func() time.Time
	Say   func(string) // tells the person at the terminal
}

//go:embed templates
var files embed.FS

// Page serves one reviewer.
type Page struct {
	Parts
	*door
	pages   map[string]*template.Template
	sheet   looks.Sheet
	painter *code.Painter

	touched chan struct{} // somebody used it

	desk  sync.Mutex // the desk does one thing at a time
	mu    sync.Mutex
	held  []*view // what was shown, newest last
	signs map[string]signing.Signer
}

// New makes the page and its one-time link.
func New(parts Parts) (*Page, error) {
	pages, err := looks.Pages(files, functions())
	if err != nil {
		return nil, err
	}
	for _, page := range pages {
		if _, err := code.AddTo(page); err != nil {
			return nil, err
		}
	}
	painter, err := code.New()
	if err != nil {
		return nil, err
	}
	return &Page{
		Parts: parts, door: newDoor(), pages: pages, sheet: looks.NewSheet(), painter: painter,
		touched: make(chan struct{}, 1), signs: map[string]signing.Signer{},
	}, nil
}

// Link is the address that opens the page, once.
func (p *Page) Link() string { return "http://" + p.Addr + openPath + p.link }

func functions() template.FuncMap {
	return template.FuncMap{
		"text": text, "loud": loud, "sentence": looks.Sentence,
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"when":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	}
}

func (p *Page) handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET "+p.sheet.Path, p.sheet)
	mux.HandleFunc("GET "+looks.IconPath, looks.ServeIcon)
	mux.HandleFunc("GET "+openPath+"{code}", p.askOpen)
	mux.HandleFunc("POST "+openPath+"{code}", p.open)
	mux.HandleFunc("GET "+p.base+"{$}", p.inside(p.queue))
	mux.HandleFunc("GET "+p.base+"versions/{digest}", p.inside(p.version))
	mux.HandleFunc("GET "+p.base+"versions/{digest}/{file}", p.inside(p.file))
	mux.HandleFunc("POST "+p.base+"versions/{digest}/sign", p.inside(p.sign))
	mux.HandleFunc("POST "+p.base+"versions/{digest}/answer", p.inside(p.answer))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		p.fail(w, "", errs.New(errs.CodeNotFound, "there is no such page"))
	})
	// Browsers tell where a form was sent from; one from elsewhere is refused.
	return looks.Headers(p.onlyHere(http.NewCrossOriginProtection().Handler(mux)))
}
