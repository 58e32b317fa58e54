package checks

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// Every reason code that check.sh can print stands in docs/checks.md, in backquotes.
func TestReasonCodesAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../docs/checks.md")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)(?:^|[\s;&|(])(?:reason|blind|unclear|shared|no_override) ("?)([a-z][a-z-]*)(\$\{?[a-z_0-9]+\}?[a-z-]*)?`).FindAllStringSubmatch(script, -1) {
		if m[3] == "" {
			codes[m[2]] = true
		}
	}
	// Codes that end in what is at hand.
	for _, prefix := range []string{"busy-", "needs-", "state-"} {
		if !strings.Contains(script, `"`+prefix+"$") {
			t.Errorf("check.sh no longer makes %s codes: mend this list", prefix)
		}
	}
	for _, code := range []string{"busy-backup", "busy-packages", "busy-clone", "busy-xa-prepared", "busy-long-transaction", "needs-data", "needs-replica", "needs-serving", "needs-member", "needs-proxy", "state-primary", "state-unknown"} {
		codes[code] = true
	}
	if len(codes) < 60 {
		t.Fatalf("only %d codes found in check.sh: has its form changed?", len(codes))
	}
	for code := range codes {
		if !strings.Contains(string(doc), "`"+code+"`") {
			t.Errorf("docs/checks.md does not explain %s", code)
		}
	}
}
