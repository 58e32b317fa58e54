package binlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// Fields of a payload's header, and the kinds of compression. Source: Transaction_payload_event's codec,
// libs/mysql/binlog/event/codecs/binary.cpp; compression/base.h.
const (
	payloadEnd         = 0
	payloadSize        = 1
	payloadCompression = 2
	payloadPlainSize   = 3

	compressionZstd = 0
	compressionNone = 255
)

// payload reads the events inside of a compressed transaction, one after the other, without holding all of
// them at once.
type payload struct {
	r    *bufio.Reader
	left int64 // plain bytes not read yet
	in   *inflater
	skip int // bytes of the last event that nobody asked for
}

// payloadBlock is how much is inflated between two looks at the context.
const payloadBlock = 64 << 10

// maxWindow is the largest window that zstd may ask for: that of its highest level.
const maxWindow = 128 << 20

// payload opens a payload event's body. Only one can be read at a time, and until ctx ends.
func (in *inflater) payload(ctx context.Context, body []byte) (*payload, error) {
	c := cutter{rest: body}
	size, plain, kind := uint64(len(body)), uint64(0), uint64(compressionZstd)
	for c.err == nil {
		field := c.packed()
		if field == payloadEnd {
			break
		}
		value := cutter{rest: c.take(c.count("bytes of a field")), err: c.err}
		switch field {
		case payloadSize:
			size = value.packed()
		case payloadCompression:
			kind = value.packed()
		case payloadPlainSize:
			plain = value.packed()
		default:
			return nil, fmt.Errorf("field %d of a payload is not known: the server is newer than this program", field)
		}
		if value.err != nil {
			return nil, value.err
		}
	}
	if c.err != nil {
		return nil, c.err
	}
	if size != uint64(len(c.rest)) {
		return nil, fmt.Errorf("payload of %d bytes where %d follow", size, len(c.rest))
	}
	if plain > 1<<62 {
		return nil, fmt.Errorf("payload that inflates to %d bytes", plain)
	}
	var source io.Reader = bytes.NewReader(c.rest)
	switch kind {
	case compressionZstd:
		if err := in.resetZstd(source); err != nil {
			return nil, err
		}
		source = in.zstd
	case compressionNone:
		plain = size
	default:
		return nil, fmt.Errorf("payload compression %d is not known: the server is newer than this program", kind)
	}
	return &payload{r: bufio.NewReaderSize(cancelled{ctx, source}, payloadBlock), left: int64(plain), in: in}, nil
}

func (in *inflater) resetZstd(source io.Reader) error {
	if in.zstd != nil {
		return in.zstd.Reset(source)
	}
	// One thread: no goroutines, and no more than the window in memory.
	z, err := zstd.NewReader(source, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	in.zstd = z
	return err
}

// next returns the header of the next event, io.EOF after the last one. body may be called once after it.
func (p *payload) next() (Header, error) {
	if p.skip > 0 {
		if _, err := p.r.Discard(p.skip); err != nil {
			return Header{}, p.cut(err)
		}
		p.skip = 0
	}
	if p.left == 0 {
		if _, err := p.r.ReadByte(); !errors.Is(err, io.EOF) {
			return Header{}, fmt.Errorf("inflate payload: it does not end where it should: %w", err)
		}
		return Header{}, io.EOF
	}
	head, err := p.r.Peek(HeaderLen)
	if err != nil {
		return Header{}, p.cut(err)
	}
	h := parseHeader(head)
	if h.Size < HeaderLen || int64(h.Size) > p.left {
		return h, fmt.Errorf("%s event of %d bytes in a payload that has %d left", h.Type, h.Size, p.left)
	}
	if h.Size > maxEvent {
		return h, fmt.Errorf("%s event of %d bytes in a payload: more than an event can have", h.Type, h.Size)
	}
	p.left -= int64(h.Size)
	p.skip = int(h.Size)
	return h, nil
}

// believed is how much memory is taken on the word of a header; what is longer grows as its bytes come.
const believed = 1 << 20

// raw returns the whole event whose header next returned, in memory of its own.
func (p *payload) raw() ([]byte, error) {
	if p.skip <= believed {
		return p.fill(p.in.alloc(p.skip))
	}
	return p.grow(nil)
}

// peek is raw in memory that the next call writes over.
func (p *payload) peek() ([]byte, error) {
	if p.skip > cap(p.in.scratch) && p.skip <= believed {
		p.in.scratch = make([]byte, p.skip)
	}
	if p.skip <= cap(p.in.scratch) {
		return p.fill(p.in.scratch[:p.skip])
	}
	return p.grow(nil)
}

func (p *payload) fill(raw []byte) ([]byte, error) {
	if _, err := io.ReadFull(p.r, raw); err != nil {
		return nil, p.cut(err)
	}
	p.skip = 0
	return raw, nil
}

func (p *payload) grow(raw []byte) ([]byte, error) {
	for p.skip > 0 {
		n := min(p.skip, max(believed, len(raw)))
		raw = append(raw, make([]byte, n)...)
		if _, err := io.ReadFull(p.r, raw[len(raw)-n:]); err != nil {
			return nil, p.cut(err)
		}
		p.skip -= n
	}
	return raw, nil
}

func (p *payload) cut(err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("inflate payload: %w", err)
}
