package hooks

// The fixed strings of the statement, an in-toto Statement v1.
const (
	StatementType  = "https://in-toto.io/Statement/v1"
	PredicateType  = "https://hookline.example/hook/v1"
	PayloadType    = "application/vnd.in-toto+json" // DSSE payload type
	ScriptName     = "hook.lua"                     // the one subject
	PredicateLevel = 1                              // predicate versions that this build knows: 1..PredicateLevel
)

// Level says whether a hook belongs to problems or to a package.
type Level string

// The levels.
const (
	LevelProblem Level = "problem"
	LevelPackage Level = "package"
)

// Identity is what a hook's broker runs as.
type Identity string

// The identities of the statement's "as".
const (
	AsService  Identity = "service"  // an unprivileged service user, the default
	AsReporter Identity = "reporter" // the user who owns the report
	AsRoot     Identity = "root"
)

// FieldType is the type of a result field.
type FieldType string

// The field types.
const (
	TypeText   FieldType = "text"   // UTF-8
	TypeInt    FieldType = "int"    // |n| ≤ 2^53-1
	TypeNumber FieldType = "number" // finite
	TypeBool   FieldType = "bool"
	TypeJSON   FieldType = "json" // array or object of the above, depth ≤ 8
)

// FieldClass says what kind of data a field is, for reviewers and owners.
type FieldClass string

// The field classes.
const (
	ClassTechnical FieldClass = "technical" // kernel and hardware facts, counters
	ClassConfig    FieldClass = "config"    // contents of configuration
	ClassLog       FieldClass = "log"       // excerpts of logs
	ClassNetwork   FieldClass = "network"   // addresses, resolver, host names
	ClassPersonal  FieldClass = "personal"  // may tell something about a person
)

// FieldClasses lists every class.
func FieldClasses() []FieldClass {
	return []FieldClass{ClassTechnical, ClassConfig, ClassLog, ClassNetwork, ClassPersonal}
}

// Statement is the one object that author and reviewers sign: an in-toto
// Statement v1 with exactly one subject, the script. Its canonical JSON has
// every key, in the order of the struct, printable ASCII only, integers below
// 2^53, no floats and no white space. ParseStatement accepts no other bytes.
type Statement struct {
	Type          string    `json:"_type"`
	Subject       []Subject `json:"subject"`
	PredicateType string    `json:"predicateType"`
	Predicate     Predicate `json:"predicate"`
}

// Subject is the signed script.
type Subject struct {
	Name   string        `json:"name"`
	Digest SubjectDigest `json:"digest"`
}

// SubjectDigest holds the hex SHA-256 of the script's bytes.
type SubjectDigest struct {
	SHA256 string `json:"sha256"`
}

// Predicate is every limit of a hook version. Times are Unix seconds.
type Predicate struct {
	Deployment     string          `json:"deployment"`
	Hook           string          `json:"hook"`
	Version        int64           `json:"version"` // 1, 2, …
	Author         string          `json:"author"`  // key id: hex SHA-256 of the SPKI DER
	Level          Level           `json:"level"`
	Match          Match           `json:"match"`
	Capabilities   Capabilities    `json:"capabilities"`
	As             Identity        `json:"as"`
	Fields         []DeclaredField `json:"fields"` // sorted by name
	NotBefore      int64           `json:"not_before"`
	NotAfter       int64           `json:"not_after"`
	MaxReports     int64           `json:"max_reports"`
	MaxRunsPerPeer int64           `json:"max_runs_per_peer"`
	MaxPercent     int64           `json:"max_percent"`      // 1..100
	MaxBytes       int64           `json:"max_bytes"`        // of all results together
	MaxResultBytes int64           `json:"max_result_bytes"` // of one result
	MaxRuntimeMS   int64           `json:"max_runtime_ms"`
}

// Match says which original jobs a hook belongs to. At level problem only
// Fingerprints is set, at level package only Package and the version range;
// the other members are empty in the canonical form, never absent.
type Match struct {
	Fingerprints []string `json:"fingerprints" yaml:"fingerprints"` // sorted, raw fingerprints
	Package      string   `json:"package" yaml:"package"`
	From         string   `json:"from" yaml:"from"`   // Debian version, inclusive; "" is no bound
	Below        string   `json:"below" yaml:"below"` // Debian version, exclusive; "" is no bound
}

// DeclaredField is one field that a hook may bring back.
type DeclaredField struct {
	Name     string     `json:"name"`
	Type     FieldType  `json:"type"`
	Class    FieldClass `json:"class"`
	MaxBytes int64      `json:"max_bytes"` // of its canonical JSON
	Raw      bool       `json:"raw"`       // text is not redacted on the peer
}
