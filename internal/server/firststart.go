package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"hookline/internal/auth"
	"hookline/internal/durable"
	"hookline/internal/errs"
)

const (
	adminTokenFile  = "admin.token"
	firstSignInFile = "first-sign-in.txt"

	loginPath          = "/login/"
	maxFirstSignInFile = 4 << 10
)

// openGate makes the first user where there is none.
func (s *Server) openGate(ctx context.Context) error {
	token, link := filepath.Join(s.cfg.Data, adminTokenFile), filepath.Join(s.cfg.Data, firstSignInFile)
	created, err := s.gate.Bootstrap(ctx, func(secret, code string) error {
		if err := s.keepToken(ctx, token); err != nil {
			return err
		}
		if err := durable.WriteFile(token, []byte(secret+"\n"), 0o600); err != nil {
			return err
		}
		if s.PagesURL() == "" {
			return nil // the link is nobody's
		}
		return durable.WriteFile(link, s.firstSignIn(code), 0o600)
	})
	if created {
		s.log.InfoContext(ctx, "made user admin; its token is in a file that only this user can read", "file", token)
	}
	if created && s.PagesURL() != "" {
		s.log.InfoContext(ctx, "a link that signs a browser in once is in a file that only this user can read", "file", link)
	}
	if err != nil {
		return err
	}
	s.tidyFirstSignIn(ctx)
	return nil
}

// firstSignIn is what stands in the file with the first link.
func (s *Server) firstSignIn(code string) []byte {
	until := s.cfg.Now().Add(auth.FirstLinkLife).UTC().Format("2006-01-02 15:04 UTC")
	return fmt.Appendf(nil, `%s%s%s?next=%%2Faccount

Open this link in a browser to sign in as admin, and set a password there. It works once, until %s.
Where the browser runs on another machine, put the server's name in the place of the address.
`, s.PagesURL(), loginPath, code, until)
}

// tidyFirstSignIn removes the file with the first link when the link lets
// nobody in any more. Where it cannot, the link is as dead.
func (s *Server) tidyFirstSignIn(ctx context.Context) {
	path := filepath.Join(s.cfg.Data, firstSignInFile)
	err := s.removeSpentLink(ctx, path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && ctx.Err() == nil {
		s.log.WarnContext(ctx, "cannot tidy up the file with the first sign-in link", "file", path, "error", err)
	}
}

func (s *Server) removeSpentLink(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFirstSignInFile {
		return errs.New(errs.CodeBadInput, "it is not the file that hooklined wrote").WithHint("remove it")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	_, rest, _ := strings.Cut(line, loginPath)
	code, _, _ := strings.Cut(rest, "?")
	user, err := s.gate.LinkUser(ctx, code)
	if err != nil || user != "" {
		return err
	}
	return os.Remove(path)
}

// keepToken moves an admin's token aside where the server was given another
// store with the same data folder: the first store knows its hash only.
func (s *Server) keepToken(ctx context.Context, path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	kept := path + "." + info.ModTime().UTC().Format("20060102T150405.000000000")
	if err := os.Rename(path, kept); err != nil {
		return err
	}
	s.log.WarnContext(ctx, "the data folder had an admin's token, of another store: it is kept", "file", kept)
	return nil
}
