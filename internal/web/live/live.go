// Package live tells open pages what changed. Whoever changes something
// publishes its topic; a page follows a few topics over one event stream and
// fetches its parts anew.
package live

// Topics that pages follow.
const (
	Overview = "overview"
	Reviews  = "reviews"
	Peers    = "peers"
)

// Problem is the topic of a problem with its reports.
func Problem(id string) string { return "problem/" + id }

// Job is the topic of a job, and of what hooks brought for it.
func Job(id string) string { return "job/" + id }

// Version is the topic of a hook version with its activation and comments.
func Version(digest string) string { return "version/" + digest }

// Peer is the topic of a machine.
func Peer(id string) string { return "peer/" + id }

// Hook is the topic of a hook's list of versions.
func Hook(name string) string { return "hook/" + name }
