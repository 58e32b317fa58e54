package command

import (
	"os"
	"path/filepath"
	"testing"

	"interlock/internal/testrig"
)

// TestMain lets the test binary be the program itself, under the names that the program has: tests put links to it
// where scp, git and ansible find it.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case "interlock", sshName:
		os.Exit(Run(os.Args))
	}
	testrig.HearSignals()
	os.Exit(m.Run())
}
