package binlog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// OpenOptions say how logs are opened.
type OpenOptions struct {
	TempDir string    // for compressed logs and standard input; empty: the system's
	Stdin   io.Reader // what "-" stands for; nil: os.Stdin
}

// The encrypted logs, which only the server that wrote them can read.
var (
	errEncryptedMySQL = errors.New("encrypted (binlog_encryption): read it from the server that wrote it, with " +
		"mysqlbinlog --read-from-remote-server --raw --host=HOST FILE, and replay what that writes")
	errEncryptedMariaDB = errors.New("encrypted (encrypt_binlog): read it from the server that wrote it, with " +
		"mariadb-binlog --read-from-remote-server --raw --host=HOST FILE, and replay what that writes")
	errNoBinlog = errors.New("not a binary log: it does not begin with \\xfebin")
)

// Open opens files and folders of files, "-" being standard input, and puts them in order by what they say:
// previous GTIDs, the next file's name in rotate events, timestamps; never by their names alone. The same
// content twice is an error, and so is a gap between two files, a file of another flavor, an encrypted one. What else
// lies in a folder is passed over, unless its name is that of a missing one of these files.
// Whether files hold all GTIDs up to the next one's is for Survey to find out.
func Open(ctx context.Context, paths []string, opts OpenOptions) (*Log, error) {
	l := &Log{}
	for _, path := range paths {
		if err := l.add(ctx, path, opts); err != nil {
			return nil, errors.Join(fmt.Errorf("open binary log %q: %w", path, err), l.Close())
		}
	}
	if len(l.Files) == 0 {
		return nil, fmt.Errorf("open binary logs: there is none in %s", strings.Join(paths, ", "))
	}
	err := l.unread()
	if err == nil {
		err = l.order()
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// unread refuses what was passed over in a folder and has the name of a log's file that is not among those opened:
// one that is packed in a way that is not understood, encrypted by somebody, or empty.
func (l *Log) unread() error {
	opened, bases := map[string]bool{}, map[string]bool{} // binlog.000012; binlog.
	for _, f := range l.Files {
		if base := strings.TrimRight(f.Name, "0123456789"); base != f.Name && base != "" {
			opened[f.Name], bases[base] = true, true
		}
	}
	for _, path := range l.Ignored {
		name := filepath.Base(path)
		for base := range bases {
			numbered, ok := strings.CutPrefix(name, base)
			rest := strings.TrimLeft(numbered, "0123456789")
			if !ok || rest == numbered || opened[strings.TrimSuffix(name, rest)] {
				continue
			}
			how := "it is empty or damaged: take another copy of it, or, if its server crashed while it began the file, give the others by name"
			if rest != "" {
				how = fmt.Sprintf("its name ends in %q, and what is read is plain, .gz or .zst: unpack it, or give the others by name", rest)
			}
			return fmt.Errorf("open binary logs: %s has the name of one of them and does not begin as one; %s", path, how)
		}
	}
	return nil
}

// add opens what one argument stands for.
func (l *Log) add(ctx context.Context, path string, opts OpenOptions) error {
	if path == "-" {
		return l.addStream(ctx, "stdin", path, opts, func() (io.Reader, error) {
			if opts.Stdin != nil {
				return opts.Stdin, nil
			}
			return os.Stdin, nil
		})
	}
	info, err := os.Stat(path)
	if err != nil {
		return bare(err)
	}
	if info.Mode()&os.ModeNamedPipe != 0 {
		return l.addStream(ctx, plainName(filepath.Base(path)), path, opts, func() (io.Reader, error) { return os.Open(path) })
	}
	if !info.IsDir() {
		return l.addFile(ctx, path, opts)
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return bare(err)
	}
	for _, entry := range entries {
		path := filepath.Join(path, entry.Name())
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), bare(err))
		}
		if !info.Mode().IsRegular() {
			l.Ignored = append(l.Ignored, path)
			continue
		}
		err = l.addFile(ctx, path, opts)
		if errors.Is(err, errNoBinlog) {
			l.Ignored = append(l.Ignored, path)
		} else if err != nil {
			return fmt.Errorf("%s: %w", entry.Name(), err)
		}
	}
	return nil
}

// bare is the cause of an error that names a path, for a message that names it already.
func bare(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

func (l *Log) addFile(ctx context.Context, path string, opts OpenOptions) error {
	file, err := os.Open(path)
	if err != nil {
		return bare(err)
	}
	defer file.Close()
	f := &File{Name: plainName(filepath.Base(path)), Path: path}
	info, err := file.Stat()
	if err != nil {
		return bare(err)
	}
	f.Size = info.Size()
	source, packed, err := sniff(file)
	if err != nil {
		return err
	}
	if packed {
		if err := f.spool(ctx, source, opts); err != nil {
			return err
		}
	}
	return l.describe(f)
}

// addStream opens what can be read once. Its context ends the wait for whoever writes it, too.
func (l *Log) addStream(ctx context.Context, name, path string, opts OpenOptions, open func() (io.Reader, error)) error {
	in, ours := io.Pipe()
	defer in.Close()
	go func() {
		from, err := open()
		if err == nil {
			_, err = io.Copy(ours, from)
		}
		ours.CloseWithError(bare(err))
	}()
	defer context.AfterFunc(ctx, func() { ours.CloseWithError(ctx.Err()) })()
	f := &File{Name: name, Path: path}
	source, _, err := sniff(in)
	if err != nil {
		return err
	}
	if err := f.spool(ctx, source, opts); err != nil {
		return err
	}
	return l.describe(f)
}

// plainName is a name without what compression added to it.
func plainName(name string) string {
	for _, ext := range []string{".gz", ".zst"} {
		if plain, ok := strings.CutSuffix(name, ext); ok && plain != "" {
			return plain
		}
	}
	return name
}

// sniff looks at the first bytes, inflated where they are compressed, and returns errNoBinlog unless they are
// those of a log. source yields all of it again, plain.
func sniff(in io.Reader) (source io.Reader, packed bool, err error) {
	in, head, err := peek(in)
	if err != nil {
		return nil, false, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, true, fmt.Errorf("inflate: %w", err)
		}
		in, packed = z, true
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(1<<31))
		if err != nil {
			return nil, true, fmt.Errorf("inflate: %w", err)
		}
		in, packed = z, true
	}
	if packed {
		if in, head, err = peek(in); err != nil {
			return nil, true, fmt.Errorf("inflate: %w", err)
		}
	}
	switch {
	case len(head) == 0:
		return nil, packed, fmt.Errorf("empty: it has no bytes: %w", errNoBinlog)
	case string(head) == encryptedMagic:
		return nil, packed, errEncryptedMySQL
	case string(head) != magic:
		return nil, packed, errNoBinlog
	}
	return in, packed, nil
}

// peek returns the first bytes and a reader of everything, these bytes included.
func peek(in io.Reader) (io.Reader, []byte, error) {
	head := make([]byte, len(magic))
	n, err := io.ReadFull(in, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, nil, err
	}
	return io.MultiReader(bytes.NewReader(head[:n]), in), head[:n], nil
}

// spool writes a stream to a temporary file that has no name any more, so that it goes when the process does.
func (f *File) spool(ctx context.Context, source io.Reader, opts OpenOptions) error {
	temp, err := os.CreateTemp(opts.TempDir, "interlock-binlog-")
	if err != nil {
		return err
	}
	if err := os.Remove(temp.Name()); err != nil {
		return errors.Join(err, temp.Close())
	}
	size, err := io.Copy(temp, cancelled{ctx, source})
	if err != nil {
		return errors.Join(fmt.Errorf("inflate to %s: %w", filepath.Dir(temp.Name()), err), temp.Close())
	}
	f.temp, f.Size = temp, size
	return nil
}

// cancelled is a reader that ends with its context.
type cancelled struct {
	ctx context.Context //nolint:containedctx // io.Reader has no place for it
	r   io.Reader
}

func (c cancelled) Read(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(b)
}

// describe reads what a file says about itself and adds it to the log.
func (l *Log) describe(f *File) error {
	err := f.readAbout()
	if err != nil {
		if f.temp != nil {
			err = errors.Join(err, f.temp.Close())
		}
		return err
	}
	l.Files = append(l.Files, f)
	return nil
}

// readAbout reads the events at the start of the file and the one at its end.
func (f *File) readAbout() error {
	file, done, err := f.open()
	if err != nil {
		return err
	}
	defer done() //nolint:errcheck // it was read only
	if err := f.readFormat(file); err != nil {
		return err
	}
	s := &scanner{file: f, w: newWindow(file, f.Size), offset: int64(len(magic)), verify: true}
	if err := f.readPrevious(s); err != nil {
		return err
	}
	return f.readTail(file)
}

// maxFormat is more than a format description event has: 19 + 57 + one byte for each type + 5.
const maxFormat = 1024

func (f *File) readFormat(file io.ReaderAt) error {
	at := int64(len(magic))
	if f.Size <= at+HeaderLen {
		return fmt.Errorf("it ends after %d bytes, before its first event: its server crashed or was copied while it began the file; leave it out", f.Size)
	}
	head := make([]byte, HeaderLen)
	if _, err := file.ReadAt(head, at); err != nil {
		return fmt.Errorf("read format description: %w", err)
	}
	h := parseHeader(head)
	if h.Type != TypeFormatDescription {
		return fmt.Errorf("it begins with a %s event instead of a format description", h.Type)
	}
	if h.Flags&flagRelayLog != 0 {
		return fmt.Errorf("a relay log, which a replica keeps of its source's changes: give the binary logs of the source, or those of the replica")
	}
	if h.Size > maxFormat || h.Size < HeaderLen || at+int64(h.Size) > f.Size {
		return fmt.Errorf("format description of %d bytes in a file of %d: the file is cut or damaged; take another copy of it, or leave it out", h.Size, f.Size)
	}
	raw := make([]byte, h.Size)
	if _, err := file.ReadAt(raw, at); err != nil {
		return fmt.Errorf("read format description: %w", err)
	}
	format, err := parseFormat(raw)
	if err != nil {
		return err
	}
	f.Format, f.First = format, format.Created
	return nil
}

// readPrevious finds the GTIDs before the file among the events at its start. What comes behind them is not looked at: it
// may lie outside of the range that is read.
func (f *File) readPrevious(s *scanner) error {
	for {
		var h Header
		raw, err := s.next(&h)
		var torn *tornError
		if errors.Is(err, io.EOF) || errors.As(err, &torn) {
			return nil // the scan decides about that
		}
		if _, ok := errors.AsType[*damageError](err); ok {
			return fmt.Errorf("%w, or leave this file out and those behind it", err)
		}
		if err != nil {
			return err
		}
		switch h.Type {
		case TypeFormatDescription, TypeBinlogCheckpoint:
		case TypeStartEncryption:
			return errEncryptedMariaDB
		case TypePreviousGTIDs:
			if f.Previous, err = parsePreviousGTIDs(raw[HeaderLen:]); err != nil {
				return fmt.Errorf("%s event at %d: %w", h.Type, s.offset-int64(h.Size), err)
			}
			return nil
		case TypeGTIDList:
			if f.Previous, err = parseGTIDList(raw[HeaderLen:]); err != nil {
				return fmt.Errorf("%s event at %d: %w", h.Type, s.offset-int64(h.Size), err)
			}
			return nil
		default:
			return nil
		}
	}
}

// readTail looks for a rotate or stop event that ends where the file does. Its length is not known from the
// end; what is found has to have the right position, and its checksum.
func (f *File) readTail(file io.ReaderAt) error {
	const longest = HeaderLen + 8 + 512 + checksumLen // FN_REFLEN
	n := min(f.Size-int64(len(magic)), longest)
	buf := make([]byte, n)
	if _, err := file.ReadAt(buf, f.Size-n); err != nil {
		return fmt.Errorf("read the end: %w", err)
	}
	sum := 0
	if f.Format.Checksum {
		sum = checksumLen
	}
	for i := len(buf) - HeaderLen - sum; i >= 0; i-- {
		t := Type(buf[i+4])
		if t != TypeRotate && t != TypeStop {
			continue
		}
		h := parseHeader(buf[i:])
		if int(h.Size) != len(buf)-i || h.NextPos != uint32(f.Size) || sum > 0 && !checksumFits(buf[i:]) {
			continue
		}
		body := buf[i+HeaderLen : len(buf)-sum]
		if t == TypeStop && len(body) == 0 {
			f.tail = tailStopped
			return nil
		}
		if t == TypeRotate && len(body) > 8 {
			f.tail, f.next = tailRotated, filepath.Base(string(body[8:]))
			return nil
		}
	}
	return nil
}
