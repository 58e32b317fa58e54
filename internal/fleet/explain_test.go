package fleet

import (
	"strings"
	"testing"

	"interlock/checks"
	"interlock/internal/policy"
)

// at is a reason that points at the first occurrence of part in command.
func at(command, part, code, text string) policy.Reason {
	i := strings.Index(command, part)
	return policy.Reason{Code: code, Text: text, Start: i, End: i + len(part)}
}

func TestExplanationPointsIntoTheCommand(t *testing.T) {
	for _, c := range []struct {
		name, command string
		parts         []string
		want          string
	}{
		{"a word", "ps; rm -rf /tmp", []string{"rm"}, "destructive\n\n  ps; rm -rf /tmp\n      ^^ why (code)\n"},
		{"two words of a line", "a b", []string{"a", "b"}, "destructive\n\n  a b\n  ^ why (code)\n    ^ why (code)\n"},
		{"lines", "ps\nrm x\nls", []string{"ps", "rm"}, "destructive\n\n  ps\n  ^^ why (code)\n\n  rm x\n  ^^ why (code)\n"},
		{"over a line's end", "ps\nrm x\nls", []string{"rm x\nls"}, "destructive\n\n  rm x\n  ^^^^ why (code)\n"},
		{"an empty span", "ps", []string{""}, "destructive\n\n  ps\n  ^ why (code)\n"},
		{"letters of two bytes", "echo äöü; rm", []string{"rm"}, "destructive\n\n  echo äöü; rm\n            ^^ why (code)\n"},
		{"letters two columns wide", "echo 日本; rm", []string{"rm"}, "destructive\n\n  echo 日本; rm\n             ^^ why (code)\n"},
		{"an escape", "echo \x1b; rm", []string{"rm"}, "destructive\n\n  echo \\x1b; rm\n             ^^ why (code)\n"},
		{"no UTF-8", "echo \xff; rm", []string{"rm"}, "destructive\n\n  echo \\xff; rm\n             ^^ why (code)\n"},
		{"the first byte of a character", "é x", []string{"\xc3"}, "destructive\n\n  é x\n  ^ why (code)\n"},
		{"part of a character", "é", []string{"\xa9"}, "destructive\n\n  é\n  ^ why (code)\n"},
	} {
		e := policy.Classification{Command: c.command, Class: checks.Destructive}
		for _, part := range c.parts {
			e.Reasons = append(e.Reasons, at(c.command, part, "code", "why"))
		}
		var b strings.Builder
		writeExplanation(&b, e)
		if b.String() != c.want {
			t.Errorf("%s: got\n%swant\n%s", c.name, b.String(), c.want)
		}
	}
}
