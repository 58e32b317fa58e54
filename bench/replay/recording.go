package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"interlock/internal/testrig"
)

// recording is what every contender starts from and must arrive at: a cold copy of the source before its log
// began, the log, and the state at its end. It is kept in a folder as it stands here.
type recording struct {
	Logs         []string // paths, oldest first
	LogBytes     int64
	EndFile      int    // index of the file in which the last transaction ends
	EndPos       uint64 // where in that file
	Transactions int64  // as the load counted
	Changes      int64  // rows inserted, updated and deleted, as InnoDB counted; cascaded deletes are not among them
	Tables       []tableState
	Net          []netTable // empty where the workload has noLoad

	dir string
}

// tableState is what is compared.
type tableState struct {
	Name     string
	Rows     int64
	Checksum string // of CHECKSUM TABLE, which does not depend on the order of rows
}

func (r *recording) cold() string { return filepath.Join(r.dir, "cold") }

// manifest is the name of the file that says what a folder holds; it is written last.
const manifest = "recording.json"

// recordingVersion goes into the names of folders; raised when the code that fills them changes.
const recordingVersion = "1"

// record returns the recording of a workload: the one that dir holds, or a new one.
func (b *bench) record(ctx context.Context, w workload) (*recording, error) {
	sum := sha256.Sum256([]byte(fmt.Sprint(recordingVersion, w.sized(b), w.settings, w.poolBytes, b.gtid)))
	dir := filepath.Join(b.dir, fmt.Sprintf("%s-%s-%s", b.product, w.name, hex.EncodeToString(sum[:4])))
	r := &recording{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, manifest))
	if err == nil {
		return r, json.Unmarshal(text, r)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("remove half a recording: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := r.fill(ctx, b, w); err != nil {
		return nil, fmt.Errorf("record %s: %w", w.name, err)
	}
	if text, err = json.MarshalIndent(r, "", "  "); err != nil {
		return nil, err
	}
	return r, os.WriteFile(filepath.Join(dir, manifest), text, 0o644)
}

// fill runs the workload twice over: what comes before the log without one, then the rest with it.
func (r *recording) fill(ctx context.Context, b *bench, w workload) error {
	settings := serverSettings(b.product, defaultPool, b.gtid, sourceID)
	before, err := testrig.StartLocal(ctx, testrig.LocalSpec{Product: b.product, TempDir: b.dir, Settings: append(slices.Clone(settings), "skip-log-bin")})
	if err != nil {
		return err
	}
	err = r.begin(&source{before, ctx, w.sized(b)}, w)
	if err := errors.Join(err, before.Close()); err != nil {
		return err
	}
	after, err := testrig.StartLocal(ctx, testrig.LocalSpec{Product: b.product, TempDir: b.dir, From: r.cold(), Settings: append(settings, w.settings...)})
	if err != nil {
		return err
	}
	err = r.end(&source{after, ctx, w.sized(b)}, w)
	return errors.Join(err, after.Close())
}

// begin makes the state before the log: rows for LOAD DATA to start from, then the cold copy.
func (r *recording) begin(s *source, w workload) error {
	if _, err := s.Query(s.ctx, "CREATE DATABASE "+database); err != nil {
		return err
	}
	if err := w.prepare(s); err != nil {
		return err
	}
	if w.noLoad == "" {
		if err := exportTables(s, filepath.Join(r.dir, "before")); err != nil {
			return err
		}
	}
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Snapshot(s.ctx, r.cold())
}

// end writes the log and keeps the state at its end.
func (r *recording) end(s *source, w workload) error {
	begin, err := rowsChanged(s)
	if err != nil {
		return err
	}
	if err := w.run(s); err != nil {
		return err
	}
	end, err := rowsChanged(s)
	if err != nil {
		return err
	}
	r.Transactions, r.Changes = int64(s.size.transactions), end-begin
	if err := r.findEnd(s); err != nil {
		return err
	}
	if r.Tables, err = tableStates(s.ctx, s.Local); err != nil {
		return err
	}
	if w.noLoad == "" {
		if err := exportTables(s, filepath.Join(r.dir, "after")); err != nil {
			return err
		}
		if r.Net, err = netTables(s, r.dir); err != nil {
			return err
		}
	}
	if err := s.Stop(); err != nil {
		return err
	}
	if r.Logs, err = keepLogs(s.Local, filepath.Join(r.dir, "logs")); err != nil {
		return err
	}
	for _, file := range r.Logs {
		info, err := os.Stat(file)
		if err != nil {
			return err
		}
		r.LogBytes += info.Size()
	}
	return nil
}

// rowsChanged counts rows that clients have changed since the server started. MariaDB has no counters of InnoDB for it,
// but does not count temporary tables among those of the handler.
func rowsChanged(s *source) (int64, error) {
	counters := "'Innodb_rows_inserted', 'Innodb_rows_updated', 'Innodb_rows_deleted'"
	if s.Product == testrig.MariaDB {
		counters = "'Handler_write', 'Handler_update', 'Handler_delete'"
	}
	rows, err := s.Query(s.ctx, "SHOW GLOBAL STATUS WHERE Variable_name IN ("+counters+")")
	if err != nil {
		return 0, err
	}
	if len(rows) != 3 {
		return 0, fmt.Errorf("count changes: %d of the 3 counters %s are there", len(rows), counters)
	}
	var sum int64
	for _, row := range rows {
		n, err := strconv.ParseInt(row["Value"], 10, 64)
		if err != nil {
			return 0, fmt.Errorf("count changes: %w", err)
		}
		sum += n
	}
	return sum, nil
}

// findEnd keeps where the log's last transaction ends.
func (r *recording) findEnd(s *source) error {
	statement := "SHOW BINARY LOG STATUS"
	if s.Product == testrig.MariaDB {
		statement = "SHOW MASTER STATUS"
	}
	rows, err := s.Query(s.ctx, statement)
	if err != nil {
		return err
	}
	if len(rows) != 1 {
		return fmt.Errorf("find end of log: %q returns %d rows", statement, len(rows))
	}
	if r.EndPos, err = strconv.ParseUint(rows[0]["Position"], 10, 64); err != nil {
		return fmt.Errorf("find end of log: %w", err)
	}
	files, err := s.BinlogFiles()
	if err != nil {
		return err
	}
	r.EndFile = slices.IndexFunc(files, func(file string) bool { return filepath.Base(file) == rows[0]["File"] })
	if r.EndFile < 0 {
		return fmt.Errorf("find end of log: %s is not in the index", rows[0]["File"])
	}
	return nil
}

// tableStates are the states of all tables of the workload's schema, by name.
func tableStates(ctx context.Context, l *testrig.Local) ([]tableState, error) {
	names, err := tableNames(ctx, l)
	if err != nil {
		return nil, err
	}
	states := make([]tableState, len(names))
	for i, name := range names {
		sum, err := l.Query(ctx, "CHECKSUM TABLE "+database+"."+name)
		if err != nil {
			return nil, err
		}
		count, err := l.Query(ctx, "SELECT COUNT(*) n FROM "+database+"."+name)
		if err != nil {
			return nil, err
		}
		rows, err := strconv.ParseInt(count[0]["n"], 10, 64)
		if err != nil || sum[0]["Checksum"] == "" {
			return nil, fmt.Errorf("compare table %s: %q rows, checksum %q", name, count[0]["n"], sum[0]["Checksum"])
		}
		states[i] = tableState{name, rows, sum[0]["Checksum"]}
	}
	return states, nil
}

func tableNames(ctx context.Context, l *testrig.Local) ([]string, error) {
	rows, err := l.Query(ctx, "SELECT table_name n FROM information_schema.tables WHERE table_schema = '"+database+"' ORDER BY 1")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, row := range rows {
		names = append(names, row["n"])
	}
	return names, nil
}

// differences names the tables in which got is not want; empty: none.
func differences(got, want []tableState) string {
	var differ []string
	for _, state := range want {
		if !slices.Contains(got, state) {
			differ = append(differ, state.Name)
		}
	}
	for _, state := range got {
		if !slices.ContainsFunc(want, func(w tableState) bool { return w.Name == state.Name }) {
			differ = append(differ, state.Name)
		}
	}
	return strings.Join(differ, ", ")
}
