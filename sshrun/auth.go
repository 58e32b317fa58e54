package sshrun

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
)

// identity is one public key to offer, and how to sign for it.
type identity struct {
	from   string // where it comes from, for errors
	pub    ssh.PublicKey
	signer ssh.Signer // nil: file, once opened
	file   *keyFile
}

// keyRing is what is offered to the hosts of one class, in ssh's order.
type keyRing struct {
	once  sync.Once
	ids   []identity
	notes []string // keys that were left out, and why
}

// ring returns the keys for s, put together once for all hosts with the same ones.
func (c *Client) ring(s *settings) *keyRing {
	key := fmt.Sprintf("%q %q %q %v %v", s.identityFiles, s.certificateFiles, s.identityAgent, s.identitiesOnly, s.pkcs11)
	c.keys.mu.Lock()
	if c.keys.rings == nil {
		c.keys.rings = map[string]*keyRing{}
	}
	r := c.keys.rings[key]
	if r == nil {
		r = &keyRing{}
		c.keys.rings[key] = r
	}
	c.keys.mu.Unlock()
	r.once.Do(func() { r.fill(c, s) })
	return r
}

// fill takes ssh's order (sshconnect2.c, pubkey_prepare): certificates that the configuration names; the
// agent's keys that it names; the agent's other keys, unless IdentitiesOnly; the other files. A key that is
// both in the agent and open in a file is signed for here: the agent would be asked once per host.
func (r *keyRing) fill(c *Client, s *settings) {
	agentKeys, err := c.keys.agent(s.identityAgent)
	if err != nil {
		r.notes = append(r.notes, err.Error())
	}
	var files []identity
	for _, path := range s.identityFiles {
		found := r.fromFile(c.keys.file(path), agentKeys)
		if len(s.certificateFiles) > 0 { // then ssh leaves KEY-cert.pub alone
			found = found[:min(1, len(found))]
		}
		files = append(files, found...)
	}
	for _, path := range s.certificateFiles {
		if id, ok := r.certificate(path, files, agentKeys); ok {
			r.ids = append(r.ids, id)
		}
	}
	for _, k := range agentKeys {
		named := slices.IndexFunc(files, func(id identity) bool { return sameKey(id.pub, k.PublicKey()) })
		if named >= 0 {
			r.ids = append(r.ids, files[named])
			files = slices.Delete(files, named, named+1)
		}
	}
	for _, k := range agentKeys {
		offered := slices.ContainsFunc(r.ids, func(id identity) bool { return sameKey(id.pub, k.PublicKey()) })
		if s.identitiesOnly || offered {
			continue
		}
		pub, err := ssh.ParsePublicKey(k.PublicKey().Marshal()) // so that a certificate is seen to be one
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("agent: key of type %s: %v", k.PublicKey().Type(), err))
			continue
		}
		r.ids = append(r.ids, identity{from: "agent", pub: pub, signer: k})
	}
	r.ids = append(r.ids, files...)
	if s.pkcs11 {
		r.notes = append(r.notes, "PKCS11Provider needs "+useOpenSSH)
	}
}

// fromFile gives the key of a file, and its certificate; signed for by the agent where the file is locked or
// has no private part.
func (r *keyRing) fromFile(f *keyFile, agentKeys []ssh.Signer) []identity {
	if f.pub == nil && f.note == "" {
		return nil
	}
	id := identity{from: f.path, pub: f.pub, signer: f.signer, file: f}
	if f.signer == nil && f.pub != nil {
		if in := slices.IndexFunc(agentKeys, func(k ssh.Signer) bool { return sameKey(k.PublicKey(), f.pub) }); in >= 0 {
			id.signer = agentKeys[in]
		}
	}
	if id.signer == nil && !f.usable() {
		if f.note != "" {
			r.notes = append(r.notes, f.note)
		}
		return nil
	}
	ids := []identity{id}
	if f.cert != nil && f.cert.CertType == ssh.UserCert && sameKey(f.cert.Key, f.pub) {
		ids = append(ids, identity{from: f.path + "-cert.pub", pub: f.cert, signer: id.signer, file: f})
	}
	return ids
}

// certificate finds the private key of a CertificateFile.
func (r *keyRing) certificate(path string, files []identity, agentKeys []ssh.Signer) (identity, bool) {
	cert, ok := readPublic(path).(*ssh.Certificate)
	if !ok || cert.CertType != ssh.UserCert {
		r.notes = append(r.notes, path+": no user certificate")
		return identity{}, false
	}
	for _, id := range files {
		if sameKey(id.pub, cert.Key) {
			return identity{from: path, pub: cert, signer: id.signer, file: id.file}, true
		}
	}
	for _, k := range agentKeys {
		if sameKey(k.PublicKey(), cert.Key) {
			return identity{from: path, pub: cert, signer: k}, true
		}
	}
	r.notes = append(r.notes, path+": its private key is neither in the agent nor in an IdentityFile")
	return identity{}, false
}

// login is one authentication: which keys were offered, and what the host takes.
type login struct {
	s       *settings
	ring    *keyRing
	open    func(*keyFile) (ssh.Signer, error) // keyFile.open, for this connection
	next    int                                // the first key that was not offered yet
	allowed []string
	failed  []string // keys that could not sign
}

// method is called after "none" and after each failed or partial try: it offers the keys that are left. Thus
// a key that cannot sign (a wrong passphrase, an agent that says no) does not keep the others from being tried.
func (l *login) method(state *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	l.allowed = state.AllowedMethods
	if !slices.Contains(l.allowed, "publickey") || !l.s.pubkeyAuth || !l.s.prefers("publickey") || l.next >= len(l.ring.ids) {
		return nil, l.refused()
	}
	signers := make([]ssh.Signer, 0, len(l.ring.ids)-l.next)
	for i := l.next; i < len(l.ring.ids); i++ {
		signers = append(signers, &offer{login: l, index: i})
	}
	return ssh.PublicKeys(signers...), nil
}

func (s *settings) prefers(method string) bool {
	return s.preferredAuth == "" || slices.Contains(strings.Split(s.preferredAuth, ","), method)
}

// refused is the error where no key is left.
func (l *login) refused() error {
	var offered []string
	for _, id := range l.ring.ids[:min(l.next, len(l.ring.ids))] {
		offered = append(offered, id.from+" "+describeKey(id.pub))
	}
	text := "no key to offer"
	if len(offered) > 0 {
		text = "refused " + strings.Join(offered, ", ")
	}
	if !slices.Contains(l.allowed, "publickey") {
		text = "public keys are not accepted"
	} else if !l.s.pubkeyAuth || !l.s.prefers("publickey") {
		text = "ssh's configuration turns public keys off"
	}
	for _, note := range slices.Concat(l.failed, l.ring.notes) {
		text += "; " + note
	}
	return fmt.Errorf("user %s: %s (the host takes %s)", l.s.user, text, strings.Join(l.allowed, ", "))
}

// remedy says what to do about a refused login.
func (l *login) remedy(err error) string {
	if strings.Contains(err.Error(), "Too many authentication failures") {
		return "offer fewer keys: IdentityFile with IdentitiesOnly yes, or -i FILE"
	}
	others := slices.ContainsFunc(l.allowed, func(m string) bool { return m != "publickey" })
	if others || l.s.pkcs11 {
		return "add a key (ssh-add, -i FILE), or use what only ssh can do (passwords, GSSAPI, PKCS#11): " + useOpenSSH
	}
	return "add a key that the host knows: ssh-add, -i FILE, or ssh-copy-id"
}

// offer is an identity while it is offered to one host. It notes that it was, and what went wrong.
type offer struct {
	login *login
	index int
}

func (o *offer) PublicKey() ssh.PublicKey {
	o.login.next = max(o.login.next, o.index+1)
	return o.login.ring.ids[o.index].pub
}

// Algorithms are those of the key's type, the best first.
func (o *offer) Algorithms() []string {
	pub := o.login.ring.ids[o.index].pub
	if cert, ok := pub.(*ssh.Certificate); ok {
		pub = cert.Key
	}
	if pub.Type() == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSA}
	}
	return []string{pub.Type()}
}

func (o *offer) Sign(rand io.Reader, data []byte) (*ssh.Signature, error) {
	return o.SignWithAlgorithm(rand, data, o.Algorithms()[0])
}

func (o *offer) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	id := o.login.ring.ids[o.index]
	signer, err := id.signer, error(nil)
	if signer == nil {
		signer, err = o.login.open(id.file)
	}
	var sig *ssh.Signature
	if err == nil {
		sig, err = signWith(signer, rand, data, algorithm)
	}
	if err != nil {
		o.login.failed = append(o.login.failed, err.Error())
	}
	return sig, err
}
