package sshrun

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
)

// keyStore holds what was read from key files and agents, each once per Client.
type keyStore struct {
	mu     sync.Mutex
	files  map[string]*keyFile
	agents map[string]*agentConn
	rings  map[string]*keyRing
}

// agentListTimeout bounds the question which keys an agent has; a healthy one answers in milliseconds.
const agentListTimeout = 5 * time.Second

// keyFile is one IdentityFile with its .pub and -cert.pub.
type keyFile struct {
	path string
	once sync.Once
	pub  ssh.PublicKey    // nil: nothing there
	cert *ssh.Certificate // PATH-cert.pub
	note string           // why the file is of no use; "" for a missing one

	mu      sync.Mutex // held while a passphrase is asked for
	signer  ssh.Signer // nil while encrypted, or where the agent alone has the private key
	pem     []byte     // the encrypted file, until it was opened
	lockErr error      // why it stays closed
}

// passphraseTries is ssh's NumberOfPasswordPrompts.
const passphraseTries = 3

// file returns path's key file, read once.
func (k *keyStore) file(path string) *keyFile {
	k.mu.Lock()
	if k.files == nil {
		k.files = map[string]*keyFile{}
	}
	f := k.files[path]
	if f == nil {
		f = &keyFile{path: path}
		k.files[path] = f
	}
	k.mu.Unlock()
	f.once.Do(f.read)
	return f
}

// read takes in what the file and its companions say without a passphrase.
func (f *keyFile) read() {
	f.pub = readPublic(f.path + ".pub")
	if cert, ok := readPublic(f.path + "-cert.pub").(*ssh.Certificate); ok {
		f.cert = cert
	}
	text, err := os.ReadFile(f.path)
	if errors.Is(err, os.ErrNotExist) {
		return // with its .pub it still tells which key of the agent is meant
	}
	if err != nil {
		f.note = err.Error()
		return
	}
	if pub, _, _, _, err := ssh.ParseAuthorizedKey(text); err == nil {
		f.pub = pub // IdentityFile names a public key: the private one is in the agent
		return
	}
	if st, err := os.Stat(f.path); err == nil && st.Mode().Perm()&0o077 != 0 {
		f.note = fmt.Sprintf("%s: mode %04o lets others read it: chmod 600 %s", f.path, st.Mode().Perm(), f.path)
		return
	}
	signer, err := ssh.ParsePrivateKey(text)
	var locked *ssh.PassphraseMissingError
	switch {
	case err == nil:
		f.signer, f.pub = signer, signer.PublicKey()
	case errors.As(err, &locked):
		f.pem = text
		if locked.PublicKey != nil {
			f.pub = locked.PublicKey
		}
		if f.pub == nil {
			f.note = fmt.Sprintf("%s: encrypted, and its public key %s.pub is missing", f.path, f.path)
		}
	case f.pub != nil && strings.HasPrefix(f.pub.Type(), "sk-"):
		f.note = fmt.Sprintf("%s: a FIDO key needs an agent (ssh-add) or %s", f.path, useOpenSSH)
	default:
		f.note = fmt.Sprintf("%s: %s", f.path, strings.TrimPrefix(err.Error(), "ssh: "))
	}
}

// readPublic reads a one-key public file; nil where there is none.
func readPublic(path string) ssh.PublicKey {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	pub, _, _, _, err := ssh.ParseAuthorizedKey(text)
	if err != nil {
		return nil
	}
	return pub
}

// usable tells whether the file has a private key, open or not.
func (f *keyFile) usable() bool {
	return f.note == "" && f.pub != nil && (f.signer != nil || f.pem != nil)
}

// open gives the signer; for an encrypted key it asks for the passphrase, once for all hosts. When ctx ends
// meanwhile, the next caller is asked again. batch: do not ask for this host.
func (f *keyFile) open(ctx context.Context, p *prompter, batch bool) (ssh.Signer, error) {
	p.clock.begin() // waiting for another host's answer is not this host's time either
	defer p.clock.end()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.signer != nil || f.lockErr != nil {
		return f.signer, f.lockErr
	}
	if batch {
		return nil, fmt.Errorf("%s: encrypted, and BatchMode is on", f.path)
	}
	if p.term == nil {
		f.lockErr = fmt.Errorf("%s: encrypted, and there is no terminal to ask for its passphrase: ssh-add %s", f.path, f.path)
		return nil, f.lockErr
	}
	err := p.do(ctx, func(t Terminal) error { return f.ask(ctx, t) })
	if err != nil && ctx.Err() == nil {
		f.lockErr = err
	}
	return f.signer, err
}

func (f *keyFile) ask(ctx context.Context, t Terminal) error {
	for range passphraseTries {
		pass, err := t.Secret(ctx, fmt.Sprintf("Enter passphrase for key '%s': ", f.path))
		if err != nil {
			return fmt.Errorf("%s: %w", f.path, err)
		}
		if pass == "" {
			break // ssh's way to skip a key
		}
		if signer, err := ssh.ParsePrivateKeyWithPassphrase(f.pem, []byte(pass)); err == nil {
			f.signer, f.pem = signer, nil
			return nil
		}
	}
	return fmt.Errorf("%s: wrong passphrase", f.path)
}

func signWith(signer ssh.Signer, rand io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	if s, ok := signer.(ssh.AlgorithmSigner); ok {
		return s.SignWithAlgorithm(rand, data, algorithm)
	}
	return signer.Sign(rand, data)
}

// agentConn is one agent, asked for its keys once.
type agentConn struct {
	once sync.Once
	conn net.Conn
	keys []ssh.Signer
	err  error
}

// agent returns the keys of the agent at sock; none where there is no agent.
func (k *keyStore) agent(sock string) ([]ssh.Signer, error) {
	if sock == "" {
		return nil, nil
	}
	k.mu.Lock()
	if k.agents == nil {
		k.agents = map[string]*agentConn{}
	}
	a := k.agents[sock]
	if a == nil {
		a = &agentConn{}
		k.agents[sock] = a
	}
	k.mu.Unlock()
	a.once.Do(func() {
		// No single host's context: the answer is for all.
		conn, err := new(net.Dialer).DialContext(context.Background(), "unix", sock)
		if err != nil {
			a.err = fmt.Errorf("agent: %w", err)
			return
		}
		err = conn.SetDeadline(time.Now().Add(agentListTimeout))
		keys, listErr := agent.NewClient(conn).Signers()
		if err = errors.Join(err, listErr, conn.SetDeadline(time.Time{})); err != nil {
			a.err = errors.Join(fmt.Errorf("agent %s: %w", sock, err), conn.Close())
			return
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		a.conn, a.keys = conn, keys
	})
	return a.keys, a.err
}

func (k *keyStore) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.agents {
		if a.conn != nil {
			a.conn.Close()
		}
	}
	k.agents = nil
}

func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
