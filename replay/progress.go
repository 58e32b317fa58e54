package replay

import (
	"fmt"
	"strings"
	"time"

	"interlock/internal/report"
	"interlock/replay/binlog"
)

// Progress is how far a run is.
type Progress struct {
	Surveying    bool            // the log is read through, nothing is applied yet
	Bytes, Total int64           // of the log: on the target or left out, the epoch under way by its chunks; while surveying, read
	Read         int64           // bytes of the log
	At           binlog.Position // all before it is on the target
	Committed    time.Time       // what lies before At was committed at the source then
	Changes      int64           // read
	NetRows      int64           // applied
	Epochs       int64
	Barriers     int64
	Elapsed      time.Duration
	Still        time.Duration // since anything was read, or the target was done with anything
}

// pace is how far the target has come.
type pace struct {
	files     map[string]int64 // where each begins in the whole of the log
	at        binlog.Position
	committed time.Time
	done      int64 // bytes of the log
	// The epoch under way: where it ends, how many chunks it has, and of how many the target is done.
	to               int64
	chunks, finished int
	moved            time.Time
}

// offset is a place in the whole of the log.
func (p *pace) offset(at binlog.Position) int64 { return p.files[at.File] + int64(at.Offset) }

// reach notes that the target is done with what lies before a place.
func (t *tally) reach(at binlog.Position, committed time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.pace
	p.chunks, p.finished, p.moved = 0, 0, time.Now()
	if done := p.offset(at); done > p.done { // what is left out runs ahead of what is applied
		p.at, p.committed, p.done = at, committed, done
	}
}

// beginChunks notes an epoch whose chunks are applied, up to a place; of some the target is done already.
func (t *tally) beginChunks(to binlog.Position, chunks, finished int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.to, t.pace.chunks, t.pace.finished = t.pace.offset(to), chunks, finished
}

// chunkDone notes that the target is done with one more of them.
func (t *tally) chunkDone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pace.finished++
	t.pace.moved = time.Now()
}

// bytes are those of the log that the target is done with.
func (p *pace) bytes() int64 {
	if p.chunks == 0 || p.to <= p.done {
		return p.done
	}
	return p.done + int64(float64(p.to-p.done)*float64(p.finished)/float64(p.chunks))
}

func (t *tally) progress(since time.Time) Progress {
	t.mu.Lock()
	defer t.mu.Unlock()
	still := since
	if t.pace.moved.After(still) {
		still = t.pace.moved
	}
	return Progress{
		Bytes: t.pace.bytes(), Total: t.total, Read: t.offset, At: t.pace.at, Committed: t.pace.committed, Changes: t.in.Changes,
		NetRows: t.rows.Deletes + t.rows.Writes + t.rows.Updates + t.rows.Ordered, Epochs: t.epochs, Barriers: t.barriers,
		Elapsed: time.Since(since), Still: time.Since(still),
	}
}

// quiet is how long nothing may come back before the progress line says so.
const quiet = 30 * time.Second

// String is the progress line.
func (p Progress) String() string {
	rate := float64(p.Bytes) / max(p.Elapsed.Seconds(), 1e-3)
	if p.Surveying {
		return fmt.Sprintf("reading the log through: %.0f %% of %s, %s/s", p.share(p.Bytes), report.Bytes(p.Total), report.Bytes(int64(rate)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%.1f %% of %s, %s/s", p.share(p.Bytes), report.Bytes(p.Total), report.Bytes(int64(rate)))
	if p.At != (binlog.Position{}) {
		fmt.Fprintf(&b, ", at %s (%s)", p.At, p.Committed.Local().Format("2006-01-02 15:04:05"))
	}
	fmt.Fprintf(&b, ": %s changes read (%.0f %%), %s rows applied, %d epochs, %d barriers", report.Count(p.Changes), p.share(p.Read), report.Count(p.NetRows), p.Epochs, p.Barriers)
	if left := p.left(); left != "" {
		b.WriteString(", " + left + " left")
	}
	if p.Still > quiet {
		fmt.Fprintf(&b, "; waiting for the server for %s", report.Duration(p.Still))
	}
	return b.String()
}

func (p Progress) share(bytes int64) float64 {
	if p.Total <= 0 {
		return 0
	}
	return 100 * float64(bytes) / float64(p.Total)
}

// left guesses how long the rest takes, from the pace so far.
func (p Progress) left() string {
	if p.Bytes == 0 || p.Elapsed.Seconds() < 1 {
		return ""
	}
	return report.Duration(seconds(p.Elapsed.Seconds() * float64(p.Total-p.Bytes) / float64(p.Bytes)))
}
