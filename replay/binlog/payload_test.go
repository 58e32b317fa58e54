package binlog_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"interlock/replay/binlog"
)

// payloadLog writes a log of one compressed transaction, whose plain bytes write writes, and returns its path. They
// need not be so many: inflate is what the payload says.
func payloadLog(t *testing.T, inflate int64, write func(w io.Writer), options ...zstd.EOption) string {
	t.Helper()
	data := read(t, "mysql/binlog.000001")
	var packed bytes.Buffer
	z, err := zstd.NewWriter(&packed, append([]zstd.EOption{zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedBestCompression)}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	write(z)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	number := func(field byte, n int) []byte {
		return binary.LittleEndian.AppendUint64([]byte{field, 9, 0xfe}, uint64(n))
	}
	header := make([]byte, binlog.HeaderLen)
	header[4] = byte(binlog.TypePayload)
	event := slices.Concat(header, []byte{2, 1, 0}, number(3, int(inflate)), number(1, packed.Len()), []byte{0}, packed.Bytes(), make([]byte, 4))
	gtid := bytes.Clone(data[eventAt(data, 6):eventAt(data, 7)])
	out := bytes.Clone(data[:eventAt(data, 2)])
	for _, ev := range [][]byte{gtid, event} {
		out = append(out, ev...)
		ev = out[len(out)-len(ev):]
		binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)))
		binary.LittleEndian.PutUint32(ev[13:], uint32(len(out)))
		sum(ev)
	}
	path := filepath.Join(t.TempDir(), "binlog.000001")
	if err := os.WriteFile(path, out, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// plainOf is the n-th event of the sample log without its checksum.
func plainOf(t *testing.T, n int) []byte {
	t.Helper()
	data := read(t, "mysql/binlog.000001")
	ev := bytes.Clone(data[eventAt(data, n) : eventAt(data, n+1)-4])
	binary.LittleEndian.PutUint32(ev[9:], uint32(len(ev)))
	return ev
}

// blanks writes so many bytes, far fewer once they are compressed.
func blanks(t *testing.T, w io.Writer, n int64) {
	t.Helper()
	if _, err := io.CopyN(w, endless{}, n); err != nil {
		t.Fatal(err)
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return copy(b, bytes.Repeat([]byte{' '}, len(b))), nil }

// An event in a payload that is larger than any is refused for its header.
func TestPayloadEventTooLarge(t *testing.T) {
	const size = 3 << 30
	begin := plainOf(t, 7)
	path := payloadLog(t, int64(len(begin))+size, func(w io.Writer) {
		query := bytes.Clone(begin)
		binary.LittleEndian.PutUint32(query[9:], size)
		w.Write(append(begin, query...)) //nolint:errcheck // into memory
		blanks(t, w, 64<<20)
	})
	log := open(t, path)
	before := allocated()
	_, err := log.Survey(t.Context(), nil)
	if err == nil || !strings.Contains(err.Error(), "QUERY event of 3221225472 bytes in a payload: more than an event can have") {
		t.Errorf("the survey: %v", err)
	}
	if used := allocated() - before; used > 16<<20 {
		t.Errorf("%d bytes were allocated for it", used)
	}
}

// A small file that inflates to much can be interrupted, in the survey and in a reader.
func TestPayloadInterrupted(t *testing.T) {
	const rows = 128 << 20
	begin, end := plainOf(t, 7), plainOf(t, 10)
	event := plainOf(t, 9)
	binary.LittleEndian.PutUint32(event[9:], rows)
	path := payloadLog(t, int64(len(begin)+3*rows+len(end)), func(w io.Writer) {
		w.Write(begin) //nolint:errcheck // into memory
		for range 3 {
			w.Write(event) //nolint:errcheck // into memory
			blanks(t, w, rows-int64(len(event)))
		}
		w.Write(end) //nolint:errcheck // into memory
	})
	log := open(t, path)
	soon := func() context.Context {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		t.Cleanup(cancel)
		return ctx
	}
	ends := func(what string, err error, began time.Time) {
		t.Helper()
		if took := time.Since(began); !errors.Is(err, context.Canceled) || took > time.Second {
			t.Errorf("%s ends after %v with %v", what, took, err)
		}
		if err != nil && strings.Contains(err.Error(), "--stop-position") {
			t.Errorf("%s: an interrupt is not cured by a position: %v", what, err)
		}
	}
	began := time.Now()
	_, err := log.Survey(soon(), nil)
	ends("the survey", err, began)
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	began = time.Now()
	_, err = r.Next(soon())
	ends("Next", err, began)
	again, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if _, err := again.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began = time.Now()
	for ev, e := range again.Events(ctx) {
		if err = e; err == nil && ev.Type.IsRows() {
			t.Fatal("an event of 128 MB was inflated behind the interrupt")
		}
		cancel()
	}
	ends("Events", err, began)
}

// The window of the highest level of compression, 128 MiB, is held once by a reader, which finds the end of a transaction and
// then reads its events.
func TestPayloadWindowHeldOnce(t *testing.T) {
	const window, events, size = 128 << 20, 150, 1 << 20
	begin, event, end := plainOf(t, 7), plainOf(t, 9), plainOf(t, 10)
	binary.LittleEndian.PutUint32(event[9:], size)
	path := payloadLog(t, int64(len(begin)+events*size+len(end)), func(w io.Writer) {
		w.Write(begin) //nolint:errcheck // into memory
		for range events {
			w.Write(event) //nolint:errcheck // into memory
			blanks(t, w, size-int64(len(event)))
		}
		w.Write(end) //nolint:errcheck // into memory
	}, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithWindowSize(window))
	r, err := open(t, path).Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := allocated()
	if _, err := r.Next(t.Context()); err != nil {
		t.Fatal(err)
	}
	for ev, err := range r.Events(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type.IsRows() {
			break
		}
	}
	if used := allocated() - before; used > window*3/2 {
		t.Errorf("%d MB were allocated", used>>20)
	}
}
