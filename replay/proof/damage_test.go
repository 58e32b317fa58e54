package proof

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// smallLog is a workload with a short log, what the pipe makes of it, and a copy of its files.
type smallLog struct {
	g     *gen
	files []string
}

func (t *trio) smallLog(tb *testing.T, seed uint64) smallLog {
	tb.Helper()
	g, files, err := t.prepareMix(tb.Context(), seed, func(m *mix) {
		*m = mix{images: []string{"FULL"}, formats: []string{"ROW"}, savepoints: 3, ddl: 3, transactions: 40}
	})
	if err != nil {
		tb.Fatal(err)
	}
	dir := tb.TempDir()
	var copies []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		to := filepath.Join(dir, filepath.Base(file))
		if err := os.WriteFile(to, text, 0o600); err != nil {
			tb.Fatal(err)
		}
		copies = append(copies, to)
	}
	return smallLog{g, copies}
}

// Invariant: a log with a damaged byte is refused before anything is applied. With checksums there is no byte of
// an event that they do not cover; the flag of a file that was open when it was copied (the two bytes of flags in the first
// event) is the server's own exception.
func damagedByteIsRefused(t *testing.T, tr *trio) {
	damages := 25
	if testing.Short() {
		damages = 8
	}
	small := tr.smallLog(t, 3)
	start, err := readState(t.Context(), tr.ours, true)
	if err != nil {
		t.Fatal(err)
	}
	file := small.files[0]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(*flagFirst, 99))
	for range damages {
		at := r.IntN(len(whole))
		if at >= 4+17 && at < 4+19 {
			continue
		}
		bit := byte(1) << r.IntN(8)
		damaged := slices.Clone(whole)
		damaged[at] ^= bit
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd, output := command(t.Context(), t, tr.ours, 0, small.files)
		if err := cmd.Run(); err == nil {
			t.Errorf("byte %d of %d with bit %#x flipped: replayed without an error: %s", at, len(whole), bit, output)
		} else if strings.Contains(output.String(), "goroutine") {
			t.Errorf("byte %d with bit %#x flipped: panic: %s", at, bit, output)
		}
	}
	if err := unchanged(t.Context(), tr.ours, start); err != nil {
		t.Error(err)
	}
}

// Invariant: a log that ends in the middle is replayed to the end of its last whole transaction, and that it was
// cut is said.
func cutLog(t *testing.T, tr *trio) {
	cuts := 6
	if testing.Short() {
		cuts = 2
	}
	small := tr.smallLog(t, 3)
	file := small.files[len(small.files)-1]
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(*flagFirst, 100))
	for range cuts {
		at := 200 + r.IntN(len(whole)-200)
		if err := os.WriteFile(file, whole[:at], 0o600); err != nil {
			t.Fatal(err)
		}
		for _, l := range []*testrig.Local{tr.pipe, tr.ours} {
			if err := restore(t.Context(), l, small.g); err != nil {
				t.Fatal(err)
			}
		}
		if err := tr.cut(t, small.files, at); err != nil {
			t.Errorf("cut at byte %d of %d: %v", at, len(whole), err)
		}
	}
}

func (t *trio) cut(tb *testing.T, files []string, at int) error {
	tb.Helper()
	ctx := tb.Context()
	// The pipe prints what is whole, complains, and the client's end rolls back what was begun.
	if err := t.pipe.Pipe(ctx, nil, files...); err != nil {
		tb.Logf("cut at %d: the pipe says: %.200s", at, err)
	}
	want, err := readState(ctx, t.pipe, false)
	if err != nil {
		return err
	}
	cmd, output := command(ctx, tb, t.ours, 7, files)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	if !strings.Contains(output.String(), "torn") {
		tb.Logf("cut at %d is between transactions, as it seems: not called torn", at)
	}
	got, err := readState(ctx, t.ours, true)
	if err != nil {
		return err
	}
	if diff := compare(want, got, true); len(diff) > 0 {
		return fmt.Errorf("differs: %q", diff)
	}
	return nil
}

// unchanged says what a refused run has done to the target.
func unchanged(ctx context.Context, l *testrig.Local, start *state) error {
	got, err := readState(ctx, l, true)
	if err != nil {
		return err
	}
	if diff := compare(start, got, true); len(diff) > 0 {
		return fmt.Errorf("the target has changed: %q", diff)
	}
	return nil
}
