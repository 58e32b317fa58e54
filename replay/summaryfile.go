package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// summaryFile is where the summary goes as JSON. A regular file is replaced, whole or not at all; a pipe and a device
// are written into.
type summaryFile struct {
	path    string   // without symbolic links where it is replaced
	output  *os.File // our own output, where the path leads there; nil: it does not
	replace bool
}

// openSummary finds out where a path leads, and tries whether a summary can be written there. Its errors are ErrUsage:
// it is asked before anything is touched.
func openSummary(path string) (*summaryFile, error) {
	f, err := findSummary(path)
	if err == nil {
		err = f.try()
	}
	if err != nil {
		return nil, as(ErrUsage, fmt.Errorf("write summary to %q: %w", path, bareCause(err)))
	}
	return f, nil
}

// bareCause is the cause of an error that names a path, for a message that names it already.
func bareCause(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

func findSummary(path string) (*summaryFile, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return replaced(path)
	}
	if err != nil {
		return nil, err
	}
	for _, output := range []*os.File{os.Stdout, os.Stderr} {
		if ours, err := output.Stat(); err == nil && os.SameFile(ours, info) {
			return &summaryFile{path: path, output: output}, nil
		}
	}
	switch mode := info.Mode(); {
	case mode.IsRegular():
		if err := mayGo(path); err != nil {
			return nil, err
		}
		return replaced(path)
	case mode&(os.ModeNamedPipe|os.ModeCharDevice) != 0:
		return &summaryFile{path: path}, nil
	case mode.IsDir():
		return nil, errors.New("it is a directory: name a file in it")
	}
	return nil, errors.New("it is neither a file, a pipe nor a terminal: name another one")
}

// mayGo refuses to replace a file that is neither empty nor a summary: where the name of one is left out, --summary takes
// the first of the logs for it, of which there may be no other copy.
func mayGo(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	first := make([]byte, 1)
	switch _, err := file.Read(first); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	case first[0] != '{':
		return errors.New("it is a file already, and no summary: name another one, or remove it first")
	}
	return nil
}

// maxLinks is how many symbolic links may follow each other, as for the kernel. Source: path_resolution(7).
const maxLinks = 40

// replaced follows symbolic links to the file that is replaced, which need not be there.
func replaced(path string) (*summaryFile, error) {
	for range maxLinks {
		to, err := os.Readlink(path)
		if errors.Is(err, syscall.EINVAL) || errors.Is(err, fs.ErrNotExist) { // no link; nothing yet
			return &summaryFile{path: path, replace: true}, nil
		}
		if err != nil {
			return nil, err
		}
		if !filepath.IsAbs(to) {
			to = filepath.Dir(path) + "/" + to // not Join, which takes .. behind a link for the link's own folder
		}
		path = to
	}
	return nil, syscall.ELOOP
}

// try tells whether the summary can be written. A pipe is not opened: its reader may come later.
func (f *summaryFile) try() error {
	switch {
	case f.output != nil:
		return nil
	case !f.replace:
		return unix.Access(f.path, unix.W_OK)
	}
	temp, err := f.temp()
	if err != nil {
		return fmt.Errorf("no file can be made in its folder: %w", bareCause(err))
	}
	return errors.Join(temp.Close(), os.Remove(temp.Name()))
}

// temp makes the file that takes the place of the one at the path.
func (f *summaryFile) temp() (*os.File, error) {
	return os.CreateTemp(filepath.Dir(f.path), "."+filepath.Base(f.path)+".*")
}

// write writes a summary. The context ends the wait for the reader of a pipe.
func (f *summaryFile) write(ctx context.Context, s *Summary) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	text = append(text, '\n')
	switch {
	case f.output != nil:
		_, err = f.output.Write(text)
	case f.replace:
		err = f.writeAnew(text)
	default:
		err = f.writeInto(ctx, text)
	}
	if err != nil {
		return fmt.Errorf("write summary: %w", err)
	}
	return nil
}

func (f *summaryFile) writeAnew(text []byte) error {
	temp, err := f.temp()
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	if _, err = temp.Write(text); err == nil {
		err = temp.Chmod(0o644)
	}
	if err2 := temp.Close(); err == nil {
		err = err2
	}
	if err == nil {
		err = os.Rename(temp.Name(), f.path)
	}
	return err
}

// writeInto writes into what is no regular file.
func (f *summaryFile) writeInto(ctx context.Context, text []byte) error {
	into, err := openWaiting(ctx, f.path)
	if err != nil {
		return err
	}
	_, err = into.Write(text)
	return errors.Join(err, into.Close())
}

// openWaiting opens a pipe once it has a reader. Without O_NONBLOCK the wait could not be interrupted. Source: fifo(7).
func openWaiting(ctx context.Context, path string) (*os.File, error) {
	for {
		into, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if !errors.Is(err, syscall.ENXIO) {
			return into, err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return nil, fmt.Errorf("%w (nobody reads the pipe)", err)
		}
	}
}
