package replay

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/replay/binlog"
	"interlock/replay/fold"
	"interlock/replay/session"

	"github.com/klauspost/compress/zstd"
)

// Bad input past the checksum: events of real logs are changed, left out, repeated, moved, given other lengths and types,
// also within compressed transactions, and then given the positions and checksums that they must have. What the planner
// does without a target is done with them. Nothing may panic, go on for ever or take memory that the input does not
// account for, and no event may be passed over.

// pastSumLogs are what the changes begin with: transactions of every kind.
var pastSumLogs = []string{
	"mysql/binlog.000001", "mariadb/binlog.000001", "mysql-small/binlog.000005", "mariadb-small/binlog.000005",
	"mysql-types/binlog.000007", "mariadb-types/binlog.000007",
}

// frame is an event without checksum; of a compressed transaction, inner is what is in it.
type frame struct {
	raw   []byte
	inner []frame
}

func (f frame) kind() binlog.Type { return binlog.Type(f.raw[4]) }

// frames are the events of a log of a real server.
func frames(tb testing.TB, name string) []frame {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("binlog/testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	return cut(tb, data)
}

// cut cuts a file into its events.
func cut(tb testing.TB, data []byte) []frame {
	tb.Helper()
	var all []frame
	for at := 4; at < len(data); {
		size := int(binary.LittleEndian.Uint32(data[at+9:]))
		f := frame{raw: data[at : at+size-4]}
		if f.kind() == binlog.TypePayload {
			f.inner = unpack(tb, f.raw[binlog.HeaderLen:])
		}
		all = append(all, f)
		at += size
	}
	return all
}

// unpack inflates a compressed transaction. Its header is what packs writes, or the server's, whose fields have lengths below 251.
func unpack(tb testing.TB, body []byte) []frame {
	tb.Helper()
	for body[0] != 0 {
		body = body[2+body[1]:]
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		tb.Fatal(err)
	}
	defer z.Close()
	plain, err := z.DecodeAll(body[1:], nil)
	if err != nil {
		tb.Fatal(err)
	}
	var all []frame
	for len(plain) > 0 {
		size := binary.LittleEndian.Uint32(plain[9:])
		all = append(all, frame{raw: plain[:size]})
		plain = plain[size:]
	}
	return all
}

// pack puts events into a transaction that says that it is not compressed.
func (f *frame) pack() {
	var plain []byte
	for _, in := range f.inner {
		binary.LittleEndian.PutUint32(in.raw[9:], uint32(len(in.raw)))
		plain = append(plain, in.raw...)
	}
	head := []byte{2, 3, 0xfc, 255, 0, 1, 9, 0xfe}
	head = binary.LittleEndian.AppendUint64(head, uint64(len(plain)))
	f.raw = slices.Concat(f.raw[:binlog.HeaderLen], head, []byte{0}, plain)
}

// join makes a file of events.
func join(all []frame) []byte {
	out := []byte("\xfebin")
	for i := range all {
		f := &all[i]
		start := len(out)
		if f.inner != nil {
			f.pack()
		}
		out = append(out, f.raw...)
		ev := out[start:]
		binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)+4))
		binary.LittleEndian.PutUint32(ev[13:], uint32(len(out)+4))
		if f.kind() == binlog.TypeFormatDescription {
			ev[17] &^= 1 // in use: it is left out of the sum
		}
		out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(ev))
	}
	return out
}

// change is one of those that a test makes, as FuzzPastSum reads it.
type change struct{ how, event, inner, at, value, more int }

const changeLen = 8

func readChange(b []byte) change {
	return change{int(b[0]), int(binary.LittleEndian.Uint16(b[1:])), int(b[3]), int(binary.LittleEndian.Uint16(b[4:])), int(b[6]), int(b[7])}
}

// apply changes a list of events. The first one, the format description, keeps its type and its place.
func (c change) apply(all []frame) []frame {
	if len(all) < 2 {
		return all
	}
	i := 1 + c.event%(len(all)-1)
	if c.event == 0xffff {
		i = 0
	}
	if f := &all[i]; f.inner != nil && c.inner > 8 {
		if c.inner == 0xff {
			f.inner = nil // the compressed bytes themselves
		} else {
			inner := append([]frame{{}}, f.inner...)
			c.event, c.inner = c.inner, 0
			f.inner = append([]frame{}, c.apply(inner)[1:]...)
		}
		return all
	}
	if c.how%12 < 4 {
		return c.whole(all, i)
	}
	all[i].raw = c.bytes(bytes.Clone(all[i].raw))
	return all
}

// whole leaves events out, repeats and moves them.
func (c change) whole(all []frame, i int) []frame {
	if i == 0 {
		return all
	}
	n := 1
	if c.more < 64 {
		n = min(1+c.more%8, len(all)-i)
	}
	some := slices.Clone(all[i : i+n])
	to := 1 + c.at%(len(all)-1)
	switch c.how % 12 {
	case 0:
		return slices.Delete(all, i, i+n)
	case 1:
		return slices.Insert(all, i, some...)
	case 2:
		return slices.Insert(all, to, some...)
	}
	all = slices.Delete(all, i, i+n)
	return slices.Insert(all, min(to, len(all)), some...)
}

// bytes changes those of an event.
func (c change) bytes(raw []byte) []byte {
	body := len(raw) - binlog.HeaderLen
	at := binlog.HeaderLen
	if body > 0 {
		if at += c.at % body; c.more < 128 {
			at = binlog.HeaderLen + c.at%min(body, 48) // what stands at its start is of most weight
		}
	}
	if raw[4] == byte(binlog.TypeFormatDescription) && (c.how%12 == 4 || c.how%12 == 5) {
		return raw
	}
	switch c.how % 12 {
	case 4:
		raw[4] = byte(c.value)
		if c.more >= 64 { // mostly one that is known
			raw[4] = [...]byte{2, 5, 13, 14, 16, 19, 20, 23, 24, 25, 26, 28, 29, 30, 31, 32, 33, 34, 36, 38, 39, 40, 41, 42, 160, 161, 162, 163, 165, 166, 167, 168, 169, 170, 171}[c.value%35]
		}
	case 5:
		raw[17+c.at%2] ^= byte(c.value)
	case 6:
		return raw[:at]
	case 7:
		return append(raw, bytes.Repeat([]byte{byte(c.value)}, 1+c.more)...)
	case 8:
		return slices.Insert(raw, at, bytes.Repeat([]byte{byte(c.value)}, 1+c.more%9)...)
	case 9:
		return slices.Delete(raw, at, min(at+1+c.more%9, len(raw)))
	case 10:
		if body > 0 {
			raw[at] = byte(c.value)
		}
	case 11:
		if body > 0 {
			raw[at] ^= 1 << (c.value % 8)
		}
	}
	return raw
}

// pastSum makes the changes and does with the log what is done before a target is needed.
func pastSum(t *testing.T, dir string, all []frame, changes []byte) (accepted bool) {
	t.Helper()
	all = slices.Clone(all)
	for ; len(changes) >= changeLen; changes = changes[changeLen:] {
		all = readChange(changes).apply(all)
	}
	data := join(all)
	path := filepath.Join(dir, "binlog.000001")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	taken, err := planAll(t, path)
	runtime.ReadMemStats(&after)
	if most := uint64(48<<20 + 400*len(data)); after.TotalAlloc-before.TotalAlloc > most {
		t.Errorf("%d MiB were allocated for a log of %d bytes", (after.TotalAlloc-before.TotalAlloc)>>20, len(data))
	}
	if err != nil {
		return false
	}
	if want := mustBeTaken(all); !slices.Equal(taken, want) {
		i := 0
		for i < min(len(taken), len(want)) && taken[i] == want[i] {
			i++
		}
		t.Errorf("the events taken differ from the log's at number %d: %v, want %v", i, taken[i:], want[i:])
	}
	return true
}

// mustBeTaken are the types of the events that a replay has to do something with.
func mustBeTaken(all []frame) (want []binlog.Type) {
	for _, f := range all {
		if f.inner != nil && f.kind() == binlog.TypePayload {
			want = append(want, mustBeTaken(f.inner)...)
		} else if t, ok := effect(f.kind()); ok {
			want = append(want, t)
		}
	}
	return want
}

// effect tells whether events of a type, plain, have one.
func effect(t binlog.Type) (binlog.Type, bool) {
	switch {
	case t >= binlog.TypeWriteRowsCompressedV1 && t <= binlog.TypeDeleteRowsCompressedV1:
		return t - binlog.TypeWriteRowsCompressedV1 + binlog.TypeWriteRowsV1, true
	case t >= binlog.TypeWriteRowsCompressed && t <= binlog.TypeDeleteRowsCompressed:
		return t - binlog.TypeWriteRowsCompressed + binlog.TypeWriteRows, true
	case t == binlog.TypeQueryCompressed:
		return binlog.TypeQuery, true
	}
	switch t {
	case binlog.TypeQuery, binlog.TypeIntvar, binlog.TypeRand, binlog.TypeUserVar, binlog.TypeXID, binlog.TypeXAPrepare, binlog.TypeTableMap:
		return t, true
	}
	return t, t.IsRows() || t == binlog.TypePayload
}

// planAll reads a log as a run does, without a target, and returns the types of the events that it came to.
func planAll(t *testing.T, path string) (taken []binlog.Type, err error) {
	log, err := binlog.Open(t.Context(), []string{path}, binlog.OpenOptions{TempDir: filepath.Dir(path)})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	if s, err := log.Survey(t.Context(), nil); err != nil {
		return nil, err
	} else if s.Torn != "" {
		return nil, errors.New(s.Torn)
	}
	r, err := log.Read(binlog.Position{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	format := log.Files[0].Format
	p := &planner{
		cfg: Config{MemoryBytes: MinMemory}, sel: &selection{}, reader: r, flavor: format.Flavor, state: session.New(format.Flavor, format.ServerVersion),
		maps: &binlog.TableCache{}, tally: newTally(log.Files),
	}
	for {
		txn, err := r.Next(t.Context())
		if errors.Is(err, io.EOF) {
			return taken, nil
		}
		if err != nil {
			t.Errorf("the survey took what a reader does not: %v", err)
			return nil, err
		}
		if err := planTxn(t.Context(), p, txn, &taken); err != nil {
			return nil, err
		}
	}
}

func planTxn(ctx context.Context, p *planner, txn *binlog.Txn, taken *[]binlog.Type) error {
	if _, err := p.pass(ctx, true); err != nil {
		return fmt.Errorf("pass: %w", err)
	}
	if _, _, err := p.steps(ctx, txn); err != nil {
		return fmt.Errorf("steps: %w", err)
	}
	p.beginTxn()
	epochs := []*fold.Epoch{fold.New(), fold.New()}
	tables := map[*binlog.Table][]*fold.Table{}
	for ev, err := range p.reader.Events(ctx) {
		if err != nil {
			return err
		}
		if kind, ok := effect(ev.Type); ok {
			*taken = append(*taken, kind)
			if kind != ev.Type {
				panic(fmt.Sprintf("an event of type %s has not been inflated", ev.Type))
			}
		}
		rows, err := p.parseRows(p.reader.Format(), ev)
		if err != nil {
			return err
		}
		if rows.Table == nil {
			continue
		}
		if tables[rows.Table] == nil {
			tables[rows.Table] = []*fold.Table{foldTable(rows.Table, nil), foldTable(rows.Table, []int{0})}
		}
		for i, e := range epochs {
			if err := e.Add(tables[rows.Table][i], &rows, 0); err != nil {
				if _, ok := errors.AsType[*fold.NeedsOrder](err); !ok {
					return err
				}
			}
		}
	}
	for _, e := range epochs {
		if _, err := e.Outcomes(); err != nil {
			return err
		}
	}
	return nil
}

func foldTable(layout *binlog.Table, key []int) *fold.Table {
	t := &fold.Table{Name: fmt.Sprintf("%p", layout), Layout: layout, Unique: binlog.NewBitmap(len(layout.Columns)), AutoIncrement: -1}
	if len(layout.Columns) > 0 && !layout.Columns[0].Nullable {
		t.Key, t.Orders = key, make([]fold.Order, len(key))
	}
	return t
}

// watched ends the program where f does not come back in time, and shows where it is.
func watched(what string, f func()) {
	alarm := time.AfterFunc(60*time.Second, func() { panic("no end: " + what) })
	defer alarm.Stop()
	f()
}

// TestPastSum makes changes at random, of a fixed seed; FuzzPastSum goes on for as long as one likes.
func TestPastSum(t *testing.T) {
	const rounds, ofAllTypes = 300, 12 // a log of all column types takes twenty times as long
	dir := t.TempDir()
	for n, name := range pastSumLogs {
		all, random, accepted := frames(t, name), rand.New(rand.NewPCG(1, uint64(n))), 0
		count := rounds
		if strings.Contains(name, "-types") {
			count = ofAllTypes
		}
		for range count {
			changes := make([]byte, changeLen*(1+random.IntN(3)))
			for i := range changes {
				changes[i] = byte(random.Uint32())
			}
			what := fmt.Sprintf("%s, changes %x", name, changes)
			watched(what, func() {
				if pastSum(t, dir, all, changes) {
					accepted++
				}
			})
			if t.Failed() {
				t.Fatal(what)
			}
		}
		if accepted == 0 || accepted == count {
			t.Errorf("%s: %d of %d changed logs were accepted", name, accepted, count)
		}
	}
}

func FuzzPastSum(f *testing.F) {
	var logs [][]frame
	for _, name := range pastSumLogs {
		logs = append(logs, frames(f, name))
	}
	f.Add(byte(0), []byte{})
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, n byte, changes []byte) {
		watched(fmt.Sprintf("log %d, changes %x", n, changes), func() { pastSum(t, dir, logs[int(n)%len(logs)], changes) })
	})
}
