package guard

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"hookline/hooks"
	"hookline/internal/errs"
	"hookline/internal/strict"
	"hookline/sandbox"
	"hookline/signing"
)

// What the owner answers when a hook wants to run.
const (
	HooksNo  = "no"
	HooksAsk = "ask"
	HooksYes = "yes"
)

const maxConfigBytes = 64 << 10

// Config is the owner's own configuration. The zero value allows nothing.
type Config struct {
	SendReports bool     `yaml:"send_reports"`
	AllowHooks  string   `yaml:"allow_hooks"`
	Ceilings    Ceilings `yaml:"ceilings"`
	Sandbox     Layers   `yaml:"sandbox"`
}

// Layers says which layers of the confinement a machine may lack and still run
// hooks. The zero value accepts none.
type Layers struct {
	AllowWithout []string `yaml:"allow_without"` // sandbox.LayerLandlock, sandbox.LayerNamespaces
}

// Ceilings are the owner's limits below what people signed. A zero member is
// no ceiling, except Root and Syslog: nothing runs as root, nor sees the
// kernel's log, which speaks of all users, unless the owner says so.
type Ceilings struct {
	Classes    []string      `yaml:"classes"`     // field classes that may leave; empty allows all
	MaxRuntime time.Duration `yaml:"max_runtime"` // of one run
	Raw        *bool         `yaml:"raw"`         // false keeps unredacted text in
	Root       bool          `yaml:"root"`        // true lets hooks signed as root run
	Commands   *bool         `yaml:"commands"`    // false lets no hook run that starts programs
	Syslog     bool          `yaml:"syslog"`      // true lets signed programs read the kernel's log
	// These only tighten what the policy says.
	Reviewers   int           `yaml:"reviewers"`    // that a hook needs here, where the policy needs fewer
	Forbidden   []string      `yaml:"forbidden"`    // capabilities that no hook may use here, by the policy's names
	MaxLifetime time.Duration `yaml:"max_lifetime"` // of a hook, from its not_before to its not_after
}

// ParseConfig reads the owner's configuration strictly.
func ParseConfig(b []byte) (Config, error) {
	c := Config{AllowHooks: HooksNo}
	if onlyComments(b) {
		return c, nil
	}
	if err := strict.Decode(configFile, b, maxConfigBytes, &c); err != nil {
		return Config{}, err
	}
	return c, c.validate()
}

// onlyComments reports whether a file sets nothing.
func onlyComments(b []byte) bool {
	for line := range strings.Lines(string(b)) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") {
			return false
		}
	}
	return true
}

func (c Config) validate() error {
	if !slices.Contains([]string{HooksNo, HooksAsk, HooksYes}, c.AllowHooks) {
		return errs.New(errs.CodeBadInput, "allow_hooks is %.40q, it must be no, ask or yes", c.AllowHooks).At("allow_hooks")
	}
	for _, class := range c.Ceilings.Classes {
		if !slices.Contains(hooks.FieldClasses(), hooks.FieldClass(class)) {
			return errs.New(errs.CodeBadInput, "unknown field class %.40q", class).At("ceilings.classes").
				WithHint("the classes are technical, config, log, network, personal")
		}
	}
	for i, layer := range c.Sandbox.AllowWithout {
		if layer != sandbox.LayerLandlock && layer != sandbox.LayerNamespaces {
			return errs.New(errs.CodeBadInput, "no hook runs without %.40q", layer).At("sandbox.allow_without").
				WithHint("only %s and %s may be missing", sandbox.LayerLandlock, sandbox.LayerNamespaces)
		}
		if slices.Contains(c.Sandbox.AllowWithout[:i], layer) {
			return errs.New(errs.CodeBadInput, "%s is named twice", layer).At("sandbox.allow_without")
		}
	}
	return c.Ceilings.validate()
}

func (c Ceilings) validate() error {
	switch {
	case c.MaxRuntime < 0:
		return errs.New(errs.CodeBadInput, "max_runtime is negative").At("ceilings.max_runtime")
	case c.MaxLifetime < 0:
		return errs.New(errs.CodeBadInput, "max_lifetime is negative").At("ceilings.max_lifetime")
	case c.Reviewers < 0 || c.Reviewers >= signing.MaxSignatureFiles:
		return errs.New(errs.CodeBadInput, "reviewers is %d, it must be 0 to %d", c.Reviewers, signing.MaxSignatureFiles-1).At("ceilings.reviewers")
	}
	for i, name := range c.Forbidden {
		field, raw := strings.CutPrefix(name, signing.CapRaw+".")
		if !slices.Contains(signing.CapabilityNames(), name) && (!raw || !hooks.ValidFieldName(field)) {
			return errs.New(errs.CodeBadInput, "%.80q is no capability", name).At("ceilings.forbidden").
				WithHint("the capabilities are %s", strings.Join(signing.CapabilityNames(), ", "))
		}
		if slices.Contains(c.Forbidden[:i], name) {
			return errs.New(errs.CodeBadInput, "%s is named twice", name).At("ceilings.forbidden")
		}
	}
	return nil
}

// YAML is the configuration as the guard writes it.
func (c Config) YAML() []byte {
	var b strings.Builder
	b.WriteString("# What this machine takes part in. Change it with `hookline-peer allow`, or here\n" +
		"# and restart hookline-peer.\n")
	b.WriteString("send_reports: " + yesNo(c.SendReports) + "\n")
	b.WriteString("allow_hooks: " + c.AllowHooks + " # no, ask or yes\n")
	b.WriteString("# The owner's own limits, below what people signed.\nceilings:\n")
	b.WriteString("  root: " + yesNo(c.Ceilings.Root) + " # whether a hook that was signed to run as root may\n")
	b.WriteString("  syslog: " + yesNo(c.Ceilings.Syslog) + " # whether a signed program may read the kernel's log, which speaks of all users\n")
	if c.Ceilings.Commands != nil {
		b.WriteString("  commands: " + yesNo(*c.Ceilings.Commands) + " # whether a hook that starts signed programs may run\n")
	}
	if len(c.Ceilings.Classes) > 0 {
		b.WriteString("  classes: [" + strings.Join(c.Ceilings.Classes, ", ") + "]\n")
	}
	if c.Ceilings.MaxRuntime > 0 {
		b.WriteString("  max_runtime: " + strict.FormatDuration(c.Ceilings.MaxRuntime) + "\n")
	}
	if c.Ceilings.Raw != nil {
		b.WriteString("  raw: " + yesNo(*c.Ceilings.Raw) + "\n")
	}
	if c.Ceilings.Reviewers > 0 {
		b.WriteString("  reviewers: " + strconv.Itoa(c.Ceilings.Reviewers) + " # that a hook needs, where the policy needs fewer\n")
	}
	if len(c.Ceilings.Forbidden) > 0 {
		b.WriteString("  forbidden: [" + strings.Join(c.Ceilings.Forbidden, ", ") + "]\n")
	}
	if c.Ceilings.MaxLifetime > 0 {
		b.WriteString("  max_lifetime: " + strict.FormatDuration(c.Ceilings.MaxLifetime) + "\n")
	}
	if len(c.Sandbox.AllowWithout) > 0 {
		b.WriteString("# Layers of the confinement that this machine may lack and still run hooks; see\n" +
			"# hookline-peer doctor. Without landlock no program is started.\nsandbox:\n")
		b.WriteString("  allow_without: [" + strings.Join(c.Sandbox.AllowWithout, ", ") + "]\n")
	}
	return []byte(b.String())
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

func loadConfig(dir string) (Config, error) {
	b, err := readCapped(filepath.Join(dir, configFile), maxConfigBytes)
	if os.IsNotExist(err) {
		return Config{AllowHooks: HooksNo}, nil
	}
	if err != nil {
		return Config{}, err
	}
	c, err := ParseConfig(b)
	if err != nil {
		return Config{}, errs.Wrap(errs.CodeOf(err), err, "cannot use %s", filepath.Join(dir, configFile)).
			WithHint("mend it; hookline-peer doctor checks it")
	}
	return c, nil
}

// looser names what the policy lets happen and the owner does not.
func (c Ceilings) looser(p hooks.Predicate, reviewers int) string {
	if reviewers < c.Reviewers {
		return fmt.Sprintf("%d reviewers, only %d or more", reviewers, c.Reviewers)
	}
	if lives := time.Duration(p.NotAfter-p.NotBefore) * time.Second; c.MaxLifetime > 0 && lives > c.MaxLifetime {
		return "a life of " + strict.FormatDuration(lives) + ", only " + strict.FormatDuration(c.MaxLifetime)
	}
	for _, name := range signing.CapabilitiesOf(p) {
		if slices.Contains(c.Forbidden, name) {
			return "the capability " + name
		}
	}
	return ""
}

// over names what of a predicate, which so many people reviewed, is over the
// ceilings, "" where nothing is.
func (c Ceilings) over(p hooks.Predicate, reviewers int) string {
	if what := c.looser(p, reviewers); what != "" {
		return what
	}
	if c.MaxRuntime > 0 && time.Duration(p.MaxRuntimeMS)*time.Millisecond > c.MaxRuntime {
		return "a runtime of " + (time.Duration(p.MaxRuntimeMS) * time.Millisecond).String()
	}
	if p.As == hooks.AsRoot && !c.Root {
		return "to run as root"
	}
	for _, command := range p.Capabilities.CmdRun {
		if c.Commands != nil && !*c.Commands {
			return "to start " + command.Program
		}
		if command.Syslog && !c.Syslog {
			return command.Program + " to read the kernel's log"
		}
	}
	for _, f := range p.Fields {
		if len(c.Classes) > 0 && !slices.Contains(c.Classes, string(f.Class)) {
			return "field " + f.Name + " of class " + string(f.Class)
		}
		if f.Raw && c.Raw != nil && !*c.Raw {
			return "unredacted field " + f.Name
		}
	}
	return ""
}
