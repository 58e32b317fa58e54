package sshrun

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// hostKeyStore reads each set of known_hosts files once.
type hostKeyStore struct {
	mu    sync.Mutex
	sets  map[string]*knownSet
	added map[string][]ssh.PublicKey // accepted by this process, by lookup address
}

// knownSet is what several known_hosts files say together.
type knownSet struct {
	once    sync.Once
	err     error
	db      *knownhosts.HostKeyDB
	index   knownIndex
	real    map[string]string // name of a cleaned copy → the file it was made from
	revoked map[string]string // key blob → file:line of its @revoked line
	skipped []string          // file:line of lines that nobody here can read
}

// load returns the set of files, read once per Client. Missing files are empty, as for ssh.
func (h *hostKeyStore) load(log *slog.Logger, files []string) (*knownSet, error) {
	h.mu.Lock()
	if h.sets == nil {
		h.sets, h.added = map[string]*knownSet{}, map[string][]ssh.PublicKey{}
	}
	key := strings.Join(files, "\x00")
	set := h.sets[key]
	if set == nil {
		set = &knownSet{real: map[string]string{}, revoked: map[string]string{}}
		h.sets[key] = set
	}
	h.mu.Unlock()
	set.once.Do(func() {
		set.err = set.read(files)
		for _, where := range set.skipped {
			log.Warn("known hosts line skipped, nobody can read it", "line", where)
		}
	})
	return set, set.err
}

// read parses the files. x/crypto gives up a whole file for one line that it cannot parse (an SSH 1 key, a key
// type that it lacks), where ssh skips the line: such a file is read from a copy in which that line is blank.
func (k *knownSet) read(files []string) error {
	dir := ""
	defer func() {
		if dir != "" {
			_ = os.RemoveAll(dir)
		}
	}()
	var readable []string
	for i, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read known hosts: %w", err)
		}
		if st, err := os.Stat(file); err == nil && !st.Mode().IsRegular() {
			continue // /dev/null
		}
		clean, err := k.clean(file, text)
		if err != nil {
			return err
		}
		if !bytes.Equal(clean, text) {
			if dir == "" {
				if dir, err = os.MkdirTemp("", "interlock-known-hosts-"); err != nil {
					return fmt.Errorf("copy known hosts: %w", err)
				}
			}
			copied := filepath.Join(dir, fmt.Sprint(i))
			if err := os.WriteFile(copied, clean, 0o600); err != nil {
				return fmt.Errorf("copy known hosts: %w", err)
			}
			k.real[copied] = file
			file = copied
		}
		readable = append(readable, file)
	}
	db, err := knownhosts.NewDB(readable...)
	if err != nil {
		return fmt.Errorf("read known hosts: %w", err)
	}
	k.db = db
	return nil
}

// keys are those that are known for addr, host:port.
func (k *knownSet) keys(addr string) []knownhosts.PublicKey {
	if !k.index.partial {
		return k.index.keys(addr)
	}
	return k.db.HostKeys(addr)
}

// clean blanks the lines that x/crypto would fail on, collects @revoked keys and fills the index. A
// @revoked line that cannot be read is an error: what it revokes would be trusted.
func (k *knownSet) clean(file string, text []byte) ([]byte, error) {
	lines := bytes.Split(text, []byte("\n"))
	for i, line := range lines {
		trimmed := bytes.Trim(line, " \t\r")
		if len(trimmed) == 0 || trimmed[0] == '#' {
			continue
		}
		where := fmt.Sprintf("%s:%d", file, i+1)
		hosts, marker, key, err := parseKnownLine(trimmed)
		switch {
		case err != nil && bytes.HasPrefix(trimmed, []byte("@revoked")):
			return nil, fmt.Errorf("read known hosts: %s: @revoked line: %w", where, err)
		case err != nil:
			k.skipped = append(k.skipped, where)
			lines[i] = nil
		case marker == "revoked":
			k.revoked[string(key.Marshal())] = where
		default:
			k.index.add(hosts, marker, key)
		}
	}
	return bytes.Join(lines, []byte("\n")), nil
}

// parseKnownLine accepts what the parser of x/crypto/ssh/knownhosts accepts.
func parseKnownLine(line []byte) (hosts, marker string, key ssh.PublicKey, err error) {
	fields := strings.FieldsFunc(string(line), func(r rune) bool { return r == ' ' || r == '\t' })
	if strings.HasPrefix(fields[0], "@") {
		marker, fields = fields[0][1:], fields[1:]
		if marker != "cert-authority" && marker != "revoked" {
			return "", "", nil, fmt.Errorf("marker %q: want @cert-authority or @revoked", marker)
		}
	}
	if len(fields) < 3 {
		return "", "", nil, errors.New("want hosts, key type and key")
	}
	blob, err := base64.StdEncoding.DecodeString(fields[2])
	if err != nil {
		return "", "", nil, err
	}
	if key, err = ssh.ParsePublicKey(blob); err != nil {
		return "", "", nil, err
	}
	if key.Type() != fields[1] {
		return "", "", nil, fmt.Errorf("key type %q holds a key of type %q", fields[1], key.Type())
	}
	if len(line) >= 64<<10 { // bufio.Scanner's bound, in both readers
		return "", "", nil, errors.New("line too long")
	}
	return fields[0], marker, key, checkHostsField(fields[0])
}

func checkHostsField(hosts string) error {
	if strings.HasPrefix(hosts, "|") {
		part := strings.Split(hosts, "|")
		if len(part) != 4 || part[1] != "1" {
			return errors.New("unknown hash")
		}
		for _, p := range part[2:] {
			if _, err := base64.StdEncoding.DecodeString(p); err != nil {
				return err
			}
		}
		return nil
	}
	for _, p := range strings.Split(hosts, ",") {
		p, negated := strings.CutPrefix(p, "!")
		if p == "" && negated {
			return errors.New("negation of nothing")
		}
		if strings.HasPrefix(p, "[") {
			if _, _, err := net.SplitHostPort(p); err != nil {
				return err
			}
		}
	}
	return nil
}

// entry is the file:line of a line for addr that holds one of plain, if possible of key's type.
func (k *knownSet) entry(addr string, plain []knownhosts.PublicKey, key ssh.PublicKey) (file string, line int) {
	var mismatch *xknownhosts.KeyError
	if err := k.db.HostKeyCallback()(addr, &net.TCPAddr{IP: net.IPv4zero}, noKey{}); !errors.As(err, &mismatch) {
		return "", 0
	}
	for _, w := range mismatch.Want {
		isPlain := slices.ContainsFunc(plain, func(p knownhosts.PublicKey) bool {
			return !p.Cert && bytes.Equal(p.Marshal(), w.Key.Marshal())
		})
		if !isPlain || line != 0 && w.Key.Type() != key.Type() {
			continue
		}
		file, line = w.Filename, w.Line
		if made, ok := k.real[file]; ok {
			file = made
		}
		if w.Key.Type() == key.Type() {
			break
		}
	}
	return file, line
}

// noKey is a key that no host has; a lookup with it tells all that are known.
type noKey struct{ ssh.PublicKey }

func (noKey) Type() string    { return "none" }
func (noKey) Marshal() []byte { return []byte("none") }

// appendKnownHost adds a line for addr (host:port) to file, and makes the file and its folder as ssh would.
func appendKnownHost(file, addr string, key ssh.PublicKey, hashed bool) (err error) {
	name := knownhosts.Normalize(addr)
	if hashed {
		name = xknownhosts.HashHostname(name)
	}
	line := name + " " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal()) + "\n"
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if end, err := f.Seek(0, io.SeekEnd); err == nil && end > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, end-1); err == nil && last[0] != '\n' {
			line = "\n" + line
		}
	}
	_, err = f.WriteString(line)
	return err
}
