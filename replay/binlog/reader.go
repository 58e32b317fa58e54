package binlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
)

// Reader reads transactions one after the other. It belongs to one goroutine.
type Reader struct {
	log    *Log
	number int // of the file in log.Files
	scan   *scanner
	group  *grouper
	before int64 // bytes of the files before this one
	have   bool  // a transaction has been read, and Events gives its events
	done   bool
	stop   place     // where Next ends
	passed GTIDSet   // of the transactions before the start in its file
	inner  *inflater // of Events and the grouper, one after the other: a decoder may hold maxWindow
	slab   []Event   // where the next Events come from: one allocation for many

	// frames are the events of the transaction as they were framed on the way to its end, so that Events need not do
	// it again. They have no bytes: the window may move. More than maxFrames are not all of them.
	frames []Event
}

// maxFrames is how many frames are kept: an event takes 100 bytes here, and where there are more of them it is not
// framing that takes the time.
const maxFrames = 4096

// Read returns a reader that starts at a position between two transactions; the zero position is the start
// of the log. A position that is not the start of a transaction is an error.
func (l *Log) Read(from Position) (*Reader, error) {
	number := 0
	if from.File != "" {
		if number = l.find(from.File); number < 0 {
			return nil, fmt.Errorf("read from %s: no file of that name is in the log, which goes from %s to %s",
				from, l.Files[0].Name, l.Files[len(l.Files)-1].Name)
		}
	} else if from.Offset != 0 {
		return nil, fmt.Errorf("read from position %d: of which file?", from.Offset)
	}
	r, err := l.readFile(number, int64(len(magic)))
	if err != nil {
		return nil, err
	}
	if from.Offset <= uint64(len(magic)) {
		return r, nil
	}
	if err := r.forward(from); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// find is the number of the file of a name, -1 if there is none.
func (l *Log) find(name string) int {
	for i, f := range l.Files {
		if f.Name == name {
			return i
		}
	}
	return -1
}

// readFile returns a reader at an offset of a file that is taken for the start of an event.
func (l *Log) readFile(number int, offset int64) (*Reader, error) {
	r := &Reader{log: l, inner: &inflater{}, stop: place{number: len(l.Files)}}
	if len(l.Files) == 0 {
		r.done = true
		return r, nil
	}
	for _, f := range l.Files[:number] {
		r.before += f.Size
	}
	return r, r.openFile(number, offset)
}

func (r *Reader) openFile(number int, offset int64) error {
	f := r.log.Files[number]
	scan, err := f.scan(offset, true)
	if err != nil {
		return err
	}
	r.number, r.scan = number, scan
	r.group = &grouper{file: f, format: f.Format, inflater: r.inner}
	return nil
}

// forward walks to a position in the reader's file, which proves that a transaction can start there.
func (r *Reader) forward(to Position) error {
	offset := int64(min(to.Offset, math.MaxInt64))
	if offset > r.scan.file.Size {
		return fmt.Errorf("read from %s: the file ends at %d", to, r.scan.file.Size)
	}
	r.scan.verify, r.group.passing = false, true
	for r.scan.offset < offset {
		at := r.scan.offset
		whole, err := r.event(context.Background(), &Header{})
		if whole {
			r.passed.Add(r.group.txn.GTID)
		}
		if err != nil {
			var torn *tornError
			if errors.Is(err, io.EOF) || errors.As(err, &torn) {
				return fmt.Errorf("read from %s: the file's last event begins at %d", to, at)
			}
			return fmt.Errorf("read from %s: %w", to, err)
		}
	}
	if r.scan.offset != offset {
		return fmt.Errorf("read from %s: no event begins there; the next one begins at %d", to, r.scan.offset)
	}
	if r.group.state != betweenTxns {
		return fmt.Errorf("read from %s: it lies inside the transaction that begins at %s", to, r.group.txn.Start)
	}
	r.scan.verify, r.group.passing = true, false
	return nil
}

// Next returns the next whole transaction, io.EOF after the last one. The Txn and all that Events yields are
// valid until the next call.
func (r *Reader) Next(ctx context.Context) (*Txn, error) {
	r.have = false
	for !r.done {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if end := r.scan.file.end; end != 0 && r.scan.offset >= end {
			if err := r.nextFile(); err != nil {
				return nil, err
			}
			continue
		}
		txn, err := r.nextInFile(ctx)
		if err == nil {
			r.have = true
			return txn, nil
		}
		if err := r.fileEnded(err); err != nil {
			return nil, err
		}
	}
	return nil, io.EOF
}

// nextInFile reads up to the end of a transaction in the current file.
func (r *Reader) nextInFile(ctx context.Context) (*Txn, error) {
	var h Header
	for n := 1; ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		at := r.scan.offset
		if r.Stopped() {
			return nil, errStopped
		}
		if r.group.state == betweenTxns {
			r.scan.w.mark, r.frames = at, r.frames[:0]
		}
		whole, err := r.event(ctx, &h)
		if err != nil {
			return nil, err
		}
		if len(r.frames) <= maxFrames {
			r.frames = append(r.frames, Event{Header: h, At: r.scan.file.at(at)})
		}
		if whole {
			return &r.group.txn, nil
		}
	}
}

// event shows the next event of the file to the grouper. Its header goes to h.
func (r *Reader) event(ctx context.Context, h *Header) (whole bool, err error) {
	at := r.scan.offset
	start := r.group.position(at)
	raw, err := r.scan.next(h)
	if err != nil {
		if _, ok := errors.AsType[*damageError](err); ok {
			err = r.remedy(err, ", or ", start)
		}
		return false, err
	}
	if h.Type != TypePayload {
		whole, err = r.group.add(h, raw[HeaderLen:], at, r.scan.offset)
	} else if err = r.group.addPayload(ctx, raw[HeaderLen:], at, r.scan.offset); err != nil {
		err = fmt.Errorf("%s event at %s: %w", h.Type, r.scan.file.at(at), err)
	} else {
		whole = true
	}
	if err != nil && ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		return false, r.remedy(err, "; ", start)
	}
	return whole, nil
}

// fileEnded decides what the end of a file means: nil for one that may end as it did.
func (r *Reader) fileEnded(err error) error {
	var torn *tornError
	last := r.number == len(r.log.Files)-1
	switch {
	case errors.Is(err, io.EOF):
		open := r.group.incomplete()
		if open == "" {
			return r.nextFile()
		}
		if !last {
			return fmt.Errorf("%s ends too early: %s, and another file follows; take another copy of it", r.scan.file.Name, open)
		}
	case errors.As(err, &torn):
		if !last {
			return fmt.Errorf("%w, and another file follows; take another copy of it", torn)
		}
	case errors.Is(err, errStopped):
	default:
		return err
	}
	r.done = true
	return nil
}

// nextFile goes on to the file behind the current one.
func (r *Reader) nextFile() error {
	if r.number == len(r.log.Files)-1 {
		r.done = true
		return nil
	}
	r.before += r.scan.file.Size
	err := r.scan.close()
	return errors.Join(err, r.openFile(r.number+1, int64(len(magic))))
}

// Format is the format description that holds for the last transaction.
func (r *Reader) Format() *Format {
	if r.group == nil {
		return nil
	}
	return r.group.format
}

// Offset is how many bytes of the log lie before the end of the last transaction.
func (r *Reader) Offset() int64 {
	if r.scan == nil {
		return 0
	}
	return r.before + r.scan.offset
}

// Txn is the transaction that Next returned last.
func (r *Reader) Txn() *Txn { return &r.group.txn }

// Close closes the reader's file.
func (r *Reader) Close() error {
	r.done, r.have = true, false
	if r.scan == nil {
		return nil
	}
	err := r.scan.close()
	r.scan.close = func() error { return nil }
	return err
}

// Events are the events of the last transaction, from the GTID event (where it has one) to its end, plain and
// in order. They can be read more than once.
func (r *Reader) Events(ctx context.Context) iter.Seq2[*Event, error] {
	return func(yield func(*Event, error) bool) {
		if !r.have {
			yield(nil, errors.New("read events: no transaction has been read"))
			return
		}
		if err := r.walk(ctx, func(ev *Event) bool { return yield(ev, nil) }); err != nil {
			yield(nil, err)
		}
	}
}

// walk calls visit for each event of the transaction until it returns false.
func (r *Reader) walk(ctx context.Context, visit func(*Event) bool) error {
	txn, s := &r.group.txn, r.scan
	start, end := int64(txn.Start.Offset), int64(txn.End.Offset)
	// What is not in memory any more is read again, and has to prove itself again.
	inMemory := s.w.has(start, end)
	if inMemory && len(r.frames) <= maxFrames {
		return r.walkFrames(ctx, visit)
	}
	if !inMemory {
		s.w.mark = math.MaxInt64
	}
	var h Header
	for offset, n := start, 1; offset < end; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		raw, err := s.event(&h, offset, !inMemory)
		if err != nil {
			return err
		}
		ev := newEvent(h, raw, s.file.at(offset))
		offset += int64(h.Size)
		more, err := r.visit(ctx, r.keep(ev), visit)
		if err != nil {
			return fmt.Errorf("%s event at %s: %w", h.Type, ev.At, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// walkFrames is walk of a transaction that is in memory and whose frames are kept.
func (r *Reader) walkFrames(ctx context.Context, visit func(*Event) bool) error {
	checksum := 0
	if r.group.format.Checksum {
		checksum = checksumLen
	}
	for i := range r.frames {
		ev := &r.frames[i]
		ev.Raw = r.scan.w.held(int64(ev.At.Offset), int(ev.Size)-checksum)
		ev.Body = ev.Raw[HeaderLen:]
		more, err := r.visit(ctx, ev, visit)
		if err != nil {
			return fmt.Errorf("%s event at %s: %w", ev.Type, ev.At, err)
		}
		if !more {
			return nil
		}
	}
	return nil
}

// visit shows an event to visit, plain.
func (r *Reader) visit(ctx context.Context, ev *Event, visit func(*Event) bool) (more bool, err error) {
	if _, packed := ev.Type.plain(); packed {
		plain, err := r.inner.event(r.group.format, *ev)
		if err != nil {
			return false, err
		}
		ev = r.keep(plain)
	}
	if ev.Type != TypePayload {
		return visit(ev), nil
	}
	p, err := r.inner.payload(ctx, ev.Body)
	if err != nil {
		return false, err
	}
	for {
		h, err := p.next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		raw, err := p.raw()
		if err != nil {
			return false, err
		}
		if !visit(r.keep(newEvent(h, raw, ev.At))) {
			return false, nil
		}
	}
}

// keep puts an event where the caller may leave it for as long as he likes.
func (r *Reader) keep(ev Event) *Event {
	if len(r.slab) == 0 {
		r.slab = make([]Event, 64)
	}
	kept := &r.slab[0]
	r.slab = r.slab[1:]
	*kept = ev
	return kept
}

// At reads one transaction out of order, that of an XA PREPARE for instance, without moving Next. The reader
// that it returns has read that transaction already.
func (r *Reader) At(ctx context.Context, start Position) (*Reader, error) {
	number := r.log.find(start.File)
	if number < 0 {
		return nil, fmt.Errorf("read transaction at %s: no file of that name is in the log", start)
	}
	one, err := r.log.readFile(number, int64(min(start.Offset, math.MaxInt64)))
	if err != nil {
		return nil, err
	}
	txn, err := one.Next(ctx)
	if err == nil && txn.Start != start {
		err = fmt.Errorf("no transaction begins there; the next one begins at %s", txn.Start)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read transaction at %s: %w", start, err), one.Close())
	}
	return one, nil
}
