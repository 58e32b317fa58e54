package target

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/go-mysql-org/go-mysql/mysql"

	"interlock/replay/binlog"
)

// Mark names a chunk of a run.
type Mark struct {
	Epoch int64
	Chunk int
}

// Step is one thing that a chunk does: statements, or events.
type Step struct {
	Statements []string // run in order, up to the first error
	Events     []byte   // plain events back to back, a table map before its rows; sent as BINLOG
}

// Chunk is one target transaction: its steps and its mark, all or nothing.
type Chunk struct {
	Mark  Mark
	Steps []Step
}

// Retries is how often an Applier tried a chunk again, by reason.
type Retries struct{ Deadlocks, Lost int }

// Applier applies chunks over one connection. It belongs to one goroutine.
type Applier struct {
	run     *Run
	format  []byte // the log's format description event
	sender  *sender
	retries Retries
	// generation is the run's before the connection was opened: see Run.generation.
	generation int
}

// lockWaitTimeout is a worker's innodb_lock_wait_timeout in seconds. Workers write disjoint rows, and the target is
// closed to others: what waits longer than this waits for a stranger.
const lockWaitTimeout = 20

// Applier opens a connection for chunks: no binary log, READ COMMITTED, the log's format description.
func (r *Run) Applier(ctx context.Context, f *binlog.Format) (*Applier, error) {
	a := &Applier{run: r, format: r.formatEvent(f)}
	if err := a.open(ctx); err != nil {
		return nil, err
	}
	return a, nil
}

func (r *Run) formatEvent(f *binlog.Format) []byte {
	builder := binlog.Builder{Flavor: f.Flavor}
	return builder.AppendFormat(nil, f)
}

func (a *Applier) open(ctx context.Context) error {
	a.run.mu.Lock()
	a.generation = a.run.generation
	a.run.mu.Unlock()
	s, err := a.run.server.sender(ctx, a.format)
	if err != nil {
		return err
	}
	a.sender = s
	return nil
}

// sessionFor are the settings of a session that applies events.
//
// pseudo_slave_mode is what mysqlbinlog's output begins with. foreign_key_checks and unique_checks of the session
// do not matter: every rows event carries its own.
func (s *Server) sessionFor() []string {
	return append(s.stateSession(), "SET SESSION pseudo_slave_mode=1", "SET SESSION completion_type=0", "SET SESSION innodb_lock_wait_timeout="+strconv.Itoa(lockWaitTimeout))
}

// Apply applies a chunk: BEGIN, steps, mark, COMMIT. Any error rolls the whole chunk back. A deadlock or lock
// timeout is tried again, a lost connection is opened again (up to a bound) after a look whether the mark is
// there. When Apply returns nil the chunk and its mark are committed, once.
//
// An *InterruptedError says that the target is gone or has lost commits: the run must be begun again.
func (a *Applier) Apply(ctx context.Context, c *Chunk) error {
	const mostConflicts = 50 // with the pauses below about 20 s; a stranger's lock has then been met for 17 minutes
	const mostLosses = 20    // what ends a connection each time ends it again
	conflicts, losses := 0, 0
	for {
		err := a.once(ctx, c)
		var refused error
		switch {
		case err == nil:
			if a.run.acknowledge(c.Mark, a.generation) {
				return nil
			}
			err = a.again(ctx)
		case lost(err) && losses == mostLosses:
			err = &InterruptedError{What: fmt.Sprintf("lost the connection to the target %d times at one chunk", losses+1), Err: err}
		case lost(err):
			losses++
			a.retries.Lost++
			err = a.again(ctx)
		case isConflict(err) && conflicts < mostConflicts:
			conflicts++
			a.retries.Deadlocks++
			err = pause(ctx, conflicts)
		case losses > 0 && errorCode(err) != 0:
			// The lost session may have come to its COMMIT for all that it was killed, and its rows are in the way of ours.
			refused, err = err, nil
		}
		if err != nil {
			return fmt.Errorf("apply chunk %d of epoch %d: %w", c.Mark.Chunk, c.Mark.Epoch, err)
		}
		if done, err := a.done(ctx, c.Mark); err != nil {
			if lost(err) {
				continue
			}
			return err
		} else if done && a.run.acknowledge(c.Mark, a.generation) {
			return nil
		} else if refused != nil {
			return fmt.Errorf("apply chunk %d of epoch %d: %w", c.Mark.Chunk, c.Mark.Epoch, refused)
		}
	}
}

// Try applies steps and takes them back, once: so it is found out which of them the server refuses.
func (a *Applier) Try(ctx context.Context, steps []Step) error {
	return a.sender.within(ctx, steps, "ROLLBACK")
}

// RowMissing tells whether the server has not found the row that an event deletes or updates: it says which table.
func RowMissing(err error) bool {
	const erKeyNotFound = 1032
	return errorCode(err) == erKeyNotFound
}

// Full tells whether a server refuses a connection because it has as many as it allows: max_connections,
// max_user_connections, an account's resources.
func Full(err error) bool {
	code := errorCode(err)
	return code == 1040 || code == 1203 || code == 1226
}

// isConflict tells whether a transaction fell to another one, and may be tried again.
func isConflict(err error) bool {
	code := errorCode(err)
	return code == mysql.ER_LOCK_DEADLOCK || code == mysql.ER_LOCK_WAIT_TIMEOUT
}

// pause waits before the nth attempt: up to 1 ms, doubling up to 500 ms, with a jitter that parts two workers who met.
func pause(ctx context.Context, attempt int) error {
	most := min(time.Millisecond<<min(attempt, 10), 500*time.Millisecond)
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(rand.N(most)):
		return nil
	}
}

// once applies the chunk in one transaction.
func (a *Applier) once(ctx context.Context, c *Chunk) error {
	mark := fmt.Sprintf("INSERT INTO %s.chunk VALUES (%d, %d, %d)", stateSchema, a.run.id, c.Mark.Epoch, c.Mark.Chunk)
	return a.sender.transaction(ctx, c.Steps, mark)
}

// again opens the connection again, once the run has found that the target lost nothing.
func (a *Applier) again(ctx context.Context) error {
	a.sender.conn.Close()
	old, generation := a.sender.conn.ID, a.generation
	deadline := time.Now().Add(a.run.Patience)
	for attempt := 1; ; attempt++ {
		err := a.run.recover(ctx)
		if err == nil {
			err = a.run.end(ctx, old, generation)
		}
		if err == nil {
			err = a.open(ctx)
		}
		var interrupted *InterruptedError
		if err == nil || errors.As(err, &interrupted) || ctx.Err() != nil {
			return err
		}
		if time.Now().After(deadline) {
			return &InterruptedError{What: "lost the target", Err: err}
		}
		if err := pause(ctx, attempt); err != nil {
			return err
		}
	}
}

// end ends a connection of that generation which is lost to us: the server may not know it yet, and its locks would be
// waited for.
func (r *Run) end(ctx context.Context, connection uint32, generation int) error {
	return r.control(ctx, func(c *Conn) error {
		if r.generation != generation { // the server has been started again, and its numbers may be others'
			return nil
		}
		err := c.Exec(ctx, fmt.Sprintf("KILL %d", connection))
		if errorCode(err) != 0 { // there is none of that number, mostly
			return nil
		}
		return err
	})
}

// done tells whether a mark is there.
func (a *Applier) done(ctx context.Context, m Mark) (bool, error) {
	count, err := a.sender.conn.text(ctx, fmt.Sprintf("SELECT COUNT(*) FROM %s.chunk WHERE run = %d AND epoch = %d AND chunk = %d",
		stateSchema, a.run.id, m.Epoch, m.Chunk))
	return count == "1", wrapState("read mark", err)
}

// acknowledge notes a mark that the target has acknowledged on a connection of that generation. It is false where
// the target may have been down since: then the mark must be looked for.
func (r *Run) acknowledge(m Mark, generation int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if generation != r.generation {
		return false
	}
	if r.last != nil && r.last.Number == m.Epoch && r.marks != nil {
		r.marks[m.Chunk] = true
	}
	return true
}

// SetFormat sends the format description of another file of the log: what follows was written by another version.
func (a *Applier) SetFormat(ctx context.Context, f *binlog.Format) error {
	a.format = a.run.formatEvent(f)
	return a.sender.setFormat(ctx, a.run.server, a.format)
}

// Retries so far.
func (a *Applier) Retries() Retries { return a.retries }

// Close ends the connection.
func (a *Applier) Close() error { return a.sender.conn.Close() }

// sender sends steps over a connection that is ready for events.
type sender struct {
	conn  *Conn
	limit int      // max_allowed_packet: the length of a packet
	buf   []byte   // of the last BINLOG statement
	ahead []string // to be sent before what comes next
	// versions is the SET that says which server's rows these are; empty where the target does not ask. It is
	// forgotten at each commit. Without it MySQL 9.7 takes a table with a generated invisible primary key and a
	// functional index for one whose log lacks the key, and refuses the rows (1105).
	versions string
}

// sender opens a connection for events and gives it the log's format description.
func (s *Server) sender(ctx context.Context, format []byte) (*sender, error) {
	c, err := s.prepared(ctx, s.sessionFor())
	if err != nil {
		return nil, err
	}
	out := &sender{conn: c}
	if err := out.setFormat(ctx, s, format); err != nil {
		c.Close()
		return nil, err
	}
	limit, err := c.text(ctx, "SELECT @@SESSION.max_allowed_packet")
	if err == nil {
		out.limit, err = strconv.Atoi(limit)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("read max_allowed_packet: %w", err)
	}
	return out, nil
}

// statements is a sender of the log's own statements, under the server's own isolation level, as the pipe runs them. Chunks are
// written under READ COMMITTED, in which MariaDB's ALTER IGNORE finds no rows that are alike in a long unique key.
func (s *Server) statements(ctx context.Context, format []byte) (*sender, error) {
	out, err := s.sender(ctx, format)
	if err != nil {
		return nil, err
	}
	name := "transaction_isolation"
	if s.Flavor == binlog.MariaDB {
		name = "tx_isolation"
	}
	if err := out.conn.Exec(ctx, "SET SESSION "+name+" = @@GLOBAL."+name); err != nil {
		out.conn.Close()
		return nil, fmt.Errorf("set the isolation level: %w", err)
	}
	return out, nil
}

// setFormat sends a format description. On a MySQL with GTIDs it leaves gtid_next undetermined, and the next BEGIN
// would be error 1782: gtid_next is set at once, since inside a transaction it cannot be (1766).
func (o *sender) setFormat(ctx context.Context, s *Server, format []byte) error {
	if err := o.conn.ExecBytes(ctx, appendBinlog(nil, format)); err != nil {
		return fmt.Errorf("send format description: %w", err)
	}
	if s.Flavor != binlog.MySQL {
		return nil
	}
	o.versions = s.versionsOf(format)
	if err := o.conn.Exec(ctx, gtidNext("AUTOMATIC")); err != nil {
		return fmt.Errorf("set gtid_next: %w", err)
	}
	return nil
}

// versionsOf is the SET of the server versions for rows of a log of that format: as mysqlbinlog prints it, MySQL
// 8.0.14 and later know it. The version stands behind the event's header and the log's version, 50 bytes padded.
func (s *Server) versionsOf(format []byte) string {
	const start, length = binlog.HeaderLen + 2, 50
	number := binlog.VersionNumber(string(format[start : start+length]))
	if number == 0 || binlog.VersionNumber(s.Version) < 80014 {
		return ""
	}
	return fmt.Sprintf("SET @@session.original_server_version=%d, @@session.immediate_server_version=%d", number, number)
}

// transaction runs steps and a last statement between BEGIN and COMMIT. On an error everything is rolled back: the
// server keeps the earlier events of a failed BINLOG in the open transaction.
func (o *sender) transaction(ctx context.Context, steps []Step, last string) error {
	return o.within(ctx, steps, last, "COMMIT")
}

// within runs steps and then the ends after a START TRANSACTION.
func (o *sender) within(ctx context.Context, steps []Step, ends ...string) error {
	o.ahead = append(o.ahead[:0], "START TRANSACTION")
	if o.versions != "" {
		o.ahead = append(o.ahead, o.versions)
	}
	var err error
	for i := 0; i < len(steps) && err == nil; i++ {
		err = o.step(ctx, steps[i], packetStatements)
	}
	if err == nil {
		_, err = o.conn.script(ctx, append(o.ahead, ends...)...)
	}
	o.ahead = o.ahead[:0]
	return rollback(ctx, o.conn, err)
}

// step runs one step, up to most of its statements together.
func (o *sender) step(ctx context.Context, step Step, most int) error {
	if len(step.Statements) > 0 {
		all := append(o.ahead, step.Statements...)
		o.ahead = o.ahead[:0]
		if ran, err := o.conn.ExecAll(ctx, all, most); err != nil {
			return fmt.Errorf("run %q: %w", binlog.Shown(all[min(ran, len(all)-1)]), err)
		}
	}
	batches, err := splitEvents(step.Events, batchBytes)
	if err != nil {
		return err
	}
	for _, b := range batches {
		if err := o.events(ctx, b, step.Events[b.start:b.end]); err != nil {
			return err
		}
	}
	// One huge row must not keep its memory for the rest of the run.
	if cap(o.buf) > 8*batchBytes {
		o.buf = nil
	}
	return nil
}

// events sends one BINLOG statement, behind what is to be sent before it. It is the last in its packet: after row events
// a server forgets to say that more results follow (both; SERVER_STATUS_CLEAR_SET in their rows events).
func (o *sender) events(ctx context.Context, b batch, events []byte) error {
	length := binlogLen(len(events))
	if length > o.limit {
		return fmt.Errorf("apply rows to %s: %d bytes of events make a statement of %d, more than max_allowed_packet, which is %d: raise it (up to 1 GiB) and begin again",
			b, len(events), length, o.limit)
	}
	ahead := o.ahead
	o.ahead = o.ahead[:0]
	o.buf = append(o.buf[:0], strings.Join(append(ahead, ""), separator)...)
	if len(o.buf)+length > o.limit {
		if ran, err := o.conn.script(ctx, ahead...); err != nil {
			return fmt.Errorf("run %q: %w", binlog.Shown(ahead[min(ran, len(ahead)-1)]), err)
		}
		ahead, o.buf = nil, o.buf[:0]
	}
	o.buf = appendBinlog(o.buf, events)
	ran, err := o.conn.sent(ctx, o.buf, len(ahead)+1)
	switch {
	case err == nil:
		return nil
	case ran < len(ahead):
		return fmt.Errorf("run %q: %w", binlog.Shown(ahead[ran]), err)
	}
	return fmt.Errorf("apply rows to %s: %w", b, o.explain(ctx, err))
}

// explain adds what the server wrote beside the error: the storage engine's words, the row's place.
func (o *sender) explain(ctx context.Context, err error) error {
	if errorCode(err) == 0 || lost(err) || isConflict(err) {
		return err
	}
	rows, warnErr := o.conn.Query(ctx, "SHOW WARNINGS LIMIT 5")
	if warnErr != nil {
		return errors.Join(err, warnErr)
	}
	var more []string
	for _, row := range rows {
		if len(row) == 3 && !strings.Contains(err.Error(), row[2].Text) {
			more = append(more, row[2].Text)
		}
	}
	if len(more) == 0 {
		return err
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(more, "; "))
}
