package target

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strings"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// Conn is one connection to the target. One goroutine uses it at a time; Close may come from any. Once a
// statement was interrupted, or the connection lost, every later statement is an error.
type Conn struct {
	ID uint32 // CONNECTION_ID()

	raw    *client.Conn
	socket net.Conn // below raw, whose own Close writes fields that a statement in flight reads
	server *Server
	broken error // why it cannot be used any more
}

// Value is a value of a result as the server's text protocol writes it.
type Value struct {
	Text string
	Null bool
}

// keep enters the connection among those that the server's Close ends.
func (c *Conn) keep() error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	if c.server.open == nil {
		return errors.New("connect: the server has been closed")
	}
	c.server.open[c], c.server.made[c.ID] = struct{}{}, struct{}{}
	return nil
}

// Close ends the connection and what runs on it.
func (c *Conn) Close() error {
	c.server.mu.Lock()
	delete(c.server.open, c)
	c.server.mu.Unlock()
	return c.socket.Close()
}

// Exec runs one statement, whatever it returns. An error of the server's is a *mysql.MyError. When ctx ends the
// connection is closed under the statement; the server notices that no later than at the statement's end.
func (c *Conn) Exec(ctx context.Context, sql string) error {
	return c.ExecBytes(ctx, []byte(sql))
}

// ExecBytes is Exec for large statements: sql is neither copied nor changed.
func (c *Conn) ExecBytes(ctx context.Context, sql []byte) error {
	_, err := c.run(ctx, sql, nil)
	return err
}

// Query runs one statement and returns its rows.
func (c *Conn) Query(ctx context.Context, sql string) ([][]Value, error) {
	var rows [][]Value
	_, err := c.run(ctx, []byte(sql), func(row []Value) { rows = append(rows, row) })
	return rows, err
}

// text is the only value of the only row of a query; a NULL is empty.
func (c *Conn) text(ctx context.Context, sql string) (string, error) {
	rows, err := c.Query(ctx, sql)
	if err != nil {
		return "", err
	}
	if len(rows) != 1 || len(rows[0]) != 1 {
		return "", fmt.Errorf("query %q: %d rows where one value was expected", sql, len(rows))
	}
	return rows[0][0].Text, nil
}

// run sends statements and reads their results to the end; each takes the rows, nil drops them. It returns how many
// results came, without the one that is the error.
func (c *Conn) run(ctx context.Context, sql []byte, each func([]Value)) (results int, err error) {
	err = c.command(ctx, mysql.COM_QUERY, sql, func() (err error) {
		results, err = c.results(each)
		return err
	})
	return results, err
}

// command sends a command and has its answer read.
func (c *Conn) command(ctx context.Context, what byte, body []byte, answer func() error) error {
	if c.broken != nil {
		return fmt.Errorf("connection cannot be used any more: %w", c.broken)
	}
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	stop := context.AfterFunc(ctx, func() { c.socket.Close() })
	err := c.send(what, body)
	if err == nil {
		err = answer()
	} else if _, why := c.packet(); errorCode(why) != 0 {
		err = why // the server said why before it hung up: a packet that is too large, a shutdown
	}
	if !stop() {
		// The socket may have been closed anywhere between the first byte and the last.
		c.broken = context.Cause(ctx)
		if err != nil {
			err = c.broken
		}
		return err
	}
	if err != nil && errorCode(err) == 0 {
		c.broken = err
	}
	return err
}

// send writes a command, COM_QUERY with its statement. The library would copy the statement twice and write packet
// headers into it. Source: the protocol's page_protocol_basic_packets: 16 MiB less one byte to a packet, the last one
// shorter.
func (c *Conn) send(what byte, sql []byte) error {
	const command = 1
	if uint64(len(sql)) > math.MaxUint32 {
		return fmt.Errorf("send statement: %d bytes are more than the protocol carries", len(sql))
	}
	head := []byte{0, 0, 0, 0, what}
	first := min(len(sql), mysql.MaxPayloadLen-command)
	var sequence uint8
	putHeader(head, command+first, sequence)
	parts := net.Buffers{head, sql[:first]}
	for last, rest := command+first, sql[first:]; last == mysql.MaxPayloadLen; {
		sequence++
		last = min(len(rest), mysql.MaxPayloadLen)
		header := make([]byte, 4)
		putHeader(header, last, sequence)
		parts = append(parts, header, rest[:last])
		rest = rest[last:]
	}
	c.raw.Sequence = sequence + 1 // of the answer
	if _, err := parts.WriteTo(c.socket); err != nil {
		return fmt.Errorf("send statement: %w", err)
	}
	return nil
}

func putHeader(to []byte, length int, sequence uint8) {
	to[0], to[1], to[2], to[3] = byte(length), byte(length>>8), byte(length>>16), sequence
}

// First bytes of answers. Source: page_protocol_com_query_response.
const (
	packetOK    = 0x00
	packetLocal = 0xfb
	packetEOF   = 0xfe
	packetError = 0xff
)

// results reads the answers to one command, and returns how many came before an error.
func (c *Conn) results(each func([]Value)) (n int, err error) {
	for ; ; n++ {
		packet, err := c.packet()
		if err != nil {
			return n, err
		}
		var status uint16
		switch packet[0] {
		case packetOK:
			status, err = statusOfOK(packet)
		case packetLocal:
			err = errors.New("read answer: the server asks for a local file, which nothing here would send")
		default:
			status, err = c.rows(packet, each)
		}
		if err != nil {
			return n, err
		}
		if status&mysql.SERVER_MORE_RESULTS_EXISTS == 0 {
			return n + 1, nil
		}
	}
}

// rows reads one result set after its first packet, the number of columns.
func (c *Conn) rows(first []byte, each func([]Value)) (status uint16, err error) {
	columns, _, err := lenenc(first)
	if err != nil {
		return 0, err
	}
	for range columns + 1 { // the columns' definitions and an end
		if _, err := c.packet(); err != nil {
			return 0, err
		}
	}
	for {
		packet, err := c.packet()
		if err != nil {
			return 0, err
		}
		if packet[0] == packetEOF && len(packet) < 9 {
			if len(packet) < 5 {
				return 0, errCutPacket
			}
			return binary.LittleEndian.Uint16(packet[3:]), nil
		}
		if each == nil {
			continue
		}
		row, err := parseRow(packet, columns)
		if err != nil {
			return 0, err
		}
		each(row)
	}
}

var errCutPacket = errors.New("read answer: packet is cut")

// packet reads one packet that is not empty. One that states an error becomes it.
func (c *Conn) packet() ([]byte, error) {
	packet, err := c.raw.ReadPacket()
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if len(packet) == 0 {
		return nil, errCutPacket
	}
	if packet[0] == packetError {
		return nil, parseError(packet)
	}
	return packet, nil
}

func parseError(packet []byte) error {
	if len(packet) < 3 {
		return errCutPacket
	}
	e := &mysql.MyError{Code: binary.LittleEndian.Uint16(packet[1:])}
	message := packet[3:]
	if len(message) >= 6 && message[0] == '#' {
		e.State, message = string(message[1:6]), message[6:]
	}
	e.Message = string(message)
	return e
}

func statusOfOK(packet []byte) (uint16, error) {
	rest := packet[1:]
	for range 2 { // affected rows, last insert id
		_, n, err := lenenc(rest)
		if err != nil {
			return 0, err
		}
		rest = rest[n:]
	}
	if len(rest) < 2 {
		return 0, errCutPacket
	}
	return binary.LittleEndian.Uint16(rest), nil
}

func parseRow(packet []byte, columns uint64) ([]Value, error) {
	row := make([]Value, columns)
	for i := range row {
		if len(packet) > 0 && packet[0] == 0xfb {
			row[i].Null, packet = true, packet[1:]
			continue
		}
		length, n, err := lenenc(packet)
		if err != nil {
			return nil, err
		}
		if packet = packet[n:]; length > uint64(len(packet)) {
			return nil, errCutPacket
		}
		row[i].Text, packet = string(packet[:length]), packet[length:]
	}
	return row, nil
}

// lenenc reads a length-encoded integer and returns how many bytes it has.
func lenenc(b []byte) (value uint64, n int, err error) {
	if len(b) == 0 {
		return 0, 0, errCutPacket
	}
	switch b[0] {
	case 0xfc:
		n = 3
	case 0xfd:
		n = 4
	case 0xfe:
		n = 9
	case 0xfb, 0xff:
		return 0, 0, fmt.Errorf("read answer: %#x is no length", b[0])
	default:
		return uint64(b[0]), 1, nil
	}
	if len(b) < n {
		return 0, 0, errCutPacket
	}
	for i := n - 1; i > 0; i-- {
		value = value<<8 | uint64(b[i])
	}
	return value, n, nil
}

// errorCode is the number of a server's error, 0 for any other.
func errorCode(err error) uint16 {
	var e *mysql.MyError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// Errors by which a server says that the connection ends. Sources: mysqld_error.h; 1927 is MariaDB's.
const (
	erServerShutdown     = 1053
	erNewAbortingConn    = 1184
	erConnectionKilled   = 1927
	erClientDisconnected = 4031
)

// lost tells whether an error means that the connection to the server is gone, not that the statement is wrong.
// Whether the statement took effect is then unknown. The end of a context is not a loss.
func lost(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	switch errorCode(err) {
	case erServerShutdown, erNewAbortingConn, erConnectionKilled, erClientDisconnected:
		return true
	case 0:
	default:
		return false
	}
	var network *net.OpError
	return errors.Is(err, mysql.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.As(err, &network) ||
		strings.Contains(err.Error(), mysql.ErrBadConn.Error()) // the library wraps it by text in places
}

// advise adds to what the server refused what would mend it. A connection that was lost, or a statement that was ended
// from outside, refuses nothing.
func advise(err error, mend string) error {
	const erQueryInterrupted = 1317
	if code := errorCode(err); code == 0 || code == erQueryInterrupted || lost(err) {
		return err
	}
	return fmt.Errorf("%w (%s)", err, mend)
}

// quoteName writes an identifier so that any server reads it back, whatever its sql_mode.
func quoteName(name string) string { return "`" + strings.ReplaceAll(name, "`", "``") + "`" }

// quoteText writes a string literal; it needs a session without NO_BACKSLASH_ESCAPES, which ours are.
func quoteText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `''`, "\x00", `\0`).Replace(text) + "'"
}
