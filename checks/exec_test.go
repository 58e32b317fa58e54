package checks

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// fullRequest has every field at work.
func fullRequest() Request {
	return Request{
		Nonce: NewNonce(), Mode: ModeRun, Host: "db1", Class: Destructive, Command: "echo 'hello there'", Owner: "me@here (tty 1)",
		Allow: []string{"data", "replica"}, Member: true, Boots: true, OnUnknown: true, TTY: true, DefaultsFile: "/root/.my cnf",
		Critical:  []Critical{{Name: "our db", Process: "our-dbd", Port: 4000}},
		DataPaths: []string{"/backup", "/with blank"}, Clients: []string{"monitor", "o'neill"},
		IdleAfter: 15 * time.Minute, Timeout: 20 * time.Second, LockID: "00ff", Signal: "TERM",
		Run: "0123456789ab", Release: true, Offer: true, Override: "0a0b0c0d", Reason: "the disk's gone",
	}
}

func TestExecLineIsPlain(t *testing.T) {
	line, err := fullRequest().ExecLine()
	if err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(line, "\n\r!\\`") {
		t.Errorf("the exec request holds a character that some login shell treats specially")
	}
	if strings.Count(line, "'")%2 != 0 {
		t.Errorf("the exec request has an odd number of quotes")
	}
	// What stands outside of quotes is words and blanks.
	outside := regexp.MustCompile(`'[^']*'`).ReplaceAllString(line, "")
	if strings.Trim(outside, safeBytes+" ") != "" {
		t.Errorf("outside of quotes: %q", outside)
	}
	for _, plain := range []string{"hello there", "me@here (tty", "o'neill", "disk's", "/with blank"} {
		if strings.Contains(line, plain) {
			t.Errorf("%q travels unencoded", plain)
		}
	}
	if len(line) > 40<<10 {
		t.Errorf("the exec request has %d bytes: the script has grown", len(line))
	}
}

func TestExecLineLimits(t *testing.T) {
	big := fullRequest()
	big.Command = strings.Repeat("x", MaxCommandBytes)
	line, err := big.ExecLine()
	if err != nil {
		t.Fatalf("a command of %d bytes: %v", MaxCommandBytes, err)
	}
	if len(line) > MaxExecBytes {
		t.Errorf("%d bytes, more than %d", len(line), MaxExecBytes)
	}
	for name, change := range map[string]func(*Request){
		"no nonce":        func(r *Request) { r.Nonce = "" },
		"short nonce":     func(r *Request) { r.Nonce = "00" },
		"nonce":           func(r *Request) { r.Nonce = strings.Repeat("g", 32) },
		"NUL":             func(r *Request) { r.Command = "a\x00b" },
		"long command":    func(r *Request) { r.Command = strings.Repeat("x", MaxCommandBytes+1) },
		"allowance":       func(r *Request) { r.Allow = []string{"everything"} },
		"two allowances":  func(r *Request) { r.Allow = []string{"data,replica"} },
		"relative path":   func(r *Request) { r.DataPaths = []string{"backup"} },
		"path of 2 lines": func(r *Request) { r.DataPaths = []string{"/a\n/b"} },
		"shell":           func(r *Request) { r.Shell = "sh -x" },
		"quote in shell":  func(r *Request) { r.Shell = "sh'" },
		"id":              func(r *Request) { r.LockID = "../.." },
		"signal":          func(r *Request) { r.Signal = "INT' 'mode=check" },
		"override":        func(r *Request) { r.Override = "0x'" },
		"override, check": func(r *Request) { r.Mode = ModeCheck },
		"run":             func(r *Request) { r.Run = "'x" },
		"lease, no run":   func(r *Request) { r.Mode, r.Lease, r.Run, r.Release, r.Override = ModeCheck, LeaseTime, "", false, "" },
		"lease and run":   func(r *Request) { r.Lease = LeaseTime },
		"long lease":      func(r *Request) { r.Mode, r.Lease, r.Override = ModeCheck, MaxLease+time.Second, "" },
		"odd lease":       func(r *Request) { r.Mode, r.Lease, r.Override = ModeCheck, time.Millisecond, "" },
		"release, no run": func(r *Request) { r.Run = "" },
		"lock of routine": func(r *Request) { r.Mode, r.Class = ModeLock, Routine },
		"mode":            func(r *Request) { r.Mode = "run' 'class=read-only" },
		"data too long":   func(r *Request) { r.DataPaths = []string{"/" + strings.Repeat("x", MaxExecBytes)} },
	} {
		r := fullRequest()
		change(&r)
		if line, err := r.ExecLine(); err == nil || line != "" {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestNewNonce(t *testing.T) {
	a, b := NewNonce(), NewNonce()
	if a == b || !regexp.MustCompile(`^[0-9a-f]{32}$`).MatchString(a) {
		t.Errorf("%q and %q", a, b)
	}
}

// The script as it is sent has no comments, and means the same: every shell parses it to its end.
func TestEncodedScriptParses(t *testing.T) {
	for _, shell := range [][]string{{"dash"}, {"busybox", "sh"}, {"bash", "--posix"}} {
		for name, text := range map[string]string{"as it is": Script(), "as it is sent": stripped(Script())} {
			cmd := exec.CommandContext(t.Context(), shell[0], append(shell[1:], "-n")...)
			cmd.Stdin = strings.NewReader(text)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s, %s: %v: %s", shell, name, err, out)
			}
		}
	}
}

func TestShellcheck(t *testing.T) {
	path, err := exec.LookPath("shellcheck")
	if err != nil {
		if os.Getenv("INTERLOCK_REQUIRE_SERVERS") == "1" {
			t.Fatal(err)
		}
		t.Skip("SKIPPED: shellcheck is not installed (INTERLOCK_REQUIRE_SERVERS=1 makes this a failure)")
	}
	for name, text := range map[string]string{"as it is": Script(), "as it is sent": "#!/bin/sh\n" + stripped(Script())} {
		args := []string{"--shell=sh"}
		if name == "as it is sent" { // its directives went with the comments
			args = append(args, "--severity=error")
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		cmd := exec.CommandContext(ctx, path, append(args, "-")...)
		cmd.Stdin = strings.NewReader(text)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", name, err, out)
		}
		cancel()
	}
}
