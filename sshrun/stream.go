package sshrun

import (
	"io"
	"sync"
)

// streamBuffer is what a stream holds between the connection and its reader. Two of them stand for each command
// on each host, so they are small; a megabyte in 4 KiB pieces costs under a millisecond more.
const streamBuffer = 4 << 10

// stream is the output of a command. Reading it can be given up, which reading x/crypto's channel cannot.
type stream struct {
	src     io.Reader
	working *sync.WaitGroup // of the connection, whose end ends the pump
	start   sync.Once
	out     *io.PipeReader
	in      *io.PipeWriter
}

func newStream(src io.Reader, working *sync.WaitGroup) *stream {
	s := &stream{src: src, working: working}
	s.out, s.in = io.Pipe()
	return s
}

// Read gives what the command has written. After the session was given up its error is the reason.
func (s *stream) Read(p []byte) (int, error) {
	s.start.Do(func() { s.working.Go(s.pump) })
	return s.out.Read(p)
}

// pump runs until the stream ends. Nobody reads a stream that was given up: the rest is thrown away.
func (s *stream) pump() {
	buf := make([]byte, streamBuffer)
	for {
		n, err := s.src.Read(buf)
		if n > 0 {
			s.in.Write(buf[:n]) // fails once the stream was given up
		}
		if err != nil {
			s.in.CloseWithError(err)
			return
		}
	}
}

// abandon ends all reading with err.
func (s *stream) abandon(err error) { s.in.CloseWithError(err) }
