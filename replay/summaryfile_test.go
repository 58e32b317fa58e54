package replay

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// summaryTo writes a summary to a path, as a run does.
func summaryTo(ctx context.Context, t *testing.T, path string) {
	t.Helper()
	f, err := openSummary(path)
	if err == nil {
		err = f.write(ctx, &Summary{State: StateWhole})
	}
	if err != nil {
		t.Fatal(err)
	}
}

// holdsSummary looks at what has become of a file.
func holdsSummary(t *testing.T, path string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s Summary
	if err := json.Unmarshal(text, &s); err != nil || s.State != StateWhole {
		t.Errorf("%s holds %q, %v", path, text, err)
	}
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() {
		t.Errorf("%s is %v, %v", path, info.Mode(), err)
	}
}

// A symbolic link stays one, and what it leads to is replaced, or made.
func TestSummaryBehindLinks(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range [][2]string{{"deep", "a/b"}, {"deep/link", "../file"}, {"c/first", "../deep/link"}, {"c/new", dir + "/c/made"}} {
		if err := os.Symlink(link[1], filepath.Join(dir, link[0])); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "a/file") // what .. in a/b is, not in dir
	if err := os.WriteFile(file, []byte(`{"state": "complete"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"c/first": file, "c/new": filepath.Join(dir, "c/made")} {
		summaryTo(t.Context(), t, filepath.Join(dir, link))
		holdsSummary(t, to)
		if info, err := os.Lstat(filepath.Join(dir, link)); err != nil || info.Mode()&os.ModeSymlink == 0 {
			t.Errorf("%s is no link any more: %v, %v", link, info, err)
		}
	}
	summaryTo(t.Context(), t, file) // once more, in place
	holdsSummary(t, file)
	left, err := filepath.Glob(filepath.Join(dir, "*", ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}
}

// A pipe gets the summary once somebody reads it, and the wait for him can be interrupted.
func TestSummaryIntoPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := openSummary(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := f.write(ctx, &Summary{}); err == nil || !strings.Contains(err.Error(), "nobody reads") {
		t.Errorf("without a reader: %v", err)
	}
	read := make(chan []byte)
	go func() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		read <- text
	}()
	summaryTo(t.Context(), t, path)
	if text := <-read; !strings.Contains(string(text), `"state": "whole"`) {
		t.Errorf("read %q", text)
	}
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		t.Errorf("the pipe is %v, %v", info, err)
	}
}

// A device is written into and stays one.
func TestSummaryIntoDevice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "null")
	if err := unix.Mknod(path, syscall.S_IFCHR|0o666, int(unix.Mkdev(1, 3))); err != nil {
		t.Skipf("no device can be made: %v", err)
	}
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err != nil {
		t.Skipf("devices do not work here: %v", err)
	} else if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	summaryTo(t.Context(), t, path)
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		t.Errorf("the device is %v, %v", info, err)
	}
}

// A file that is no summary, as a binary log is, is not replaced: its name stands behind --summary by mistake. One that
// is empty is.
func TestSummaryOverOtherFile(t *testing.T) {
	dir := t.TempDir()
	log, link, empty := filepath.Join(dir, "binlog.000001"), filepath.Join(dir, "link"), filepath.Join(dir, "empty")
	const text = "\xfebin and more"
	for path, text := range map[string]string{log: text, empty: ""} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(log, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{log, link} {
		if _, err := openSummary(path); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), "no summary: name another one") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if left, err := os.ReadFile(log); err != nil || string(left) != text {
		t.Errorf("the log holds %q, %v", left, err)
	}
	summaryTo(t.Context(), t, empty)
	holdsSummary(t, empty)
}

// What cannot be written is a usage error, before anything is touched.
func TestSummaryCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{
		dir: "it is a directory", filepath.Join(dir, "none/file"): "no such file or directory",
		filepath.Join(dir, "loop"): "too many levels", "/proc/summary": "no file can be made in its folder",
	} {
		if _, err := openSummary(path); !errors.Is(err, ErrUsage) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v; want %q", path, err, words)
		}
	}
}
