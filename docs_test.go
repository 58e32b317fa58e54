package main

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"interlock/internal/policy"
)

// TestCronDocs holds docs/cron.md against the program: every code of a finding, every metric, and rules that
// Prometheus' own tool takes.
func TestCronDocs(t *testing.T) {
	text := readText(t, "docs/cron.md")
	for _, code := range policy.FindingCodes {
		if !strings.Contains(text, "\n| `"+code+"` | ") {
			t.Errorf("no row for the finding %s", code)
		}
	}
	for _, m := range regexp.MustCompile(`Name: "(interlock_\w+)"`).FindAllStringSubmatch(readText(t, "internal/fleet/checkprom.go"), -1) {
		if !strings.Contains(text, "`"+m[1]+"`") {
			t.Errorf("metric %s is not described", m[1])
		}
	}
	_, rules, ok := strings.Cut(text, "```yaml\n")
	rules, _, closed := strings.Cut(rules, "```")
	if !ok || !closed {
		t.Fatal("no rules")
	}
	path := t.TempDir() + "/rules.yml"
	if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", path).CombinedOutput(); err != nil {
		t.Errorf("promtool: %v: %s", err, out)
	}
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
