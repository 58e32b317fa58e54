package binlog

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// inflater undoes the compression of events. Its results are valid as long as the caller keeps them: it never
// writes over what it has handed out, but for what says so. It belongs to one goroutine.
type inflater struct {
	arena   []byte // what is left of the current block
	zlib    io.ReadCloser
	zstd    *zstd.Decoder
	scratch []byte
}

// arenaBlock is the size of the blocks that inflated events are cut from: one allocation for many small ones.
const arenaBlock = 64 << 10

// alloc returns n bytes that nobody else has.
func (in *inflater) alloc(n int) []byte {
	if n > arenaBlock/4 {
		return make([]byte, n)
	}
	if n > len(in.arena) {
		in.arena = make([]byte, arenaBlock)
	}
	b := in.arena[:n:n]
	in.arena = in.arena[n:]
	return b
}

// maxEvent is the greatest length of an event. Source: MAX_MAX_ALLOWED_PACKET, and what the servers add to it.
const maxEvent = 1<<30 + 1<<20

// plainLen reads the header of MariaDB's compressed part of an event: a byte with the top bit set, the
// algorithm (0: zlib) in the next three and the length of the length in the last three, then the inflated
// length, most significant byte first. Source: binlog_buf_compress, sql/log_event.cc.
func plainLen(b []byte) (n int, rest []byte, err error) {
	if len(b) == 0 || b[0]&0xf0 != 0x80 {
		return 0, nil, fmt.Errorf("its compressed part does not begin as one")
	}
	size := int(b[0] & 7)
	if size < 1 || size > 4 || len(b) < 1+size {
		return 0, nil, fmt.Errorf("its inflated length has %d bytes", size)
	}
	for _, c := range b[1 : 1+size] {
		n = n<<8 | int(c)
	}
	if n > maxEvent {
		return 0, nil, fmt.Errorf("it inflates to %d bytes, more than an event can have", n)
	}
	return n, b[1+size:], nil
}

// maxRatio is more than zlib can compress, which is 1032 to 1.
const maxRatio = 1100

// unzip inflates exactly dst from src.
func (in *inflater) unzip(dst, src []byte) error {
	if len(dst)/maxRatio > len(src) {
		return fmt.Errorf("%d bytes cannot inflate to %d", len(src), len(dst))
	}
	reader := bytes.NewReader(src)
	if in.zlib == nil {
		z, err := zlib.NewReader(reader)
		if err != nil {
			return fmt.Errorf("inflate: %w", err)
		}
		in.zlib = z
	} else if err := in.zlib.(zlib.Resetter).Reset(reader, nil); err != nil { // as zlib.NewReader promises
		return fmt.Errorf("inflate: %w", err)
	}
	if _, err := io.ReadFull(in.zlib, dst); err != nil {
		return fmt.Errorf("inflate: %w", err)
	}
	// The end: its checksum is compared when it is read.
	var more [1]byte
	if n, err := in.zlib.Read(more[:]); n != 0 || !errors.Is(err, io.EOF) {
		return fmt.Errorf("inflate: it does not end after %d bytes: %w", len(dst), err)
	}
	return nil
}

// query inflates the body of a compressed statement into memory that the next call writes over.
func (in *inflater) query(f *Format, body []byte) ([]byte, error) {
	parts, err := splitQuery(f, TypeQueryCompressed, body)
	if err != nil {
		return nil, err
	}
	n, packed, err := plainLen(parts.sql)
	if err != nil {
		return nil, err
	}
	if len(packed)*maxRatio < n {
		return nil, fmt.Errorf("%d bytes cannot inflate to %d", len(packed), n)
	}
	if cap(in.scratch) < parts.before+n {
		in.scratch = make([]byte, parts.before+n)
	}
	out := in.scratch[:parts.before+n]
	copy(out, body[:parts.before])
	return out, in.unzip(out[parts.before:], packed)
}

// event makes a compressed event of MariaDB a plain one.
func (in *inflater) event(f *Format, ev Event) (Event, error) {
	plain, _ := ev.Type.plain()
	before, err := plainBefore(f, ev, plain)
	if err != nil {
		return ev, err
	}
	n, packed, err := plainLen(ev.Body[before:])
	if err != nil {
		return ev, err
	}
	if len(packed)*maxRatio < n {
		return ev, fmt.Errorf("%d bytes cannot inflate to %d", len(packed), n)
	}
	raw := in.alloc(HeaderLen + before + n)
	copy(raw[HeaderLen:], ev.Body[:before])
	if err := in.unzip(raw[HeaderLen+before:], packed); err != nil {
		return ev, err
	}
	h := ev.Header
	h.Type, h.Size = plain, uint32(len(raw))
	h.put(raw)
	return newEvent(h, raw, ev.At), nil
}

// plainBefore is how much of a compressed event's body is plain: what stands before the SQL, or before the
// row images. Source: query_event_uncompress and row_log_event_uncompress, sql/log_event.cc.
func plainBefore(f *Format, ev Event, plain Type) (int, error) {
	if plain == TypeQuery {
		parts, err := splitQuery(f, ev.Type, ev.Body)
		return parts.before, err
	}
	kind, version, _ := rowsKind(plain)
	c := cutter{rest: ev.Body}
	c.take(f.tableIDLen(ev.Type) + 2)
	if version == 2 {
		n := c.fixed(2)
		if c.err == nil && n < 2 {
			return 0, fmt.Errorf("extra row info of %d bytes", n)
		}
		c.take(max(int(n)-2, 0))
	}
	bitmap := (c.count("columns") + 7) / 8
	c.take(bitmap)
	if kind == UpdateRows {
		c.take(bitmap)
	}
	return len(ev.Body) - len(c.rest), c.err
}
