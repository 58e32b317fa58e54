package binlog

import (
	"context"
	"errors"
	"iter"
	"time"
)

var errNotBuilt = errors.New("not built yet")

// Format is what a file's format description event says.
type Format struct {
	Flavor        Flavor
	ServerVersion string // 8.0.36, 10.11.6-MariaDB-log
	Created       time.Time
	PostHeaderLen []byte // by type, from 1
	Checksum      bool   // events end with a CRC32
	Raw           []byte // the event, header included, without checksum
}

// Log is a chain of binary log files in the order in which they were written.
type Log struct {
	Files []*File
}

// File is one file of a log. Compressed ones (.gz, .zst) have been inflated into an unlinked temporary file.
type File struct {
	Name     string // base name, as given or as the chain calls it
	Path     string
	Size     int64 // plain bytes
	Format   *Format
	Previous *GTIDSet // GTIDs before the file: Previous_gtids, Gtid_list; nil where the file has none
	First    time.Time
}

// OpenOptions say how logs are opened.
type OpenOptions struct {
	TempDir string // for compressed logs and standard input
}

// Open opens files and folders of files, "-" being standard input, and puts them in order by what they say:
// previous GTIDs, the next file's name in rotate events, timestamps; never by their names alone. The same
// content twice is an error, and so is a gap between two files, a file of another flavor, an encrypted one.
func Open(ctx context.Context, paths []string, opts OpenOptions) (*Log, error) {
	return nil, errNotBuilt
}

// Close removes what Open inflated.
func (l *Log) Close() error { return nil }

// Survey is what one pass over all frames of a log finds, before anything is applied.
type Survey struct {
	Bytes        int64
	Transactions int64
	Events       int64
	GTIDs        *GTIDSet // of all whole transactions; MariaDB: position
	First, Last  time.Time
	End          Position // after the last whole transaction
	// Torn says why the log ends after End: a cut event, an incomplete transaction. Empty: it ends well.
	Torn string
	Temp bool // CREATE TEMPORARY TABLE was seen
}

// Survey reads every event of the log once: frames, checksums, types, continuity of the chain. Everything that
// cannot be replayed is refused here with file, position, event, and what to do: LOAD DATA of old logs,
// incidents, encryption, unknown events. progress is called now and then with the bytes read.
func (l *Log) Survey(ctx context.Context, progress func(bytes int64)) (*Survey, error) {
	return nil, errNotBuilt
}

// Reader reads transactions one after the other. It belongs to one goroutine.
type Reader struct{}

// Read returns a reader that starts at a position between two transactions; the zero position is the start
// of the log. A position that is not the start of a transaction is an error.
func (l *Log) Read(from Position) (*Reader, error) { return nil, errNotBuilt }

// Next returns the next whole transaction, io.EOF after the last one. The Txn and all that Events yields are
// valid until the next call.
func (r *Reader) Next(ctx context.Context) (*Txn, error) { return nil, errNotBuilt }

// Format is the format description that holds for the last transaction.
func (r *Reader) Format() *Format { return nil }

// Offset is how many bytes of the log lie before the end of the last transaction.
func (r *Reader) Offset() int64 { return 0 }

// Events are the events of the last transaction, from the GTID event (where it has one) to its end, plain and
// in order. They can be read more than once.
func (r *Reader) Events(ctx context.Context) iter.Seq2[*Event, error] { return nil }

// At reads one transaction out of order, that of an XA PREPARE for instance, without moving Next.
func (r *Reader) At(ctx context.Context, start Position) (*Reader, error) { return nil, errNotBuilt }
