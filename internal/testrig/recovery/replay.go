package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// interlock runs interlock replay on the server that runs now, with its output shown as it comes, and expects
// status 0.
func (d *demo) interlock(ctx context.Context, args ...string) error {
	cmd := d.command(ctx, args...)
	err := cmd.Run()
	if cmd.ProcessState != nil {
		d.say("(exit %d)", cmd.ProcessState.ExitCode())
	}
	if err != nil {
		return fmt.Errorf("interlock replay: %w", err)
	}
	return nil
}

// status shows what interlock says of the server, and expects words in it.
func (d *demo) status(ctx context.Context, expected string) error {
	cmd := d.command(ctx, "--status")
	var said strings.Builder
	cmd.Stdout = io.MultiWriter(d.out, &said)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("interlock replay --status: %w", err)
	}
	if !strings.Contains(said.String(), expected) {
		return fmt.Errorf("interlock replay --status: it does not say %q", expected)
	}
	return nil
}

// command prepares interlock replay and shows its command line.
func (d *demo) command(ctx context.Context, args ...string) *exec.Cmd {
	shown := args
	if len(args) > 0 && filepath.IsAbs(args[0]) {
		shown = []string{d.logs()}
	}
	place := []string{"replay", "--user=root", "--socket=" + d.server.Socket}
	d.show(append(append([]string{"interlock"}, place...), shown...)...)
	cmd := exec.CommandContext(ctx, d.program, append(place, args...)...)
	cmd.Stdout, cmd.Stderr = d.out, os.Stderr
	return cmd
}

// killed ends interlock in the middle of a third replay and gives the same command again.
func (d *demo) killed(ctx context.Context) error {
	d.title("once more: interlock is killed half-way, and the same command goes on")
	d.say("Expected: the server is known to be in between, and ends as if nothing had happened.")
	if err := d.restore(ctx); err != nil {
		return err
	}
	cmd := d.command(ctx, d.archive...)
	if err := cmd.Start(); err != nil {
		return err
	}
	seen, err := d.halfWay(ctx)
	if err == nil {
		d.say("(kill -9 %d: %s)", cmd.Process.Pid, seen)
	}
	err = errors.Join(err, cmd.Process.Kill())
	ended := cmd.Wait()
	if err != nil {
		return err
	}
	if cmd.ProcessState.Exited() {
		return errors.Join(errors.New("kill interlock half-way: it had ended"), ended)
	}
	if err := d.released(ctx); err != nil {
		return err
	}
	// The first epoch has rows that go, and ends long after a third of its chunks.
	if err := d.status(ctx, "INCONSISTENT"); err != nil {
		return err
	}
	if err := d.interlock(ctx, d.archive...); err != nil {
		return err
	}
	held, err := contentsOf(ctx, d.server)
	if err != nil {
		return err
	}
	d.say("")
	return d.compare(column{"lost server", d.lost}, column{"interlock replay, killed and resumed", *held})
}

// halfWay waits until the server holds a good part of an epoch, and says how much.
func (d *demo) halfWay(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	// The server refuses no connection of root's while it is replayed onto, but interlock wants to be alone with
	// it before: its first table is waited for on disk.
	if err := waitFor(ctx, filepath.Join(d.server.DataDir, "interlock_replay", "chunk.ibd")); err != nil {
		return "", err
	}
	conn, err := d.server.Connect(ctx)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for {
		result, err := conn.Execute(`SELECT e.number, e.chunks, COUNT(c.chunk) FROM interlock_replay.epoch e JOIN interlock_replay.chunk c
			ON c.run = e.run AND c.epoch = e.number WHERE NOT e.finished GROUP BY e.number, e.chunks`)
		if failed, ok := errors.AsType[*mysql.MyError](err); ok && failed.Code == mysql.ER_NO_SUCH_TABLE {
			continue // it makes its tables side by side
		}
		if err != nil {
			return "", fmt.Errorf("look how far interlock is: %w", errors.Join(err, ctx.Err()))
		}
		if len(result.Values) > 0 {
			row := result.Values[0]
			epoch, chunks, done := row[0].AsInt64(), row[1].AsInt64(), row[2].AsInt64()
			result.Close()
			if done*3 >= chunks && done < chunks {
				return fmt.Sprintf("epoch %d has %d of its %d chunks on the server", epoch, done, chunks), nil
			}
			continue
		}
		result.Close()
	}
}

// released waits until the server has noticed that interlock is gone: until then the run is under way for it.
func (d *demo) released(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		rows, err := d.server.Query(ctx, "SELECT IS_FREE_LOCK('interlock_replay') AS free")
		if err != nil {
			return fmt.Errorf("wait for the lock of the killed run: %w", err)
		}
		if len(rows) == 1 && rows[0]["free"] == "1" {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func waitFor(ctx context.Context, file string) error {
	for {
		if _, err := os.Stat(file); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", file, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
}
