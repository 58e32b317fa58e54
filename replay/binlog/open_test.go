package binlog_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"interlock/replay/binlog"
)

// read is a file of testdata.
func read(tb testing.TB, path string) []byte {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", path))
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// folder is a folder with files.
func folder(tb testing.TB, files map[string][]byte) string {
	tb.Helper()
	dir := tb.TempDir()
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	return dir
}

func names(log *binlog.Log) []string {
	var out []string
	for _, f := range log.Files {
		out = append(out, f.Name)
	}
	return out
}

// TestOrder opens logs whose files come in any order, compressed, renamed, and among other files.
func TestOrder(t *testing.T) {
	var gz, zst bytes.Buffer
	z := gzip.NewWriter(&gz)
	if _, err := z.Write(read(t, "mysql/binlog.000002")); err != nil {
		t.Fatal(err)
	}
	z.Close()
	s, err := zstd.NewWriter(&zst)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(read(t, "mysql/binlog.000003")); err != nil {
		t.Fatal(err)
	}
	s.Close()
	for _, flavor := range []string{"mysql", "mariadb"} {
		t.Run(flavor+" in any order", func(t *testing.T) {
			var paths []string
			for _, n := range []string{"3", "1", "4", "2"} {
				paths = append(paths, "testdata/"+flavor+"/binlog.00000"+n)
			}
			want := []string{"binlog.000001", "binlog.000002", "binlog.000003", "binlog.000004"}
			if diff := cmp.Diff(want, names(open(t, paths...))); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("compressed, renamed, among others", func(t *testing.T) {
		log := open(t, folder(t, map[string][]byte{
			"z-binlog.000001":   read(t, "mysql/binlog.000001"),
			"y-binlog.000002.x": gz.Bytes(),
			"binlog.000003.zst": zst.Bytes(),
			"a-binlog.000004":   read(t, "mysql/binlog.000004"),
			"binlog.index":      []byte("./binlog.000001\n"),
			"binlog.000003.md5": []byte("d41d8cd98f00b204e9800998ecf8427e"), // of one that is there
			"empty":             nil,
		}))
		if diff := cmp.Diff([]string{"z-binlog.000001", "y-binlog.000002.x", "binlog.000003", "a-binlog.000004"}, names(log)); diff != "" {
			t.Error(diff)
		}
		if len(log.Ignored) != 3 {
			t.Errorf("ignored %q", log.Ignored)
		}
		compressed, err := log.Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := open(t, "testdata/mysql").Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if compressed.Transactions != plain.Transactions || !compressed.GTIDs.Equal(plain.GTIDs) {
			t.Errorf("%+v is not %+v", compressed, plain)
		}
	})
	t.Run("standard input", func(t *testing.T) {
		log, err := binlog.Open(t.Context(), []string{"-"}, binlog.OpenOptions{TempDir: t.TempDir(), Stdin: bytes.NewReader(gz.Bytes())})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		if survey, err := log.Survey(t.Context(), nil); err != nil || survey.Transactions != 1 {
			t.Errorf("%+v, %v", survey, err)
		}
	})
}

// TestRefused opens and surveys what is no chain of whole logs, and looks for the words that say so.
func TestRefused(t *testing.T) {
	my := func(n string) []byte { return read(t, "mysql/binlog.00000"+n) }
	ma := func(n string) []byte { return read(t, "mariadb/binlog.00000"+n) }
	first := my("1")
	tests := []struct {
		name  string
		files map[string][]byte
		want  string
	}{
		{"nothing", map[string][]byte{"binlog.index": []byte("x")}, "there is none"},
		{"packed otherwise", map[string][]byte{"binlog.000001": first, "binlog.000002.bz2": []byte("BZh91AY&SY")}, `its name ends in ".bz2"`},
		{"empty", map[string][]byte{"binlog.000001": first, "binlog.000002": nil}, "give the others by name"},
		{"damaged in its first byte", map[string][]byte{"binlog.000001": first, "binlog.000002": my("2")[1:]}, "does not begin as one"},
		{"twice", map[string][]byte{"a": first, "b": first}, "are the same file"},
		{"an earlier copy", map[string][]byte{"a": first, "b": first[:len(first)-100]}, "is an earlier copy of"},
		{"both flavors", map[string][]byte{"a": first, "b": ma("1")}, "not of one chain"},
		{"a gap in GTIDs", map[string][]byte{"binlog.000001": first, "binlog.000003": my("3")}, "are missing"},
		{"a gap without GTIDs", map[string][]byte{"binlog.000001": anonymous(t, first), "binlog.000003": anonymous(t, my("3"))}, "comes binlog.000002, which is not there"},
		{"a gap without GTIDs behind a crash", map[string][]byte{"binlog.000002": anonymous(t, my("2")[:len(my("2"))-rotateLen]), "binlog.000004": anonymous(t, my("4"))}, "nothing proves"},
		{"anonymous and a gap that GTIDs cannot show", map[string][]byte{"binlog.000001": first, "binlog.000002": rewrite(my("2"), true, hideGTID), "binlog.000004": my("4")}, "missing"},
		{"a gap of MariaDB", map[string][]byte{"binlog.000001": ma("1"), "binlog.000003": ma("3")}, "missing"},
		{"two servers", map[string][]byte{"binlog.000001": first, "binlog.000005": read(t, "mysql-small/binlog.000005")}, "missing"},
		{"two servers without GTIDs", map[string][]byte{"binlog.000001": anonymous(t, first), "binlog.000002": anonymous(t, edit(t, my("2"), 0, func(ev []byte) { ev[5] ^= 1 }))}, "as after a failover"},
		{"encrypted", map[string][]byte{"binlog.000001": append([]byte("\xfdbin"), first[4:]...)}, "read-from-remote-server"},
		{"magic alone", map[string][]byte{"binlog.000001": first[:4]}, "before its first event"},
		{"cut in the middle of a chain", map[string][]byte{"binlog.000001": first[:len(first)-100], "binlog.000002": my("2")}, "take another copy"},
		{"damaged", map[string][]byte{"binlog.000001": slices.Concat(first[:5000], []byte{first[5000] ^ 1}, first[5001:])}, "damaged"},
		{"a relay log", map[string][]byte{"relay.000001": edit(t, first, 0, func(ev []byte) { ev[17] |= 0x40 })}, "relay log"},
		{"too old", map[string][]byte{"binlog.000001": edit(t, first, 0, func(ev []byte) { copy(ev[21:], "5.6.51") })}, "5.7 is the oldest"},
		{"table ids of four bytes", map[string][]byte{"binlog.000001": edit(t, first, 0, func(ev []byte) { ev[19+57+19-1] = 6 })}, "TABLE_MAP events with a fixed part of 6 bytes"},
		{"longer statements", map[string][]byte{"binlog.000001": edit(t, ma("1"), 0, func(ev []byte) { ev[19+57+2-1]++ })}, "QUERY events with a fixed part of 14 bytes"},
		{"MariaDB's event in MySQL's log", map[string][]byte{"binlog.000001": edit(t, first, 2, func(ev []byte) { ev[4] = 163 })}, "MySQL does not write such events"},
		{"MySQL's event in MariaDB's log", map[string][]byte{"binlog.000001": edit(t, ma("1"), 3, func(ev []byte) { ev[4] = 40 })}, "MariaDB does not write such events"},
		{"an incident", map[string][]byte{"binlog.000001": edit(t, first, 2, func(ev []byte) { ev[4] = 26 })}, "lost changes"},
		{"LOAD DATA", map[string][]byte{"binlog.000001": edit(t, first, 2, func(ev []byte) { ev[4] = 17 })}, "LOAD DATA"},
		{"unknown", map[string][]byte{"binlog.000001": edit(t, first, 2, func(ev []byte) { ev[4] = 99 })}, "not known"},
		{"old rows", map[string][]byte{"binlog.000001": edit(t, first, 2, func(ev []byte) { ev[4] = 20 })}, "older than MySQL 5.1"},
		{"encrypted MariaDB", map[string][]byte{"binlog.000001": edit(t, ma("1"), 1, func(ev []byte) { ev[4] = 164 })}, "mariadb-binlog --read-from-remote-server"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log, err := binlog.Open(t.Context(), []string{folder(t, test.files)}, binlog.OpenOptions{TempDir: t.TempDir()})
			if err == nil {
				defer log.Close()
				_, err = log.Survey(t.Context(), nil)
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want one with %q", err, test.want)
			}
		})
	}
}

// TestIgnorable: an event that is not known and may be ignored does not begin a transaction.
func TestIgnorable(t *testing.T) {
	data := read(t, "mariadb/binlog.000001")
	survey := func(data []byte) *binlog.Survey {
		log := open(t, folder(t, map[string][]byte{"binlog.000001": data}))
		s, err := log.Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	const checkpoint = 2 // it stands between two transactions, and has no effect
	if ev := data[eventAt(data, checkpoint):]; ev[4] != byte(binlog.TypeBinlogCheckpoint) {
		t.Fatalf("event of type %d", ev[4])
	}
	changed := edit(t, data, checkpoint, func(ev []byte) { ev[4], ev[17] = 99, ev[17]|0x80 })
	if was, is := survey(data), survey(changed); is.Transactions != was.Transactions || is.Events != was.Events {
		t.Errorf("%d transactions and %d events, were %d and %d", is.Transactions, is.Events, was.Transactions, was.Events)
	}
}

// edit changes the n-th event of a file and mends its checksum.
func edit(tb testing.TB, data []byte, n int, change func(ev []byte)) []byte {
	tb.Helper()
	data = bytes.Clone(data)
	at := 4
	for range n {
		at += int(binary.LittleEndian.Uint32(data[at+9:]))
	}
	ev := data[at : at+int(binary.LittleEndian.Uint32(data[at+9:]))]
	change(ev)
	sum(ev)
	return data
}

// rotateLen is the length of the rotate event of these logs.
const rotateLen = 19 + 8 + len("binlog.000002") + 4

// rewrite makes a file anew from what change makes of its events, which have no checksums then; nil leaves one
// out. Lengths, positions and checksums are mended, or no checksums written.
func rewrite(data []byte, checksum bool, change func(ev []byte) []byte) []byte {
	out := bytes.Clone(data[:4])
	for at := 4; at < len(data); {
		size := int(binary.LittleEndian.Uint32(data[at+9:]))
		ev := change(bytes.Clone(data[at : at+size-4]))
		at += size
		if ev == nil {
			continue
		}
		format := ev[4] == byte(binlog.TypeFormatDescription)
		if format {
			ev[17] &^= 1 // in use
		}
		if format && !checksum {
			ev[len(ev)-1] = 0
		}
		if checksum || format {
			ev = append(ev, 0, 0, 0, 0)
		}
		binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)))
		binary.LittleEndian.PutUint32(ev[13:], uint32(len(out)+len(ev)))
		if checksum || format {
			sum(ev)
		}
		out = append(out, ev...)
	}
	return out
}

// A file that is put in the place of another one while the log is read is not read for it.
func TestPutInItsPlace(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"1", "2"} {
		if err := os.WriteFile(filepath.Join(dir, "binlog.00000"+n), read(t, "mysql/binlog.00000"+n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Survey(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "binlog.000001"), filepath.Join(dir, "binlog.000002")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "binlog.000001"), read(t, "mysql/binlog.000001"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = log.Survey(t.Context(), nil)
	if want := "binlog.000002 again: it is not the file that it was when it was opened first"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}

// An entry of a folder that leads nowhere is named.
func TestLeadsNowhere(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(dir, "gone"), filepath.Join(dir, "binlog.000001")); err != nil {
		t.Fatal(err)
	}
	_, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{})
	if want := "binlog.000001: no such file or directory"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v; want %q", err, want)
	}
}

// hideGTID makes MySQL's GTID events anonymous.
func hideGTID(ev []byte) []byte {
	if ev[4] == byte(binlog.TypeGTID) {
		ev[4] = byte(binlog.TypeAnonymousGTID)
	}
	return ev
}

// anonymous is a log as a server with gtid_mode=OFF writes it. Tagged transactions are left out.
func anonymous(tb testing.TB, data []byte) []byte {
	tb.Helper()
	tagged := false
	return rewrite(data, true, func(ev []byte) []byte {
		switch binlog.Type(ev[4]) {
		case binlog.TypePreviousGTIDs:
			return append(ev[:19], make([]byte, 8)...)
		case binlog.TypeGTID, binlog.TypeGTIDTagged, binlog.TypeRotate:
			tagged = binlog.Type(ev[4]) == binlog.TypeGTIDTagged
		}
		if tagged {
			return nil
		}
		return hideGTID(ev)
	})
}

// TestWithoutChecksums reads a log as binlog_checksum=NONE leaves it, and one without GTIDs.
func TestWithoutChecksums(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		data := read(t, name+"/binlog.000001")
		want, err := open(t, "testdata/"+name+"/binlog.000001").Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		log := open(t, folder(t, map[string][]byte{"binlog.000001": rewrite(data, false, func(ev []byte) []byte { return ev })}))
		got, err := log.Survey(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Transactions != want.Transactions || got.Events != want.Events || !got.GTIDs.Equal(want.GTIDs) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
		checkLog(t, log)
	}
	log := open(t, folder(t, map[string][]byte{"binlog.000001": anonymous(t, read(t, "mysql/binlog.000001")), "binlog.000002": anonymous(t, read(t, "mysql/binlog.000002"))}))
	survey, err := log.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !survey.GTIDs.Empty() || survey.Transactions < 40 {
		t.Errorf("%+v", survey)
	}
	checkLog(t, log)
}

// sum writes an event's checksum.
func sum(ev []byte) {
	binary.LittleEndian.PutUint32(ev[len(ev)-4:], crc32.ChecksumIEEE(ev[:len(ev)-4]))
}

// TestSameNames: after a failover two servers may both have a file of a name.
func TestSameNames(t *testing.T) {
	a := folder(t, map[string][]byte{"binlog.000005": read(t, "mysql-small/binlog.000005")})
	b := folder(t, map[string][]byte{"binlog.000005": edit(t, read(t, "mysql-small/binlog.000005"), 0, func(ev []byte) { ev[5]++ })})
	_, err := binlog.Open(t.Context(), []string{a, b}, binlog.OpenOptions{TempDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "two different files are named binlog.000005") {
		t.Errorf("error %v", err)
	}
}

// TestTornTail reads logs whose last file does not end well: everything whole before it is there, and what is
// lost is said.
func TestTornTail(t *testing.T) {
	data := read(t, "mysql/binlog.000001")
	whole, err := transactions(t.Context(), t.TempDir(), data)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"in an event", data[:len(data)-rotateLen-60], "bytes of a QUERY event, and the transaction"},
		{"in a header", data[:len(data)-rotateLen-121+10], "bytes of an event's header"},
		{"NUL", append(bytes.Clone(data[:len(data)-rotateLen]), make([]byte, 5000)...), "space that was never written"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			log := open(t, folder(t, map[string][]byte{"binlog.000001": test.data}))
			survey, err := log.Survey(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(survey.Torn, test.want) {
				t.Errorf("torn: %q, want %q", survey.Torn, test.want)
			}
			got, err := transactions(t.Context(), t.TempDir(), test.data)
			if err != nil || len(got) < len(whole)-1 || !slices.Equal(got, whole[:len(got)]) {
				t.Errorf("%d of %d transactions, %v", len(got), len(whole), err)
			}
		})
	}
}

// TestCrashedInside: a file whose server crashed in the middle of a transaction may stand in a chain if the
// next file's GTIDs prove that the transaction was not committed, and readers leave it out.
func TestCrashedInside(t *testing.T) {
	data, next := read(t, "mysql/binlog.000001"), read(t, "mysql/binlog.000002")
	// The start of the next file's transaction: its GTID has not been in the first file's end.
	begin := next[eventAt(next, 2):eventAt(next, 4)]
	crashed := slices.Concat(data[:len(data)-rotateLen], begin)
	for at, end := len(data)-rotateLen, len(crashed); at < end; {
		ev := crashed[at : at+int(binary.LittleEndian.Uint32(crashed[at+9:]))]
		at += len(ev)
		binary.LittleEndian.PutUint32(ev[13:], uint32(at))
		sum(ev)
	}
	log := open(t, folder(t, map[string][]byte{"binlog.000001": crashed, "binlog.000002": next}))
	survey, err := log.Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	want, err := open(t, "testdata/mysql/binlog.000001", "testdata/mysql/binlog.000002").Survey(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if survey.Transactions != want.Transactions || !survey.GTIDs.Equal(want.GTIDs) || survey.Torn != "" {
		t.Errorf("%+v, want %+v", survey, want)
	}
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range survey.Transactions {
		if _, err := r.Next(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

func eventAt(data []byte, n int) int {
	at := 4
	for range n {
		at += int(binary.LittleEndian.Uint32(data[at+9:]))
	}
	return at
}

// A server that is killed and started again within a second, with nothing logged in between, leaves a file that is
// the beginning of the next one: they are two, not a file and its copy.
func TestRestartedWithinASecond(t *testing.T) {
	first, err := os.ReadFile("testdata/mysql/binlog.000001")
	if err != nil {
		t.Fatal(err)
	}
	end := 4
	for range 2 { // format description and previous GTIDs
		end += int(binary.LittleEndian.Uint32(first[end+9:]))
	}
	dir := t.TempDir()
	for name, content := range map[string][]byte{"binlog.000007": first[:end], "binlog.000008": first} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	log, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if got := []string{log.Files[0].Name, log.Files[1].Name}; got[0] != "binlog.000007" || got[1] != "binlog.000008" {
		t.Errorf("files in order %q", got)
	}
	// Cut one byte shorter it is a copy of something.
	if err := os.WriteFile(filepath.Join(dir, "binlog.000007"), first[:end-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if log, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{}); err == nil {
		log.Close()
		t.Error("a file that is cut is taken for one of its own")
	}
}

// renumber gives the n-th transaction of a file of MariaDB another GTID, from 1, and the GTID list more at its front.
func renumber(data []byte, n int, server uint32, number uint64, list ...binlog.GTID) []byte {
	return rewrite(data, true, func(ev []byte) []byte {
		switch binlog.Type(ev[4]) {
		case binlog.TypeMariaGTID:
			if n--; n == 0 {
				binary.LittleEndian.PutUint32(ev[5:], server)
				binary.LittleEndian.PutUint64(ev[19:], number)
			}
		case binlog.TypeGTIDList:
			var more []byte
			for _, g := range list {
				more = binary.LittleEndian.AppendUint32(more, g.Domain)
				more = binary.LittleEndian.AppendUint32(more, g.Server)
				more = binary.LittleEndian.AppendUint64(more, g.Number)
			}
			binary.LittleEndian.PutUint32(ev[19:], binary.LittleEndian.Uint32(ev[19:])+uint32(len(list)))
			ev = slices.Insert(ev, 23, more...)
		}
		return ev
	})
}

// TestNumbersRise: where two servers write into one domain of MariaDB, a log may hold 0-1-4, 0-77-3, and a target at the
// former seems to have the latter. The server of these logs is 7548; it has written 47 transactions into the first file.
func TestNumbersRise(t *testing.T) {
	first, second := read(t, "mariadb/binlog.000001"), read(t, "mariadb/binlog.000002")
	tests := []struct {
		name  string
		files map[string][]byte
		want  string // empty: it is replayed
	}{
		{"as it was", map[string][]byte{"binlog.000001": first, "binlog.000002": second}, ""},
		{"another server, and it rises", map[string][]byte{"binlog.000001": renumber(first, 5, 77, 5)}, ""},
		{"a hole", map[string][]byte{"binlog.000002": renumber(second, 1, 77, 4800)}, ""},
		{"within a file", map[string][]byte{"binlog.000001": renumber(first, 5, 77, 3)}, "its GTID 0-77-3 comes behind 0-7548-4: the numbers of domain 0 do not rise"},
		{"the same number", map[string][]byte{"binlog.000001": renumber(first, 5, 77, 4)}, "its GTID 0-77-4 comes behind 0-7548-4:"},
		{"behind a greater one", map[string][]byte{"binlog.000001": renumber(first, 5, 77, 6)}, "its GTID 0-7548-6 comes behind 0-77-6:"},
		{"over two files", map[string][]byte{"binlog.000001": first, "binlog.000002": renumber(second, 1, 77, 40)}, "its GTID 0-77-40 comes behind 0-7548-47:"},
		{"behind the GTID list", map[string][]byte{"binlog.000002": renumber(second, 1, 77, 47)}, "its GTID 0-77-47 comes behind 0-7548-47:"},
		{"behind another server's of the list", map[string][]byte{"binlog.000002": renumber(second, 0, 0, 0, binlog.GTID{Server: 77, Number: 90})}, "its GTID 0-7548-48 comes behind 0-77-90:"},
		{"not behind another server's of the list", map[string][]byte{"binlog.000002": renumber(second, 0, 0, 0, binlog.GTID{Server: 77, Number: 9})}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			dir := folder(t, test.files)
			log := open(t, dir)
			_, err := log.Survey(t.Context(), nil)
			if test.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("error %v, want one with %q", err, test.want)
			}
			whole := starts(t, log)
			at := slices.IndexFunc(whole, func(txn *binlog.Txn) bool { return strings.Contains(test.want, " "+txn.GTID.String()+" comes") })
			stopAsSaid(t, dir, test.name, whole[:at])
			// Begun with it, it comes behind what was passed over.
			if _, err := log.SurveyRange(t.Context(), whole[at].Start, binlog.Position{}, nil); err == nil || !strings.Contains(err.Error(), "do not rise") {
				t.Errorf("from %s: %v", whole[at].Start, err)
			}
			// Behind it the log rises again.
			if from := whole[at].End; at < len(whole)-1 {
				if survey, err := log.SurveyRange(t.Context(), from, binlog.Position{}, nil); err != nil || survey.Transactions != int64(len(whole)-at-1) {
					t.Errorf("from %s: %+v, %v", from, survey, err)
				}
			}
		})
	}
}

// Files that were joined into one stream are not taken for a damaged file.
func TestJoined(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		first, second := read(t, name+"/binlog.000001"), read(t, name+"/binlog.000002")
		var members bytes.Buffer
		for _, data := range [][]byte{first, second} {
			z := gzip.NewWriter(&members)
			if _, err := z.Write(data); err != nil {
				t.Fatal(err)
			}
			if err := z.Close(); err != nil {
				t.Fatal(err)
			}
		}
		for how, stream := range map[string][]byte{"cat": append(bytes.Clone(first), second...), "gzip": members.Bytes()} {
			log, err := binlog.Open(t.Context(), []string{"-"}, binlog.OpenOptions{TempDir: t.TempDir(), Stdin: bytes.NewReader(stream)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = log.Survey(t.Context(), nil)
			want := fmt.Sprintf("another binary log begins at stdin:%d: files were joined into one", len(first))
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "one by one") || strings.Contains(err.Error(), "--stop-position") {
				t.Errorf("%s, %s: %v; want %s", name, how, err, want)
			}
			if err := log.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
