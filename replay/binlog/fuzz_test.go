package binlog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"interlock/replay/binlog"
)

// FuzzReader reads logs in which checksums do not help: those of the input's events are mended. Whatever is in
// it must be an error or transactions, in memory that the input's length bounds, and the same to the survey
// and to a reader.
func FuzzReader(f *testing.F) {
	for _, name := range []string{"mysql", "mariadb"} {
		data, err := os.ReadFile(smallLog(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
		f.Add(rewrite(data, false, func(ev []byte) []byte { return ev }))
		f.Add(read(f, name+"/binlog.000002"))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, data []byte) {
		for at := 4; at+23 <= len(data); {
			size := int(binary.LittleEndian.Uint32(data[at+9:]))
			if size < 23 || at+size > len(data) {
				break
			}
			at += size
			binary.LittleEndian.PutUint32(data[at-size+13:], uint32(at))
			sum(data[at-size : at])
		}
		if _, err := transactions(t.Context(), dir, data); err != nil {
			if bytes.Contains([]byte(err.Error()), []byte("the survey")) {
				t.Error(err)
			}
			return
		}
		walkAll(t, filepath.Join(dir, "binlog.000001"))
	})
}

// walkAll reads every row of a log that may be anything.
func walkAll(t *testing.T, path string) {
	log, err := binlog.Open(t.Context(), []string{path}, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var tables binlog.TableCache
	for {
		if _, err := r.Next(t.Context()); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for ev, err := range r.Events(context.Background()) {
			if err != nil {
				break
			}
			switch {
			case ev.Type == binlog.TypeTableMap:
				tables.Parse(r.Format(), ev) //nolint:errcheck // it must not panic
			case ev.Type == binlog.TypeQuery:
				binlog.ParseQuery(r.Format(), ev) //nolint:errcheck // it must not panic
			case ev.Type.IsRows():
				rows, err := binlog.ParseRows(r.Format(), ev, tables.Table)
				if err == nil && rows.Table != nil {
					walkRows(t, &rows)
				}
			}
		}
	}
}

// walkRows walks images until one is refused. Whatever Image accepts, ImageLen does too, and AppendImage puts
// it together again.
func walkRows(t *testing.T, rows *binlog.Rows) {
	spans := make([]binlog.Span, len(rows.Table.Columns))
	for data := rows.Data; len(data) > 0; {
		for _, present := range []binlog.Bitmap{rows.Before, rows.After} {
			if present == nil {
				continue
			}
			n, err := rows.Table.Image(data, present, spans)
			length, lengthErr := rows.Table.ImageLen(data, present)
			if (err == nil) != (lengthErr == nil) || n != length {
				t.Fatalf("Image: %d, %v; ImageLen: %d, %v", n, err, length, lengthErr)
			}
			if err != nil {
				return
			}
			if n > len(data) {
				t.Fatalf("an image of %d bytes in %d", n, len(data))
			}
			again := binlog.AppendImage(nil, rows.Table, present, data[:n], spans)
			if want := clearUnused(data[:n], present, len(spans)); !bytes.Equal(again, want) {
				t.Fatalf("image put together again is %x, was %x", again, want)
			}
			if data = data[n:]; n == 0 {
				return
			}
		}
	}
}

// events are the bodies of the events of a type in the corpora, with their formats.
func events(tb testing.TB, want func(binlog.Type) bool, see func(f *binlog.Format, ev *binlog.Event, table *binlog.Table)) {
	tb.Helper()
	for _, dir := range corpusDirs(tb) {
		log, err := binlog.Open(context.Background(), []string{dir}, binlog.OpenOptions{TempDir: tb.TempDir()})
		if err != nil {
			tb.Fatal(err)
		}
		r, err := log.Read(binlog.Position{})
		if err != nil {
			tb.Fatal(err)
		}
		for {
			if _, err := r.Next(context.Background()); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				tb.Fatal(err)
			}
			var tables binlog.TableCache
			var table *binlog.Table
			for ev, err := range r.Events(context.Background()) {
				if err != nil {
					tb.Fatal(err)
				}
				if ev.Type == binlog.TypeTableMap {
					if table, err = tables.Parse(r.Format(), ev); err != nil {
						tb.Fatal(err)
					}
				}
				if want(ev.Type) {
					see(r.Format(), ev, table)
				}
			}
		}
		r.Close()
		log.Close()
	}
}

// someFormat is a format of each flavor.
func someFormat(tb testing.TB) *binlog.Format {
	tb.Helper()
	log, err := binlog.Open(context.Background(), []string{smallLog(tb, "mysql")}, binlog.OpenOptions{TempDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	defer log.Close()
	return log.Files[0].Format
}

// FuzzTableMap parses anything as a table map.
func FuzzTableMap(f *testing.F) {
	events(f, func(t binlog.Type) bool { return t == binlog.TypeTableMap }, func(_ *binlog.Format, ev *binlog.Event, _ *binlog.Table) {
		f.Add(bytes.Clone(ev.Body))
	})
	format := someFormat(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		ev := &binlog.Event{Header: binlog.Header{Type: binlog.TypeTableMap}, Body: body}
		var tables binlog.TableCache
		table, err := tables.Parse(format, ev)
		if err != nil {
			return
		}
		again, err := tables.Parse(format, ev)
		if err != nil || again != table || tables.Table(tableID(body)) != table || !table.SameLayout(again) {
			t.Fatalf("the same bytes are another table: %v", err)
		}
		b := binlog.Builder{Flavor: binlog.MySQL}
		if built := b.AppendTableMap(nil, table, tableID(body)); !bytes.Equal(built[binlog.HeaderLen:], body) {
			t.Fatalf("built again: %x, was %x", built[binlog.HeaderLen:], body)
		}
	})
}

// FuzzImage walks anything as the rows of any table.
func FuzzImage(f *testing.F) {
	events(f, binlog.Type.IsRows, func(_ *binlog.Format, ev *binlog.Event, table *binlog.Table) {
		if len(ev.Body) < 4096 {
			f.Add(append(make([]byte, 6), table.Raw...), uint8(ev.Type), bytes.Clone(ev.Body))
		}
	})
	format := someFormat(f)
	f.Fuzz(func(t *testing.T, tableMap []byte, eventType uint8, body []byte) {
		var tables binlog.TableCache
		table, err := tables.Parse(format, &binlog.Event{Header: binlog.Header{Type: binlog.TypeTableMap}, Body: tableMap})
		if err != nil {
			return
		}
		ev := &binlog.Event{Header: binlog.Header{Type: binlog.Type(eventType)}, Body: body}
		rows, err := binlog.ParseRows(format, ev, func(uint64) *binlog.Table { return table })
		if err != nil || rows.Table == nil {
			return
		}
		walkRows(t, &rows)
	})
}

// FuzzGTIDSet parses anything as a set of GTIDs. What is accepted reads the same when it is written.
func FuzzGTIDSet(f *testing.F) {
	f.Add("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-3:5:tag:1-2,\n4e11fa47-71ca-11e1-9e33-c80aa9429562:7", false)
	f.Add("0-1-2,1-2-3", true)
	f.Add("", true)
	f.Fuzz(func(t *testing.T, text string, maria bool) {
		flavor := binlog.MySQL
		if maria {
			flavor = binlog.MariaDB
		}
		s, err := binlog.ParseGTIDSet(flavor, text)
		if err != nil {
			return
		}
		again, err := binlog.ParseGTIDSet(flavor, s.String())
		if err != nil || !again.Equal(s) || again.String() != s.String() {
			t.Fatalf("%q is %q, and that is %q, %v", text, s, again, err)
		}
		if !s.ContainsSet(again) || !s.Minus(again).Empty() {
			t.Fatalf("%q is not in itself", s)
		}
	})
}
