package binlog

import (
	"bytes"
	"fmt"
	"io"
)

// scanner reads the events of one file in order.
type scanner struct {
	file   *File
	w      *window
	close  func() error
	offset int64 // of the next event
	verify bool  // checksums
}

// magic is what every binary log begins with, and encryptedMagic an encrypted one of MySQL. Source:
// BINLOG_MAGIC in log_event.h, Rpl_encryption_header in sql/rpl_log_encryption.h.
const (
	magic          = "\xfebin"
	encryptedMagic = "\xfdbin"
	// magicTime is the magic where it is read as an event's time.
	magicTime = 'n'<<24 | 'i'<<16 | 'b'<<8 | 0xfe
)

// scan begins at an offset of a file whose format is known.
func (f *File) scan(offset int64, verify bool) (*scanner, error) {
	file, done, err := f.open()
	if err != nil {
		return nil, err
	}
	return &scanner{file: f, w: newWindow(file, f.Size), close: done, offset: max(offset, int64(len(magic))), verify: verify}, nil
}

// tornError is a file that ends in the middle of an event.
type tornError struct{ words string }

func (e *tornError) Error() string { return e.words }

// damageError is an event that its server did not write as it is. How one gets past it says who reads it: to stop
// before an event is to stop before its transaction, which a scanner does not know.
type damageError struct{ words string }

func (e *damageError) Error() string { return e.words }

// next returns the next event: its header goes to h, and all of it without checksum is returned. At the end of the
// file it returns io.EOF, in an event that is cut a *tornError, in one that is damaged a *damageError.
func (s *scanner) next(h *Header) ([]byte, error) {
	raw, err := s.event(h, s.offset, s.verify)
	if err != nil {
		return nil, err
	}
	s.offset += int64(h.Size)
	return raw, nil
}

// event returns the event at an offset.
func (s *scanner) event(h *Header, offset int64, verify bool) ([]byte, error) {
	left := s.file.Size - offset
	if left < HeaderLen {
		if left == 0 {
			return nil, io.EOF
		}
		return nil, s.torn(offset, "%d bytes of an event's header", left)
	}
	head, err := s.w.view(offset, HeaderLen)
	if err != nil {
		return nil, s.fail(offset, err)
	}
	h.read(head)
	if h.joined() {
		return nil, fmt.Errorf("another binary log begins at %s: files were joined into one (cat, or a .gz of several); give them one by one", s.file.at(offset))
	}
	if err := s.check(h, offset, left); err != nil {
		return nil, err
	}
	raw, err := s.w.view(offset, int(h.Size))
	if err != nil {
		return nil, s.fail(offset, err)
	}
	if !s.file.Format.Checksum && h.Type != TypeFormatDescription {
		return raw, nil
	}
	if verify && !checksumFits(raw) {
		return nil, damaged("%s event at %s: its checksum is wrong", h.Type, s.file.at(offset))
	}
	return raw[: len(raw)-checksumLen : len(raw)-checksumLen], nil
}

// joined tells whether a header is that of no event, but the magic of another file and the start of its format
// description: what is read as the time is the magic, as the server's highest byte the type, as the position the length.
func (h *Header) joined() bool {
	return h.Timestamp == magicTime && Type(h.ServerID>>24) == TypeFormatDescription &&
		h.NextPos > HeaderLen && h.NextPos <= maxFormat
}

// check holds a header against the file before anything is read, or allocated, on its word.
func (s *scanner) check(h *Header, offset, left int64) error {
	if h.Size == 0 && *h == (Header{}) {
		if zeroes, err := s.onlyZeroes(offset); err != nil {
			return s.fail(offset, err)
		} else if zeroes {
			return s.torn(offset, "%d NUL bytes: space that was never written", left)
		}
	}
	least := int64(HeaderLen)
	if s.file.Format.Checksum {
		least += checksumLen
	}
	if int64(h.Size) < least {
		return damaged("event at %s: it says that it has %d bytes, which is less than its header", s.file.at(offset), h.Size)
	}
	end := offset + int64(h.Size)
	// Beyond 4 GiB the position in the header has wrapped and is not looked at. Group replication and others
	// may leave it 0.
	if h.NextPos != 0 && end <= 1<<32-1 && int64(h.NextPos) != end {
		return damaged("%s event at %s: by its length it ends at %d, by its position at %d", h.Type, s.file.at(offset), end, h.NextPos)
	}
	if int64(h.Size) > left {
		return s.torn(offset, "%d of the %d bytes of a %s event", left, h.Size, h.Type)
	}
	return nil
}

// onlyZeroes tells whether the rest of the file is NUL.
func (s *scanner) onlyZeroes(offset int64) (bool, error) {
	zeroes := make([]byte, readAhead)
	for offset < s.file.Size {
		n := int(min(readAhead, s.file.Size-offset))
		b, err := s.w.view(offset, n)
		if err != nil {
			return false, err
		}
		if !bytes.Equal(b, zeroes[:n]) {
			return false, nil
		}
		offset += int64(n)
	}
	return true, nil
}

func damaged(format string, args ...any) error {
	return &damageError{fmt.Sprintf(format, args...) + ": the file is damaged; take another copy of it"}
}

func (s *scanner) torn(offset int64, format string, args ...any) error {
	return &tornError{fmt.Sprintf("%s ends with %s", s.file.at(offset), fmt.Sprintf(format, args...))}
}

func (s *scanner) fail(offset int64, err error) error {
	return fmt.Errorf("read %s at %d: %w", s.file.Path, offset, err)
}
