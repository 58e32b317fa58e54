package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"golang.org/x/sync/errgroup"

	"interlock/internal/testrig"
)

// database is the schema that every workload lives in.
const database = "bench"

// writers is how many connections write a log at once: enough that two cores are never idle.
const writers = 8

// source is the server whose log is replayed, while a workload prepares or runs on it.
type source struct {
	*testrig.Local
	ctx  context.Context //nolint:containedctx // it lives as long as one call of prepare or run
	size size
}

// serverIDs keep a replica from taking the source's events for its own.
const (
	sourceID = 101
	targetID = 202
)

// serverSettings are what every server of the benchmark has, the source's as the contenders'.
func serverSettings(product testrig.Product, poolBytes int64, gtid bool, id int) []string {
	settings := []string{
		"server-id=" + strconv.Itoa(id), "innodb-flush-log-at-trx-commit=0", "sync-binlog=0",
		"innodb-buffer-pool-size=" + strconv.FormatInt(poolBytes, 10), "max-connections=200", "max-binlog-size=1G",
	}
	if product == testrig.MariaDB {
		return append(settings, "innodb-log-file-size=1G")
	}
	settings = append(settings, "innodb-redo-log-capacity=1G")
	if !gtid {
		settings = append(settings, "gtid-mode=OFF", "enforce-gtid-consistency=OFF")
	}
	return settings
}

// drive commits n transactions over all writers. do makes the i-th one, all but BEGIN and COMMIT; where it
// becomes the victim of a deadlock it is made again.
func (s *source) drive(n int, do func(w *writer, i int) error) error {
	var next atomic.Int64
	group, ctx := errgroup.WithContext(s.ctx)
	for thread := range writers {
		group.Go(func() error {
			w, err := s.writer(ctx, thread)
			if err != nil {
				return err
			}
			defer w.conn.Close()
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				if err := w.transaction(ctx, int(i), do); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

func (s *source) writer(ctx context.Context, thread int) (*writer, error) {
	conn, err := s.Connect(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{conn: conn, random: rand.New(rand.NewPCG(1, uint64(thread))), thread: thread}
	return w, w.exec("USE " + database)
}

// writer is one connection of a load, with random numbers of its own. It belongs to one goroutine.
type writer struct {
	conn   *client.Conn
	random *rand.Rand
	thread int
}

// transaction commits do's i-th transaction.
func (w *writer) transaction(ctx context.Context, i int, do func(w *writer, i int) error) error {
	for ctx.Err() == nil {
		err := w.exec("BEGIN")
		if err == nil {
			err = do(w, i)
		}
		if err == nil {
			err = w.exec("COMMIT")
		}
		if !again(err) {
			return err
		}
		if err := w.exec("ROLLBACK"); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// again tells whether the server ended a transaction so that others could go on: deadlock, lock wait timeout,
// record changed since last read (MariaDB 11).
func again(err error) bool {
	var e *mysql.MyError
	return errors.As(err, &e) && (e.Code == mysql.ER_LOCK_DEADLOCK || e.Code == mysql.ER_LOCK_WAIT_TIMEOUT || e.Code == mysql.ER_CHECKREAD)
}

// exec runs one statement.
func (w *writer) exec(format string, args ...any) error {
	statement := fmt.Sprintf(format, args...)
	result, err := w.conn.Execute(statement)
	if err != nil {
		return fmt.Errorf("run %.200q: %w", statement, err)
	}
	result.Close()
	return nil
}

// integers are the integers in the first column of what a query returns.
func (w *writer) integers(format string, args ...any) ([]int64, error) {
	statement := fmt.Sprintf(format, args...)
	result, err := w.conn.Execute(statement)
	if err != nil {
		return nil, fmt.Errorf("run %.200q: %w", statement, err)
	}
	defer result.Close()
	all := make([]int64, result.RowNumber())
	for i := range all {
		if all[i], err = result.GetInt(i, 0); err != nil {
			return nil, fmt.Errorf("run %.200q: %w", statement, err)
		}
	}
	return all, nil
}

// text is n random digits and dashes, as sysbench writes them: they compress badly and hold nothing that needs
// quotes.
func (w *writer) text(n int) string {
	const letters = "0123456789-"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[w.random.IntN(len(letters))]
	}
	return string(b)
}

// fill inserts n rows into a table, many a statement. row writes the values of row i, without parentheses.
func (s *source) fill(table string, n int, row func(w *writer, i int) string) error {
	w, err := s.writer(s.ctx, 0)
	if err != nil {
		return err
	}
	defer w.conn.Close()
	const perStatement = 200
	for i := 0; i < n; {
		statement := []byte("INSERT INTO " + table + " VALUES ")
		for end := min(i+perStatement, n); i < end; i++ {
			statement = append(statement, '(')
			statement = append(statement, row(w, i)...)
			statement = append(statement, "),"...)
		}
		if err := w.exec("%s", statement[:len(statement)-1]); err != nil {
			return err
		}
	}
	return nil
}

// keepLogs moves the binary logs of a stopped source to dir and returns their new paths.
func keepLogs(s *testrig.Local, dir string) ([]string, error) {
	files, err := s.BinlogFiles()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	for i, file := range files {
		files[i] = filepath.Join(dir, filepath.Base(file))
		if err := os.Rename(file, files[i]); err != nil {
			return nil, fmt.Errorf("keep binary log: %w", err)
		}
	}
	return files, nil
}
