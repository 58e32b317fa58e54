package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// childEnv holds the options of a run that a test starts as a process of its own, to be killed.
const childEnv = "INTERLOCK_TEST_RUN"

// TestMain holds that nothing is left running but the reader of our own standard input, which cannot be
// interrupted and ends with the process, and what waits at the other end of a terminal that it reads.
func TestMain(m *testing.M) {
	if text := os.Getenv(childEnv); text != "" {
		os.Exit(child(text))
	}
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("interlock/internal/fleet.(*Run).stream.func1"),
		goleak.IgnoreAnyFunction("interlock/internal/fleet.seen.func1"))
}

// child is a run in a process of its own.
func child(text string) int {
	var o RunOptions
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return ExitSoftware
	}
	run, err := NewRun(o, StandardStreams())
	if err == nil {
		err = run.Run(context.Background())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return ExitStatus(err)
}
