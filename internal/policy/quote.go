package policy

import (
	"fmt"
	"strings"
	"unicode"
)

// Quote joins an argv to a line that every POSIX shell splits into the same words again. A single word that
// the user gave as a shell line is not for Quote.
func Quote(argv []string) string {
	var b strings.Builder
	for i, word := range argv {
		if i > 0 {
			b.WriteByte(' ')
		}
		if i == 0 && (strings.Contains(word, "=") || reserved[word]) || !plainText(word) {
			b.WriteByte('\'')
			b.WriteString(strings.ReplaceAll(word, "'", `'\''`))
			b.WriteByte('\'')
			continue
		}
		b.WriteString(word)
	}
	return b.String()
}

// reserved are the words that a shell takes for grammar where a command begins.
var reserved = words("if then else elif fi do done case esac while until for in function select time coproc")

// MisplacedSelector tells a command that begins with what was meant to choose hosts: an assignment to a
// lower-case name, or to a key of the inventory. In January 2014 such a command line reinstalled live
// databases: "dsh --group hwclass=database lifecycle=reinstall perform_upgrade". The command is the line as
// the user gave it, or the first of several words with the others behind it.
func MisplacedSelector(command string, inventoryKey func(string) bool) error {
	first := strings.TrimLeftFunc(command, func(r rune) bool { return unicode.IsSpace(r) || r == '(' || r == '{' || r == '\'' || r == '"' })
	name, rest, found := strings.Cut(first, "=")
	if !found || name == "" || strings.HasPrefix(rest, "=") {
		return nil
	}
	for i, c := range name {
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && (c == '-' || c == '.' || c >= '0' && c <= '9')) {
			return nil
		}
	}
	if name != strings.ToLower(name) && (inventoryKey == nil || !inventoryKey(name)) {
		return nil
	}
	word := first
	if i := strings.IndexFunc(first, unicode.IsSpace); i >= 0 {
		word = first[:i]
	}
	word = strings.TrimRight(word, `'"`)
	return fmt.Errorf("command begins with %q: this looks like a selector of hosts that came too late; a shell would set a variable and run the rest on every host: put it into HOSTS, or write env %s … if it is meant", word, word)
}
