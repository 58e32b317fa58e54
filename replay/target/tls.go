package target

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"
)

// tlsMode is the client's --ssl-mode.
type tlsMode uint8

// The modes, each stricter than the one before it.
const (
	tlsDisabled       tlsMode = iota + 1
	tlsPreferred              // where the server offers it, and never over a socket
	tlsRequired               // encrypted, to whomever
	tlsVerifyCA               // and the certificate is signed by the CA
	tlsVerifyIdentity         // and it names the host
)

func parseTLSMode(text string, hasCA bool) (tlsMode, error) {
	switch strings.ToUpper(text) {
	case "DISABLED":
		return tlsDisabled, nil
	case "PREFERRED":
		return tlsPreferred, nil
	case "REQUIRED":
		return tlsRequired, nil
	case "VERIFY_CA":
		return tlsVerifyCA, nil
	case "VERIFY_IDENTITY":
		return tlsVerifyIdentity, nil
	case "":
		if hasCA { // as the client decides
			return tlsVerifyCA, nil
		}
		return tlsPreferred, nil
	default:
		return 0, fmt.Errorf("read TLS mode %q: it is one of DISABLED, PREFERRED, REQUIRED, VERIFY_CA, VERIFY_IDENTITY", text)
	}
}

// useTLS tells whether a login begins with TLS.
func (l login) useTLS() bool {
	return l.mode > tlsPreferred || l.mode == tlsPreferred && l.socket == ""
}

func (l login) tlsConfig() (*tls.Config, error) {
	// Below VERIFY_CA the mode asks for no proof of who answers; above, VerifyConnection gives it.
	config := &tls.Config{InsecureSkipVerify: true, ServerName: l.host, MinVersion: tls.VersionTLS12}
	if l.cert != "" {
		pair, err := tls.LoadX509KeyPair(l.cert, l.key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	if l.mode < tlsVerifyCA {
		return config, nil
	}
	roots, err := l.roots()
	if err != nil {
		return nil, err
	}
	name := ""
	if l.mode == tlsVerifyIdentity {
		if name = l.host; name == "" {
			return nil, errors.New("verify the server's identity: over a socket there is no host name (use VERIFY_CA, or --host)")
		}
	}
	config.VerifyConnection = func(state tls.ConnectionState) error { return verify(state, roots, name) }
	return config, nil
}

// roots are the authorities of --ssl-ca, those of the system without one.
func (l login) roots() (*x509.CertPool, error) {
	if l.ca == "" {
		return nil, nil //nolint:nilnil // crypto/x509 takes nil for the system's
	}
	text, err := os.ReadFile(l.ca)
	if err != nil {
		return nil, fmt.Errorf("read certificate authority: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("read certificate authority %q: no certificate in it", l.ca)
	}
	return roots, nil
}

// verify checks the server's chain, and its name unless that is empty.
func verify(state tls.ConnectionState, roots *x509.CertPool, name string) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server showed no certificate")
	}
	options := x509.VerifyOptions{Roots: roots, DNSName: name, Intermediates: x509.NewCertPool()}
	for _, c := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(options)
	return err
}
