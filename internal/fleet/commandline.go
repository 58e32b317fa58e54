package fleet

import (
	"slices"
	"strings"
)

// CommandLine is what stands behind the first -- of the command line. The package that parses flags drops
// the --, so it is looked for before: in `interlock run rm --host db1` it would take --host for an argument.
type CommandLine struct {
	Given bool // there was a --
	Words []string
}

// SplitAtDashes splits the program's arguments at the first --.
func SplitAtDashes(argv []string) ([]string, CommandLine) {
	i := slices.Index(argv, "--")
	if i < 0 {
		return argv, CommandLine{}
	}
	return argv[:i], CommandLine{Given: true, Words: argv[i+1:]}
}

// HostsBefore gives the one word before --. Any other word there is an error that names the likely mistake.
// Command is the name of ours, usage how it is to be called.
func (c CommandLine) HostsBefore(command string, before []string, usage string) (string, error) {
	switch {
	case !c.Given:
		return "", Usage(usage, "%s: no -- before the command", command)
	case len(c.Words) == 0:
		return "", Usage(usage, "%s: no command after --", command)
	case len(before) == 0:
		return "", Usage(usage, "%s: no HOSTS before --", command)
	case len(before) > 1 && strings.HasPrefix(before[1], "-"):
		return "", Usage("flags stand before HOSTS: "+usage, "%s: unexpected %q after HOSTS %q", command, before[1], before[0])
	case len(before) > 1:
		return "", Usage("several hosts are one word, joined by commas; the command stands after --: "+usage,
			"%s: unexpected %q after HOSTS %q", command, before[1], before[0])
	}
	return before[0], nil
}

// OnlyHosts gives the one word of a command that takes a set of hosts and nothing after --.
func (c CommandLine) OnlyHosts(command string, words []string, usage string) (string, error) {
	words, err := c.Arguments(command, words, 1, 1, usage)
	if err != nil {
		return "", err
	}
	return words[0], nil
}

// Arguments gives the words of a command that takes least to most of them and nothing after --.
func (c CommandLine) Arguments(command string, words []string, least, most int, usage string) ([]string, error) {
	switch {
	case c.Given:
		return nil, Usage(usage, "%s: takes no --", command)
	case len(words) < least:
		return nil, Usage(usage, "%s: too few words", command)
	case len(words) > most:
		return nil, Usage(usage, "%s: unexpected %q", command, words[most])
	}
	return words, nil
}
