package binlog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"interlock/replay/binlog"
)

// TestDamage changes every byte of a file and cuts it at every offset. A reader must return an error, or the
// first transactions of the log as they were, and never others; a survey must not find more than there is.
func TestDamage(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		t.Run(name, func(t *testing.T) {
			data, err := os.ReadFile(smallLog(t, name))
			if err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			whole, err := transactions(t.Context(), dir, data)
			if err != nil {
				t.Fatal(err)
			}
			for i := range data {
				flip := byte(1) << (i % 8)
				data[i] ^= flip
				checkPrefix(t, dir, data, whole, fmt.Sprintf("byte %d changed by %#x", i, flip))
				data[i] ^= flip
			}
			for n := range data {
				checkPrefix(t, dir, data[:n], whole, fmt.Sprintf("cut to %d bytes", n))
			}
		})
	}
}

// smallLog is the one file of a small log: a few transactions, and one compressed as the server compresses.
func smallLog(tb testing.TB, name string) string {
	tb.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", name+"-small", "binlog.*"))
	if err != nil || len(files) != 1 {
		tb.Fatalf("%d small logs of %s: %v", len(files), name, err)
	}
	return files[0]
}

func checkPrefix(t *testing.T, dir string, data []byte, whole []string, what string) {
	t.Helper()
	got, err := transactions(t.Context(), dir, data)
	if len(got) > len(whole) || !slices.Equal(got, whole[:len(got)]) {
		t.Fatalf("%s: transactions are not the first ones of the log", what)
	}
	if err == nil && len(got) == len(whole) && len(data) > 0 {
		// Nothing that counts is missing only where the cut is behind the last transaction.
		if !strings.Contains(what, "cut") {
			t.Errorf("%s: it went unnoticed", what)
		}
	}
}

// transactions writes each transaction of a file as text: where it is, what it is, its events.
func transactions(ctx context.Context, dir string, data []byte) ([]string, error) {
	path := filepath.Join(dir, "binlog.000001")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return nil, err
	}
	log, err := binlog.Open(ctx, []string{path}, binlog.OpenOptions{TempDir: dir})
	if err != nil {
		return nil, err
	}
	defer log.Close()
	survey, err := log.Survey(ctx, nil)
	r, readErr := log.Read(binlog.Position{})
	if readErr != nil {
		return nil, readErr
	}
	defer r.Close()
	var out []string
	for {
		txn, nextErr := r.Next(ctx)
		if nextErr != nil {
			if errors.Is(nextErr, io.EOF) != (err == nil) {
				return out, fmt.Errorf("the survey says %w, the reader %w", err, nextErr)
			}
			break
		}
		var b strings.Builder
		fmt.Fprintf(&b, "%+v", *txn)
		for ev, err := range r.Events(ctx) {
			if err != nil {
				return out, err
			}
			fmt.Fprintf(&b, " %s %x", ev.Type, ev.Raw[:13])
			b.Write(ev.Body)
		}
		out = append(out, b.String())
	}
	if err == nil && survey.Transactions != int64(len(out)) {
		return out, fmt.Errorf("the survey found %d transactions, %d were read", survey.Transactions, len(out))
	}
	return out, err
}

// harm are ways in which an event may be one that cannot be replayed, each a change of the event at an offset of a file.
func harm() map[string]func(data []byte, at int) []byte {
	retype := func(to binlog.Type) func(data []byte, at int) []byte {
		return func(data []byte, at int) []byte {
			ev := data[at : at+eventLen(data, at)]
			ev[4] = byte(to)
			sum(ev)
			return data
		}
	}
	return map[string]func(data []byte, at int) []byte{
		"body": func(data []byte, at int) []byte {
			data[at+19] ^= 1
			return data
		},
		"position": func(data []byte, at int) []byte {
			data[at+13] ^= 1
			return data
		},
		"length": func(data []byte, at int) []byte {
			binary.LittleEndian.PutUint32(data[at+9:], 18)
			return data
		},
		"cut":       func(data []byte, at int) []byte { return data[:at+10] },
		"LOAD DATA": retype(binlog.TypeBeginLoadQuery),
		"misplaced": retype(binlog.TypeRotate),
	}
}

func eventLen(data []byte, at int) int { return int(binary.LittleEndian.Uint32(data[at+9:])) }

// TestStopBeforeDamage harms one event after the other, and does what the error says: up to the position that it names
// the log can be surveyed and read, and every transaction before the event is in it.
func TestStopBeforeDamage(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb", "mysql-small", "mariadb-small"} {
		for how, change := range harm() {
			if small := strings.HasSuffix(name, "-small"); !small && (how == "position" || how == "length") {
				continue // it is refused where a wrong body is
			}
			t.Run(name+" "+how, func(t *testing.T) {
				log := open(t, "testdata/"+name)
				whole, files := starts(t, log), map[string][]byte{}
				for _, f := range log.Files {
					files[f.Name] = read(t, name+"/"+f.Name)
				}
				dir, said, before := folder(t, files), 0, 0
				for _, f := range log.Files {
					data := files[f.Name]
					// The first event is the format description, without which nothing is a binary log, and the second has
					// the GTIDs before the file: see TestDamagedStart.
					for at := eventAt(data, 2); at < len(data); at += eventLen(data, at) {
						put(t, dir, f.Name, change(bytes.Clone(data), at))
						for before < len(whole) && whole[before].Start.File == f.Name && whole[before].End.Offset <= uint64(at) {
							before++
						}
						if stopAsSaid(t, dir, fmt.Sprintf("%s harmed at %d", f.Name, at), whole[:before]) {
							said++
						} else if how != "cut" && data[at+4] != byte(binlog.TypeRotate) {
							t.Errorf("%s harmed at %d: nobody minds", f.Name, at)
						}
					}
					put(t, dir, f.Name, data)
					for before < len(whole) && whole[before].Start.File == f.Name {
						before++
					}
				}
				if said == 0 && !(how == "cut" && len(log.Files) == 1) { // the last file may be cut
					t.Error("no error named a position")
				}
			})
		}
	}
}

func put(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// stopAsSaid surveys a log, and where that is refused does what the error says.
func stopAsSaid(t *testing.T, dir, what string, want []*binlog.Txn) (refused bool) {
	t.Helper()
	log, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		if !strings.Contains(err.Error(), "is an earlier copy of") { // one of the logs has two files that begin alike
			t.Errorf("%s: %v", what, err)
		}
		return true
	}
	defer log.Close()
	if _, err = log.Survey(t.Context(), nil); err == nil {
		return false
	}
	said := regexp.MustCompile(`--stop-position (\S+):(\d+)$`).FindStringSubmatch(err.Error())
	if said == nil {
		t.Errorf("%s: no position is named: %v", what, err)
		return true
	}
	what += ", " + said[0]
	offset, err := strconv.ParseUint(said[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	stop := binlog.Position{File: said[1], Offset: offset}
	survey, err := log.SurveyRange(t.Context(), binlog.Position{}, stop, nil)
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return true
	}
	if got, err := readUpTo(t.Context(), log, stop); err != nil || !slices.Equal(got, ends(want)) || survey.Transactions != int64(len(want)) {
		t.Errorf("%s: %d transactions, the survey found %d, want %d: %v", what, len(got), survey.Transactions, len(want), err)
	}
	return true
}

// readUpTo is where the transactions of a log end that are read up to a position.
func readUpTo(ctx context.Context, log *binlog.Log, stop binlog.Position) ([]binlog.Position, error) {
	r, err := log.Read(binlog.Position{})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if err := r.StopAt(stop); err != nil {
		return nil, err
	}
	var out []binlog.Position
	for {
		txn, err := r.Next(ctx)
		if errors.Is(err, io.EOF) {
			if !r.Stopped() {
				err = errors.New("the reader says that it has not stopped")
				return out, err
			}
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, txn.End)
	}
}

func ends(txns []*binlog.Txn) []binlog.Position {
	var out []binlog.Position
	for _, txn := range txns {
		out = append(out, txn.End)
	}
	return out
}

// TestDamagedStart: without the GTIDs before a file its place in the log is not known, so that it has to be left out.
func TestDamagedStart(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		first, second := read(t, name+"/binlog.000001"), read(t, name+"/binlog.000002")
		for _, how := range []string{"body", "position", "length"} {
			dir := folder(t, map[string][]byte{"binlog.000001": first, "binlog.000002": harm()[how](bytes.Clone(second), eventAt(second, 1))})
			_, err := binlog.Open(t.Context(), []string{dir}, binlog.OpenOptions{TempDir: t.TempDir()})
			if err == nil || !strings.HasSuffix(err.Error(), "take another copy of it, or leave this file out and those behind it") {
				t.Errorf("%s, %s: %v", name, how, err)
			}
		}
	}
}

// TestStopAt reads up to each event of a file, and up to a byte before and behind where it begins. A transaction that it lies inside of is read, what lies behind it not.
func TestStopAt(t *testing.T) {
	for _, name := range []string{"mysql", "mariadb"} {
		log := open(t, "testdata/"+name)
		whole, file := starts(t, log), log.Files[1]
		var offsets []int
		for data, at := read(t, name+"/"+file.Name), 4; at < len(data); at += eventLen(data, at) {
			offsets = append(offsets, at-1, at, at+1)
		}
		for _, offset := range append(offsets, 0, int(file.Size)) {
			stop := binlog.Position{File: file.Name, Offset: uint64(offset)}
			n := 0
			for n < len(whole) && (whole[n].Start.File == log.Files[0].Name || whole[n].Start.File == file.Name && whole[n].Start.Offset < stop.Offset) {
				n++
			}
			survey, err := log.SurveyRange(t.Context(), binlog.Position{}, stop, nil)
			if err != nil || survey.Transactions != int64(n) {
				t.Fatalf("survey up to %s: %+v, %v; want %d transactions", stop, survey, err, n)
			}
			if got, err := readUpTo(t.Context(), log, stop); err != nil || !slices.Equal(got, ends(whole[:n])) {
				t.Fatalf("up to %s: %d transactions, %v; want %d", stop, len(got), err, n)
			}
		}
		unknown := binlog.Position{File: "other", Offset: 4}
		if _, err := readUpTo(t.Context(), log, unknown); err == nil {
			t.Error("reads up to a position in no file")
		}
		if _, err := log.SurveyRange(t.Context(), binlog.Position{}, unknown, nil); err == nil {
			t.Error("surveys up to a position in no file")
		}
	}
}
