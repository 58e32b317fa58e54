package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
)

// hostCheck checks the key of one host during one connection.
type hostCheck struct {
	c      *Client
	s      *settings
	known  *knownSet
	lookup string // the address under which keys are known, or would be added: host:port
	keys   []knownhosts.PublicKey
}

// newHostCheck looks up what is known of the host. The address is asked for first, then its bare name where
// the port is not 22 (a match there is good, a mismatch says nothing: ssh's rule), then the inventory's name.
func (c *Client) newHostCheck(s *settings) (*hostCheck, error) {
	known, err := c.hostKeys.load(c.log, slices.Concat(s.userKnownHosts, s.globalKnownHosts))
	if err != nil {
		return nil, err
	}
	h := &hostCheck{c: c, s: s, known: known, lookup: s.lookupAddr()}
	for _, addr := range s.lookupAddrs() {
		keys := known.keys(addr)
		for _, k := range c.hostKeys.accepted(addr) {
			keys = append(keys, knownhosts.PublicKey{PublicKey: k})
		}
		if len(keys) > 0 {
			h.keys, h.lookup = keys, addr
			break
		}
	}
	return h, nil
}

// lookupAddr is the address of s in known_hosts. An alias stands without a port.
func (s *settings) lookupAddr() string {
	if s.alias != "" {
		return net.JoinHostPort(strings.ToLower(s.alias), "22")
	}
	return net.JoinHostPort(s.hostname, strconv.Itoa(s.port))
}

func (s *settings) lookupAddrs() []string {
	addrs := []string{s.lookupAddr()}
	if s.alias != "" {
		return addrs
	}
	if s.port != 22 {
		addrs = append(addrs, net.JoinHostPort(s.hostname, "22"))
	}
	if name := strings.ToLower(s.name); name != s.hostname {
		addrs = append(addrs, net.JoinHostPort(name, strconv.Itoa(s.port)))
	}
	return addrs
}

// algorithms orders what the configuration allows so that the server shows a key that is known: types of known
// keys first, certificates only where an authority is known for the host.
func (h *hostCheck) algorithms() ([]string, error) {
	allowed := h.s.hostKeyAlgos
	supported := ssh.SupportedAlgorithms().HostKeys
	if len(allowed) == 0 {
		allowed = []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
			ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01, ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256,
			ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	knownTypes := map[string]bool{}
	authority := false
	for _, k := range h.keys {
		if k.Cert {
			authority = true
		} else {
			knownTypes[k.Type()] = true
		}
	}
	var certs, known, others []string
	for _, algo := range allowed {
		switch {
		case !slices.Contains(supported, algo) && algo != ssh.KeyAlgoRSA:
		case strings.Contains(algo, "-cert-"):
			if authority {
				certs = append(certs, algo)
			}
		case knownTypes[algo], knownTypes[ssh.KeyAlgoRSA] && strings.HasPrefix(algo, "rsa-sha2-"):
			known = append(known, algo)
		default:
			others = append(others, algo)
		}
	}
	algos := slices.Concat(certs, known, others)
	if len(algos) == 0 { // x/crypto would take its own defaults
		return nil, errors.New("none of the configured HostKeyAlgorithms works in process")
	}
	return algos, nil
}

// hostKeyError is a host key that was not accepted.
type hostKeyError struct {
	err    error
	remedy string
}

func (e *hostKeyError) Error() string { return e.err.Error() }

// check decides over the key that the server has shown, and proved to hold.
func (h *hostCheck) check(ctx context.Context, remote net.Addr, key ssh.PublicKey) error {
	plain := key
	if cert, ok := key.(*ssh.Certificate); ok {
		if err := h.notRevoked(cert.SignatureKey); err != nil {
			return err
		}
		plain = cert.Key
		if h.authority(cert.SignatureKey) {
			if err := h.notRevoked(plain); err != nil {
				return err
			}
			return h.checkCert(cert)
		}
	}
	if err := h.notRevoked(plain); err != nil {
		return err
	}
	anyPlain := false
	for _, k := range h.keys {
		if k.Cert {
			continue
		}
		if bytes.Equal(k.Marshal(), plain.Marshal()) {
			return nil
		}
		anyPlain = true
	}
	bareName := h.s.port != 22 && h.lookup == net.JoinHostPort(h.s.hostname, "22") && h.s.alias == ""
	if anyPlain && !bareName {
		return h.changed(plain)
	}
	return h.unknown(ctx, remote, plain)
}

func (h *hostCheck) notRevoked(key ssh.PublicKey) error {
	if where, ok := h.known.revoked[string(key.Marshal())]; ok {
		return &hostKeyError{err: fmt.Errorf("key %s is revoked (%s)", describeKey(key), where)}
	}
	return nil
}

func (h *hostCheck) authority(ca ssh.PublicKey) bool {
	return slices.ContainsFunc(h.keys, func(k knownhosts.PublicKey) bool {
		return k.Cert && bytes.Equal(k.Marshal(), ca.Marshal())
	})
}

// checkCert checks a certificate of a known authority: kind, time, signature, and that it is for this host. A
// principal may be a pattern, as for ssh since 6.4 (x/crypto takes plain names alone).
func (h *hostCheck) checkCert(cert *ssh.Certificate) error {
	host, _, err := net.SplitHostPort(h.lookup)
	if err != nil {
		return err
	}
	if cert.CertType != ssh.HostCert {
		return &hostKeyError{err: errors.New("certificate is not a host certificate")}
	}
	principal := host
	for _, p := range cert.ValidPrincipals {
		if wildcard(p, host) {
			principal = p
		}
	}
	if err := new(ssh.CertChecker).CheckCert(principal, cert); err != nil {
		return &hostKeyError{err: fmt.Errorf("host certificate %q: %s", cert.KeyId, strings.TrimPrefix(err.Error(), "ssh: "))}
	}
	return nil
}

// changed refuses, whatever StrictHostKeyChecking says.
func (h *hostCheck) changed(key ssh.PublicKey) error {
	file, line := h.known.entry(h.lookup, h.keys, key)
	if file == "" {
		return &hostKeyError{err: fmt.Errorf("host key has changed: it is now %s, another was accepted a moment ago", describeKey(key))}
	}
	return &hostKeyError{
		err: fmt.Errorf("host key has changed: it is now %s, but %s:%d holds another", describeKey(key), file, line),
		remedy: fmt.Sprintf("if the host was reinstalled, compare the fingerprint, then: ssh-keygen -R '%s' -f %s",
			knownhosts.Normalize(h.lookup), shellWord(file)),
	}
}

// shellWord quotes a path that a shell would take apart.
func shellWord(path string) string {
	if !strings.ContainsAny(path, " \t'\"$`\\*?;&|<>()") {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// unknown asks, adds or refuses, as StrictHostKeyChecking says and a terminal allows.
func (h *hostCheck) unknown(ctx context.Context, remote net.Addr, key ssh.PublicKey) error {
	h.lookup = h.s.lookupAddr()
	switch h.s.unknownKey {
	case addUnknown:
		return h.add(key)
	case refuseUnknown:
		return h.refuse(key)
	}
	if h.c.prompt.term == nil || h.s.batch {
		return h.refuse(key)
	}
	return h.c.prompt.do(ctx, func(t Terminal) error {
		if slices.ContainsFunc(h.c.hostKeys.accepted(h.lookup), func(k ssh.PublicKey) bool {
			return bytes.Equal(k.Marshal(), key.Marshal())
		}) {
			return nil // answered while this one waited
		}
		return h.ask(ctx, t, remote, key)
	})
}

func (h *hostCheck) ask(ctx context.Context, t Terminal, remote net.Addr, key ssh.PublicKey) error {
	ip, _, _ := net.SplitHostPort(remote.String())
	fingerprint := ssh.FingerprintSHA256(key)
	prompt := fmt.Sprintf("The authenticity of host '%s (%s)' can't be established.\n%s key fingerprint is %s.\n"+
		"Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
		knownhosts.Normalize(h.lookup), ip, keyTypeName(key), fingerprint)
	for {
		line, err := t.Line(ctx, prompt)
		if err != nil {
			return err
		}
		switch answer := strings.TrimSpace(line); {
		case strings.EqualFold(answer, "yes"), answer == fingerprint:
			return h.add(key)
		case strings.EqualFold(answer, "no"):
			return &hostKeyError{err: fmt.Errorf("host key %s was not accepted", describeKey(key))}
		}
		prompt = "Please type 'yes', 'no' or the fingerprint: "
	}
}

// add remembers key, in the first user file and for this run. A file that cannot be written is no reason to
// refuse what the user has accepted; ssh goes on too.
func (h *hostCheck) add(key ssh.PublicKey) error {
	if !h.c.hostKeys.accept(h.lookup, key) {
		return h.changed(key)
	}
	if len(h.s.userKnownHosts) == 0 {
		return nil
	}
	file := h.s.userKnownHosts[0]
	h.c.hostKeys.mu.Lock()
	defer h.c.hostKeys.mu.Unlock()
	if err := appendKnownHost(file, h.lookup, key, h.s.hashKnownHosts); err != nil {
		h.c.log.Warn("host key not recorded", "host", h.s.name, "file", file, "err", err)
		return nil
	}
	h.c.log.Info("host key recorded", "host", h.s.name, "file", file, "key", describeKey(key))
	return nil
}

func (h *hostCheck) refuse(key ssh.PublicKey) error {
	file := "~/.ssh/known_hosts"
	if len(h.s.userKnownHosts) > 0 {
		file = h.s.userKnownHosts[0]
	}
	remedy := fmt.Sprintf("compare the fingerprint, then: ssh-keyscan -t %s -p %d %s >> %s, or log in once with ssh",
		strings.ToLower(keyTypeName(key)), h.s.port, h.s.hostname, shellWord(file))
	switch {
	case h.s.knownHostsCommand:
		remedy = "KnownHostsCommand needs " + useOpenSSH
	case h.s.alias != "", h.s.proxyJump != "", h.s.proxyCommand != "": // ssh-keyscan knows nothing of these
		remedy = "compare the fingerprint, then log in once with: ssh " + h.s.name
	}
	return &hostKeyError{err: fmt.Errorf("host key is not known: %s", describeKey(key)), remedy: remedy}
}

// accepted are the keys that this process has accepted for addr.
func (h *hostKeyStore) accepted(addr string) []ssh.PublicKey {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.added[addr])
}

// accept remembers key for addr; it is false where another key of addr was accepted meanwhile.
func (h *hostKeyStore) accept(addr string, key ssh.PublicKey) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, k := range h.added[addr] {
		return bytes.Equal(k.Marshal(), key.Marshal())
	}
	h.added[addr] = append(h.added[addr], key)
	return true
}

// describeKey is a key as ssh shows it: ED25519 SHA256:…; a certificate goes by the key in it.
func describeKey(key ssh.PublicKey) string {
	if cert, ok := key.(*ssh.Certificate); ok {
		return keyTypeName(cert.Key) + "-CERT " + ssh.FingerprintSHA256(cert.Key)
	}
	return keyTypeName(key) + " " + ssh.FingerprintSHA256(key)
}

func keyTypeName(key ssh.PublicKey) string {
	switch t := key.Type(); {
	case strings.HasPrefix(t, "ecdsa-"):
		return "ECDSA"
	case t == ssh.KeyAlgoRSA:
		return "RSA"
	case t == ssh.KeyAlgoED25519:
		return "ED25519"
	default:
		return t
	}
}
