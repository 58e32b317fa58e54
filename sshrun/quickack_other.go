//go:build !linux

package sshrun

import "net"

// quick is for Linux alone.
func quick(c net.Conn) net.Conn { return c }
