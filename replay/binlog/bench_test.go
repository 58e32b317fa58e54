package binlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/klauspost/compress/zstd"

	"interlock/replay/binlog"
)

// sysbenchLog writes a log of transactions, each of so many rows events of so many rows as sysbench's tables
// have them, and returns its path. The format description and the events around the rows are a server's.
func sysbenchLog(tb testing.TB, transactions, events, rows int) string {
	tb.Helper()
	data := read(tb, "mysql/binlog.000001")
	path := filepath.Join(tb.TempDir(), "binlog.000001")
	out, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	defer out.Close()
	at := eventAt(data, 2)
	if _, err := out.Write(data[:at]); err != nil {
		tb.Fatal(err)
	}
	// GTID, BEGIN, TABLE_MAP, WRITE_ROWS, XID of the third transaction of the script: the table a, which is sysbench's.
	parts := make([][]byte, 5)
	for i := range parts {
		parts[i] = bytes.Clone(data[eventAt(data, 6+i):eventAt(data, 7+i)])
	}
	image := binary.LittleEndian.AppendUint32([]byte{0}, 1)
	image = binary.LittleEndian.AppendUint32(image, 2)
	image = append(append(append(image, 119, 0), bytes.Repeat([]byte{'c'}, 119)...), 59)
	image = append(image, bytes.Repeat([]byte{'p'}, 59)...)
	head := parts[3][:19+10+1+1]
	parts[3] = append(append(bytes.Clone(head), bytes.Repeat(image, rows)...), 0, 0, 0, 0)
	write := func(ev []byte) {
		at += len(ev)
		binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)))
		binary.LittleEndian.PutUint32(ev[13:], uint32(at))
		sum(ev)
		if _, err := out.Write(ev); err != nil {
			tb.Fatal(err)
		}
	}
	for n := range transactions {
		binary.LittleEndian.PutUint64(parts[0][19+17:], uint64(n+1))
		for i, part := range parts {
			for range map[bool]int{true: events, false: 1}[i == 3] {
				write(part)
			}
		}
	}
	return path
}

// readAll reads every transaction with all its rows and returns how many rows there are.
func readAll(tb testing.TB, log *binlog.Log, images bool) (rows int) {
	tb.Helper()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		tb.Fatal(err)
	}
	defer r.Close()
	var tables binlog.TableCache
	var spans []binlog.Span
	for {
		_, err := r.Next(tb.Context())
		if errors.Is(err, io.EOF) {
			return rows
		}
		if err != nil {
			tb.Fatal(err)
		}
		for ev, err := range r.Events(tb.Context()) {
			if err != nil {
				tb.Fatal(err)
			}
			if ev.Type == binlog.TypeTableMap {
				table, err := tables.Parse(r.Format(), ev)
				if err != nil {
					tb.Fatal(err)
				}
				spans = make([]binlog.Span, len(table.Columns))
			}
			if !ev.Type.IsRows() || !images {
				continue
			}
			parsed, err := binlog.ParseRows(r.Format(), ev, tables.Table)
			if err != nil {
				tb.Fatal(err)
			}
			for data := parsed.Data; len(data) > 0; rows++ {
				n, err := parsed.Table.Image(data, parsed.After, spans)
				if err != nil {
					tb.Fatal(err)
				}
				data = data[n:]
			}
		}
	}
}

// benchmarkLog runs f over a log of many small transactions and over one of few large ones.
func benchmarkLog(b *testing.B, f func(b *testing.B, log *binlog.Log)) {
	b.Helper()
	for name, size := range map[string][3]int{"small": {100_000, 1, 1}, "large": {20, 200, 40}} {
		b.Run(name, func(b *testing.B) {
			path := sysbenchLog(b, size[0], size[1], size[2])
			log, err := binlog.Open(b.Context(), []string{path}, binlog.OpenOptions{TempDir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			defer log.Close()
			b.SetBytes(log.Files[0].Size)
			b.ReportAllocs()
			for b.Loop() {
				f(b, log)
			}
		})
	}
}

func BenchmarkSurvey(b *testing.B) {
	benchmarkLog(b, func(b *testing.B, log *binlog.Log) {
		if _, err := log.Survey(b.Context(), nil); err != nil {
			b.Fatal(err)
		}
	})
}

func BenchmarkEvents(b *testing.B) {
	benchmarkLog(b, func(b *testing.B, log *binlog.Log) { readAll(b, log, false) })
}

func BenchmarkImages(b *testing.B) {
	benchmarkLog(b, func(b *testing.B, log *binlog.Log) { readAll(b, log, true) })
}

// BenchmarkImage walks the images of one event, over and over.
func BenchmarkImage(b *testing.B) {
	path := sysbenchLog(b, 1, 1, 40)
	log, err := binlog.Open(b.Context(), []string{path}, binlog.OpenOptions{TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer log.Close()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Next(b.Context()); err != nil {
		b.Fatal(err)
	}
	var tables binlog.TableCache
	for ev, err := range r.Events(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		if ev.Type == binlog.TypeTableMap {
			if _, err := tables.Parse(r.Format(), ev); err != nil {
				b.Fatal(err)
			}
		}
		if !ev.Type.IsRows() {
			continue
		}
		spans := make([]binlog.Span, 4)
		b.SetBytes(int64(len(ev.Body)))
		for b.Loop() {
			rows, err := binlog.ParseRows(r.Format(), ev, tables.Table)
			if err != nil {
				b.Fatal(err)
			}
			for data := rows.Data; len(data) > 0; {
				n, err := rows.Table.Image(data, rows.After, spans)
				if err != nil {
					b.Fatal(err)
				}
				data = data[n:]
			}
		}
	}
}

// TestMemoryIsBounded reads one transaction of 200 MB, whose events do not all stay in memory, and one event
// of 100 MB.
func TestMemoryIsBounded(t *testing.T) {
	const row = 191
	for name, size := range map[string][3]int{"many events": {2, 2500, 200}, "one event": {2, 1, 100 << 20 / row}} {
		t.Run(name, func(t *testing.T) {
			log := open(t, sysbenchLog(t, size[0], size[1], size[2]))
			before := allocated()
			if rows := readAll(t, log, true); rows != size[0]*size[1]*size[2] {
				t.Errorf("%d rows, want %d", rows, size[0]*size[1]*size[2])
			}
			if used, most := allocated()-before, uint64(4*binlog.KeepBytes+5*size[2]*row); used > most {
				t.Errorf("%d bytes allocated in all, at most %d", used, most)
			}
		})
	}
}

// TestLongPayload reads compressed transactions that inflate to 95 MB each: the survey in bounded memory, a
// reader event by event.
func TestLongPayload(t *testing.T) {
	log := open(t, compressed(t, sysbenchLog(t, 2, 2500, 200)))
	before := allocated()
	survey, err := log.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if used := allocated() - before; used > 2*binlog.KeepBytes {
		t.Errorf("the survey allocated %d bytes", used)
	}
	if survey.Transactions != 2 || survey.Events != 2*(2500+4)+2 {
		t.Errorf("%+v", survey)
	}
	if rows := readAll(t, log, true); rows != 2*2500*200 {
		t.Errorf("%d rows", rows)
	}
}

// compressed packs each transaction of a log into a payload event, but for its GTID, and returns the path.
func compressed(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var plain []byte
	packed := rewrite(data, true, func(ev []byte) []byte {
		switch binlog.Type(ev[4]) {
		case binlog.TypeFormatDescription, binlog.TypePreviousGTIDs, binlog.TypeGTID:
			plain = nil
			return ev
		}
		header := bytes.Clone(ev[:19])
		binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)))
		plain = append(plain, ev...)
		if binlog.Type(ev[4]) != binlog.TypeXID {
			return nil
		}
		z, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		payload := z.EncodeAll(plain, nil)
		header[4] = byte(binlog.TypePayload)
		number := func(field byte, n int) []byte {
			return binary.LittleEndian.AppendUint64([]byte{field, 9, 0xfe}, uint64(n))
		}
		return slices.Concat(header, []byte{2, 1, 0}, number(3, len(plain)), number(1, len(payload)), []byte{0}, payload)
	})
	path = filepath.Join(t.TempDir(), "binlog.000001")
	if err := os.WriteFile(path, packed, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// allocated is how many bytes have been allocated so far, freed ones included.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}
