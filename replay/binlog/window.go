package binlog

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// KeepBytes is the length up to which the bytes of a transaction stay in memory from its first event to its
// last. A longer one is read twice, event by event, so that memory stays bounded.
const KeepBytes = 16 << 20

// readAhead is how much is read at once: large enough to make system calls cheap, small enough for the
// second-level cache of a core, in which the checksum then finds it.
const readAhead = 512 << 10

// window is a stretch of a file in memory. It reads with pread: a file that shrinks while it is read is an
// error, where a mapping would end the process.
type window struct {
	file *os.File
	size int64 // of the file when it was opened; bytes behind it are not looked at
	at   int64 // offset of buf[0]
	buf  []byte
	mark int64 // bytes from here on are kept when more is read, as long as KeepBytes are enough
}

func newWindow(file *os.File, size int64) *window {
	return &window{file: file, size: size, buf: make([]byte, 0, min(2*readAhead, size))}
}

// view returns n bytes from offset on. They are valid until the next view, and longer when mark keeps them.
// The caller has checked that the file has them.
func (w *window) view(offset int64, n int) ([]byte, error) {
	if !w.has(offset, offset+int64(n)) {
		if err := w.load(offset, n); err != nil {
			return nil, err
		}
	}
	return w.held(offset, n), nil
}

// held returns n bytes from offset on, which the window has.
func (w *window) held(offset int64, n int) []byte {
	i := int(offset - w.at)
	return w.buf[i : i+n : i+n]
}

// load makes the window hold n bytes from offset on.
func (w *window) load(offset int64, n int) error {
	end := offset + int64(n)
	from := offset
	if w.mark >= w.at && w.mark <= offset && end-w.mark <= KeepBytes {
		from = w.mark
	}
	kept := w.keep(from)
	want := min(max(end, w.at+int64(kept)+readAhead), w.size)
	if need := int(want - w.at); need > cap(w.buf) {
		grown := make([]byte, kept, max(need, min(2*cap(w.buf), KeepBytes)))
		copy(grown, w.buf)
		w.buf = grown
	}
	fill := w.buf[kept : want-w.at]
	got, err := w.file.ReadAt(fill, w.at+int64(kept))
	w.buf = w.buf[:kept+got]
	if w.at+int64(len(w.buf)) >= end {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("the file has become shorter than %d bytes while it was read", w.size)
	}
	return err
}

// keep moves what the window holds from offset on to its front, and returns how much that is.
func (w *window) keep(from int64) int {
	kept := 0
	if from >= w.at && from < w.at+int64(len(w.buf)) {
		if i := from - w.at; i > 0 {
			kept = copy(w.buf[:cap(w.buf)], w.buf[i:])
		} else {
			kept = len(w.buf)
		}
	}
	w.buf = w.buf[:kept]
	w.at = from
	// A buffer that one huge event has grown is not kept for small ones.
	if cap(w.buf) > 2*KeepBytes && kept == 0 {
		w.buf = make([]byte, 0, min(2*readAhead, w.size))
	}
	return kept
}

// has tells whether the window still holds all of [from, to).
func (w *window) has(from, to int64) bool {
	return from >= w.at && to <= w.at+int64(len(w.buf))
}
