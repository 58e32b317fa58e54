package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// explainCommands are classified within explainBar: a shell history, or what a fleet's cron jobs run, in one go.
const (
	explainCommands = 100_000
	explainBar      = 10 * time.Second
)

// measureExplain classifies the classifier's own corpus, over and over.
func measureExplain(ctx context.Context, b *bench) error {
	corpus, err := corpusCommands("../internal/policy/testdata")
	if err != nil {
		return err
	}
	var input bytes.Buffer
	for i := range explainCommands {
		fmt.Fprintln(&input, corpus[i%len(corpus)])
	}
	if err := os.WriteFile(b.path("commands"), input.Bytes(), 0o644); err != nil {
		return err
	}
	explain := contender{
		name:  "interlock explain",
		argv:  []string{b.interlock, "explain", "--config", b.path("hosts.toml"), "--json", "-"},
		stdin: b.path("commands"),
		check: func(out []byte) error {
			if n := bytes.Count(out, []byte("\n")); n != explainCommands {
				return fmt.Errorf("%d answers for %d commands", n, explainCommands)
			}
			return nil
		},
	}
	all, err := b.alternate(ctx, b.fleetRounds, explain)
	if err != nil {
		return err
	}
	b.table.add(row{
		what: fmt.Sprintf("explain %d commands", explainCommands), ours: all[0].wall.String(),
		ratio: fmt.Sprintf("%.0f µs each", all[0].wall.median()/explainCommands*1e6),
		bar:   fmt.Sprintf("at most %v", explainBar), met: all[0].wall.median() <= explainBar.Seconds(),
	})
	return nil
}

// corpusCommands are the commands of the corpus files: CLASS, a tab, COMMAND; comments and blank lines apart.
func corpusCommands(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "corpus-*.txt"))
	if err != nil {
		return nil, err
	}
	var commands []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(text)) {
			if _, command, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t"); ok && line[0] != '#' {
				commands = append(commands, command)
			}
		}
	}
	if len(commands) == 0 {
		return nil, errors.New("read corpus: no commands in " + dir)
	}
	return commands, nil
}
