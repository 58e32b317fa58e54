package sshrun

import (
	"errors"
	"io"
	"sync"
)

// errConnClosed is why a session ended that was still going on when its Conn was closed.
var errConnClosed = errors.New("connection closed")

// streamBuffer is what a stream holds between the connection and its reader. Two of them stand for each command
// on each host, so they are small (io.Copy's own 32 KiB were 60 % of the memory of a thousand hosts); a megabyte
// in pieces of 4 KiB costs under a millisecond more.
const streamBuffer = 4 << 10

// stream is the output of a command. Reading it can be given up, which reading x/crypto's channel cannot.
type stream struct {
	src   io.Reader
	conn  *nativeConn // whose end ends the pump
	start sync.Once   // of the pump
	out   *io.PipeReader
	in    *io.PipeWriter

	end   sync.Once
	ended chan struct{} // closed once err is set
	err   error         // io.EOF, or why the stream was given up
}

func newStream(src io.Reader, conn *nativeConn) *stream {
	s := &stream{src: src, conn: conn, ended: make(chan struct{})}
	s.out, s.in = io.Pipe()
	return s
}

// Read gives what the command has written. After the session was given up its error is the reason.
func (s *stream) Read(p []byte) (int, error) {
	s.start.Do(func() { s.conn.pump(s, s.in) })
	return s.out.Read(p)
}

// WriteTo copies the stream to w until it ends or is given up; then w is written to no more. When a write
// fails, the rest is read all the same. After a Read it goes on where that one stopped, as bufio.Reader does it.
func (s *stream) WriteTo(w io.Writer) (int64, error) {
	g := &gate{w: w}
	first := false
	s.start.Do(func() { first = true; s.conn.pump(s, g) })
	if !first {
		_, err := io.CopyBuffer(g, struct{ io.Reader }{s.out}, make([]byte, streamBuffer))
		n, werr := g.close()
		return n, errors.Join(werr, err)
	}
	<-s.ended
	n, err := g.close()
	if err == nil && !errors.Is(s.err, io.EOF) {
		err = s.err
	}
	return n, err
}

// pump moves src to w until src ends. What comes after the stream was given up is thrown away by w.
func (s *stream) pump(w io.Writer) {
	buf := make([]byte, streamBuffer)
	for {
		n, err := s.src.Read(buf)
		if n > 0 {
			_, _ = w.Write(buf[:n]) // what goes wrong here is the reader's affair; the command must not wait for it
		}
		if err != nil {
			s.finish(err)
			return
		}
	}
}

// finish ends all reading with err; the first one counts.
func (s *stream) finish(err error) {
	s.end.Do(func() {
		s.err = err
		close(s.ended)
		s.in.CloseWithError(err)
	})
}

// pumps are the streams of a connection that are being read.
type pumps struct {
	mu     sync.Mutex
	live   map[*stream]struct{}
	closed bool
}

// pump starts moving s to w. A closed connection has nothing more to give.
func (n *nativeConn) pump(s *stream, w io.Writer) {
	n.pumps.mu.Lock()
	defer n.pumps.mu.Unlock()
	if n.pumps.closed {
		s.finish(errConnClosed)
		return
	}
	if n.pumps.live == nil {
		n.pumps.live = map[*stream]struct{}{}
	}
	n.pumps.live[s] = struct{}{}
	n.working.Go(func() {
		s.pump(w)
		n.pumps.mu.Lock()
		defer n.pumps.mu.Unlock()
		delete(n.pumps.live, s)
	})
}

// stop gives up all streams, so that no pump waits for a reader that has gone.
func (p *pumps) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for s := range p.live {
		s.finish(errConnClosed)
	}
}

// gate lets writes through until it is closed, or until one fails.
type gate struct {
	mu     sync.Mutex
	w      io.Writer
	closed bool
	n      int64
	err    error
}

func (g *gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.closed && g.err == nil {
		var n int
		n, g.err = g.w.Write(p)
		g.n += int64(n)
	}
	return len(p), nil
}

func (g *gate) close() (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.closed = true
	return g.n, g.err
}
