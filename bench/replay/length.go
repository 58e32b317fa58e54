package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"interlock/internal/testrig"
	"interlock/replay"
)

// The workload "length" replays the same log once, 4 and 16 times over: memory must stay within its bound, and time
// grow no faster than the log. The table is larger than what an epoch may hold.
var lengths = []int{1, 4, 16}

const (
	lengthName = "length"
	// Beyond --memory a run may take this much: the program, its buffers, the connections.
	lengthSlack = 128 << 20
	// lengthNoise is how much faster than the log the time may be measured to grow.
	lengthNoise = 1.15
)

// cycle is its workload; a log of 128 MB when quick, of 1 GB in full.
func cycle() workload {
	return workload{
		name: lengthName, what: "every row of a table changed, and changed back",
		quick: size{1, 150_000, 60_000}, full: size{1, 1_200_000, 480_000},
		noLoad: "nothing is left to load", prepare: prepareCycle, run: runCycle,
	}
}

// cycleRows is how many rows a transaction changes.
const cycleRows = 5

func prepareCycle(s *source) error {
	if _, err := s.Query(s.ctx, "CREATE TABLE "+database+".cycle (id INT PRIMARY KEY, n INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL)"); err != nil {
		return err
	}
	return s.fill("cycle", s.size.rows, func(w *writer, i int) string { return fmt.Sprintf("%d, 0, '%s', '%s'", i, w.text(120), w.text(60)) })
}

// runCycle sets every row to 1, all over the table, then every row to 0.
func runCycle(s *source) error {
	step := 7919 // a prime that no size has for a factor: the rows of a transaction lie apart
	for _, n := range []int{1, 0} {
		if err := s.drive(s.size.rows/cycleRows, func(w *writer, i int) error {
			ids := ""
			for k := range cycleRows {
				ids += fmt.Sprintf(",%d", (i*cycleRows+k)*step%s.size.rows)
			}
			return w.exec("UPDATE cycle SET n = %d WHERE id IN (%s)", n, ids[1:])
		}); err != nil {
			return err
		}
	}
	return nil
}

// length measures that, on MySQL without GTIDs: those of MariaDB cannot be repeated.
func (b *bench) length(ctx context.Context, t *table) (err error) {
	if b.product != testrig.MySQL || b.gtid {
		return nil
	}
	w := cycle()
	if b.scale > 0 { // it is the rows that make the log longer
		w.full.rows = max(w.quick.rows, int(float64(w.full.rows)*b.scale))
	}
	rec, err := b.record(ctx, w)
	if err != nil {
		return err
	}
	if !b.keep {
		defer func() { err = errors.Join(err, os.RemoveAll(rec.dir)) }()
	}
	if len(rec.Logs) != 1 {
		return fmt.Errorf("repeat a log: it has %d files, want one", len(rec.Logs))
	}
	dir := filepath.Join(rec.dir, "repeated")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	logs, err := repeat(rec.Logs[0], dir, lengths[len(lengths)-1])
	if err != nil {
		return err
	}
	return b.eachLength(ctx, t, w, rec, logs)
}

func (b *bench) eachLength(ctx context.Context, t *table, w workload, rec *recording, logs []string) error {
	memory := "64M"
	if b.scale > 0 {
		memory = b.memory
	}
	bound, err := replay.ParseSize(memory)
	if err != nil {
		return err
	}
	var perByte float64 // seconds of the shortest
	for _, n := range lengths {
		long := *rec
		long.LogBytes *= int64(n)
		r, err := b.measure(ctx, w, &long, contender{name: fmt.Sprintf("interlock-%d-x%d", b.connections, n), slow: true, run: func(x *target) error {
			return x.replay(b.connections, memory, logs[:n])
		}})
		if err != nil {
			return err
		}
		t.more = append(t.more, r)
		if !r.ok() {
			continue
		}
		rate := r.wall() / float64(long.LogBytes)
		if perByte == 0 {
			perByte = rate
		}
		peak := int64(r.median(func(m measure) float64 { return float64(m.PeakBytes) }))
		t.notes = append(t.notes, fmt.Sprintf("%s of log, --memory %s: %.2f s, %.0f MB/s (time grows no faster than the log: %s), peak memory %s (at most %s: %s)",
			megabytes(long.LogBytes), memory, r.wall(), 1/rate/(1<<20), met(rate <= lengthNoise*perByte),
			megabytes(peak), megabytes(bound+lengthSlack), met(peak <= bound+lengthSlack)))
		say("%s", t.notes[len(t.notes)-1])
	}
	return nil
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "MISSED"
}
