package proof

import (
	"fmt"
	"os"
	"testing"
)

// buildDir is where the interlock command is built; it goes away at the end.
var buildDir string

func TestMain(m *testing.M) {
	os.Exit(run(m)) //nolint:forbidigo // a test's main
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "interlock-proof-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	buildDir = dir
	return m.Run()
}
