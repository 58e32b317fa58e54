package main

import (
	"context"
	"fmt"
	"strings"

	"interlock/internal/testrig"
)

// The rows that the backup holds.
const (
	benchTables = 3
	benchRows   = 8_000 // each
	customers   = 2_000
	products    = 200
)

// schema is a small shop beside tables as sysbench has them: secondary indexes, a unique column, a foreign key
// that deletes by itself, counters.
func schema() string {
	var b strings.Builder
	b.WriteString(`CREATE DATABASE shop; USE shop;
CREATE TABLE customers (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE,
	name VARCHAR(60) NOT NULL, balance DECIMAL(12,2) NOT NULL DEFAULT 0, KEY (name));
CREATE TABLE stock (product INT UNSIGNED NOT NULL PRIMARY KEY, pieces INT NOT NULL, sold BIGINT NOT NULL DEFAULT 0);
CREATE TABLE orders (id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, customer INT UNSIGNED NOT NULL,
	state ENUM('new','paid','shipped') NOT NULL DEFAULT 'new', total DECIMAL(10,2) NOT NULL,
	placed TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (customer), KEY (state, placed));
CREATE TABLE items (order_id INT UNSIGNED NOT NULL, line TINYINT UNSIGNED NOT NULL, product INT UNSIGNED NOT NULL,
	pieces INT NOT NULL, PRIMARY KEY (order_id, line), KEY (product),
	FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
`)
	for n := range benchTables {
		fmt.Fprintf(&b, "CREATE TABLE sbtest%d (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL DEFAULT 0,\n"+
			"	c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', KEY k_%[1]d (k));\n", n+1)
	}
	return b.String()
}

// fill makes the tables and their first rows.
func fill(ctx context.Context, server *testrig.Local) error {
	const sequence = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) "
	var b strings.Builder
	b.WriteString(schema())
	b.WriteString("SET SESSION cte_max_recursion_depth = 1000000;\n")
	insert := func(table, columns, values string, rows int) {
		fmt.Fprintf(&b, "INSERT INTO %s (%s) "+sequence+"SELECT %s FROM n;\n", table, columns, rows, values)
	}
	insert("customers", "email, name, balance", "CONCAT('c', i, '@example.net'), CONCAT('Customer ', i), 100", customers)
	insert("stock", "product, pieces", "i, 100000", products)
	for n := range benchTables {
		insert(fmt.Sprintf("sbtest%d", n+1), "k, c, pad", "(i * 7919) % 5000, REPEAT(LEFT(SHA2(i, 256), 40), 3), LEFT(SHA2(-i, 256), 60)", benchRows)
	}
	_, err := server.Exec(ctx, b.String())
	return err
}
