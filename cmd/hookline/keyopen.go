package main

import (
	"fmt"
	"strings"

	"hookline/internal/errs"
	"hookline/signing/signer"

	"github.com/spf13/cobra"
)

const (
	agentPrefix = "agent:"
	keyUse      = "your private key: a FILE, or agent:KEY for one in the ssh-agent (its key id, 16 digits of that, fingerprint or comment)"
)

func inAgent(ref string) bool { return strings.HasPrefix(ref, agentPrefix) }

func (a *app) agent() signer.Agent { return signer.Agent{Socket: a.getenv("SSH_AUTH_SOCK")} }

// openSigner opens the key that --key names: a file, or "agent:KEY".
// passphraseFile is the flag's value, "" where it was not given.
func (a *app) openSigner(ref, passphraseFile string) (*signer.Signer, error) {
	keys, err := a.openSigners([]string{ref}, passphraseFile)
	if err != nil {
		return nil, err
	}
	return keys[0], nil
}

// openSigners opens several keys in order. Where a passphrase is asked for,
// one that opened an earlier key is tried first.
func (a *app) openSigners(refs []string, passphraseFile string) ([]*signer.Signer, error) {
	o := opener{app: a, passphraseFile: passphraseFile}
	keys := make([]*signer.Signer, len(refs))
	for i, ref := range refs {
		var err error
		if keys[i], err = o.open(ref); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

// opener opens keys and knows what was typed, as long as the command opens keys.
type opener struct {
	*app
	passphraseFile string
	typed          [][]byte
}

func (o *opener) open(ref string) (*signer.Signer, error) {
	if which, ok := strings.CutPrefix(ref, agentPrefix); ok {
		return signer.FromAgent(o.agent(), which)
	}
	private, err := readFile(ref, maxKeyFile)
	if err != nil {
		return nil, err
	}
	passphrase, given, err := o.givenPassphrase(o.passphraseFile)
	if err != nil {
		return nil, err
	}
	if given {
		return hinted(ref, private, passphrase)
	}
	for _, earlier := range o.typed {
		if s, err := signer.Load(private, earlier); err == nil {
			return s, nil
		}
	}
	if passphrase, err = o.ask("passphrase of " + ref + ": "); err != nil {
		return nil, err
	}
	o.typed = append(o.typed, passphrase)
	return hinted(ref, private, passphrase)
}

// hinted is signer.Load that tells what a key is, where it says no more.
func hinted(path string, private, passphrase []byte) (*signer.Signer, error) {
	s, err := signer.Load(private, passphrase)
	if e, ok := errs.As(err); ok && e.Hint == "" {
		return nil, e.WithHint("is %s a key of `hookline key generate` or cosign, and the passphrase (--passphrase-file, HOOKLINE_PASSPHRASE or typed) its own?", path)
	}
	return s, err
}

// agentKey is a key in the ssh-agent for people and scripts.
type agentKey struct {
	KeyID       string `json:"key_id,omitempty"`
	Kind        string `json:"kind"`
	Comment     string `json:"comment"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"public_key,omitempty"`
	Refused     string `json:"refused,omitempty"`
}

func newKeyListAgentCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list-agent",
		Short: "List the keys in the ssh-agent, and which of them can sign hooks",
		Long: `Asks the agent of SSH_AUTH_SOCK. A key of it is named as agent:KEY wherever a command
takes --key; for a policy, put its public key into a file:
hookline key show agent:KEY --public > me.pub`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			held, err := a.agent().Keys()
			if err != nil {
				return err
			}
			keys := make([]agentKey, len(held))
			for i, k := range held {
				keys[i] = agentKey{Kind: k.Kind, Comment: k.Comment, Fingerprint: k.Fingerprint, Refused: k.Refused}
				if k.Refused == "" {
					keys[i].KeyID, keys[i].PublicKey = string(k.Public.ID), string(k.Public.PEM())
				}
			}
			return a.show(keys, func() { a.agentKeys(keys) })
		},
	}
}

func (a *app) agentKeys(keys []agentKey) {
	rows := [][]string{{"KEY", "KIND", "COMMENT", "FINGERPRINT"}}
	for _, k := range keys {
		if k.Refused == "" {
			rows = append(rows, []string{agentPrefix + short(k.KeyID), k.Kind, clip(k.Comment, 60), k.Fingerprint})
		}
	}
	if len(rows) > 1 {
		a.table(rows)
	}
	for _, k := range keys {
		if k.Refused != "" {
			fmt.Fprintf(a.err, "not usable: %s %s: %s\n", safe(clip(k.Comment, 60)), safe(k.Fingerprint), safe(k.Refused))
		}
	}
}
