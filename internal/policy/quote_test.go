package policy

import (
	"os/exec"
	"strings"
	"testing"
)

// TestQuote gives what is quoted to real shells and looks at the words that arrive.
func TestQuote(t *testing.T) {
	words := []string{"a b", "", "it's", `"`, `\`, "$x", "`x`", "*", "~", "#", "a=b", "-n", "!", "if", "{a,b}", "\ta\n\nb ", "é", "a;b", "'", "''", "%s", "|&<>()", "[a]"}
	for _, shell := range []string{"sh", "bash", "dash"} {
		if _, err := exec.LookPath(shell); err != nil {
			t.Logf("SKIPPED: %s is not here", shell)
			continue
		}
		out, err := exec.Command(shell, "-c", Quote(append([]string{"printf", "%s\\0"}, words...))).Output()
		if err != nil {
			t.Fatalf("%s: %v", shell, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(got) != len(words) {
			t.Fatalf("%s: %d words, want %d: %q", shell, len(got), len(words), got)
		}
		for i := range words {
			if got[i] != words[i] {
				t.Errorf("%s: word %d is %q, want %q", shell, i, got[i], words[i])
			}
		}
	}
	for _, tt := range []struct{ word, want string }{
		{"ls", "ls"}, {"a=b", "'a=b'"}, {"if", "'if'"}, {"time", "'time'"}, {"/bin/ls", "/bin/ls"},
	} {
		if got := Quote([]string{tt.word}); got != tt.want {
			t.Errorf("Quote(%q) = %s, want %s", tt.word, got, tt.want)
		}
	}
}
