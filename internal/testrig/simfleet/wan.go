package simfleet

import (
	"net"
	"sync"
	"time"
)

// handshakeRoundTrips is how long after the kernel's accept a host at the far end of a long connection would first
// be heard of: loopback has no SYN on its way, so it is added here. The client's connect returns after one round
// trip, and what it says first arrives half a one later.
const handshakeRoundTrips = 1.5

// maxUnderWay is how many pieces are on their way in one direction before the sender has to wait: a piece is at
// most pieceBytes, so 2 MB, which is more than SSH's window.
const (
	maxUnderWay = 64
	pieceBytes  = 32 << 10
)

// piece is what was sent at once, and when it is to arrive. A piece with err ends its direction.
type piece struct {
	due  time.Time
	data []byte
	err  error
}

// farConn is a connection whose both directions take oneWay each: what is written arrives that much later, in order,
// however much follows it meanwhile; so does its end. Bandwidth, loss and TCP's slow start are not modelled.
type farConn struct {
	net.Conn
	oneWay time.Duration

	in    chan piece
	first piece // owned by the reader: what is left of the piece that it reads
	ended error // owned by the reader

	out     chan piece
	sending sync.Mutex // closes out only between two sends
	closed  bool

	gone    chan struct{} // closed once the connection is done with
	working sync.WaitGroup
}

// far puts half of roundTrip before and after a connection that was just accepted, and returns once its client's
// side would have been heard of.
func far(conn net.Conn, roundTrip time.Duration) *farConn {
	f := &farConn{Conn: conn, oneWay: roundTrip / 2, in: make(chan piece, maxUnderWay), out: make(chan piece, maxUnderWay), gone: make(chan struct{})}
	open := time.Now().Add(time.Duration(handshakeRoundTrips * float64(roundTrip)))
	f.working.Go(func() { f.receive(open) })
	f.working.Go(f.send)
	time.Sleep(time.Until(open))
	return f
}

// receive takes from the kernel what the client has sent. Nothing arrives before open.
func (f *farConn) receive(open time.Time) {
	buf := make([]byte, pieceBytes)
	for {
		n, err := f.Conn.Read(buf)
		p := piece{due: time.Now().Add(f.oneWay), err: err}
		if p.due.Before(open) {
			p.due = open
		}
		p.data = append(p.data, buf[:n]...)
		select {
		case f.in <- p:
		case <-f.gone:
			return
		}
		if err != nil {
			return
		}
	}
}

// Read gives what has arrived.
func (f *farConn) Read(b []byte) (int, error) {
	for len(f.first.data) == 0 {
		if f.ended != nil {
			return 0, f.ended
		}
		select {
		case f.first = <-f.in:
		case <-f.gone:
			return 0, net.ErrClosed
		}
		time.Sleep(time.Until(f.first.due))
		f.ended = f.first.err
	}
	n := copy(b, f.first.data)
	f.first.data = f.first.data[n:]
	return n, nil
}

// Write puts b on its way.
func (f *farConn) Write(b []byte) (int, error) {
	f.sending.Lock()
	defer f.sending.Unlock()
	if f.closed {
		return 0, net.ErrClosed
	}
	p := piece{due: time.Now().Add(f.oneWay), data: append([]byte(nil), b...)}
	select {
	case f.out <- p:
		return len(b), nil
	case <-f.gone:
		return 0, net.ErrClosed
	}
}

// send hands to the kernel what is due. After the client's end is gone it only drains.
func (f *farConn) send() {
	var lost error
	for p := range f.out {
		time.Sleep(time.Until(p.due))
		if lost == nil {
			_, lost = f.Conn.Write(p.data)
		}
	}
	f.Conn.Close()
	close(f.gone)
}

// Close ends the connection once what is on its way has arrived.
func (f *farConn) Close() error {
	f.sending.Lock()
	defer f.sending.Unlock()
	if !f.closed {
		f.closed = true
		close(f.out)
	}
	return nil
}

// wait returns once nothing of the connection is left.
func (f *farConn) wait() { f.working.Wait() }
