package target

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"interlock/internal/testrig"
)

func TestTogether(t *testing.T) {
	long := "INSERT INTO t VALUES ('" + strings.Repeat("x", packetBytes/2) + "')"
	for _, test := range []struct {
		statements []string
		want       int
	}{
		{[]string{"SET TIMESTAMP=1", "INSERT INTO t VALUES (1)", "update t set a=1", "DELETE FROM t", "REPLACE INTO t VALUES (1)", "USE `d`"}, 6},
		{[]string{"DELETE FROM t -- all of it", "DELETE FROM u # here too", "DELETE FROM v /* and here */", "DELETE FROM w"}, 4},
		{[]string{"SET TIMESTAMP=1, @@session.sql_mode=0", "INSERT INTO t VALUES (1)"}, 1},
		{[]string{"INSERT INTO t VALUES (1)", "SET @@session.character_set_client=33", "INSERT INTO t VALUES (1)"}, 2},
		{[]string{"INSERT INTO t VALUES (1)", "set names gbk", "INSERT INTO t VALUES (1)"}, 2},
		{[]string{"DELETE FROM t", "COMMIT"}, 1},
		{[]string{"START TRANSACTION", "DELETE FROM t"}, 1},
		{[]string{"CREATE TABLE t (id INT)", "DELETE FROM t"}, 1},
		{[]string{"INSERT INTO t VALUES (1);", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t", "DELETE FROM t "}, 1},
		{[]string{"DELETE FROM t", "DELETE FROM t\\", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t", "DELETE FROM \x81", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t", "DELETE FROM t; -- all of it", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t; # all of it", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t; /* all of it */", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t WHERE a = ';'", "DELETE FROM t"}, 2},
		{slices.Repeat([]string{"DELETE FROM t"}, 30), 10},
		{[]string{"", "DELETE FROM t"}, 1},
		{[]string{"SET ", "DELETE FROM t"}, 1},
		{[]string{"DELETE FROM t", long, long}, 2},
		{[]string{long + long, "DELETE FROM t"}, 1},
	} {
		if got := together(test.statements, 10); got != test.want {
			t.Errorf("%q: %d together instead of %d", test.statements, got, test.want)
		}
	}
}

// several is a connection that takes several statements in a packet.
func (s *site) several() *Conn {
	s.t.Helper()
	c, err := s.server.Dial(s.t.Context())
	s.ok(err)
	s.t.Cleanup(func() { c.Close() })
	s.ok(c.takesSeveral(s.t.Context()))
	return c
}

// Statements that go together leave what they leave one by one: each is read, dated and numbered in the session that
// those before it made.
func TestTogetherAsOneByOne(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		var left [2]string
		for i, database := range []string{"single", "packed"} {
			s.run("CREATE DATABASE "+database+" CHARACTER SET latin1",
				"CREATE TABLE "+database+".t (id INT AUTO_INCREMENT PRIMARY KEY, a VARCHAR(200) CHARACTER SET utf8mb4, at DATETIME(6), r DOUBLE, n INT)")
			statements := []string{"SET @@session.sql_mode='', @@session.character_set_client=latin1, @@session.collation_connection=latin1_swedish_ci", "USE " + database}
			insert := "INSERT INTO t (a, at, r, n) VALUES (%s, NOW(6), RAND(), @n)"
			add := func(sets, text string) {
				statements = append(statements, "SET "+sets, fmt.Sprintf(insert, text))
			}
			add("TIMESTAMP=1700000000.000007, INSERT_ID=7, RAND_SEED1=1, RAND_SEED2=2", "'\xe4 ; -- no /* comment'")
			add("@`n`:=5", "'seven'") // without a TIMESTAMP of its own
			add("TIMESTAMP=1700000001, INSERT_ID=40", `'it\'s', NOW(), 1, 2), ('`+`second row'`)
			add("@@session.sql_mode='NO_BACKSLASH_ESCAPES,ANSI_QUOTES'", `'\'`)
			statements = append(statements, `UPDATE "t" SET n = n + 1 WHERE a = '\'`)
			if s.Product == testrig.MariaDB {
				add("@@session.sql_mode='ORACLE'", `'a' || ';'`)
				statements = append(statements, `UPDATE "t" SET n = n + 1 WHERE a = 'a' || ';'`, `DELETE FROM "t" WHERE a = NULL`)
			}
			add("@@session.sql_mode='ANSI,IGNORE_SPACE'", `'x' || ';'`)
			statements = append(statements, `UPDATE "t" SET n = LENGTH (a) WHERE a = 'x;'`, `DELETE FROM "t" WHERE a = NULL`)
			add("@@session.sql_mode=''", `"\"", NOW(), 1, 2), ('\\'`)
			add("@@session.character_set_client=gbk, @@session.collation_connection=gbk_chinese_ci", "'\x81\x5c'")
			add("@@session.character_set_client=sjis", "'\x95\x5c;'")
			add("@@session.character_set_client=utf8mb4, TIMESTAMP=0", "'ı', '2020-01-01', 1, 2), ('end'")
			statements = append(statements, "UPDATE t SET at = NULL WHERE a = 'end' -- its time is now", "DELETE FROM t WHERE a = 'seven' # gone",
				"REPLACE INTO t (id, a, n) SELECT LAST_INSERT_ID() + 1000, ROW_COUNT(), 3")
			c := s.several()
			if i == 0 {
				for _, sql := range statements {
					s.ok(c.Exec(ctx, sql))
				}
			} else {
				packets := 0
				for rest := statements; len(rest) > 0; packets++ {
					rest = rest[together(rest, packetStatements):]
				}
				if 2*packets > len(statements) {
					t.Fatalf("%d statements take %d packets", len(statements), packets)
				}
				ran, err := c.ExecAll(ctx, statements, packetStatements)
				s.ok(err)
				if ran != len(statements) {
					t.Errorf("%d statements of %d ran", ran, len(statements))
				}
			}
			s.ok(c.Close())
			left[i] = s.read("SELECT id, HEX(a), at, r, n FROM " + database + ".t ORDER BY id")
		}
		if left[0] != left[1] || !strings.Contains(left[0], "40,"+fmt.Sprintf("%X", "it's")) {
			t.Errorf("one by one:\n%s\ntogether:\n%s", left[0], left[1])
		}
	})
}

// The first error ends it, and is its own statement's.
func TestTogetherUpToAnError(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		ctx := t.Context()
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, a MEDIUMTEXT)")
		c := s.several()
		statements := []string{"USE d", "INSERT INTO t VALUES (1, '')", "INSERT INTO t VALUES (2, '')", "INSERT INTO t VALUES (1, '')", "INSERT INTO t VALUES (3, '')"}
		for _, n := range []int{1, 2, 5} {
			ran, err := c.ExecAll(ctx, statements[:n], packetStatements)
			want := map[int]int{1: 1, 2: 2, 5: 1}[n]
			if ran != want || (err != nil) != (n == 5) {
				t.Errorf("of %d statements %d ran instead of %d: %v", n, ran, want, err)
			}
		}
		s.expect("SELECT id FROM d.t", "1")
		r := s.open("run")
		b := s.session(r)
		s.refused(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "rows", Transactional: true,
			Steps: []Step{{Statements: []string{"BEGIN"}}, {Statements: []string{"INSERT INTO d.t VALUES (5, '')", "INSERT INTO d.t VALUES (1, '')", "INSERT INTO d.t VALUES (6, '')"}}, {Statements: []string{"COMMIT"}}}}),
			`run "INSERT INTO d.t VALUES (1, '')"`, "1062")
		s.expect("SELECT id FROM d.t", "1")

		// What the server takes for one statement is not two, and is not committed.
		b = s.session(r)
		s.refused(b.Run(ctx, Barrier{Number: 1, GTID: s.next(1), What: "quotes", Transactional: true,
			Steps: []Step{{Statements: []string{"BEGIN"}}, {Statements: []string{"INSERT INTO d.t VALUES (7, '", "SET x')"}}, {Statements: []string{"COMMIT"}}}}),
			"2 statements together", "answered to 1")
		s.ok(b.Close())
		s.expect("SELECT id FROM d.t", "1")

		// One that is longer than a packet of ours, and one after it.
		long := "INSERT INTO d.t VALUES (8, '" + string(bytes.Repeat([]byte("x"), 3*packetBytes)) + "')"
		if ran, err := c.ExecAll(ctx, []string{"DELETE FROM d.t", long, "INSERT INTO d.t VALUES (9, '')"}, packetStatements); ran != 3 || err != nil {
			t.Errorf("%d ran: %v", ran, err)
		}
		s.expect("SELECT id, LENGTH(a) FROM d.t", fmt.Sprintf("8,%d 9,0", 3*packetBytes))
		// A statement may return rows.
		if ran, err := c.ExecAll(ctx, []string{"SELECT * FROM d.t", "DELETE FROM d.t", "SELECT 1"}, packetStatements); ran != 3 || err != nil {
			t.Errorf("%d ran: %v", ran, err)
		}
		// And the connection may be lost on the way.
		id := map[testrig.Product]string{testrig.MySQL: "KILL ", testrig.MariaDB: "KILL HARD "}[s.Product] + fmt.Sprint(c.ID)
		ran, err := c.ExecAll(ctx, []string{"INSERT INTO d.t VALUES (10, '')", "INSERT INTO d.t VALUES (11, '')", id, "INSERT INTO d.t VALUES (12, '')"}, packetStatements)
		if ran != 2 || err == nil {
			t.Errorf("%d ran: %v", ran, err)
		}
		s.expect("SELECT id FROM d.t", "10 11")
	})
}

// A KILL QUERY that comes between two statements of a packet leaves nobody waiting: either one of them was refused, or
// the connection counts as lost, or nothing was killed.
func TestKilledBetweenStatements(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		s.run("CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY, n INT)", "INSERT INTO d.t VALUES (1, 0)")
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		statements := slices.Repeat([]string{"UPDATE d.t SET n = n + 1", "SET @a = 1"}, packetStatements/2)
		var refused, gone, untouched int
		killer, err := s.server.Dial(ctx)
		s.ok(err)
		defer killer.Close()
		for round := 0; round < 3000 && (gone == 0 || refused == 0 || round < 50); round++ {
			c := s.several()
			var killed sync.WaitGroup
			killed.Go(func() {
				time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
				if err := killer.Exec(ctx, fmt.Sprintf("KILL QUERY %d", c.ID)); err != nil {
					t.Error(err)
				}
			})
			var err error
			for range 4 {
				if _, err = c.ExecAll(ctx, statements, packetStatements); err != nil {
					break
				}
			}
			killed.Wait()
			switch {
			case err == nil:
				untouched++
			case errorCode(err) == 1317:
				refused++
			case lost(err):
				gone++
			default:
				t.Fatalf("round %d: %v", round, err)
			}
			s.ok(c.Close())
		}
		t.Logf("%d refused, %d lost, %d untouched", refused, gone, untouched)
		if gone == 0 {
			t.Error("no KILL QUERY came between two statements: nothing was tested")
		}
	})
}
