package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"interlock/internal/testrig"
)

// pipe is the standard way: mysqlbinlog | mysql.
func pipe() contender {
	return contender{name: "pipe", slow: true, run: func(t *target) error { return t.Pipe(t.ctx, nil, t.rec.Logs...) }}
}

// appliers are the server's own parallel applier over copied relay logs, at several numbers of workers: no
// binary log, no commit order where there is a choice.
func appliers(product testrig.Product) []contender {
	var all []contender
	for _, workers := range []int{4, 8, 16} {
		n := strconv.Itoa(workers)
		settings := []string{
			"relay-log=relay", "relay-log-index=relay.index", "relay-log-purge=OFF", "relay-log-recovery=OFF",
			// The position that is waited for is written down at checkpoints.
			"skip-replica-start", "replica-checkpoint-period=10", "replica-parallel-workers=" + n, "replica-preserve-commit-order=OFF",
		}
		if product == testrig.MariaDB {
			settings = append(settings[:4:4], "skip-slave-start", "slave-parallel-mode=optimistic", "slave-parallel-threads="+n)
		}
		all = append(all, contender{
			name: "applier-" + n, settings: settings, slow: true, before: placeRelayLogs, run: runApplier,
		})
	}
	return all
}

func relayLog(i int) string { return fmt.Sprintf("relay.%06d", i+1) }

// placeRelayLogs gives the target the logs as its relay logs. The server reads their index when it starts.
func placeRelayLogs(t *target) error {
	change := "CHANGE REPLICATION SOURCE TO RELAY_LOG_FILE = '%s', RELAY_LOG_POS = 4, SOURCE_HOST = 'nowhere'"
	if t.Product == testrig.MariaDB {
		// Without a name of the source's log its parallel applier reads a null pointer (compare_log_name, 10.11). One
		// that is given together with a relay log is an error, and given alone removes the relay logs.
		if _, err := t.Query(t.ctx, fmt.Sprintf("CHANGE MASTER TO MASTER_HOST = 'nowhere', MASTER_USE_GTID = no, MASTER_LOG_FILE = '%s', MASTER_LOG_POS = 4",
			filepath.Base(t.rec.Logs[0]))); err != nil {
			return err
		}
		change = "CHANGE MASTER TO RELAY_LOG_FILE = '%s', RELAY_LOG_POS = 4"
	}
	if err := t.Stop(); err != nil {
		return err
	}
	var index strings.Builder
	for i, file := range t.rec.Logs {
		fmt.Fprintf(&index, "./%s\n", relayLog(i))
		if out, err := exec.CommandContext(t.ctx, "cp", file, filepath.Join(t.DataDir, relayLog(i))).CombinedOutput(); err != nil {
			return fmt.Errorf("copy relay log: %w: %s", err, tail(out))
		}
	}
	if err := os.WriteFile(filepath.Join(t.DataDir, "relay.index"), []byte(index.String()), 0o640); err != nil {
		return err
	}
	if err := t.Start(t.ctx); err != nil {
		return err
	}
	_, err := t.Query(t.ctx, fmt.Sprintf(change, relayLog(0)))
	return err
}

// applierEvery is how often the applier is asked how far it is.
const applierEvery = 20 * time.Millisecond

func runApplier(t *target) error {
	start := "START REPLICA SQL_THREAD"
	if t.Product == testrig.MariaDB {
		start = "START SLAVE SQL_THREAD"
	}
	if _, err := t.Query(t.ctx, start); err != nil {
		return err
	}
	for {
		if done, err := t.applied(); done || err != nil {
			return err
		}
		select {
		case <-t.ctx.Done():
			return t.ctx.Err()
		case <-time.After(applierEvery):
		}
	}
}

// applied tells whether the applier has committed the last transaction. With several workers the position is that before
// which nothing is missing; MariaDB moves on to a relay log of its own behind ours, maybe before the last worker is done.
func (t *target) applied() (bool, error) {
	status := "SHOW REPLICA STATUS"
	if t.Product == testrig.MariaDB {
		status = "SHOW SLAVE STATUS"
	}
	rows, err := t.Query(t.ctx, status)
	if err != nil {
		return false, err
	}
	if len(rows) != 1 {
		return false, fmt.Errorf("ask applier: %d rows", len(rows))
	}
	if text := rows[0]["Last_SQL_Error"]; text != "" {
		return false, fmt.Errorf("apply: %s", text)
	}
	pos, err := strconv.ParseUint(rows[0]["Relay_Log_Pos"], 10, 64)
	if err != nil {
		return false, fmt.Errorf("ask applier: %w", err)
	}
	file, last := filepath.Base(rows[0]["Relay_Log_File"]), relayLog(t.rec.EndFile)
	if file < last || file == last && pos < t.rec.EndPos {
		return false, nil
	}
	if t.Product != testrig.MariaDB {
		return true, nil
	}
	busy, err := t.Query(t.ctx, "SELECT id FROM information_schema.processlist WHERE command = 'Slave_worker' AND state NOT LIKE 'Waiting for work%'")
	return len(busy) == 0, err
}

// loadData is the limit: the net rows, known beforehand and in key order, loaded over as many connections as
// interlock has. What must go is deleted first.
func loadData(connections int) contender {
	return contender{name: "load", skip: func(w workload) string { return w.noLoad }, run: func(t *target) error {
		var gone, come []string
		for _, table := range t.rec.Net {
			gone = append(gone, deletes(table)...)
			for _, file := range table.Files {
				come = append(come, fmt.Sprintf("LOAD DATA INFILE '%s' REPLACE INTO TABLE %s.%s CHARACTER SET binary", file, database, table.Name))
			}
		}
		if err := t.parallel(connections, gone); err != nil {
			return err
		}
		return t.parallel(connections, come)
	}}
}

// deletes are the statements that take out the rows that have gone, many at a time.
func deletes(table netTable) []string {
	const perStatement = 1000
	var statements []string
	for keys := table.Gone; len(keys) > 0; {
		n := min(perStatement, len(keys))
		statements = append(statements, fmt.Sprintf("DELETE FROM %s.%s WHERE (%s) IN (%s)",
			database, table.Name, strings.Join(table.Key, ", "), strings.Join(keys[:n], ", ")))
		keys = keys[n:]
	}
	return statements
}

// parallel runs statements over n connections that take them in order.
func (t *target) parallel(n int, statements []string) error {
	queue := make(chan string, len(statements)) // all of them: nobody waits to send
	for _, statement := range statements {
		queue <- statement
	}
	close(queue)
	group, ctx := errgroup.WithContext(t.ctx)
	for range min(n, len(statements)) {
		group.Go(func() (err error) {
			conn, err := t.Connect(ctx)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, conn.Close()) }()
			// Replaced rows of a parent would otherwise take their children along.
			if _, err := conn.Execute("SET foreign_key_checks = 0"); err != nil {
				return err
			}
			for statement := range queue {
				if err := patiently(ctx, func() error { _, err := conn.Execute(statement); return err }); err != nil {
					return fmt.Errorf("run %.200q: %w", statement, err)
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// patiently tries a statement again that the server made the victim of a deadlock.
func patiently(ctx context.Context, do func() error) error {
	for ctx.Err() == nil {
		if err := do(); !again(err) {
			return err
		}
	}
	return ctx.Err()
}
