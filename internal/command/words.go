package command

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst puts the flags of a command before its other words, since cli takes none behind them:
// `interlock check @users --json`. Not so for run and local, where a flag behind HOSTS may be the head of a command
// that lost its --.
func flagsFirst(commands []*cli.Command, argv []string) []string {
	for i, word := range argv[min(1, len(argv)):] {
		at := slices.IndexFunc(commands, func(c *cli.Command) bool { return c.Name == word })
		if at < 0 || word == "run" || word == "local" {
			return argv
		}
		if c := commands[at]; len(c.Subcommands) > 0 {
			commands = c.Subcommands
			continue
		}
		flags, others := sortFlags(commands[at], argv[i+2:])
		return slices.Concat(argv[:i+2], flags, others)
	}
	return argv
}

// sortFlags splits words into flags, with the values that they take, and others.
func sortFlags(c *cli.Command, words []string) (flags, others []string) {
	takesValue := map[string]bool{}
	for _, f := range c.Flags {
		if v, ok := f.(cli.DocGenerationFlag); ok {
			for _, name := range f.Names() {
				takesValue[name] = v.TakesValue()
			}
		}
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if len(word) < 2 || word[0] != '-' {
			others = append(others, word)
			continue
		}
		flags = append(flags, word)
		if takesValue[strings.TrimLeft(word, "-")] && i+1 < len(words) {
			i++
			flags = append(flags, words[i])
		}
	}
	return flags, others
}
