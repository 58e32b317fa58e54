package sshrun

import (
	"bufio"
	"io"
	"strings"
	"testing"
)

// A report is read through a bufio.Reader, and the command's output is then copied through it: bufio hands the rest
// to WriteTo.
func TestWriteToAfterRead(t *testing.T) {
	s := newStream(strings.NewReader("report\nbinary \x00 output\n"), &nativeConn{})
	r := bufio.NewReader(s)
	if line, err := r.ReadString('\n'); err != nil || line != "report\n" {
		t.Fatalf("line %q, %v", line, err)
	}
	var rest strings.Builder
	if _, err := io.Copy(&rest, r); err != nil || rest.String() != "binary \x00 output\n" {
		t.Errorf("rest %q, %v", rest.String(), err)
	}
}
