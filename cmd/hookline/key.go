package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"

	"hookline/internal/errs"
	"hookline/signing"
	"hookline/signing/signer"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

const (
	maxKeyFile        = 16 << 10
	maxPassphrase     = 1024
	privateKeySuffix  = ".key"
	publicKeySuffix   = ".pub"
	passphraseFileUse = "file that holds the passphrase (or HOOKLINE_PASSPHRASE, COSIGN_PASSWORD)"
)

func newKeyCommand(a *app) *cobra.Command {
	return group("key", "Make and show signing keys", newKeyGenerateCommand(a), newKeyShowCommand(a), newKeyListAgentCommand(a))
}

// shownKey is a public key for people and scripts.
type shownKey struct {
	KeyID     string `json:"key_id"`
	Algorithm string `json:"algorithm"`
	PublicKey string `json:"public_key"`
	Private   string `json:"private_key_file,omitempty"`
	Public    string `json:"public_key_file,omitempty"`
}

func newKeyGenerateCommand(a *app) *cobra.Command {
	var passphraseFile string
	c := &cobra.Command{
		Use:   "generate NAME",
		Short: "Make a P-256 key pair: NAME.key (encrypted, for you alone) and NAME.pub",
		Example: `  hookline key generate alice
  HOOKLINE_PASSPHRASE=... hookline key generate keys/alice`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			return a.generateKey(strings.TrimSuffix(args[0], privateKeySuffix), passphraseFile)
		},
	}
	c.Flags().StringVar(&passphraseFile, "passphrase-file", "", passphraseFileUse)
	return c
}

func (a *app) generateKey(prefix, passphraseFile string) error {
	for _, path := range []string{prefix + privateKeySuffix, prefix + publicKeySuffix} {
		if _, err := os.Lstat(path); err == nil {
			return fileError(os.ErrExist, "cannot write "+path)
		}
	}
	passphrase, err := a.newPassphrase(passphraseFile)
	if err != nil {
		return err
	}
	private, public, err := signer.Generate(passphrase)
	if err != nil {
		return err
	}
	pub, err := signing.ParsePublicKey(public)
	if err != nil {
		return err
	}
	if err := writeNew(prefix+privateKeySuffix, private, 0o600); err != nil {
		return err
	}
	if err := writeNew(prefix+publicKeySuffix, public, 0o644); err != nil {
		_ = os.Remove(prefix + privateKeySuffix)
		return err
	}
	k := showKey(pub)
	k.Private, k.Public = prefix+privateKeySuffix, prefix+publicKeySuffix
	return a.show(k, func() {
		a.pairs([2]string{"private key", k.Private}, [2]string{"public key", k.Public}, [2]string{"key id", k.KeyID})
	})
}

func showKey(pub signing.PublicKey) shownKey {
	return shownKey{KeyID: string(pub.ID), Algorithm: pub.Algorithm(), PublicKey: string(pub.PEM())}
}

func newKeyShowCommand(a *app) *cobra.Command {
	var passphraseFile string
	var publicOnly bool
	c := &cobra.Command{
		Use:   "show FILE|agent:KEY",
		Short: "Show the key id and the public key of a file or of a key in the ssh-agent",
		Example: `  hookline key show alice.key
  hookline key show agent:alice@laptop --public > alice.pub`,
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			pub, err := a.readPublic(args[0], passphraseFile)
			if err != nil {
				return err
			}
			k := showKey(pub)
			return a.show(k, func() {
				if !publicOnly {
					a.pairs([2]string{"key id", k.KeyID}, [2]string{"algorithm", k.Algorithm}, [2]string{"signature file", signing.FileName(pub.ID)})
				}
				fmt.Fprint(a.out, k.PublicKey)
			})
		},
	}
	c.Flags().StringVar(&passphraseFile, "passphrase-file", "", passphraseFileUse)
	c.Flags().BoolVar(&publicOnly, "public", false, "print the public key alone, as a .pub file holds it")
	return c
}

func (a *app) readPublic(ref, passphraseFile string) (signing.PublicKey, error) {
	if !inAgent(ref) {
		b, err := readFile(ref, maxKeyFile)
		if err != nil {
			return signing.PublicKey{}, err
		}
		if !bytes.Contains(b, []byte("PRIVATE KEY-----")) {
			return signing.ParsePublicKey(b)
		}
	}
	s, err := a.openSigner(ref, passphraseFile)
	if err != nil {
		return signing.PublicKey{}, err
	}
	return s.Public(), nil
}

// givenPassphrase looks at the flag's file, then at the environment; a
// variable that is set but empty is an empty passphrase.
func (a *app) givenPassphrase(file string) (passphrase []byte, given bool, err error) {
	if file != "" {
		b, err := readFile(file, maxPassphrase)
		if err != nil {
			return nil, false, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")), true, nil
	}
	for _, name := range []string{"HOOKLINE_PASSPHRASE", "COSIGN_PASSWORD"} {
		if v, ok := a.env(name); ok {
			return []byte(v), true, nil
		}
	}
	return nil, false, nil
}

func (a *app) newPassphrase(file string) ([]byte, error) {
	passphrase, given, err := a.givenPassphrase(file)
	if err != nil || given {
		return passphrase, err
	}
	first, err := a.ask("new passphrase: ")
	if err != nil {
		return nil, err
	}
	if err := signer.CheckPassphrase(first); err != nil {
		return nil, err // before it is typed once more
	}
	second, err := a.ask("once more: ")
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(first, second) {
		return nil, errs.New(errs.CodeBadInput, "cannot make a key: the two passphrases differ")
	}
	return first, nil
}

// ask reads a secret from the terminal without echo.
func (a *app) ask(question string) ([]byte, error) {
	tty, ok := a.terminal()
	if !ok {
		return nil, errs.New(errs.CodeBadInput, "cannot ask for the passphrase: standard input is not a terminal").
			WithHint("use --passphrase-file, or set HOOKLINE_PASSPHRASE")
	}
	fmt.Fprint(a.err, safe(question))
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(a.err)
	if err != nil {
		return nil, errs.Wrap(errs.CodeBadInput, err, "cannot read the passphrase")
	}
	return b, nil
}

// terminal is standard input where it is a terminal.
func (a *app) terminal() (*os.File, bool) {
	f, ok := a.in.(*os.File)
	return f, ok && term.IsTerminal(int(f.Fd()))
}

// confirm asks a question that only a full "yes" answers.
func (a *app) confirm(question string) error {
	if _, ok := a.terminal(); !ok {
		return usagef("it needs your yes, and standard input is not a terminal; use --yes")
	}
	fmt.Fprintf(a.err, "%s [yes/no] ", safe(question))
	var answer string
	if _, err := fmt.Fscanln(a.in, &answer); err != nil || answer != "yes" {
		return errs.New(errs.CodeBadInput, "nothing was signed: the answer was not yes")
	}
	return nil
}
