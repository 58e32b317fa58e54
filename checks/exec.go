package checks

import (
	"bytes"
	"compress/gzip"
	"crypto/rand"
	_ "embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed check.sh
var script string

// MaxCommandBytes bounds a guarded command. The whole exec request stays under MaxExecBytes with it: one
// argument of 128 KiB is refused by Linux (E2BIG), and some servers stop earlier.
const (
	MaxCommandBytes = 32 << 10
	MaxExecBytes    = 100 << 10
)

// Script returns check.sh as it is sent to hosts and installed as a gate.
func Script() string { return script }

// scriptArgument is the argument that carries check.sh, stripped, as gzip in base64: made once per process.
var scriptArgument = sync.OnceValue(func() string {
	var buf bytes.Buffer
	w, _ := gzip.NewWriterLevel(&buf, gzip.BestCompression) // the level is valid, and a buffer does not fail
	_, _ = w.Write([]byte(stripped(script)))
	_ = w.Close()
	return "script=" + base64.StdEncoding.EncodeToString(buf.Bytes())
})

// stripped leaves out indentation, empty lines and the lines that are a comment.
func stripped(text string) string {
	var b strings.Builder
	for _, line := range strings.SplitAfter(text, "\n") {
		if body := strings.TrimLeft(line, "\t"); !strings.HasPrefix(body, "# ") && body != "\n" {
			b.WriteString(body)
		}
	}
	return b.String()
}

// bootstrap unpacks the script on the host and becomes it. It stands in single quotes for login shells of every
// kind, so it holds no quote, no backslash, no exclamation mark and no line end. gzip carries a checksum: a script
// that was cut on its way does not start.
const bootstrap = `s=$(printf %s "${1#script=}"|base64 -d|gzip -dc)&&[ -n "$s" ]||` +
	`{ echo "interlock: unpack the check: base64 and gzip are needed on this host">&2;exit 69; };eval "$s"`

// NewNonce returns 32 hexadecimal digits that nobody can guess.
func NewNonce() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the program instead
	return hex.EncodeToString(b[:])
}

// GoLine is the first line of the session's stdin that lets the command start.
func (r Request) GoLine() string { return "go " + r.Nonce + "\n" }

// ExecLine returns the exec request that carries the script and r. It reads the same under dash, bash, busybox,
// zsh, tcsh and fish as login shells. Errors: a command that is too long or holds a NUL; a nonce that is none.
func (r Request) ExecLine() (string, error) {
	if err := r.validate(); err != nil {
		return "", err
	}
	args := []string{
		scriptArgument(),
		"nonce=" + r.Nonce,
		"mode=" + string(r.Mode),
		"class=" + r.Class.String(),
		"host=" + encode(r.Host),
		"owner=" + encode(r.Owner),
	}
	add := func(key, value string) {
		if value != "" {
			args = append(args, key+"="+value)
		}
	}
	add("shell", r.shell())
	add("cmd64", base64Of(r.Command))
	add("allow", strings.Join(r.Allow, ","))
	add("member", oneIf(r.Member))
	add("boots", oneIf(r.Boots))
	add("onunknown", oneIf(r.OnUnknown))
	add("tty", oneIf(r.TTY))
	add("defaults64", base64Of(r.DefaultsFile))
	add("critical", r.critical())
	add("data64", base64Of(strings.Join(r.DataPaths, "\n")))
	add("clients", encodeList(r.Clients))
	add("idle", seconds(int64(r.IdleAfter.Seconds())))
	add("bound", seconds(int64(r.Timeout.Seconds())))
	add("id", r.LockID)
	add("signal", r.Signal)
	add("run", r.Run)
	add("lease", seconds(int64(r.Lease.Seconds())))
	add("release", oneIf(r.Release))
	add("reason64", base64Of(r.Reason))
	add("offer", oneIf(r.Offer))
	add("override", r.Override)

	const before = "exec /bin/sh -c '" + bootstrap + "' interlock"
	size := len(before)
	for _, arg := range args {
		size += len(arg) + len(" ''")
	}
	var b strings.Builder
	b.Grow(size) // it is 30 KB for each host
	b.WriteString(before)
	for _, arg := range args {
		b.WriteString(" '")
		b.WriteString(arg)
		b.WriteByte('\'')
	}
	if b.Len() > MaxExecBytes {
		return "", fmt.Errorf("encode request: %d bytes, more than %d; shorten the command", b.Len(), MaxExecBytes)
	}
	return b.String(), nil
}

func (r Request) validate() error {
	if n, err := hex.DecodeString(r.Nonce); err != nil || len(n) != 16 {
		return fmt.Errorf("encode request: nonce %q is not 32 hexadecimal digits", r.Nonce)
	}
	if strings.ContainsRune(r.Command, 0) {
		return fmt.Errorf("encode request: the command holds a NUL byte, which no argument can carry")
	}
	if len(r.Command) > MaxCommandBytes {
		return fmt.Errorf("encode request: the command has %d bytes, more than %d; put it in a file on the host", len(r.Command), MaxCommandBytes)
	}
	for _, word := range r.Allow {
		if !isAllowance(word) {
			return fmt.Errorf("encode request: allowance %q is none of %s", word, strings.Join(Allowances, ", "))
		}
	}
	for _, path := range r.DataPaths {
		if strings.ContainsAny(path, "\n\x00") || !strings.HasPrefix(path, "/") {
			return fmt.Errorf("encode request: data path %q is not an absolute path on one line", path)
		}
	}
	if shell := r.shell(); strings.Trim(shell, safeBytes) != "" {
		return fmt.Errorf("encode request: shell %q is not a plain name or path", shell)
	}
	switch r.Mode {
	case "", ModeCheck, ModeRun, ModeLock, ModeLease, ModeSignal, ModeLogs, ModeLocks:
	default:
		return fmt.Errorf("encode request: mode %q is none of check.sh's", r.Mode)
	}
	switch r.Signal {
	case "", "INT", "TERM", "HUP", "KILL":
	default:
		return fmt.Errorf("encode request: signal %q is none of INT, TERM, HUP, KILL", r.Signal)
	}
	if _, err := hex.DecodeString(r.LockID); err != nil && r.LockID != "0" {
		return fmt.Errorf("encode request: id %q is not hexadecimal", r.LockID)
	}
	return r.validateHolds()
}

// validateHolds checks what concerns locks and leases.
func (r Request) validateHolds() error {
	if _, err := hex.DecodeString(r.Run); err != nil {
		return fmt.Errorf("encode request: run %q is not hexadecimal", r.Run)
	}
	if _, err := hex.DecodeString(r.Override); err != nil {
		return fmt.Errorf("encode request: override %q is not hexadecimal", r.Override)
	}
	switch {
	case r.Override != "" && r.Mode != ModeRun && r.Mode != ModeLock:
		return fmt.Errorf("encode request: mode %q takes no override", r.Mode)
	case r.Lease < 0 || r.Lease > MaxLease || r.Lease%time.Second != 0:
		return fmt.Errorf("encode request: a lease of %v: want whole seconds, at most %v", r.Lease, MaxLease)
	case r.Run == "" && (r.Lease > 0 || r.Release || r.Mode == ModeLease):
		return fmt.Errorf("encode request: a lease or a release without a run")
	case r.Lease > 0 && r.Mode != ModeCheck && r.Mode != ModeLease:
		return fmt.Errorf("encode request: mode %q takes no lease", r.Mode)
	case r.Mode == ModeLock && r.Class < Disruptive:
		return fmt.Errorf("encode request: a %s command takes no lock", r.Class)
	}
	return nil
}

func isAllowance(word string) bool {
	for _, a := range Allowances {
		if word == a {
			return true
		}
	}
	return false
}

func (r Request) shell() string {
	if r.Shell == "" {
		return "/bin/sh"
	}
	return r.Shell
}

// critical joins NAME:PROCESS:PORT by commas.
func (r Request) critical() string {
	var parts []string
	for _, c := range r.Critical {
		parts = append(parts, encode(c.Name)+":"+encode(c.Process)+":"+strconv.Itoa(c.Port))
	}
	return strings.Join(parts, ",")
}

func oneIf(on bool) string {
	if on {
		return "1"
	}
	return ""
}

func seconds(n int64) string {
	if n <= 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

func base64Of(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// PlainExecLine returns the exec request that runs command with a named interpreter and nothing around it: for
// read-only commands, which run in every state. Characters that some login shell treats specially inside single
// quotes (quotes, backslash, exclamation mark, line ends) make the command travel encoded.
func PlainExecLine(shell, command string) (string, error) {
	r := Request{Nonce: strings.Repeat("0", 32), Shell: shell, Command: command}
	if err := r.validate(); err != nil {
		return "", err
	}
	if !strings.ContainsAny(command, "'\\!\n\r") && isPrintableASCII(command) {
		return "exec " + r.shell() + " -c '" + command + "'", nil
	}
	return "exec /bin/sh -c 'c=$(printf %s \"$1\"|base64 -d&&echo x)||exit 69;c=${c%?};c=${c%x};exec " + r.shell() +
		" -c \"$c\"' interlock '" + base64Of(command) + "'", nil
}

func isPrintableASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' && s[i] != '\t' || s[i] > '~' {
			return false
		}
	}
	return true
}

// StopSiblingsLine returns an exec request for a second session on the same connection: it sends INT to the process
// groups of the other sessions of this connection's sshd. Read-only commands record no process group.
func StopSiblingsLine() string {
	return `exec /bin/sh -c 'for d in /proc/[0-9]*; do read -r l 2>/dev/null <$d/stat || continue; ` +
		`set -- ${l##*) }; [ "$2" = "$PPID" ] && [ "${d#/proc/}" != "$$" ] && kill -s INT -- -"$3" 2>/dev/null; done; exit 0'`
}
