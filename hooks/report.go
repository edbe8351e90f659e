package hooks

// Report is a problem report: field names to text, as the peer filed it.
// Names are 1 to 128 bytes of printable ASCII without spaces (dots and dollar
// signs included), values are UTF-8. Its canonical form is JSON with sorted
// keys, at most MaxReportBytes.
type Report map[string]string

// Field names that Hookline itself reads or writes. Where the apport crash
// format has a name for the same thing, it is used.
const (
	FieldDuplicateSignature = "DuplicateSignature" // the reporter's own bucketing key
	FieldExecutablePath     = "ExecutablePath"
	FieldPackage            = "Package"        // name only
	FieldPackageVersion     = "PackageVersion" // Debian version
	FieldSignal             = "Signal"         // decimal number
	FieldSignalName         = "SignalName"     // SIGABRT
	FieldExitCode           = "ExitCode"       // decimal, where no signal
	FieldCommandLine        = "ProcCmdline"
	FieldStderr             = "StderrTail"
	FieldFrames             = "StackFrames"    // one function name a line, top first
	FieldAddresses          = "StackAddresses" // one hexadecimal offset a line, top first
	FieldTraceback          = "Traceback"      // as the program printed it
	FieldLimits             = "ProcLimits"
	FieldCgroup             = "ProcCgroup"
	FieldRelease            = "DistroRelease" // "Debian 12"
	FieldKernel             = "KernelVersion"
	FieldArchitecture       = "Architecture"
	FieldUptime             = "UptimeSeconds"
	FieldMemory             = "MemInfo"
	FieldDate               = "Date" // RFC 3339, UTC
	FieldProblemType        = "ProblemType"
)

// Facts are a peer's own statements about itself, checked on the peer and
// shown by sys.facts().
type Facts struct {
	OS      string `json:"os"`      // "linux"
	Release string `json:"release"` // "Debian 12"
	Kernel  string `json:"kernel"`
	Arch    string `json:"arch"` // "amd64"
}
