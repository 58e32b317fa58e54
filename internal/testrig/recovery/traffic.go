package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"interlock/internal/testrig"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
	"golang.org/x/sync/errgroup"
)

// clients is how many connections write at once.
const clients = 4

// traffic commits transactions over several connections and returns how many fell to a deadlock and were
// rolled back. In the middle of it one connection alters a table under the others.
func traffic(ctx context.Context, server *testrig.Local, transactions int) (deadlocks int64, err error) {
	var left, lost, lastOrder atomic.Int64
	left.Store(int64(transactions))
	group, ctx := errgroup.WithContext(ctx)
	for n := range clients {
		group.Go(func() error {
			conn, err := server.Connect(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			w := &writer{conn: conn, random: rand.New(rand.NewPCG(1, uint64(n))), lastOrder: &lastOrder}
			if err := w.exec("USE shop"); err != nil {
				return err
			}
			for {
				switch now := left.Add(-1); {
				case now < 0:
					return nil
				case now == int64(transactions/2):
					err = w.exec("ALTER TABLE orders ADD COLUMN note VARCHAR(100) NOT NULL DEFAULT '', ADD KEY (total)")
				default:
					err = w.transaction()
				}
				if isDeadlock(err) {
					lost.Add(1)
					left.Add(1)
					err = w.exec("ROLLBACK")
				}
				if err != nil {
					return err
				}
			}
		})
	}
	err = group.Wait()
	return lost.Load(), err
}

func isDeadlock(err error) bool {
	var e *mysql.MyError
	return errors.As(err, &e) && (e.Code == mysql.ER_LOCK_DEADLOCK || e.Code == mysql.ER_LOCK_WAIT_TIMEOUT)
}

// writer is one connection of the traffic.
type writer struct {
	conn      *client.Conn
	random    *rand.Rand
	lastOrder *atomic.Int64
}

func (w *writer) exec(statements ...string) error {
	for _, sql := range statements {
		result, err := w.conn.Execute(sql)
		if err != nil {
			return fmt.Errorf("traffic: %q: %w", sql, err)
		}
		result.Close()
	}
	return nil
}

// transaction is one of the shop's.
func (w *writer) transaction() error {
	switch n := w.random.IntN(100); {
	case n < 45:
		return w.order()
	case n < 85:
		return w.sysbench()
	case n < 91:
		return w.exec(fmt.Sprintf("DELETE FROM orders WHERE id = %d", w.recentOrder()))
	case n < 96:
		first := w.recentOrder()
		return w.exec(fmt.Sprintf("UPDATE orders SET state = IF(state = 'new', 'paid', 'shipped') WHERE id BETWEEN %d AND %d", first, first+9))
	default:
		return w.swapEmails()
	}
}

// order places one: customers and products that many order are hot rows.
func (w *writer) order() error {
	if err := w.exec("BEGIN"); err != nil {
		return err
	}
	customer, total := w.hot(customers), w.random.IntN(20_000)
	result, err := w.conn.Execute(fmt.Sprintf("INSERT INTO orders (customer, total) VALUES (%d, %d.%02d)", customer, total/100, total%100))
	if err != nil {
		return fmt.Errorf("traffic: place order: %w", err)
	}
	id := result.InsertId
	result.Close()
	w.lastOrder.Store(int64(id))
	first := w.hot(products - 1)
	return w.exec(
		fmt.Sprintf("INSERT INTO items (order_id, line, product, pieces) VALUES (%d, 1, %d, 1), (%[1]d, 2, %d, 3)", id, first, first+1),
		fmt.Sprintf("UPDATE customers SET balance = balance - %d.%02d WHERE id = %d", total/100, total%100, customer),
		fmt.Sprintf("UPDATE stock SET pieces = pieces - 2, sold = sold + 2 WHERE product IN (%d, %d)", first, first+1),
		"COMMIT")
}

// sysbench is oltp_write_only's transaction.
func (w *writer) sysbench() error {
	table := fmt.Sprintf("sbtest%d", 1+w.random.IntN(benchTables))
	id := 1 + w.random.IntN(benchRows)
	return w.exec("BEGIN",
		fmt.Sprintf("UPDATE %s SET k = k + 1 WHERE id = %d", table, w.hot(benchRows)),
		fmt.Sprintf("UPDATE %s SET c = '%s' WHERE id = %d", table, w.text(), w.hot(benchRows)),
		fmt.Sprintf("DELETE FROM %s WHERE id = %d", table, id),
		fmt.Sprintf("INSERT INTO %s (id, k, c, pad) VALUES (%d, %d, '%s', 'again') ON DUPLICATE KEY UPDATE k = k + 1", table, id, w.random.IntN(5000), w.text()),
		"COMMIT")
}

// swapEmails gives two customers each other's address, through a third value since they are unique.
func (w *writer) swapEmails() error {
	a := 1 + w.random.IntN(customers-1)
	b := a + 1
	err := w.exec("BEGIN", fmt.Sprintf("SELECT email INTO @a FROM customers WHERE id = %d FOR UPDATE", a),
		fmt.Sprintf("SELECT email INTO @b FROM customers WHERE id = %d FOR UPDATE", b))
	if err != nil {
		return err
	}
	return w.exec(
		fmt.Sprintf("UPDATE customers SET email = CONCAT('moving', %d) WHERE id = %d", b, b),
		fmt.Sprintf("UPDATE customers SET email = @b WHERE id = %d", a),
		fmt.Sprintf("UPDATE customers SET email = @a WHERE id = %d", b),
		"COMMIT")
}

// hot is a number from 1 to n, the small ones most of the time.
func (w *writer) hot(n int) int {
	f := w.random.Float64()
	return 1 + int(f*f*f*float64(n))
}

func (w *writer) recentOrder() int64 {
	return max(1, w.lastOrder.Load()-int64(w.random.IntN(500)))
}

func (w *writer) text() string {
	return fmt.Sprintf("%016x-%016x-%016x-%016x", w.random.Uint64(), w.random.Uint64(), w.random.Uint64(), w.random.Uint64())
}
