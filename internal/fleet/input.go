package fleet

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"syscall"
)

// maxSharedInput bounds what --stdin keeps in memory for all hosts.
const maxSharedInput = 256 << 20

// input is the standard input that each host's command gets.
type input struct {
	stream io.Reader // the process's own, for one host
	shared []byte    // for all hosts
}

// newInput decides who gets standard input. Several hosts cannot share a stream, and to drop it in silence
// would be wrong: `cat list | interlock run a,b -- cmd` meant something.
func newInput(in io.Reader, hosts int, share bool) (input, error) {
	switch {
	case share:
		data, err := io.ReadAll(io.LimitReader(in, maxSharedInput+1))
		if err != nil {
			return input{}, fmt.Errorf("read standard input: %w", err)
		}
		if len(data) > maxSharedInput {
			return input{}, Usage("", "--stdin: more than %d MiB", maxSharedInput>>20)
		}
		return input{shared: data}, nil
	case hosts == 1:
		return input{stream: in}, nil
	case isTerminal(in) || isNull(in):
		return input{}, nil
	}
	return input{}, Usage("give it to every host with --stdin, or to none with </dev/null",
		"standard input is neither a terminal nor /dev/null, and %d hosts cannot share it", hosts)
}

// reader is the input of one host's command; nil for none.
func (i input) reader() io.Reader {
	switch {
	case i.shared != nil:
		return bytes.NewReader(i.shared)
	case i.stream != nil:
		return i.stream
	}
	return nil
}

// isNull tells whether a stream is /dev/null: by the device's number, since containers have a file of their own.
func isNull(in io.Reader) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	ours, err := f.Stat()
	if err != nil || ours.Mode()&os.ModeCharDevice == 0 {
		return false
	}
	null, err := os.Stat(os.DevNull)
	if err != nil {
		return false
	}
	a, okA := ours.Sys().(*syscall.Stat_t)
	b, okB := null.Sys().(*syscall.Stat_t)
	return okA && okB && a.Rdev == b.Rdev
}
