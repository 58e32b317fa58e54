package target

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// eachServer runs a test on a server of its own of each product, reached as root.
func eachServer(t *testing.T, spec testrig.LocalSpec, f func(t *testing.T, local *testrig.Local, s *Server)) {
	t.Helper()
	for _, product := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			spec := spec
			spec.Product = product
			local := testrig.LocalFor(t, spec)
			f(t, local, connect(t, Options{Socket: local.Socket, User: "root"}))
		})
	}
}

func connect(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Connect(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func dial(t *testing.T, s *Server) *Conn {
	t.Helper()
	c, err := s.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func mustExec(t *testing.T, c *Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if err := c.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func mustText(t *testing.T, c *Conn, sql string) string {
	t.Helper()
	text, err := c.text(t.Context(), sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return text
}

// mustRefuse fails unless err has all the words.
func mustRefuse(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error, where one with %q was expected", words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

// writeFile writes a file that nobody else reads and returns its path.
func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
