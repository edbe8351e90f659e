package hooktest_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"hookline/internal/enroll"
	"hookline/internal/errs"
	"hookline/internal/guard"
	"hookline/internal/jobpb"
	"hookline/internal/onebox"
	"hookline/signing/trust"
)

// enrolTry is a machine that enrols while the thief answers. The command must
// end with this code, and leave the machine as it was.
type enrolTry struct {
	does  string
	code  errs.Code
	line  func(l *enroll.Line)                                                     // nil: the real one
	reply func(t *testing.T, h *heist, real *jobpb.EnrollReply) *jobpb.EnrollReply // nil: the real one
}

func enrolTries() []enrolTry {
	metadata := func(does string, code errs.Code, bundle func(t *testing.T, h *heist, b trust.Bundle) []byte) enrolTry {
		return enrolTry{does: does, code: code, reply: func(t *testing.T, h *heist, real *jobpb.EnrollReply) *jobpb.EnrollReply {
			real.Trust = bundle(t, h, h.loot.trusted.Bundle())
			return real
		}}
	}
	const other = "00112233445566778899aabbccddeeff"
	return []enrolTry{
		metadata("metadata of its own for a new machine", errs.CodeTrustRoot, func(t *testing.T, h *heist, b trust.Bundle) []byte {
			return encoded(t, ownMetadata(t, h.mallory, b))
		}),
		metadata("a policy of its own for a new machine", errs.CodeTrustMixed, func(t *testing.T, _ *heist, b trust.Bundle) []byte {
			b.Policy = bytes.Replace(b.Policy, []byte("reviewers: 2"), []byte("reviewers: 1"), 1)
			return encoded(t, b)
		}),
		metadata("garbage for a new machine", errs.CodeTrustInvalid, func(*testing.T, *heist, trust.Bundle) []byte { return []byte("{}") }),
		metadata("nothing for a new machine", errs.CodeTrustInvalid, func(*testing.T, *heist, trust.Bundle) []byte { return nil }),
		{
			does: "a certificate for another key", code: errs.CodeServerIdentity,
			reply: func(t *testing.T, h *heist, real *jobpb.EnrollReply) *jobpb.EnrollReply {
				csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, h.loot.key)
				must(t, err)
				real.Certificate = h.certificate(t, csr)
				return real
			},
		},
		{
			does: "to be the server of another deployment's enroll line", code: errs.CodeServerIdentity,
			line: func(l *enroll.Line) {
				l.Deployment, l.RootDigest, l.CADigest = "d-"+other, other+other, other+other
			},
		},
		{
			does: "the same, where the line has this server's CA", code: errs.CodeServerIdentity,
			line: func(l *enroll.Line) { l.Deployment, l.RootDigest = "d-"+other, other+other },
		},
		{
			does: "its metadata for a line with another root", code: errs.CodeTrustRoot,
			line: func(l *enroll.Line) { l.RootDigest = other + other },
		},
	}
}

// secondTries are the same for a machine that is enrolled already.
func secondTries() []enrolTry {
	return []enrolTry{
		{
			does: "another deployment for an enrolled machine, by its line", code: errs.CodeTrustRoot,
			line: func(l *enroll.Line) { l.Deployment = "d-00112233445566778899aabbccddeeff" },
		},
		{
			does: "another root for an enrolled machine, by its line", code: errs.CodeTrustRoot,
			line: func(l *enroll.Line) { l.RootDigest = strings.Repeat("ab", 32) },
		},
		{
			does: "another root for an enrolled machine, by the server alone", code: errs.CodeTrustRoot,
			reply: func(t *testing.T, h *heist, real *jobpb.EnrollReply) *jobpb.EnrollReply {
				real.Trust = encoded(t, ownMetadata(t, h.mallory, h.loot.trusted.Bundle()))
				return real
			},
		},
		{
			does: "older metadata for an enrolled machine that enrols again", code: errs.CodeTrustRollback,
			reply: func(_ *testing.T, h *heist, real *jobpb.EnrollReply) *jobpb.EnrollReply {
				real.Trust = h.loot.trust
				return real
			},
		},
	}
}

// realLine is the enroll line of the deployment.
func (h *heist) realLine(t *testing.T) enroll.Line {
	t.Helper()
	setup, err := os.ReadFile(h.d.Path("offline", "setup.key"))
	must(t, err)
	roots := h.loot.trusted.Bundle().Roots
	return enroll.Line{
		Address: h.d.GRPC, Deployment: h.loot.predicate(t).Deployment, RootDigest: trust.Digest(roots[len(roots)-1]),
		CADigest: h.loot.ca.Digest(), SetupKey: strings.TrimSpace(string(setup)),
	}
}

// certificate is a client's, as the real server makes it.
func (h *heist) certificate(t *testing.T, csr []byte) []byte {
	t.Helper()
	r, err := x509.ParseCertificateRequest(csr)
	must(t, err)
	spki, err := x509.MarshalPKIXPublicKey(r.PublicKey)
	must(t, err)
	id, _ := enroll.PeerIDOf(spki)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: id},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(90 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, h.loot.ca.Certificate(), r.PublicKey, h.loot.key)
	must(t, err)
	return der
}

// readKey reads the stolen key of the CA.
func (l *loot) readKey(t *testing.T, path string) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	block, _ := pem.Decode(b)
	l.key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	must(t, err)
}

// A machine that enrols while the thief answers believes the line and nothing
// else; one that is enrolled keeps what it has.
func stolenEnrolment(t *testing.T, h *heist) {
	newest := freshened(t, h.loot.trusted.Bundle(), lifeOfFresh, h.bob)
	play := func(t *testing.T, p *onebox.Peer, try enrolTry, bundle []byte) onebox.Answer {
		t.Helper()
		line := h.realLine(t)
		if try.line != nil {
			try.line(&line)
		}
		h.thief.answerEnroll(func(r *jobpb.EnrollRequest) (*jobpb.EnrollReply, error) {
			reply := &jobpb.EnrollReply{PeerId: "stolen", Certificate: h.certificate(t, r.GetCsr()), Trust: bundle}
			if try.reply != nil {
				reply = try.reply(t, h, reply)
			}
			return reply, nil
		})
		a, err := p.Try(t.Context(), "enroll", line.String())
		must(t, err)
		return a
	}
	newcomer := h.d.Peer("newcomer")
	folder := h.d.Path("newcomer", "guard")
	for _, try := range enrolTries() {
		t.Run(try.does, func(t *testing.T) {
			if a := play(t, newcomer, try, h.loot.trust); a.Code == 0 || !strings.Contains(a.Stderr, string(try.code)) {
				t.Errorf("enroll ended with %d, want %s:\n%s", a.Code, try.code, a.Stderr)
			}
			if guard.Enrolled(folder) {
				t.Error("the machine is enrolled")
			}
		})
	}
	// What is real the thief can pass on: such a machine believes people alone.
	if a := play(t, newcomer, enrolTry{}, encoded(t, newest)); a.Code != 0 || !guard.Enrolled(folder) {
		t.Fatalf("with everything in order enroll ended with %d:\n%s", a.Code, a.Stderr)
	}
	m := &target{Peer: newcomer}
	kept := m.kept(t)
	pin, err := os.ReadFile(h.d.Path("newcomer", "guard", "pin.json"))
	must(t, err)
	for _, try := range secondTries() {
		t.Run(try.does, func(t *testing.T) {
			if a := play(t, newcomer, try, encoded(t, newest)); a.Code == 0 || !strings.Contains(a.Stderr, string(try.code)) {
				t.Errorf("enroll ended with %d, want %s:\n%s", a.Code, try.code, a.Stderr)
			}
			now, err := os.ReadFile(h.d.Path("newcomer", "guard", "pin.json"))
			must(t, err)
			if !bytes.Equal(now, pin) || !bytes.Equal(m.kept(t), kept) {
				t.Error("pin or metadata of the machine changed")
			}
		})
	}
}
