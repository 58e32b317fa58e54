package main

import "fmt"

// A load in the manner of TPC-C: the same tables tied by foreign keys, fewer columns, and the three
// transactions that write. Rows of the size are warehouses.
const (
	districts = 10  // of a warehouse
	customers = 300 // of a district
	items     = 2000
)

// tpccTables are the tables, parents first. A column of 100 bytes stands for what TPC-C has there.
const tpccTables = `
CREATE TABLE warehouse (w INT, ytd INT NOT NULL, pad CHAR(100) NOT NULL, PRIMARY KEY (w));
CREATE TABLE district (w INT, d INT, ytd INT NOT NULL, next_o INT NOT NULL, pad CHAR(100) NOT NULL, PRIMARY KEY (w, d),
  FOREIGN KEY (w) REFERENCES warehouse (w));
CREATE TABLE customer (w INT, d INT, c INT, balance INT NOT NULL, payments INT NOT NULL, pad VARCHAR(300) NOT NULL, PRIMARY KEY (w, d, c),
  FOREIGN KEY (w, d) REFERENCES district (w, d));
CREATE TABLE stock (w INT, i INT, quantity INT NOT NULL, ytd INT NOT NULL, pad VARCHAR(300) NOT NULL, PRIMARY KEY (w, i),
  FOREIGN KEY (w) REFERENCES warehouse (w));
CREATE TABLE orders (w INT, d INT, o INT, c INT NOT NULL, carrier INT, entry DATETIME(6) NOT NULL, PRIMARY KEY (w, d, o),
  FOREIGN KEY (w, d, c) REFERENCES customer (w, d, c));
CREATE TABLE order_line (w INT, d INT, o INT, n INT, i INT NOT NULL, amount INT NOT NULL, delivered DATETIME(6), pad CHAR(24) NOT NULL, PRIMARY KEY (w, d, o, n),
  FOREIGN KEY (w, d, o) REFERENCES orders (w, d, o) %[1]s,
  FOREIGN KEY (w, i) REFERENCES stock (w, i));
CREATE TABLE history (id BIGINT AUTO_INCREMENT, w INT NOT NULL, d INT NOT NULL, c INT NOT NULL, amount INT NOT NULL, at DATETIME(6) NOT NULL, PRIMARY KEY (id),
  FOREIGN KEY (w, d, c) REFERENCES customer (w, d, c));
`

func prepareTPCC(cascade bool) func(*source) error {
	action := ""
	if cascade {
		action = "ON DELETE CASCADE"
	}
	return func(s *source) error {
		if _, err := s.Exec(s.ctx, "USE "+database+";"+fmt.Sprintf(tpccTables, action)); err != nil {
			return err
		}
		n := s.size.rows
		for _, t := range []struct {
			name string
			rows int
			row  func(w *writer, i int) string
		}{
			{"warehouse", n, func(w *writer, i int) string { return fmt.Sprintf("%d, 0, '%s'", i, w.text(100)) }},
			{"district", n * districts, func(w *writer, i int) string {
				return fmt.Sprintf("%d, %d, 0, 1, '%s'", i/districts, i%districts, w.text(100))
			}},
			{"customer", n * districts * customers, func(w *writer, i int) string {
				return fmt.Sprintf("%d, %d, %d, 0, 0, '%s'", i/customers/districts, i/customers%districts, i%customers, w.text(300))
			}},
			{"stock", n * items, func(w *writer, i int) string {
				return fmt.Sprintf("%d, %d, 50, 0, '%s'", i/items, i%items, w.text(300))
			}},
		} {
			if err := s.fill(t.name, t.rows, t.row); err != nil {
				return err
			}
		}
		return nil
	}
}

// runTPCC mixes new orders, payments and deliveries as TPC-C does (45 : 43 : 4). Where deletes cascade a delivered order
// is taken out instead of marked.
func runTPCC(cascade bool) func(*source) error {
	return func(s *source) error {
		return s.drive(s.size.transactions, func(w *writer, _ int) error {
			t := tpcc{writer: w, w: w.random.IntN(s.size.rows), d: w.random.IntN(districts), c: w.random.IntN(customers)}
			switch p := w.random.IntN(92); {
			case p < 45:
				return t.newOrder()
			case p < 88:
				return t.payment()
			}
			return t.delivery(cascade)
		})
	}
}

// tpcc is one transaction: for a customer of a district of a warehouse.
type tpcc struct {
	*writer
	w, d, c int
}

func (t tpcc) newOrder() error {
	next, err := t.integers("SELECT next_o FROM district WHERE w = %d AND d = %d FOR UPDATE", t.w, t.d)
	if err != nil {
		return err
	}
	if err := t.exec("UPDATE district SET next_o = next_o + 1 WHERE w = %d AND d = %d", t.w, t.d); err != nil {
		return err
	}
	if err := t.exec("INSERT INTO orders VALUES (%d, %d, %d, %d, NULL, NOW(6))", t.w, t.d, next[0], t.c); err != nil {
		return err
	}
	for n := range 5 + t.random.IntN(11) {
		i, amount := t.random.IntN(items), 1+t.random.IntN(10)
		if err := t.exec("UPDATE stock SET quantity = quantity - %d, ytd = ytd + %d WHERE w = %d AND i = %d", amount, amount, t.w, i); err != nil {
			return err
		}
		if err := t.exec("INSERT INTO order_line VALUES (%d, %d, %d, %d, %d, %d, NULL, '%s')", t.w, t.d, next[0], n, i, amount, t.text(24)); err != nil {
			return err
		}
	}
	return nil
}

func (t tpcc) payment() error {
	amount := 1 + t.random.IntN(5000)
	for _, statement := range []string{
		fmt.Sprintf("UPDATE warehouse SET ytd = ytd + %d WHERE w = %d", amount, t.w),
		fmt.Sprintf("UPDATE district SET ytd = ytd + %d WHERE w = %d AND d = %d", amount, t.w, t.d),
		fmt.Sprintf("UPDATE customer SET balance = balance - %d, payments = payments + 1 WHERE w = %d AND d = %d AND c = %d", amount, t.w, t.d, t.c),
		fmt.Sprintf("INSERT INTO history (w, d, c, amount, at) VALUES (%d, %d, %d, %d, NOW(6))", t.w, t.d, t.c, amount),
	} {
		if err := t.exec("%s", statement); err != nil {
			return err
		}
	}
	return nil
}

// delivery delivers the oldest open order of every district of a warehouse.
func (t tpcc) delivery(remove bool) error {
	for d := range districts {
		open, err := t.integers("SELECT o FROM orders WHERE w = %d AND d = %d AND carrier IS NULL ORDER BY o LIMIT 1 FOR UPDATE", t.w, d)
		if err != nil {
			return err
		}
		if len(open) == 0 {
			continue
		}
		which := fmt.Sprintf("WHERE w = %d AND d = %d AND o = %d", t.w, d, open[0])
		statements := []string{"UPDATE orders SET carrier = 1 " + which, "UPDATE order_line SET delivered = NOW(6) " + which}
		if remove {
			statements = []string{"DELETE FROM orders " + which}
		}
		for _, statement := range statements {
			if err := t.exec("%s", statement); err != nil {
				return err
			}
		}
	}
	return nil
}
