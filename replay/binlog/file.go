package binlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Log is a chain of binary log files in the order in which they were written.
type Log struct {
	Files []*File
	// Ignored are the files of folders that are no binary logs: index files and their like.
	Ignored []string
}

// File is one file of a log. Compressed ones (.gz, .zst) have been inflated into an unlinked temporary file.
type File struct {
	Name     string // base name, as given or as the chain calls it
	Path     string
	Size     int64 // plain bytes
	Format   *Format
	Previous *GTIDSet // GTIDs before the file: Previous_gtids, Gtid_list; nil where the file has none
	First    time.Time

	temp *os.File // what was inflated; nil: Path is read
	next string   // name of the next file, from the rotate event at the end
	tail tail
	// end is where the last whole transaction ends, once Survey has found that more follows it; 0 otherwise.
	end int64
}

// CutTo leaves the first files of a log, and of the last of them so many bytes: what it was before it grew.
func (l *Log) CutTo(files int, size int64) error {
	for _, f := range l.Files[files:] {
		if f.temp != nil {
			f.temp.Close() // it was read only
		}
	}
	l.Files = l.Files[:files]
	for _, f := range l.Files {
		f.end = 0 // of a survey that read more
	}
	last := l.Files[files-1]
	last.Size, last.tail, last.next = size, tailOpen, ""
	file, done, err := last.open()
	if err != nil {
		return err
	}
	defer done() //nolint:errcheck // it was read only
	return last.readTail(file)
}

// tail is how a file ends.
type tail uint8

const (
	tailOpen    tail = iota // with neither: it is still being written, it was cut, or the server crashed
	tailRotated             // with a rotate event
	tailStopped             // with a stop event: the server was shut down
)

// open opens the plain bytes of the file. The temporary file of a compressed one stays open with the log.
func (f *File) open() (*os.File, func() error, error) {
	if f.temp != nil {
		return f.temp, func() error { return nil }, nil
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, nil, err
	}
	if err := f.still(file); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("open %s again: %w", f.Path, err), file.Close())
	}
	return file, file.Close, nil
}

// still refuses a file that has taken the place of the one that was opened first: it begins otherwise.
func (f *File) still(file io.ReaderAt) error {
	if f.Format == nil { // it is opened for the first time
		return nil
	}
	now := make([]byte, len(f.Format.Raw))
	if _, err := file.ReadAt(now, int64(len(magic))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.Equal(closed(f.Format.Raw), closed(now)) {
		return errors.New("it is not the file that it was when it was opened first: something has been written over it, or put in its place")
	}
	return nil
}

// at is a position in the file.
func (f *File) at(offset int64) Position { return Position{File: f.Name, Offset: uint64(offset)} }

// inUse tells whether the file's server had not closed it when it was copied.
func (f *File) inUse() bool { return f.Format.header.Flags&flagInUse != 0 }

// Close removes what Open inflated.
func (l *Log) Close() error {
	var first error
	for _, f := range l.Files {
		if f.temp == nil {
			continue
		}
		if err := f.temp.Close(); err != nil && first == nil {
			first = err
		}
		f.temp = nil
	}
	return first
}
