package sshrun

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// Terminal is somebody who can be asked. Calls come one at a time.
type Terminal interface {
	// Secret shows prompt and reads a line that is not shown.
	Secret(ctx context.Context, prompt string) (string, error)
	// Line shows prompt and reads a line.
	Line(ctx context.Context, prompt string) (string, error)
}

// TTY is a Terminal on a terminal device.
type TTY struct {
	f  *os.File
	in *bufio.Reader
}

// OpenTTY opens the controlling terminal. Its error means that there is nobody to ask: use no Terminal then.
func OpenTTY() (*TTY, error) {
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("open terminal: %w", err)
	}
	return NewTTY(f), nil
}

// NewTTY asks on f, which must be a terminal. Close closes f.
func NewTTY(f *os.File) *TTY { return &TTY{f: f, in: bufio.NewReader(f)} }

// Close closes the terminal device.
func (t *TTY) Close() error { return t.f.Close() }

// Secret reads a line without echo. When ctx ends first, echo is restored and the read is left behind.
func (t *TTY) Secret(ctx context.Context, prompt string) (string, error) {
	fd := int(t.f.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read terminal: %w", err)
	}
	defer fmt.Fprintln(t.f)
	line, err := t.ask(ctx, prompt, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	if ctx.Err() != nil {
		err = errors.Join(err, term.Restore(fd, before))
	}
	return line, err
}

// Line reads a line, without its end.
func (t *TTY) Line(ctx context.Context, prompt string) (string, error) {
	return t.ask(ctx, prompt, func() (string, error) {
		line, err := t.in.ReadString('\n')
		if errors.Is(err, io.EOF) && line != "" {
			err = nil
		}
		return strings.TrimRight(line, "\r\n"), err
	})
}

// ask reads in a goroutine, since a read from a terminal cannot be interrupted: at most one is left behind,
// in a program that is about to end.
func (t *TTY) ask(ctx context.Context, prompt string, read func() (string, error)) (string, error) {
	type answer struct {
		line string
		err  error
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	if _, err := fmt.Fprint(t.f, prompt); err != nil {
		return "", fmt.Errorf("write terminal: %w", err)
	}
	got := make(chan answer, 1) // one answer: the goroutine never waits
	go func() {
		line, err := read()
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		if a.err != nil {
			return "", fmt.Errorf("read terminal: %w", a.err)
		}
		return a.line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// prompter lets one goroutine at a time ask, and stops the clocks meanwhile.
type prompter struct {
	turn  chan struct{} // capacity one: whoever fills it may ask
	clock questions
	term  Terminal // nil: nobody to ask
}

// do calls ask when it is this caller's turn.
func (p *prompter) do(ctx context.Context, ask func(Terminal) error) error {
	p.clock.begin()
	defer p.clock.end()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return ask(p.term)
}
