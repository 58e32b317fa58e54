package target

import (
	"context"
	"fmt"
	"strings"

	"interlock/replay/binlog"

	"github.com/go-mysql-org/go-mysql/mysql"
)

// A packet holds so many statements at most: a round trip costs as much as a small statement does (MariaDB 10.11,
// 200,000 statements of sysbench on one connection: a fifth of the time was the server's own work, the rest was sending,
// waking and waiting), and when the client is gone the server still runs what it has of a packet.
const (
	packetStatements = 20
	packetBytes      = 32 << 10
)

// separator ends a statement whose last line is a comment, too.
const separator = "\n;\n"

// takesSeveral has the server take several statements in one packet from here on, as the mysql client does. Source: the
// protocol's page_protocol_com_set_option.
func (c *Conn) takesSeveral(ctx context.Context) error {
	multiStatementsOn := []byte{0, 0}
	err := c.command(ctx, mysql.COM_SET_OPTION, multiStatementsOn, func() error {
		_, err := c.packet()
		return err
	})
	if err != nil {
		return fmt.Errorf("ask for several statements in a packet: %w", err)
	}
	return nil
}

// ExecAll runs statements of a log one after the other up to the first error, and returns how many have run: after an
// error of the server's, statements[ran] is the one that it refused. What may go together is sent together, up to most
// of them, which the server reads and runs one by one all the same. It needs takesSeveral.
func (c *Conn) ExecAll(ctx context.Context, statements []string, most int) (ran int, err error) {
	for ran < len(statements) {
		n := together(statements[ran:], most)
		done, err := c.script(ctx, statements[ran:ran+n]...)
		ran += done
		if err != nil {
			return ran, err
		}
	}
	return ran, nil
}

// script runs statements that are sent together, up to the first error, and returns how many have run. One alone may
// return what it likes. It needs takesSeveral.
func (c *Conn) script(ctx context.Context, statements ...string) (ran int, err error) {
	if len(statements) == 0 {
		return 0, nil
	}
	return c.sent(ctx, []byte(strings.Join(statements, separator)), len(statements))
}

// sent is script of statements that stand behind each other already.
//
// A server that is told KILL QUERY between two of them says that more results follow, and then nothing, while it keeps the
// transaction (both; MySQL 9.7, MariaDB 10.11). Therefore a ping stands behind them: its answer comes in any case, and
// where it comes too early the connection counts as lost.
func (c *Conn) sent(ctx context.Context, sql []byte, statements int) (ran int, err error) {
	if statements == 1 {
		if err := c.ExecBytes(ctx, sql); err != nil {
			return 0, err
		}
		return 1, nil
	}
	err = c.command(ctx, mysql.COM_QUERY, sql, func() error {
		first := c.raw.Sequence // of the answers; that to the ping begins anew
		if err := c.send(mysql.COM_PING, nil); err != nil {
			return err
		}
		pong := c.raw.Sequence
		c.raw.Sequence = first
		var refused error
		if ran, refused = c.results(nil); refused != nil && errorCode(refused) == 0 {
			return refused
		}
		c.raw.Sequence = pong
		if _, err := c.packet(); err != nil && refused == nil {
			return err
		}
		return refused // behind which the server may have hung up
	})
	switch {
	case err != nil && errorCode(err) == 0 && !lost(err) && ctx.Err() == nil:
		err = fmt.Errorf("the server did not answer to all of %d statements (KILL QUERY?): %w: %w", statements, mysql.ErrBadConn, err)
	case err == nil && ran != statements:
		err = fmt.Errorf("send %d statements together, from %q on: the server answered to %d", statements, binlog.Shown(string(sql)), ran)
		c.broken = err // nothing more is known of what it did, least of all that it may be committed
	}
	return min(ran, statements), err
}

// together is how many of the first statements go into one packet, at least 1: a run of those that goTogether, up to
// one that changes how text is read, since the server may read what comes behind it in the same packet as before.
func together(statements []string, most int) int {
	n, size := 0, 0
	for _, sql := range statements[:min(len(statements), most)] {
		size += len(sql) + len(separator)
		if !goesTogether(sql) || size > packetBytes {
			break
		}
		n++
		if rereads(sql) {
			break
		}
	}
	return max(n, 1)
}

// goesTogether tells whether a statement may stand in a packet with others: an assignment or a change of rows whose
// end cannot run into what follows.
func goesTogether(sql string) bool {
	if sql == "" {
		return false
	}
	switch end := sql[len(sql)-1]; {
	case end <= ' ', end == ';', end == '\\', end >= 0x80:
		return false
	case !strings.Contains(sql, ";"):
	case strings.Contains(sql, "--"), strings.Contains(sql, "#"), strings.Contains(sql, "/*"):
		return false // servers log "DELETE FROM t; -- all of it" whole
	}
	for _, verb := range []string{"SET ", "USE ", "INSERT ", "UPDATE ", "DELETE ", "REPLACE "} {
		if len(sql) > len(verb) && strings.EqualFold(sql[:len(verb)], verb) {
			return true
		}
	}
	return false
}

// rereads tells whether a statement may change how the server reads the text of those behind it.
func rereads(sql string) bool {
	if !strings.EqualFold(sql[:4], "SET ") {
		return false
	}
	lower := strings.ToLower(sql)
	for _, setting := range []string{"sql_mode", "character_set", "collation", "names", "charset"} {
		if strings.Contains(lower, setting) {
			return true
		}
	}
	return false
}
