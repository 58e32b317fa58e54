package fleet

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"interlock/internal/audit"
	"interlock/internal/policy"
	"interlock/internal/report"
	"interlock/internal/wholefile"

	"golang.org/x/sys/unix"
)

// snapshotVersion is that of the state file's format. One of another version is not understood.
const snapshotVersion = 1

// snapshot is the state file of `check --changes`: what the last check saw.
type snapshot struct {
	Version  int                   `json:"version"`
	Set      string                `json:"set"`
	Config   string                `json:"config"`
	At       time.Time             `json:"at"`
	Expect   bool                  `json:"expect"`
	Hosts    map[string]hostRecord `json:"hosts"`
	Findings []policy.Finding      `json:"findings,omitempty"` // of --expect
}

// changes is an open state file: the lock on it, and what it held.
type changes struct {
	path    string
	lock    *os.File
	before  *snapshot // nil: there was none, or it was not understood
	corrupt bool
}

func (c *changes) close() { _ = c.lock.Close() }

// openChanges takes the lock and reads what the last check saw. A file that cannot be understood is put aside
// and said, and counts as none. One that cannot be read, or whose lock another check holds, is an error.
func (c *Check) openChanges() (*changes, error) {
	path := c.o.State
	if path == "" {
		var err error
		if path, err = c.statePath(); err != nil {
			return nil, stateError(err)
		}
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, err
	}
	held := &changes{path: path, lock: lock}
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return held, nil
	}
	if err == nil {
		if held.before, err = parseSnapshot(text); err == nil {
			return held, nil
		}
		aside := path + ".corrupt-" + time.Now().UTC().Format("20060102T150405.000")
		if moved := os.Rename(path, aside); moved != nil {
			err = errors.Join(err, moved)
		} else {
			c.s.notef("state file %s is not understood: %s; it is kept as %s, and this counts as the first check", path, report.Visible(err.Error()), aside)
			held.corrupt = true
			return held, nil
		}
	}
	held.close()
	return nil, stateError(err)
}

func stateError(err error) error {
	return &Error{Status: ExitIO, Err: fmt.Errorf("state file: %w", err)}
}

// statePath is the state file of this set, inventory and kind of check. It lies beside the audit log.
func (c *Check) statePath() (string, error) {
	log, err := audit.Path()
	if err != nil {
		return "", err
	}
	config, err := c.configPath()
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%s\x00%t", c.o.Hosts, config, c.o.Expect))
	dir := filepath.Join(filepath.Dir(log), "changes")
	return filepath.Join(dir, hex.EncodeToString(sum[:8])+".json"), os.MkdirAll(dir, 0o700)
}

// configPath is the inventory, "" where there is none. Two with the same relative name are two.
func (c *Check) configPath() (string, error) {
	if c.site.inv.Path == "" {
		return "", nil
	}
	return filepath.Abs(c.site.inv.Path)
}

// lockFile takes the lock that keeps two checks from comparing with one state. It is a file of its own, since
// the state file is replaced.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, stateError(err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, &Error{Status: ExitLocked, Err: fmt.Errorf("another check --changes is at work with %s", path),
			Hint: "wait for it, or give this one a file of its own with --state"}
	}
	return nil, stateError(err)
}

func parseSnapshot(text []byte) (*snapshot, error) {
	var s snapshot
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if s.Version != snapshotVersion {
		return nil, fmt.Errorf("version %d, want %d", s.Version, snapshotVersion)
	}
	if len(s.Hosts) == 0 {
		return nil, errors.New("no hosts in it")
	}
	return &s, nil
}

// showChanges prints what has changed since the last check, and then, when that has been read, makes this one
// the last: what could not be said must be said the next time.
func (c *Check) showChanges(r *checked, held *changes) error {
	now, lines := c.compare(r, held.before)
	out := bufio.NewWriter(c.s.Out)
	for _, line := range lines {
		fmt.Fprintln(out, report.Visible(line))
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write changes: %w", err)
	}
	return wholefile.Write(held.path, 0o600, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "\t")
		return enc.Encode(now)
	})
}
