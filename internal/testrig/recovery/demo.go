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

	"interlock/internal/report"
	"interlock/internal/testrig"
)

// demo is the act, step by step.
type demo struct {
	program      string // the built interlock
	transactions int    // that are tried: a DELETE that finds nothing leaves none in the log
	committed    int64
	work         string // folder of the backup and of the log archive
	out          io.Writer
	style        report.Style

	server  *testrig.Local // the one that runs now: the source, later a restored copy
	backup  string
	archive []string // log files written after the backup
	lost    contents // what the source held when it was lost

	pipe, replay         contents // what the two ways left behind
	pipeTook, replayTook time.Duration
}

func (d *demo) run(ctx context.Context) error {
	for _, step := range []func(context.Context) error{d.makeSource, d.write, d.disaster, d.standardWay, d.interlockWay, d.sideBySide, d.killed} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(d.out, "\nThe same %s transactions: mysqlbinlog | mysql took %s, interlock replay %s, %.1f times as fast, with the same rows, counters and GTIDs.\n",
		report.Count(d.committed), report.Duration(d.pipeTook), report.Duration(d.replayTook), d.pipeTook.Seconds()/d.replayTook.Seconds())
	return err
}

// close ends whatever still runs.
func (d *demo) close() error {
	if d.server == nil {
		return nil
	}
	err := d.server.Close()
	d.server = nil
	return err
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, format+"\n", args...) }

func (d *demo) title(text string) { d.say("\n%s", d.bold("== "+text)) }

// show prints a command line as a person would type it.
func (d *demo) show(words ...string) { d.say("\n%s", d.bold("$ "+strings.Join(words, " "))) }

func (d *demo) bold(text string) string {
	if !d.style.Color {
		return text
	}
	return "\x1b[1m" + text + "\x1b[0m"
}

// settings are those of the source and of the restored servers alike: none waits for a disk at each commit, which
// helps the standard way, whose transactions are small, far more than interlock.
func settings() []string {
	return []string{"innodb-flush-log-at-trx-commit=0", "sync-binlog=0", "innodb-buffer-pool-size=256M", "max-binlog-size=16M"}
}

func (d *demo) makeSource(ctx context.Context) (err error) {
	d.title("a MySQL server with a small shop, and a cold backup of it")
	if d.server, err = testrig.StartLocal(ctx, testrig.LocalSpec{Product: testrig.MySQL, Settings: settings()}); err != nil {
		return err
	}
	if err := fill(ctx, d.server); err != nil {
		return err
	}
	d.backup = filepath.Join(d.work, "backup")
	if err := d.server.Stop(); err != nil {
		return err
	}
	d.show("cp -a", d.server.DataDir, d.backup)
	if err := d.server.Snapshot(ctx, d.backup); err != nil {
		return err
	}
	return d.server.Start(ctx) // begins a new log file: those before are in the backup
}

func (d *demo) write(ctx context.Context) error {
	d.title(fmt.Sprintf("traffic over %d connections, with an ALTER TABLE in its middle", clients))
	before, err := d.server.BinlogFiles()
	if err != nil {
		return err
	}
	inBackup, err := lastGTID(ctx, d.server)
	if err != nil {
		return err
	}
	begin := time.Now()
	deadlocks, err := traffic(ctx, d.server, d.transactions)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	last, err := lastGTID(ctx, d.server)
	if err != nil {
		return err
	}
	d.committed = last - inBackup
	all, err := d.server.BinlogFiles()
	if err != nil {
		return err
	}
	return errors.Join(d.keep(ctx, all[len(before)-1:], took, deadlocks), d.record(ctx))
}

// keep copies log files away, as a log archive does all the time.
func (d *demo) keep(ctx context.Context, files []string, took time.Duration, deadlocks int64) error {
	folder := filepath.Join(d.work, "archive")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	var bytes int64
	for _, file := range files {
		copied := filepath.Join(folder, filepath.Base(file))
		if out, err := exec.CommandContext(ctx, "cp", file, copied).CombinedOutput(); err != nil {
			return fmt.Errorf("archive %s: %w: %s", file, err, out)
		}
		info, err := os.Stat(copied)
		if err != nil {
			return err
		}
		bytes += info.Size()
		d.archive = append(d.archive, copied)
	}
	d.say("%s transactions committed in %s, %d rolled back after deadlocks; the archive has %d log files, %s",
		report.Count(d.committed), report.Duration(took), deadlocks, len(files), report.Bytes(bytes))
	return nil
}

// record notes what the source holds.
func (d *demo) record(ctx context.Context) error {
	held, err := contentsOf(ctx, d.server)
	if err != nil {
		return err
	}
	d.lost = *held
	return nil
}

func (d *demo) disaster(context.Context) error {
	d.title("the disaster: the server is killed, and its data directory is gone")
	d.show(fmt.Sprintf("kill -9 %d; rm -rf %s", d.server.Pid, d.server.DataDir))
	if err := d.server.Kill(); err != nil {
		return err
	}
	return d.close()
}

// restore starts a server on a fresh copy of the backup.
func (d *demo) restore(ctx context.Context) error {
	if err := d.close(); err != nil {
		return err
	}
	server, err := testrig.StartLocal(ctx, testrig.LocalSpec{Product: testrig.MySQL, Settings: settings(), From: d.backup})
	if err != nil {
		return err
	}
	d.server = server
	d.show("cp -a", d.backup, server.DataDir, "&& mysqld …")
	return nil
}

// logs is the archive as one types it.
func (d *demo) logs() string { return filepath.Join(d.work, "archive", "binlog.*") }

func (d *demo) standardWay(ctx context.Context) error {
	d.title("restore, and replay the standard way")
	d.say("What this leaves behind is what interlock has to leave behind.")
	if err := d.restore(ctx); err != nil {
		return err
	}
	d.show("time mysqlbinlog", d.logs(), "| mysql --socket="+d.server.Socket)
	begin := time.Now()
	if err := d.server.Pipe(ctx, nil, d.archive...); err != nil {
		return err
	}
	d.pipeTook = time.Since(begin)
	d.say("took %.1f s", d.pipeTook.Seconds())
	held, err := contentsOf(ctx, d.server)
	if err != nil {
		return err
	}
	d.pipe = *held
	return nil
}

func (d *demo) interlockWay(ctx context.Context) error {
	d.title("restore again, and replay with interlock")
	if err := d.restore(ctx); err != nil {
		return err
	}
	begin := time.Now()
	if err := d.interlock(ctx, d.archive...); err != nil {
		return err
	}
	d.replayTook = time.Since(begin)
	d.say("took %.1f s", d.replayTook.Seconds())
	held, err := contentsOf(ctx, d.server)
	if err != nil {
		return err
	}
	d.replay = *held
	return nil
}

// sideBySide holds both ways to the server that was lost.
func (d *demo) sideBySide(context.Context) error {
	d.title("what was lost, and what came back")
	d.say("Expected: the same in every column. Whole digests of all rows, definitions, counters and GTIDs are compared.")
	return d.compare(column{"lost server", d.lost}, column{"mysqlbinlog | mysql", d.pipe}, column{"interlock replay", d.replay})
}

func (d *demo) compare(servers ...column) error {
	different, err := compare(d.out, d.style, servers)
	if err == nil && len(different) > 0 {
		err = fmt.Errorf("what came back is not what was lost: %s", strings.Join(different, ", "))
	}
	return err
}
