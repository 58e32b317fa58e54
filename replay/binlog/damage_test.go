package binlog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
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
