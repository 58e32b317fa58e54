package testrig

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBuildOnceForAll(t *testing.T) {
	dir := t.TempDir()
	var fills atomic.Int32
	fill := func(_ context.Context, dir string) error {
		fills.Add(1)
		time.Sleep(50 * time.Millisecond) // the others come meanwhile
		return os.Mkdir(dir, 0o755)
	}
	paths := make([]string, 4)
	var group sync.WaitGroup
	for i := range paths {
		group.Go(func() {
			c := &cache{dir: dir, log: testLog{t}} // as another process has it
			var err error
			if paths[i], err = c.build(t.Context(), "tree", "recipe", fill); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if fills.Load() != 1 {
		t.Errorf("built %d times, want once", fills.Load())
	}
	for _, path := range paths {
		if _, err := os.Stat(path); err != nil || path != paths[0] {
			t.Errorf("path %q (%v), want %q", path, err, paths[0])
		}
	}
}

func TestBuildLeavesNoHalfTree(t *testing.T) {
	c := &cache{dir: t.TempDir(), log: testLog{t}}
	broken := errors.New("broken")
	_, err := c.build(t.Context(), "tree", "recipe", func(_ context.Context, dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Fatalf("got %v, want %v", err, broken)
	}
	if found, err := filepath.Glob(filepath.Join(c.dir, "tree-*")); err != nil || len(found) != 0 {
		t.Errorf("left %q (%v)", found, err)
	}
	path, err := c.build(t.Context(), "tree", "recipe", func(_ context.Context, dir string) error { return os.Mkdir(dir, 0o755) })
	if err != nil {
		t.Fatal(err)
	}
	other, err := c.build(t.Context(), "tree", "another recipe", func(_ context.Context, dir string) error { return os.Mkdir(dir, 0o755) })
	if err != nil || other == path {
		t.Errorf("another recipe gives %q (%v)", other, err)
	}
}

func TestAptSources(t *testing.T) {
	for _, c := range []struct {
		name string
		read func(string) string
		text string
		want string
	}{
		{"stanza", stanzaURI, "Types: deb\n# URIs: http://old\nURIs: http://mirror.test/debian\nSuites: bookworm bookworm-updates\nComponents: main contrib\n", "http://mirror.test/debian"},
		{"second stanza", stanzaURI, "URIs: http://mirror.test/security\nSuites: bookworm-security\nComponents: main\n\nURIs: http://mirror.test/debian\nSuites: trixie\nComponents: main\n", "http://mirror.test/debian"},
		{"foreign stanza", stanzaURI, "URIs: http://vendor.test/node\nSuites: nodistro\nComponents: main\n", ""},
		{"line", oneLineURI, "# deb http://old bookworm main\ndeb http://mirror.test/debian bookworm main\n", "http://mirror.test/debian"},
		{"line with options", oneLineURI, "deb [arch=amd64 signed-by=/k.gpg] http://mirror.test/debian stable main\n", "http://mirror.test/debian"},
		{"source line", oneLineURI, "deb-src http://mirror.test/debian bookworm main\n", ""},
		{"foreign line", oneLineURI, "deb https://vendor.test/apt vendor-bookworm main\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := c.read(c.text); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
