// Package wholefile writes files that somebody else reads meanwhile: such a file is there as it was, or whole
// and on disk as it should be, and never in between.
package wholefile

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes path hold what write writes. It goes to a file beside it first, whose name begins with a dot and
// ends in .tmp so that no collector of *.prom takes it, then to disk, then in path's place. Where anything of
// that fails, a full disk for one, the old file stays and the other goes. An existing file keeps its mode and a
// symbolic link stays one; a new file gets perm, less the umask. What is there and is no regular file (a
// device, a pipe) is an error: it would be replaced.
func Write(path string, perm fs.FileMode, write func(io.Writer) error) error {
	if err := replace(path, perm, write); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

func replace(path string, perm fs.FileMode, write func(io.Writer) error) (err error) {
	path, perm, err = target(path, perm)
	if err != nil {
		return err
	}
	dir, name := filepath.Split(path)
	temp := filepath.Join(dir, "."+name+"."+unique()+".tmp")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp))
		}
	}()
	if err := errors.Join(fill(f, write), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// target follows symbolic links and looks at what is there.
func target(path string, perm fs.FileMode) (string, fs.FileMode, error) {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if _, err := os.Lstat(path); err == nil {
			return "", 0, errors.New("a symbolic link that leads nowhere")
		}
		return path, perm, nil
	}
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, errors.New("not a regular file")
	}
	resolved, err := filepath.EvalSymlinks(path)
	return resolved, info.Mode().Perm(), err
}

func fill(f *os.File, write func(io.Writer) error) error {
	out := bufio.NewWriterSize(f, 64<<10)
	if err := write(out); err != nil {
		return err
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// syncDir puts the new name on disk: after a power cut it may be gone otherwise.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // the file is in place; a directory that may be written and not read is rare and legal
	}
	return errors.Join(d.Sync(), d.Close())
}

func unique() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return hex.EncodeToString(b[:])
}
