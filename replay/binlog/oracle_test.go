package binlog_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/go-mysql-org/go-mysql/replication"
	"github.com/google/go-cmp/cmp"

	"interlock/replay/binlog"
)

// TestCorpus reads the committed logs of real servers.
func TestCorpus(t *testing.T) {
	for _, dir := range corpusDirs(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) { checkLog(t, open(t, dir)) })
	}
}

// corpusDirs are the folders of committed logs.
func corpusDirs(tb testing.TB) []string {
	tb.Helper()
	dirs, err := filepath.Glob("testdata/m*[a-z]")
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, dir := range dirs {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			out = append(out, dir)
		}
	}
	if len(out) < 4 {
		tb.Fatalf("%d corpora, want 4", len(out))
	}
	return out
}

// rowValues is one rows event, its values decoded.
type rowValues struct {
	Type  binlog.Type
	Table string
	Rows  [][]any // nil: NULL, or not in the image
}

// checkLog reads a log from one end to the other and holds its rows against go-mysql's, every image against
// what AppendImage makes of its parts, and every event against what Builder makes of it.
func checkLog(t *testing.T, log *binlog.Log) {
	t.Helper()
	survey, err := log.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if survey.Torn != "" {
		t.Errorf("the log is torn: %s", survey.Torn)
	}
	var ours, theirs []rowValues
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	transactions := int64(0)
	for {
		txn, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		transactions++
		ours = append(ours, readTransaction(t, r, txn)...)
	}
	if transactions != survey.Transactions || transactions == 0 {
		t.Errorf("read %d transactions, the survey found %d", transactions, survey.Transactions)
	}
	for _, f := range log.Files {
		theirs = append(theirs, oracle(t, f)...)
	}
	if len(ours) == 0 {
		t.Error("no rows")
	}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Errorf("rows differ from go-mysql's (-theirs +ours):\n%s", diff)
	}
}

func readTransaction(t *testing.T, r *binlog.Reader, txn *binlog.Txn) []rowValues {
	t.Helper()
	var out []rowValues
	var tables binlog.TableCache
	hasRows, count := false, 0
	for ev, err := range r.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		count++
		switch {
		case ev.Type == binlog.TypeTableMap:
			table, err := tables.Parse(r.Format(), ev)
			if err != nil {
				t.Fatal(err)
			}
			rebuild(t, r.Format(), ev, table)
		case ev.Type.IsRows():
			hasRows = true
			rows, err := binlog.ParseRows(r.Format(), ev, tables.Table)
			if err != nil {
				t.Fatal(err)
			}
			if rows.Kind != binlog.PartialUpdateRows {
				out = append(out, rowValues{ev.Type, rows.Table.Schema + "." + rows.Table.Name, checkSentinels(t, rows.Table, decode(t, &rows))})
				rebuildRows(t, r.Format(), ev, &rows)
			}
			if rows.Flags&binlog.StmtEnd != 0 {
				tables.Clear()
			}
		}
	}
	if hasRows != txn.HasRows || count != txn.Events {
		t.Errorf("transaction at %s: rows %v, %d events; Next said %v, %d", txn.Start, hasRows, count, txn.HasRows, txn.Events)
	}
	return out
}

// decode decodes every image of an event.
func decode(t *testing.T, rows *binlog.Rows) [][]any {
	t.Helper()
	var out [][]any
	spans := make([]binlog.Span, len(rows.Table.Columns))
	data := rows.Data
	for len(data) > 0 {
		for _, present := range []binlog.Bitmap{rows.Before, rows.After} {
			if present == nil {
				continue
			}
			n, err := rows.Table.Image(data, present, spans)
			if err != nil {
				t.Fatal(err)
			}
			if length, err := rows.Table.ImageLen(data, present); err != nil || length != n {
				t.Fatalf("ImageLen is %d (%v), Image %d", length, err, n)
			}
			again := binlog.AppendImage(nil, rows.Table, present, data[:n], spans)
			if want := clearUnused(data[:n], present, len(spans)); !bytes.Equal(again, want) {
				t.Errorf("%s: image put together again is\n%x, was\n%x", rows.Table.Name, again, want)
			}
			row := make([]any, len(spans))
			for i, s := range spans {
				if s.State == binlog.Value {
					row[i] = value(rows.Table, i, data[s.Start:s.End])
				}
			}
			out = append(out, row)
			data = data[n:]
		}
	}
	return out
}

// packedColumn tells whether a column is one of MariaDB's compressed ones, which go-mysql does not know.
func packedColumn(t binlog.ColumnType) bool {
	return t == binlog.ColVarcharCompressed || t == binlog.ColBlobCompressed
}

// checkSentinels looks for the known number behind each compressed column, and returns no rows, as theirRows
// has none.
func checkSentinels(t *testing.T, table *binlog.Table, rows [][]any) [][]any {
	t.Helper()
	known := false
	for i, col := range table.Columns {
		if !packedColumn(col.Type) {
			continue
		}
		known = true
		for _, row := range rows {
			if row[i+1] != fmt.Sprint(sentinel) {
				t.Errorf("%s: behind compressed column %d stands %v", table.Name, i+1, row[i+1])
			}
		}
	}
	if known {
		return nil
	}
	return rows
}

// clearUnused is an image without the bits behind its last NULL bit.
func clearUnused(image []byte, present binlog.Bitmap, columns int) []byte {
	image = bytes.Clone(image)
	n := 0
	for i := range columns {
		if present.Has(i) {
			n++
		}
	}
	if n%8 != 0 {
		image[n/8] &= 1<<(n%8) - 1
	}
	return image
}

// undecoded stands for a value whose type value does not decode: that its length is right shows in what comes
// behind it.
const undecoded = "…"

// value decodes the types whose bytes are simple enough to be read without a mistake.
func value(table *binlog.Table, i int, b []byte) any {
	unsigned := table.HasUnsigned && table.Unsigned.Has(i)
	number := uint64(0)
	for j := len(b) - 1; j >= 0 && len(b) <= 8; j-- {
		number = number<<8 | uint64(b[j])
	}
	switch col := table.Columns[i]; col.Type {
	case binlog.ColTiny, binlog.ColShort, binlog.ColInt24, binlog.ColLong, binlog.ColLongLong:
		if shift := 64 - 8*len(b); !unsigned {
			return fmt.Sprint(int64(number<<shift) >> shift)
		}
		return fmt.Sprint(number)
	case binlog.ColEnum, binlog.ColSet:
		return fmt.Sprint(int64(number))
	case binlog.ColVarchar, binlog.ColString:
		if col.Meta > 255 {
			return string(b[2:])
		}
		return string(b[1:])
	case binlog.ColBlob, binlog.ColGeometry:
		return string(b[col.Meta:])
	}
	return undecoded
}

// oracle is what go-mysql reads in a file, in the form of rowValues.
func oracle(t *testing.T, f *binlog.File) []rowValues {
	t.Helper()
	p := replication.NewBinlogParser()
	p.SetRowsEventDecodeFunc(func(e *replication.RowsEvent, data []byte) error {
		pos, err := e.DecodeHeader(data)
		if err != nil || slices.ContainsFunc(e.Table.ColumnType, func(b byte) bool { return packedColumn(binlog.ColumnType(b)) }) {
			return err
		}
		return e.DecodeData(pos, data)
	})
	p.SetIgnoreJSONDecodeError(true)
	if f.Format.Flavor == binlog.MariaDB {
		p.SetFlavor("mariadb")
	}
	var out []rowValues
	var see func(ev *replication.BinlogEvent)
	see = func(ev *replication.BinlogEvent) {
		switch e := ev.Event.(type) {
		case *replication.TransactionPayloadEvent:
			for _, inner := range e.Events {
				see(inner)
			}
		case *replication.RowsEvent:
			if ev.Header.EventType == replication.PARTIAL_UPDATE_ROWS_EVENT {
				return
			}
			out = append(out, theirRows(binlog.Type(ev.Header.EventType), e))
		}
	}
	if err := p.ParseFile(f.Path, 0, func(ev *replication.BinlogEvent) error { see(ev); return nil }); err != nil {
		t.Fatalf("go-mysql: %v", err)
	}
	return out
}

func theirRows(eventType binlog.Type, e *replication.RowsEvent) rowValues {
	if eventType >= binlog.TypeWriteRowsCompressedV1 && eventType <= binlog.TypeDeleteRowsCompressedV1 {
		eventType -= binlog.TypeWriteRowsCompressedV1 - binlog.TypeWriteRowsV1
	}
	out := rowValues{Type: eventType, Table: string(e.Table.Schema) + "." + string(e.Table.Table)}
	for _, row := range e.Rows {
		values := make([]any, len(row))
		for i, v := range row {
			switch kind := e.Table.ColumnType[i]; v := v.(type) {
			case nil:
			case int8, int16, int32, int64, uint8, uint16, uint32, uint64:
				values[i] = fmt.Sprint(v)
				if kind == uint8(binlog.ColBit) {
					values[i] = undecoded
				}
			case string:
				values[i] = v
				if kind != uint8(binlog.ColVarchar) && kind != uint8(binlog.ColString) {
					values[i] = undecoded
				}
			case []byte:
				values[i] = string(v)
				if kind != uint8(binlog.ColBlob) && kind != uint8(binlog.ColGeometry) {
					values[i] = undecoded
				}
			default:
				values[i] = undecoded
			}
		}
		out.Rows = append(out.Rows, values)
	}
	return out
}

// tableID is the one that the body of a table map or a rows event begins with.
func tableID(body []byte) uint64 {
	return uint64(binary.LittleEndian.Uint32(body)) | uint64(binary.LittleEndian.Uint16(body[4:]))<<32
}

// rebuild makes a table map event again from its table.
func rebuild(t *testing.T, f *binlog.Format, ev *binlog.Event, table *binlog.Table) {
	t.Helper()
	b := binlog.Builder{Flavor: f.Flavor, ServerID: ev.ServerID, Timestamp: ev.Timestamp}
	id := tableID(ev.Body)
	sameEvent(t, ev, b.AppendTableMap([]byte("before"), table, id)[len("before"):])
	sameEvent(t, ev, b.AppendTableMapAs(nil, table, id, table.Schema, table.Name))
}

// rebuildRows makes a rows event again from its parts.
func rebuildRows(t *testing.T, f *binlog.Format, ev *binlog.Event, rows *binlog.Rows) {
	t.Helper()
	if len(rows.Extra) > 0 {
		return // partitions: Builder writes none
	}
	b := binlog.Builder{Flavor: f.Flavor, ServerID: ev.ServerID, Timestamp: ev.Timestamp}
	got, start := b.BeginRows([]byte("before"), rows.Kind, rows.Table, rows.TableID, rows.Flags, rows.Before, rows.After)
	got = b.EndRows(append(got, rows.Data...), start)
	sameEvent(t, ev, got[start:])
}

// sameEvent compares a built event with the one of the log, but for what Builder leaves at zero.
func sameEvent(t *testing.T, ev *binlog.Event, got []byte) {
	t.Helper()
	want := bytes.Clone(ev.Raw)
	binary.LittleEndian.PutUint32(want[9:], uint32(len(want))) // without checksum
	clear(want[13:19])
	if !bytes.Equal(got, want) {
		t.Errorf("%s at %s built again:\n%x, was\n%x", ev.Type, ev.At, got, want)
	}
}
