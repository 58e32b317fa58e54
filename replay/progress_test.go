package replay

import (
	"strings"
	"testing"
	"time"

	"interlock/replay/binlog"
)

// Progress says what the target is done with, not what has been read.
func TestProgress(t *testing.T) {
	tally := newTally([]*binlog.File{{Name: "b.1", Size: 1000}, {Name: "b.2", Size: 1000}})
	began := time.Now().Add(-10 * time.Second)
	at := func(file string, offset uint64) binlog.Position { return binlog.Position{File: file, Offset: offset} }
	want := func(bytes int64, words ...string) {
		t.Helper()
		p := tally.progress(began)
		if p.Bytes != bytes {
			t.Errorf("%d bytes are done, want %d", p.Bytes, bytes)
		}
		for _, word := range words {
			if text := p.String(); !strings.Contains(text, word) {
				t.Errorf("%q has no %q", text, word)
			}
		}
	}
	tally.position(at("b.2", 1000), time.Now(), 2000)
	want(0, "0.0 % of", "changes read (100 %)")
	tally.beginChunks(at("b.2", 0), 4, 1)
	want(250)
	tally.chunkDone()
	want(500, "25.0 % of", " left")
	tally.reach(at("b.2", 0), began)
	want(1000, "50.0 % of", "at b.2:0")
	tally.reach(at("b.1", 500), began) // what was left out had run ahead
	want(1000, "at b.2:0")
	tally.beginChunks(at("b.2", 1000), 2, 0)
	tally.chunkDone()
	want(1500)
	tally.pace.moved = time.Now().Add(-2 * quiet)
	began = began.Add(-time.Hour)
	want(1500, "waiting for the server for 1m")
}
