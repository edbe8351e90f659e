package hookpages_test

import (
	"net/http"
	"strings"
	"testing"

	"hookline/hooks"
	"hookline/internal/auth"
)

func TestStarter(t *testing.T) {
	w := newWorld(t)
	w.has(w.Want("/hooks/new", auth.RoleAuthor), "A hook starts from a problem", `href="/problems"`)
	job := w.report()
	for _, path := range []string{"/hooks/new?job=" + job.ID, "/hooks/new?problem=" + job.ProblemID} {
		page := w.Want(path, auth.RoleAuthor)
		w.has(page, "New hook for crasher", "hookline hook init --job "+job.ID+"<", "hookline hook test crasher-machine-state",
			"hookline hook submit crasher-machine-state --key KEY", hooks.Fingerprint(job.Report), "KernelTaint", "level=package",
			`href="/hooks/new/hook.yaml?job=`+job.ID+`&amp;level=problem"`, `href="/jobs/`+job.ID)
	}
	w.has(w.Want("/hooks/new?level=package&job="+job.ID, auth.RoleAuthor), "hookline hook init --job "+job.ID+" --level package", "package")

	// The files are what the command makes.
	for _, level := range []hooks.Level{hooks.LevelProblem, hooks.LevelPackage} {
		s, err := hooks.NewStarter("", level, job.Report)
		w.ok(err)
		for name, want := range map[string]string{"hook.yaml": string(s.Manifest.YAML()), "hook.lua": string(s.Script)} {
			a := w.Get("/hooks/new/"+name+"?level="+string(level)+"&job="+job.ID, auth.RoleViewer)
			if a.Status != http.StatusOK || a.Body != want || a.Header.Get("Content-Type") != "text/plain; charset=utf-8" ||
				a.Header.Get("Content-Disposition") != `attachment; filename="`+name+`"` {
				t.Errorf("%s: %d %v\n%s", name, a.Status, a.Header, a.Body)
			}
		}
	}
	// From a run it is the report of its original.
	l := w.active("extra", 3)
	run := w.run(l, brought(), `{"Extra":"x"}`)
	w.has(w.Want("/hooks/new?job="+run.ID, auth.RoleViewer), "hookline hook init --job "+run.OriginalID)

	for name, path := range map[string]string{
		"no such job": "/hooks/new?job=x", "no such problem": "/hooks/new?problem=x", "no such job's file": "/hooks/new/hook.lua?job=x",
		"no level": "/hooks/new?level=nonsense&job=" + job.ID, "long": "/hooks/new?job=" + strings.Repeat("x", 300),
	} {
		if a := w.Get(path, auth.RoleViewer); a.Status < 400 || a.Status >= 500 {
			t.Errorf("%s: %d", name, a.Status)
		}
	}
}

// What a machine reports cannot break out of the page, the manifest or the script.
func TestHostileStarter(t *testing.T) {
	w := newWorld(t)
	job := w.report(hooks.FieldPackage, "a\nlevel: package\n#"+nasty, "KernelTaint", "taken", hooks.FieldExecutablePath, "/x/"+nasty)
	page := w.Want("/hooks/new?job="+job.ID, auth.RoleAuthor)
	w.lacks(page, "<script>alert", "<img src=x", "\u202e")
	w.has(page, "KernelTaint2")
	m, err := hooks.ParseManifest([]byte(w.Want("/hooks/new/hook.yaml?job="+job.ID, auth.RoleAuthor)))
	if err != nil || m.Level != hooks.LevelProblem || !hooks.ValidHookName(m.Hook) {
		t.Errorf("%+v %v", m, err)
	}
	// No package of that name can be signed for: it says so.
	if a := w.Get("/hooks/new?level=package&job="+job.ID, auth.RoleAuthor); a.Status < 400 || a.Status >= 500 {
		t.Errorf("%d\n%s", a.Status, a.Body)
	}
}

// A hook that is called "new" is not lost behind the page that makes one.
func TestAHookCalledNew(t *testing.T) {
	w := newWorld(t)
	l := w.submitted("new")
	w.has(w.Want("/hooks/new", auth.RoleViewer), "<h1>Hook new</h1>", "/versions/"+l.Version.Digest)
}
