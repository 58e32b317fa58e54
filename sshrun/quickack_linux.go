package sshrun

import (
	"net"
	"syscall"
)

// tcpQuickAck is TCP_QUICKACK of tcp(7).
const tcpQuickAck = 12

// quickConn acknowledges at once what comes in. The kernel would wait up to 40 ms for something to send along with
// the acknowledgement, and sshd, which has Nagle's algorithm on until a session begins, holds its next packet
// back until then: of the 100 ms that a command on a near host takes, 42 were this wait (strace -r of both ends).
type quickConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

// quick wraps c where that helps; any other connection is returned as it is.
func quick(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	q := &quickConn{TCPConn: tcp, raw: raw}
	q.ack()
	return q
}

// ack turns delayed acknowledgements off; the kernel turns them on again by itself, after each write above all.
// That it does not work is no error: then it is slower.
func (q *quickConn) ack() {
	_ = q.raw.Control(func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpQuickAck, 1)
	})
}

func (q *quickConn) Read(p []byte) (int, error) {
	n, err := q.TCPConn.Read(p)
	q.ack()
	return n, err
}

func (q *quickConn) Write(p []byte) (int, error) {
	n, err := q.TCPConn.Write(p)
	q.ack()
	return n, err
}
