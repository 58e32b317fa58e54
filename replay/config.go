package replay

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/replay/target"
)

// Config says what is replayed onto which server, and how.
type Config struct {
	Target  target.Options
	Paths   []string // files, folders, "-"
	TempDir string   // for compressed logs and standard input; empty: the system's

	Range Range

	MemoryBytes int64 // bound for what a run holds of the log; 0: DefaultMemory
	Connections int   // that apply chunks side by side; 0: DefaultConnections

	// ResolveIntent answers what became of a statement that was running when the server crashed and that cannot
	// tell for itself: "done" or "redo", once somebody has looked. Empty: such a run is refused.
	ResolveIntent string

	// EpochChanges ends an epoch after so many changes, 0: by memory alone. Small ones are for tests.
	EpochChanges int64

	// Tell gets what a person should know while the run goes on, a line at a time without line end; nil: nobody.
	Tell func(line string)
	// Progress is called about four times a second; nil: never.
	Progress func(Progress)
}

// Range is which part of the log is replayed. The zero value is all of it.
type Range struct {
	StartPosition string    // FILE:OFFSET of the first transaction
	StopPosition  string    // FILE:OFFSET: the first transaction that starts there or behind is not applied
	StopDatetime  time.Time // nor is the first one committed then or later
	StopBefore    string    // nor is the one with this GTID
	SkipGTIDs     []string  // left out
}

// The bounds of what a run holds in memory.
const (
	// MinMemory leaves room for two epochs of a few megabytes beside the buffers of the reader.
	MinMemory = 64 << 20
	maxMemory = 2 << 30
)

// DefaultMemory is a quarter of the machine's memory, at most 2 GiB.
func DefaultMemory() int64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return maxMemory / 2
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 && f[0] == "MemTotal:" {
			if kib, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				return min(max(kib<<10/4, MinMemory), maxMemory)
			}
		}
	}
	return maxMemory / 2
}

// DefaultConnections is how many connections apply chunks: two for each core, since a chunk keeps one of the
// server's busy while the next one is encoded and sent; at least 4 and at most 16.
func DefaultConnections() int { return min(max(2*runtime.NumCPU(), 4), 16) }

// withDefaults fills in what was not given and refuses what cannot be.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	if len(c.Paths) == 0 {
		errs = append(errs, errors.New("no binary log given: name files, a folder of them, or - for standard input"))
	}
	if c.MemoryBytes == 0 {
		c.MemoryBytes = DefaultMemory()
	}
	if c.MemoryBytes < MinMemory {
		errs = append(errs, fmt.Errorf("memory of %d bytes: a run needs at least %d MiB", c.MemoryBytes, MinMemory>>20))
	}
	if c.Connections == 0 {
		c.Connections = DefaultConnections()
	}
	if c.Connections < 1 || c.Connections > 256 {
		errs = append(errs, fmt.Errorf("%d connections: want 1 to 256", c.Connections))
	}
	if r := c.ResolveIntent; r != "" && r != "done" && r != "redo" {
		errs = append(errs, fmt.Errorf("resolve intent %q: want done or redo", r))
	}
	if c.Tell == nil {
		c.Tell = func(string) {}
	}
	return c, as(ErrUsage, errors.Join(errs...))
}

// ParseSize reads 268435456, 256K, 256M or 2G, in powers of 1024 as the server's variables are.
func ParseSize(text string) (int64, error) {
	digits, shift := text, 0
	if n := len(text); n > 0 {
		if i := strings.IndexByte("kmgt", text[n-1]|0x20); i >= 0 {
			digits, shift = text[:n-1], 10*(i+1)
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > 1<<62>>shift {
		return 0, fmt.Errorf("size %q: want a number of bytes, or one with K, M or G", text)
	}
	return n << shift, nil
}

// ParseDatetime reads --stop-datetime as mysqlbinlog does, with fractions of a second besides: in the zone of
// this machine (TZ). A time that the zone has twice or not at all, since clocks are turned, is an error: an hour of
// log hangs on it.
func ParseDatetime(text string) (time.Time, error) {
	for _, layout := range []string{"2006-01-02 15:04:05.999999", "2006-01-02T15:04:05.999999", "2006-01-02 15:04", "2006-01-02"} {
		if wall, err := time.Parse(layout, text); err == nil && wall.Year() > 1 { // the zero time means no stop
			return onlyTime(text, wall, time.Local)
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil && !t.IsZero() {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("time %q: want 2006-01-02 15:04:05, fractions allowed", text)
}

// onlyTime is when clocks of a zone show what a time in UTC does. Text is how it was given.
func onlyTime(text string, wall time.Time, zone *time.Location) (time.Time, error) {
	var found []time.Time
	for _, near := range []time.Time{wall.Add(-24 * time.Hour), wall.Add(24 * time.Hour)} { // before and after clocks are turned
		_, offset := near.In(zone).Zone()
		t := wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, is := t.Zone(); is == offset && !slices.ContainsFunc(found, t.Equal) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return time.Time{}, fmt.Errorf("time %q: clocks never show it in the zone of this machine (TZ), where they are turned forward over it: give it with its zone, like %s",
			text, wall.Format(time.RFC3339Nano))
	case 1:
		return found[0], nil
	}
	return time.Time{}, fmt.Errorf("time %q: clocks show it twice in the zone of this machine (TZ), where they are turned back: give %s or %s",
		text, found[0].Format(time.RFC3339Nano), found[1].Format(time.RFC3339Nano))
}
