package testrig

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// For makes a rig for a test and closes it at the test's end. Where a rig cannot be made the test is
// skipped, and failed if INTERLOCK_REQUIRE_SERVERS is 1.
func For(tb testing.TB) *Rig {
	tb.Helper()
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(tb.Name()), "-"), "-")
	rig, err := New(context.Background(), Options{Name: fmt.Sprintf("%.40s-%d", name, os.Getpid()), Log: testLog{tb}})
	if err != nil {
		if os.Getenv("INTERLOCK_REQUIRE_SERVERS") == "1" {
			tb.Fatalf("testrig: %v", err)
		}
		tb.Skipf("SKIPPED, NOTHING IS PROVEN: no real hosts here (INTERLOCK_REQUIRE_SERVERS=1 makes this a failure): %v", err)
	}
	tb.Cleanup(func() {
		if err := rig.Close(); err != nil {
			tb.Errorf("testrig: %v", err)
		}
	})
	return rig
}

// testLog sends what the rig says to the test's log.
type testLog struct{ tb testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.tb.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
