package wholefile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// alone holds that a directory has these entries and no other: no temporary file is left.
func alone(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(names) {
		t.Errorf("directory holds %v, want %v", got, names)
	}
}

func TestNewAndAgain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.prom")
	for _, want := range []string{"one", "two\n", ""} {
		if err := Write(path, 0o644, text(want)); err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != want {
			t.Errorf("holds %q, want %q", got, want)
		}
	}
	alone(t, dir, "a.prom")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, 0o644, text("three")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v; want 0640 kept", info.Mode(), err)
	}
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	if err := Write(path, 0o644, text("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := Write(path, 0o644, func(w io.Writer) error {
		_, _ = io.WriteString(w, strings.Repeat("half", 1<<20))
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if read(t, path) != "old" {
		t.Error("the old file is gone")
	}
	alone(t, dir, "a")
}

// A file system of 64 KiB is full soon.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k"); err != nil {
		t.Fatalf("mount a small file system (root is needed): %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	path := filepath.Join(dir, "a")
	if err := Write(path, 0o644, text("old")); err != nil {
		t.Fatal(err)
	}
	err := Write(path, 0o644, text(strings.Repeat("x", 1<<20)))
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("error %v, want that of a full disk", err)
	}
	if read(t, path) != "old" {
		t.Error("the old file is gone")
	}
	alone(t, dir, "a")
}

func TestWhatIsNoFileIsNotReplaced(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	nowhere := filepath.Join(dir, "link")
	if err := os.Symlink("nowhere", nowhere); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{fifo, dir, nowhere, filepath.Join(dir, "no", "a")} {
		if err := Write(path, 0o644, text("x")); err == nil {
			t.Errorf("%s: written", path)
		}
	}
	alone(t, dir, "fifo", "link")
}

func TestLinkStaysALink(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{os.WriteFile(filepath.Join(dir, "real"), []byte("old"), 0o600), os.Symlink("real", filepath.Join(dir, "link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := Write(filepath.Join(dir, "link"), 0o644, text("new")); err != nil {
		t.Fatal(err)
	}
	if read(t, filepath.Join(dir, "real")) != "new" {
		t.Error("what the link leads to was not written")
	}
	alone(t, dir, "link", "real")
}

// A reader never sees a part.
func TestReadersSeeWholeFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	const size = 200_000
	if err := Write(path, 0o644, text(strings.Repeat("0", size))); err != nil {
		t.Fatal(err)
	}
	var writers sync.WaitGroup
	for n := range 4 {
		writers.Go(func() {
			for range 10 {
				if err := Write(path, 0o644, text(strings.Repeat(fmt.Sprint(n), size))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { writers.Wait(); close(done) }()
	for {
		got := read(t, path)
		if len(got) != size || strings.Trim(got, got[:1]) != "" {
			t.Fatalf("a part of a file was seen: %d bytes", len(got))
		}
		select {
		case <-done:
			return
		default:
		}
	}
}
