package command

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"interlock/internal/testrig"
)

// recovery is a log, a server that it is replayed onto, and the program. The log's last transaction takes as long there
// as target says.
type recovery struct {
	dir     string // the program's
	logs    string // a folder of logs, and of a file that is none
	program string
	to      *testrig.Local
}

// slowLog is a log of three transactions behind the tables, the last of which waits for what c.pause says: that table is
// not in the log.
func slowLog(t *testing.T) (folder string) {
	t.Helper()
	source := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})
	_, err := source.Exec(t.Context(), pause(0)+`CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY, n INT); INSERT INTO d.t VALUES (1, 0);
SET SESSION binlog_format = STATEMENT; INSERT INTO d.t SELECT 2, SLEEP(seconds) FROM c.pause;`)
	if err != nil {
		t.Fatal(err)
	}
	files, err := source.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(file)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "README"), []byte("no log"), 0o600); err != nil {
		t.Fatal(err)
	}
	return folder
}

func pause(seconds int) string {
	return fmt.Sprintf("SET SESSION sql_log_bin=0; CREATE DATABASE c; CREATE TABLE c.pause (seconds INT PRIMARY KEY); INSERT INTO c.pause VALUES (%d); SET SESSION sql_log_bin=1; ", seconds)
}

// newRecovery is an empty server on which the last transaction of a log takes so many seconds.
func newRecovery(t *testing.T, logs string, seconds int) *recovery {
	t.Helper()
	r := &recovery{dir: t.TempDir(), logs: logs, to: testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MySQL})}
	if _, err := r.to.Exec(t.Context(), pause(seconds)); err != nil {
		t.Fatal(err)
	}
	r.program = program(t)
	return r
}

// program is the test binary under the name of the program.
func program(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "interlock")
	if err := os.Symlink(self, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// command is interlock replay with a target and more words.
func (r *recovery) command(t *testing.T, words ...string) *exec.Cmd {
	t.Helper()
	return exec.CommandContext(t.Context(), r.program, append([]string{"replay", "--user=root", "--socket=" + r.to.Socket}, words...)...)
}

// says runs a command to its end.
func says(t *testing.T, cmd *exec.Cmd) said {
	t.Helper()
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	}
	return said{stdout: stdout.String(), stderr: stderr.String(), status: cmd.ProcessState.ExitCode()}
}

// running starts a command and waits until the last transaction runs on the server.
func (r *recovery) running(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// Who looks before it has begun is a client, and refused.
	until(t, "the run has begun", func() bool { return fileThere(filepath.Join(r.to.DataDir, "interlock_replay", "setting.ibd")) })
	until(t, "the last transaction runs", func() bool {
		rows, err := r.to.Query(t.Context(), "SELECT 1 AS n FROM performance_schema.processlist WHERE INFO LIKE 'INSERT INTO d.t SELECT 2%'")
		return err == nil && len(rows) > 0
	})
}

// expect holds the server to be open, with its settings as they were, and to have rows.
func (r *recovery) expect(t *testing.T, want string) {
	t.Helper()
	const look = "SELECT CONCAT(@@GLOBAL.offline_mode, ' ', @@GLOBAL.innodb_flush_log_at_trx_commit, ': ', GROUP_CONCAT(id ORDER BY id)) FROM d.t"
	out, err := r.to.Exec(t.Context(), look)
	if got := strings.TrimSpace(out); err != nil || got != "0 2: "+want {
		t.Errorf("offline_mode, innodb_flush_log_at_trx_commit and rows are %q, %v; want %q", got, err, "0 2: "+want)
	}
}

// summary reads a file that --summary wrote.
func summary(t *testing.T, path string) (s struct {
	State          string `json:"state"`
	Error          string `json:"error"`
	AppliedTo      string `json:"applied_to"`
	To             string `json:"to"`
	StopNotReached bool   `json:"stop_not_reached"`
}) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err != nil {
		t.Error(err)
	}
	return s
}

// TestReplay runs the program as people do.
func TestReplay(t *testing.T) {
	logs := slowLog(t)
	t.Run("hang-up under nohup", func(t *testing.T) { replayHangUp(t, newRecovery(t, logs, 5)) })
	t.Run("reader goes away", func(t *testing.T) { replayReaderGone(t, newRecovery(t, logs, 12)) })
	t.Run("interrupted", func(t *testing.T) { replayInterrupted(t, newRecovery(t, logs, 5)) })
	t.Run("summary", func(t *testing.T) { replaySummary(t, newRecovery(t, logs, 0)) })
}

// A run under nohup goes on when its terminal goes. Meanwhile --status says that it is under way.
func replayHangUp(t *testing.T, r *recovery) {
	file := filepath.Join(r.dir, "summary")
	cmd := r.command(t, "--summary", file, "--stop-datetime", "2999-01-01", r.logs)
	cmd.Args = append([]string{"sh", "-c", `trap '' HUP; exec "$@"`, "sh"}, cmd.Args...)
	cmd.Path, cmd.Err = "/bin/sh", nil
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	r.running(t, cmd)
	status := says(t, r.command(t, "--status"))
	if status.status != 0 || !strings.Contains(status.stdout, ": under way") || !strings.Contains(status.stdout, "held by") ||
		strings.Contains(status.stdout, "INCONSISTENT") || strings.Contains(status.stdout, "interrupted:") || strings.Contains(status.stdout, "UNCERTAIN") {
		t.Errorf("--status of a live run: %+v", status)
	}
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s%s", err, &stdout, &stderr)
	}
	r.expect(t, "1,2")
	if !strings.Contains(stdout.String(), "--stop-datetime was not reached: the log ends at binlog.") {
		t.Errorf("nothing says that the end was not reached: %s", &stdout)
	}
	if s := summary(t, file); s.State != "complete" || s.AppliedTo == "" || s.AppliedTo != s.To || s.Error != "" || !s.StopNotReached {
		t.Errorf("summary %+v", s)
	}
}

// The run ends well where nobody reads what it says, and the server is open then.
func replayReaderGone(t *testing.T, r *recovery) {
	status := filepath.Join(r.dir, "status")
	cmd := r.command(t, r.logs)
	// The first line is of the README, the next one of the progress after ten seconds.
	cmd.Args = append([]string{"sh", "-c", `{ "$@"; echo $? >` + status + `; } 2>&1 | head -1`, "sh"}, cmd.Args...)
	cmd.Path, cmd.Err = "/bin/sh", nil
	if got := says(t, cmd); got.status != 0 || strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("head -1: %+v", got)
	}
	until(t, "the run has ended", func() bool { return fileThere(status) })
	time.Sleep(100 * time.Millisecond) // the shell writes into it
	if text, err := os.ReadFile(status); err != nil || string(text) != "74\n" {
		t.Errorf("exit status %q, %v; want 74: the summary was not printed", text, err)
	}
	r.expect(t, "1,2")
	if got := says(t, r.command(t, r.logs)); got.status != 0 || !strings.Contains(got.stdout, "finished before") {
		t.Errorf("the same command: %+v", got)
	}
}

// An interrupted run says in the summary up to where the server is whole, and goes on from there.
func replayInterrupted(t *testing.T, r *recovery) {
	file := filepath.Join(r.dir, "summary")
	cmd := r.command(t, "--summary", file, r.logs)
	r.running(t, cmd)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 {
		t.Fatalf("^C: %v; want 130", err)
	}
	r.expect(t, "1")
	first := summary(t, file)
	if first.State != "whole" || !strings.HasPrefix(first.AppliedTo, "binlog.") || first.To != first.AppliedTo || !strings.Contains(first.Error, "whole up to "+first.AppliedTo) {
		t.Errorf("summary %+v", first)
	}
	status := says(t, r.command(t, "--status"))
	if status.status != 0 || !strings.Contains(status.stdout, "interrupted: whole up to") {
		t.Errorf("--status of an interrupted run: %+v", status)
	}
	if got := says(t, r.command(t, "--summary", file, r.logs)); got.status != 0 {
		t.Fatalf("the same command: %+v", got)
	}
	r.expect(t, "1,2")
	if s := summary(t, file); s.State != "complete" || s.AppliedTo == first.AppliedTo {
		t.Errorf("summary %+v", s)
	}
}

// replaySummary takes a server through refusals to a finished run and has its state dropped.
func replaySummary(t *testing.T, r *recovery) {
	file := filepath.Join(r.dir, "summary")
	run := func(want int, words ...string) said {
		t.Helper()
		got := says(t, r.command(t, words...))
		if got.status != want {
			t.Errorf("%q: %+v; want %d", words, got, want)
		}
		return got
	}
	exec := func(script string) {
		t.Helper()
		if _, err := r.to.Exec(t.Context(), script); err != nil {
			t.Fatal(err)
		}
	}
	if got := run(0, "--drop-state"); !strings.Contains(got.stdout, "there is no schema interlock_replay on this server") {
		t.Errorf("--drop-state without a state: %+v", got)
	}
	exec("SET GLOBAL read_only=ON")
	run(77, "--summary", file, r.logs)
	if s := summary(t, file); s.State != "nothing_applied" || !strings.Contains(s.Error, "read_only") || s.AppliedTo != "" || s.To != "" {
		t.Errorf("summary of a refusal: %+v", s)
	}
	exec("SET GLOBAL read_only=OFF")

	refused := summary(t, file)
	run(64, "--summary", file, "--start-position", "binlog.777777:4", r.logs)
	run(64, "--summary", filepath.Join(r.dir, "none", "summary"), r.logs)
	run(64, "--summary", r.dir, r.logs)
	if s := summary(t, file); s != refused {
		t.Errorf("a usage error has written %+v", s)
	}

	run(0, "--summary", file, "--stop-position", "binlog.000001:4", r.logs)
	if s := summary(t, file); s.State != "complete" || s.AppliedTo != "" || s.To != "" {
		t.Errorf("summary of a range without transactions: %+v", s)
	}
	if got := run(0, "--drop-state"); !strings.Contains(got.stdout, "removed the schema interlock_replay\n") || strings.Contains(got.stdout, "ROWS") {
		t.Errorf("--drop-state: %+v", got)
	}

	// Whoever reads stdout gets both.
	if got := run(0, "--summary", "/proc/self/fd/1", r.logs); !strings.Contains(got.stdout, "replayed to ") || !strings.HasSuffix(got.stdout, "}\n") ||
		strings.Index(got.stdout, "replayed to") > strings.Index(got.stdout, `"state": "complete"`) {
		t.Errorf("--summary to stdout: %+v", got)
	}
	r.expect(t, "1,2")
	run(0, "--summary", file, r.logs)
	if s := summary(t, file); s.State != "complete" || s.AppliedTo == "" || s.AppliedTo != s.To {
		t.Errorf("summary of a run that was finished before: %+v", s)
	}
	full := filepath.Join(r.dir, "full") // /dev/full
	if err := unix.Mknod(full, syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 7))); err != nil {
		t.Logf("no device can be made: %v", err)
	} else if got := run(74, "--summary", full, r.logs); !strings.Contains(got.stdout, "finished before") || !strings.Contains(got.stderr, "no space left") {
		t.Errorf("a summary for which there is no room: %+v", got)
	}
	if got := run(0, "--drop-state"); !strings.Contains(got.stdout, "removed the schema interlock_replay\n") || !strings.Contains(got.stdout, "GTIDs stay as they are") {
		t.Errorf("--drop-state: %+v", got)
	}
}

// What --status and --drop-state would pass over, and a target that cannot be, are usage errors.
func TestReplayUsage(t *testing.T) {
	interlock, dir := program(t), t.TempDir()
	options := filepath.Join(dir, "my.cnf")
	if err := os.WriteFile(options, []byte("[client]\nport=33o6\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "binlog.000001")
	if err := os.WriteFile(log, []byte("\xfebin"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ words, want string }{
		{"--drop-state --force binlog.000001", `--drop-state replays nothing and takes no binary logs ("binlog.000001")`},
		{"--status binlog.000001", `--status replays nothing and takes no binary logs`},
		{"--status --start-position binlog.000001:4", "--status replays nothing and takes no --start-position"},
		{"--drop-state --stop-before-gtid 0-1-2", "takes no --stop-before-gtid"},
		{"--drop-state --skip-gtid 0-1-2", "takes no --skip-gtid"},
		{"--drop-state --memory 1G", "takes no --memory"},
		{"--drop-state --connections 4", "takes no --connections"},
		{"--drop-state --resolve-intent redo", "takes no --resolve-intent"},
		{"--status --summary file", "takes no --summary"},
		{"--status --drop-state", "--status and --drop-state: give one of them"},
		{"--status --force", "--force goes with --drop-state alone"},
		{"--force binlog.000001", "--force goes with --drop-state alone"},
		{"--status --defaults-file " + options, "33o6"},
		{"--drop-state --defaults-file " + options + ".none", "read option file"},
		{"--status --host db1 --socket /s", "give one of them"},
		{"--stop-datetime= " + log, "--stop-datetime is empty"}, // as an unset variable leaves it
		{"--stop-before-gtid= " + log, "--stop-before-gtid is empty"},
		{"--stop-position= " + log, "--stop-position is empty"},
		{"--start-position= " + log, "--start-position is empty"},
		{"--skip-gtid= " + log, "--skip-gtid is empty"},
		{"--drop-state --socket=", "--socket is empty"},
	} {
		cmd := exec.CommandContext(t.Context(), interlock, append([]string{"replay"}, strings.Fields(c.words)...)...)
		cmd.Dir = dir
		if got := says(t, cmd); got.status != 64 || !strings.Contains(got.stderr, c.want) || got.stdout != "" {
			t.Errorf("%s: %+v\nwant 64, %s", c.words, got, c.want)
		}
	}
}

// ^C ends a run that waits for somebody who writes the log.
func TestReplayWaitingForALog(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), program(t), "replay", "--socket=/none", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := io.WriteString(in, "\xfe"); err != nil { // and no more
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	start := time.Now()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 130 || time.Since(start) > time.Second {
		t.Errorf("%v after %s; want 130 within a second", err, time.Since(start))
	}
}
