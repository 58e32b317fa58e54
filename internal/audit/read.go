package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds a line when reading. A command has at most 32 KiB and a host's facts some hundred, so that
// what is longer is no line of ours.
const maxLine = 4 << 20

// Read reads a log line by line, whatever its size, and gives each entry with the number and the text of its line, line end excluded. What is
// no whole line of a log goes to bad, with its number and why, and hides no other: a line that a power cut
// tore, or one that somebody else wrote. Only an error of r, or of entry, ends it early. The text is valid
// until entry returns.
func Read(r io.Reader, entry func(line int, e Entry, text []byte) error, bad func(line int, why error)) error {
	in := bufio.NewReaderSize(r, 64<<10)
	for n := 1; ; n++ {
		text, long, err := readLine(in)
		over := errors.Is(err, io.EOF)
		if err != nil && !over {
			return fmt.Errorf("read audit log, line %d: %w", n, err)
		}
		if over && len(text) == 0 && !long {
			return nil
		}
		e, why := parse(text, long)
		if why != nil {
			bad(n, why)
		} else if err := entry(n, e, text); err != nil {
			return err
		}
		if over {
			return nil
		}
	}
}

// readLine reads one line; of one that is too long the rest is dropped. The error is the reader's, io.EOF
// after a last line without end.
func readLine(in *bufio.Reader) (text []byte, long bool, err error) {
	for {
		part, err := in.ReadSlice('\n')
		if !long {
			text = append(text, part...)
		}
		if len(text) > maxLine {
			text, long = nil, true
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if n := len(text); n > 0 && text[n-1] == '\n' {
			text = text[:n-1]
		}
		return text, long, err
	}
}

func parse(text []byte, long bool) (e Entry, err error) {
	if long {
		return e, fmt.Errorf("longer than %d bytes", maxLine)
	}
	if len(text) == 0 {
		return e, errors.New("empty")
	}
	if err := json.Unmarshal(text, &e); err != nil {
		return e, fmt.Errorf("torn, or not ours: %w", err)
	}
	if e.Event == "" || e.Time.IsZero() || e.Run == "" {
		return e, errors.New("not ours: no event, time and run in it")
	}
	return e, nil
}
