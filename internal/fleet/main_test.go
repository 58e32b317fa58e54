package fleet

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain holds that nothing is left running but the reader of our own standard input, which cannot be
// interrupted and ends with the process, and what waits at the other end of a terminal that it reads.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("interlock/internal/fleet.(*Run).stream.func1"),
		goleak.IgnoreAnyFunction("interlock/internal/fleet.seen.func1"))
}
