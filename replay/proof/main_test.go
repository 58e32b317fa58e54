package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"interlock/replay"
	"interlock/replay/target"
)

// asReplay names the environment variable that makes this binary interlock replay: its value is a request. A
// process of its own can be killed, and its panic ends nothing else.
const asReplay = "INTERLOCK_PROOF_REPLAY"

// request is what such a process replays, and onto which server.
type request struct {
	Socket       string
	User         string // empty: root
	Paths        []string
	EpochChanges int64
	MemoryBytes  int64 // 0: the least there may be
	StopBefore   string
}

func (r request) config() replay.Config {
	cfg := replay.Config{
		Target: target.Options{Socket: r.Socket, User: r.User}, Paths: r.Paths, Range: replay.Range{StopBefore: r.StopBefore},
		MemoryBytes: r.MemoryBytes, Connections: 3, EpochChanges: r.EpochChanges,
	}
	if cfg.Target.User == "" {
		cfg.Target.User = "root"
	}
	if cfg.MemoryBytes == 0 {
		cfg.MemoryBytes = replay.MinMemory
	}
	return cfg
}

func TestMain(m *testing.M) {
	if text := os.Getenv(asReplay); text != "" {
		os.Exit(replayMain(text))
	}
	os.Exit(m.Run())
}

func replayMain(text string) int {
	var r request
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 64
	}
	cmd := replay.Command{Config: r.config(), Out: os.Stdout, Err: os.Stderr}
	if err := cmd.Run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "interlock:", err)
		return 1
	}
	return 0
}
