package sshrun

import (
	"net"
	"syscall"
	"testing"
)

// The kernel takes the option, and has it on after a read and after a write.
func TestQuickAck(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		buf := make([]byte, 4)
		n, _ := c.Read(buf)
		_, _ = c.Write(buf[:n])
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	q, ok := quick(c).(*quickConn)
	if !ok {
		t.Fatalf("quick of a TCP connection is %T", c)
	}
	defer q.Close()
	on := func(when string) {
		t.Helper()
		var value int
		var err error
		if e := q.raw.Control(func(fd uintptr) {
			value, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, tcpQuickAck)
		}); e != nil || err != nil {
			t.Fatal(e, err)
		}
		if value == 0 {
			t.Errorf("%s: acknowledgements are delayed", when)
		}
	}
	on("at first")
	if _, err := q.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	on("after a write")
	buf := make([]byte, 4)
	if _, err := q.Read(buf); err != nil || string(buf) != "ping" {
		t.Fatalf("%q, %v", buf, err)
	}
	on("after a read")
	if c := quick(struct{ net.Conn }{q}); c == net.Conn(q) {
		t.Error("what is no TCP connection was wrapped")
	}
}
