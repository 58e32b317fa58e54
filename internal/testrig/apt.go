package testrig

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// debianSuites are the suites by which a source is known to be Debian's own archive: whichever it names, the
// archive has the others too.
var debianSuites = []string{"bookworm", "trixie", "forky", "sid", "stable", "testing", "unstable"}

func isDebianSuite(s string) bool { return slices.Contains(debianSuites, s) }

// aptSource is a one-line source for a suite of Debian, from the archive that the machine's own apt uses.
func aptSource(suite string) (string, error) {
	files, err := filepath.Glob("/etc/apt/sources.list.d/*")
	if err != nil {
		return "", err
	}
	for _, file := range append([]string{"/etc/apt/sources.list"}, files...) {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		uri := oneLineURI(string(text))
		if strings.HasSuffix(file, ".sources") {
			uri = stanzaURI(string(text))
		}
		if uri != "" {
			return fmt.Sprintf("deb %s %s main", uri, suite), nil
		}
	}
	return "", fmt.Errorf("find apt source: /etc/apt names no Debian archive: the rig needs a Debian machine")
}

// stanzaURI finds Debian's archive in the deb822 format (sources.list(5)).
func stanzaURI(text string) string {
	for stanza := range strings.SplitSeq(text, "\n\n") {
		field := map[string][]string{}
		for line := range strings.Lines(stanza) {
			if name, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") {
				field[strings.ToLower(name)] = strings.Fields(value)
			}
		}
		if slices.ContainsFunc(field["suites"], isDebianSuite) && slices.Contains(field["components"], "main") && len(field["uris"]) > 0 {
			return field["uris"][0]
		}
	}
	return ""
}

// oneLineURI does the same for the one-line format.
func oneLineURI(text string) string {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 && strings.HasPrefix(words[1], "[") { // options, possibly several words
			end := slices.IndexFunc(words, func(w string) bool { return strings.HasSuffix(w, "]") })
			words = slices.Delete(words, 1, end+1)
		}
		if len(words) > 3 && words[0] == "deb" && isDebianSuite(words[2]) && slices.Contains(words[3:], "main") {
			return words[1]
		}
	}
	return ""
}
