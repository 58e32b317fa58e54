package target

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-mysql-org/go-mysql/mysql"
	"golang.org/x/sync/errgroup"
)

// stateSchema holds what a run keeps on the target. Another program's schema of that name is not expected; one
// of another format is refused.
const stateSchema = "interlock_replay"

// stateFormat is the version of the tables below. A run that another version began is refused: what it wrote
// down may mean something else there.
const stateFormat = 3

// stateTables are the tables of the state, the one that says what they are first. All are InnoDB, so that a chunk's
// mark shares its transaction, and all have a primary key, which sql_require_primary_key asks for. Texts are binary
// safe and compared as bytes.
func stateTables() []string {
	return []string{
		`format (version INT NOT NULL PRIMARY KEY)`,
		// holder is who has the lock: GET_LOCK knows the connection alone. flushes is for Run.flush to change something.
		`run (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, fingerprint VARCHAR(255) NOT NULL, description LONGTEXT NOT NULL,
			tunable LONGTEXT NOT NULL, skip_gtids LONGTEXT NOT NULL, gtids LONGTEXT NOT NULL, temporary_open TINYINT NOT NULL DEFAULT 0,
			started DATETIME(6) NOT NULL, finished DATETIME(6) NULL, holder VARCHAR(255) NOT NULL DEFAULT '', holder_connection BIGINT NOT NULL DEFAULT 0,
			held_since DATETIME(6) NULL, flushes BIGINT NOT NULL DEFAULT 0, UNIQUE KEY (fingerprint))`,
		`epoch (run INT UNSIGNED NOT NULL, number BIGINT NOT NULL, from_position LONGTEXT NOT NULL, to_position LONGTEXT NOT NULL, plan LONGTEXT NOT NULL,
			chunks INT NOT NULL, digest LONGTEXT NOT NULL, gtids LONGTEXT NOT NULL, goes TINYINT NOT NULL, finished TINYINT NOT NULL,
			at DATETIME(6) NULL, newest_table BIGINT UNSIGNED NULL, PRIMARY KEY (run, number))`,
		`chunk (run INT UNSIGNED NOT NULL, epoch BIGINT NOT NULL, chunk INT NOT NULL, PRIMARY KEY (run, epoch, chunk))`,
		`intent (run INT UNSIGNED NOT NULL PRIMARY KEY, number BIGINT NOT NULL, from_position LONGTEXT NOT NULL, to_position LONGTEXT NOT NULL,
			gtid LONGTEXT NOT NULL, gtids LONGTEXT NOT NULL, xid LONGTEXT NOT NULL, what LONGTEXT NOT NULL)`,
		`failure (run INT UNSIGNED NOT NULL PRIMARY KEY, what LONGTEXT NOT NULL)`,
		// setting is the server's, not a run's: what was there before, and what we set.
		`setting (name VARCHAR(64) NOT NULL PRIMARY KEY, previous LONGTEXT NULL, ours LONGTEXT NULL)`,
	}
}

// makeState creates what is missing of the state and refuses one of another format. The table format comes first: a
// start that is interrupted behind it leaves what the next one can tell and make whole. The others are made side by
// side, which takes half the time (five tables over three connections, MySQL 9.7).
func makeState(ctx context.Context, c *Conn) error {
	if err := c.Exec(ctx, "CREATE DATABASE IF NOT EXISTS "+stateSchema); err != nil {
		return fmt.Errorf("create schema %s: %w", stateSchema, err)
	}
	there, err := c.text(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '"+stateSchema+"'")
	if err != nil {
		return fmt.Errorf("look into schema %s: %w", stateSchema, err)
	}
	if there != "0" {
		if err := checkFormat(ctx, c); err != nil {
			return err
		}
	}
	tables := stateTables()
	if err := makeTable(ctx, c, tables[0]); err != nil {
		return err
	}
	g, side := errgroup.WithContext(ctx)
	g.SetLimit(makers)
	for _, table := range tables[1:] {
		g.Go(func() error {
			return c.server.withConn(side, func(c *Conn) error { return makeTable(side, c, table) })
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	insert := fmt.Sprintf("INSERT IGNORE INTO %s.format VALUES (%d)", stateSchema, stateFormat)
	if err := c.Exec(ctx, insert); err != nil {
		return fmt.Errorf("write format to %s: %w", stateSchema, err)
	}
	return nil
}

// makers is how many tables of the state are made at once.
const makers = 3

// makeTable creates a table of the state where it is missing.
func makeTable(ctx context.Context, c *Conn, table string) error {
	sql := "CREATE TABLE IF NOT EXISTS " + stateSchema + "." + table + " ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
	if err := c.Exec(ctx, sql); err != nil {
		return fmt.Errorf("create table in %s: %w", stateSchema, err)
	}
	return nil
}

// checkFormat refuses the state of another version. A table format without its row is what a start that was
// interrupted leaves behind, and is made whole.
func checkFormat(ctx context.Context, c *Conn) error {
	rows, err := c.Query(ctx, "SELECT version FROM "+stateSchema+".format")
	if err != nil {
		mend := "if the schema is not interlock's, rename it"
		if denied(err) {
			mend = "GRANT SELECT ON *.* to the account, or use root over the socket"
		}
		return fmt.Errorf("read format of %s: %w", stateSchema, advise(err, mend))
	}
	for _, row := range rows {
		if row[0].Text != strconv.Itoa(stateFormat) {
			return fmt.Errorf("read schema %s: it has format %s, this program writes %d: go on with the version that began the run, or restore the backup again",
				stateSchema, row[0].Text, stateFormat)
		}
	}
	return nil
}

// stateThere tells whether there is a state to be read.
func stateThere(ctx context.Context, c *Conn) (bool, error) {
	err := checkFormat(ctx, c)
	switch code := errorCode(err); code {
	case mysql.ER_NO_SUCH_TABLE, mysql.ER_BAD_DB_ERROR:
		return false, nil
	default:
		return err == nil, err
	}
}

// record is a row of the table run.
type record struct {
	id        int64
	spec      RunSpec
	gtids     string // of what has been replayed, as far as the server does not keep it itself; once it is finished, the server's
	temporary bool   // temporary tables are open in its session
	started   string // UTC, microseconds
	done      bool
	begun     bool   // it has begun to change the server
	holder    string // who took the lock last, in words
	locked    bool   // and has it still
}

const recordColumns = "id, fingerprint, description, tunable, skip_gtids, gtids, temporary_open, started, finished IS NOT NULL, " +
	"CONCAT(holder, ', connection ', holder_connection, ', since ', COALESCE(held_since, '?'), ' UTC'), " +
	"holder_connection = COALESCE(IS_USED_LOCK('" + lockName + "'), 0), " + begun

// begun tells of a run whether it has begun to change the server: by a barrier, or by a chunk of its first epoch.
const begun = "id IN (SELECT run FROM " + stateSchema + ".intent) OR EXISTS (SELECT 1 FROM " + stateSchema + ".epoch e WHERE e.run = id AND " +
	"(number > 1 OR e.finished OR chunks = 0 OR EXISTS (SELECT 1 FROM " + stateSchema + ".chunk c WHERE c.run = e.run AND c.epoch = e.number)))"

// records reads the runs that the target knows, oldest first. A state that a start was killed in the making of has none.
func records(ctx context.Context, c *Conn) ([]record, error) {
	rows, err := c.Query(ctx, "SELECT "+recordColumns+" FROM "+stateSchema+".run ORDER BY id")
	if err = absent(err); err != nil {
		return nil, fmt.Errorf("read runs from %s: %w", stateSchema, err)
	}
	var all []record
	for _, row := range rows {
		r := record{started: row[7].Text, temporary: row[6].Text != "0", done: row[8].Text != "0", gtids: row[5].Text,
			holder: row[9].Text, locked: row[10].Text == "1", begun: row[11].Text != "0"}
		if r.id, err = strconv.ParseInt(row[0].Text, 10, 64); err == nil {
			r.spec = RunSpec{Fingerprint: row[1].Text, Skip: row[4].Text}
			err = errors.Join(json.Unmarshal([]byte(row[2].Text), &r.spec.Describe), json.Unmarshal([]byte(row[3].Text), &r.spec.Tunable))
		}
		if err != nil {
			return nil, fmt.Errorf("read runs from %s: run %s: %w", stateSchema, row[0].Text, err)
		}
		all = append(all, r)
	}
	return all, nil
}

// insertRun writes a new run down and returns its number.
func insertRun(ctx context.Context, c *Conn, spec RunSpec) (int64, error) {
	describe, err := json.Marshal(spec.Describe)
	if err != nil {
		return 0, err
	}
	tunable, err := json.Marshal(spec.Tunable)
	if err != nil {
		return 0, err
	}
	err = c.Exec(ctx, fmt.Sprintf("INSERT INTO %s.run (fingerprint, description, tunable, skip_gtids, gtids, started) VALUES (%s, %s, %s, %s, '', UTC_TIMESTAMP(6))",
		stateSchema, hexText(spec.Fingerprint), hexText(string(describe)), hexText(string(tunable)), hexText(spec.Skip)))
	if err != nil {
		return 0, fmt.Errorf("write run to %s: %w", stateSchema, err)
	}
	id, err := c.text(ctx, "SELECT LAST_INSERT_ID()")
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(id, 10, 64)
}

const epochColumns = "number, from_position, to_position, plan, chunks, digest, gtids, goes, finished"

// lastEpoch reads the latest epoch of a run, nil if there is none yet.
func lastEpoch(ctx context.Context, c *Conn, run int64) (*Epoch, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT %s FROM %s.epoch WHERE run = %d ORDER BY number DESC LIMIT 1", epochColumns, stateSchema, run))
	if err != nil || len(rows) == 0 {
		return nil, wrapState("read epoch", err)
	}
	row := rows[0]
	e := &Epoch{From: row[1].Text, To: row[2].Text, Plan: row[3].Text, Digest: row[5].Text, GTIDs: row[6].Text, Goes: row[7].Text != "0", Finished: row[8].Text != "0"}
	if e.Number, err = strconv.ParseInt(row[0].Text, 10, 64); err == nil {
		e.Chunks, err = strconv.Atoi(row[4].Text)
	}
	return e, wrapState("read epoch", err)
}

// epochValues are the columns of an epoch's row. Its texts are hexadecimal literals: they read the same in every
// sql_mode and character set, also in a session whose state comes from the log.
func epochValues(run int64, e Epoch) string {
	return fmt.Sprintf("%d, %d, %s, %s, %s, %d, %s, %s, %d, %d", run, e.Number, hexText(e.From), hexText(e.To), hexText(e.Plan), e.Chunks,
		hexText(e.Digest), hexText(e.GTIDs), number(e.Goes), number(e.Finished))
}

// insertEpoch writes an epoch down, in a session whose clock is the server's: see reloaded.
func (r *Run) insertEpoch(e Epoch) string {
	return r.insertEpochAt(e, "UTC_TIMESTAMP(6)")
}

// insertUntimed writes an epoch down in a session whose clock is the log's.
func (r *Run) insertUntimed(e Epoch) string {
	return r.insertEpochAt(e, "NULL")
}

func (r *Run) insertEpochAt(e Epoch, at string) string {
	return fmt.Sprintf("INSERT INTO %s.epoch (run, %s, at, newest_table) VALUES (%s, %s, %s)", stateSchema, epochColumns, epochValues(r.id, e), at, r.newestTable)
}

// forgetEpochs removes the epochs before one: the last is all that is needed.
func forgetEpochs(run, before int64) string {
	return fmt.Sprintf("DELETE FROM %s.epoch WHERE run = %d AND number < %d", stateSchema, run, before)
}

// chunksDone reads the marks of an epoch.
func chunksDone(ctx context.Context, c *Conn, run, epoch int64) (map[int]bool, error) {
	rows, err := c.Query(ctx, fmt.Sprintf("SELECT chunk FROM %s.chunk WHERE run = %d AND epoch = %d", stateSchema, run, epoch))
	if err != nil {
		return nil, wrapState("read marks", err)
	}
	done := make(map[int]bool, len(rows))
	for _, row := range rows {
		chunk, err := strconv.Atoi(row[0].Text)
		if err != nil {
			return nil, wrapState("read marks", err)
		}
		done[chunk] = true
	}
	return done, nil
}

// transaction runs statements on a connection of the state's between BEGIN and COMMIT.
func transaction(ctx context.Context, c *Conn, statements ...string) error {
	_, err := c.script(ctx, append(append([]string{"BEGIN"}, statements...), "COMMIT")...)
	return rollback(ctx, c, err)
}

// rollback ends the transaction that an error left open and returns the error, or that of a connection which turns
// out to be gone: a KILL is error 1317 first. The server then has rolled back.
func rollback(ctx context.Context, c *Conn, cause error) error {
	if cause == nil || errorCode(cause) == 0 || lost(cause) || ctx.Err() != nil {
		return cause
	}
	err := c.Exec(ctx, "ROLLBACK")
	switch {
	case err == nil:
		return cause
	case lost(err):
		return fmt.Errorf("%w (after: %s)", err, cause.Error()) // not wrapped: its code would hide the loss
	default:
		return errors.Join(cause, fmt.Errorf("roll back: %w", err))
	}
}

func wrapState(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s in %s: %w", what, stateSchema, err)
}

// hexText is a text as a hexadecimal literal.
func hexText(text string) string {
	if text == "" {
		return "''"
	}
	return "x'" + strings.ToUpper(hex.EncodeToString([]byte(text))) + "'"
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
