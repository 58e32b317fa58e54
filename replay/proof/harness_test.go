package proof

import (
	"context"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// What is held against the pipe proves something if the pipe is right and differences are found.
func TestHarness(t *testing.T) {
	if testing.Short() {
		t.Skip("the subject is the harness; tests without -short run it")
	}
	eachProduct(t, func(t *testing.T, tr *trio) {
		t.Run("pipe matches source", func(t *testing.T) { pipeMatchesSource(t, tr) })
		t.Run("broken replay is found", func(t *testing.T) { brokenReplayIsFound(t, tr) })
		t.Run("specials are taken", func(t *testing.T) { specialsAreTaken(t, tr) })
		t.Run("compare sees everything", func(t *testing.T) { compareSeesEverything(t, tr) })
	})
}

// A special whose statements the source refuses proves nothing.
func specialsAreTaken(t *testing.T, tr *trio) {
	if err := empty(t.Context(), tr.source, true); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	g := &gen{r: r, more: r, begun: map[string]bool{}, product: tr.setup.product, mix: mix{images: []string{"FULL"}, formats: []string{"ROW"}}}
	if err := g.connect(t.Context(), tr.source, 1); err != nil {
		t.Fatal(err)
	}
	defer g.close()
	if err := g.begin(); err != nil {
		t.Fatal(err)
	}
	const steps = 12
	for _, sp := range specials {
		if sp.begin == nil || sp.only != "" && sp.only != g.product {
			continue
		}
		g.mix.specials, g.ran, g.failed = []string{sp.name}, 0, 0
		before := len(g.history)
		if err := g.special(g.sessions[0]); err != nil {
			t.Fatal(err)
		}
		if g.failed > 0 {
			t.Errorf("%s: the source refuses its tables:\n%s", sp.name, strings.Join(g.history[before:], "\n"))
		}
		for range steps {
			if err := g.special(g.sessions[0]); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("%s: %d statements, %d refused", sp.name, g.ran, g.failed)
		if 2*g.failed > g.ran {
			t.Errorf("%s: the source refuses %d of %d statements:\n%s", sp.name, g.failed, g.ran, strings.Join(g.history[before:], "\n"))
		}
	}
}

// A comparison that misses something proves nothing: each of these is one small difference, and is found.
func compareSeesEverything(t *testing.T, tr *trio) {
	if err := tr.each(func(l *testrig.Local) error { return empty(t.Context(), l, true) }); err != nil {
		t.Fatal(err)
	}
	initial := []string{"CREATE DATABASE d1", "CREATE DATABASE `d 2`",
		"CREATE TABLE d1.t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, f FLOAT, d DOUBLE, s VARCHAR(20) COLLATE utf8mb4_general_ci, b BLOB, e ENUM('a','b'), bits BIT(64), at DATETIME(6), js JSON, dec1 DECIMAL(20,10), KEY k (s))",
		"CREATE TABLE `d 2`.nokey (a INT)",
		"INSERT INTO d1.t VALUES (1, 0.1, 0.1, 'abc', 'x', 'a', b'101', '2026-01-01 00:00:00.000001', '{\"a\": 1}', 1.5), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
		"INSERT INTO `d 2`.nokey VALUES (1), (1), (2)",
		"CREATE VIEW d1.v AS SELECT 1", "CREATE TRIGGER d1.tr BEFORE INSERT ON d1.t FOR EACH ROW SET NEW.f = 1",
		"CREATE PROCEDURE d1.p() SELECT 1", "CREATE USER proof1@localhost"}
	for _, l := range []*testrig.Local{tr.source, tr.pipe} {
		if err := load(t.Context(), l, initial); err != nil {
			t.Fatal(err)
		}
	}
	want, err := readState(t.Context(), tr.source, false)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.tables) != 2 || len(want.tables["`d1`.`t`"].rows) != 2 || len(want.objects) != 4 {
		t.Fatalf("the state has %d tables, %d objects", len(want.tables), len(want.objects))
	}
	for _, c := range []struct{ change, back string }{
		{"SELECT 1", "SELECT 1"}, // the first: nothing differs
		{"UPDATE d1.t SET f = 0.100000009 WHERE id = 1", "UPDATE d1.t SET f = 0.1 WHERE id = 1"},
		{"UPDATE d1.t SET d = 0.1 + 1.4e-17 WHERE id = 1", "UPDATE d1.t SET d = 0.1 WHERE id = 1"},
		{"UPDATE d1.t SET s = 'ABC' WHERE id = 1", "UPDATE d1.t SET s = 'abc' WHERE id = 1"},
		{"UPDATE d1.t SET s = 'abc ' WHERE id = 1", "UPDATE d1.t SET s = 'abc' WHERE id = 1"},
		{"UPDATE d1.t SET s = '' WHERE id = 2", "UPDATE d1.t SET s = NULL WHERE id = 2"},
		{"UPDATE d1.t SET s = 'NULL' WHERE id = 2", "UPDATE d1.t SET s = NULL WHERE id = 2"},
		{"UPDATE d1.t SET b = x'7800' WHERE id = 1", "UPDATE d1.t SET b = 'x' WHERE id = 1"},
		{"UPDATE d1.t SET e = 'b' WHERE id = 1", "UPDATE d1.t SET e = 'a' WHERE id = 1"},
		{"UPDATE d1.t SET bits = b'111' WHERE id = 1", "UPDATE d1.t SET bits = b'101' WHERE id = 1"},
		{"UPDATE d1.t SET at = '2026-01-01 00:00:00.000002' WHERE id = 1", "UPDATE d1.t SET at = '2026-01-01 00:00:00.000001' WHERE id = 1"},
		{"UPDATE d1.t SET js = '{\"a\": 1.5}' WHERE id = 1", "UPDATE d1.t SET js = '{\"a\": 1}' WHERE id = 1"},
		{"UPDATE d1.t SET dec1 = 1.5000000001 WHERE id = 1", "UPDATE d1.t SET dec1 = 1.5 WHERE id = 1"},
		{"INSERT INTO `d 2`.nokey VALUES (2)", "DELETE FROM `d 2`.nokey WHERE a = 2 LIMIT 1"},
		{"DELETE FROM `d 2`.nokey WHERE a = 1 LIMIT 1", "INSERT INTO `d 2`.nokey VALUES (1)"},
		{"ALTER TABLE d1.t DROP KEY k", "ALTER TABLE d1.t ADD KEY k (s)"},
		{"ALTER TABLE d1.t COMMENT 'x'", "ALTER TABLE d1.t COMMENT ''"},
		{"DROP VIEW d1.v", "CREATE VIEW d1.v AS SELECT 1"},
		{"DROP TRIGGER d1.tr", "CREATE TRIGGER d1.tr BEFORE INSERT ON d1.t FOR EACH ROW SET NEW.f = 1"},
		{"DROP PROCEDURE d1.p", "CREATE PROCEDURE d1.p() SELECT 1"},
		{"GRANT SELECT ON d1.* TO proof1@localhost", "REVOKE SELECT ON d1.* FROM proof1@localhost"},
		{"CREATE TABLE d1.more (a INT)", "DROP TABLE d1.more"},
		{"RENAME TABLE `d 2`.nokey TO `d 2`.other", "RENAME TABLE `d 2`.other TO `d 2`.nokey"},
		{"ALTER TABLE d1.t AUTO_INCREMENT = 50", ""},
	} {
		if err := load(t.Context(), tr.pipe, []string{c.change}); err != nil {
			t.Fatal(err)
		}
		got, err := readState(t.Context(), tr.pipe, false)
		if err != nil {
			t.Fatal(err)
		}
		if diff := compare(want, got, true); (len(diff) == 0) != (c.change == c.back) {
			t.Errorf("after %q the comparison finds %q", c.change, diff)
		}
		if c.back == "" {
			continue // the last one: a counter does not go down
		}
		if err := load(t.Context(), tr.pipe, []string{c.back}); err != nil {
			t.Fatal(err)
		}
	}
}

// A replay that leaves out one event of many is found.
func brokenReplayIsFound(t *testing.T, tr *trio) {
	const seed = 5 // any one that the pipe can replay
	g, _, err := tr.prepare(t.Context(), seed)
	if err != nil {
		t.Fatal(err)
	}
	if err := sentinel(t.Context(), tr.source, g.product); err != nil {
		t.Fatal(err)
	}
	files, err := closedLog(t.Context(), tr.source)
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.pipe.Pipe(t.Context(), nil, files...); err != nil {
		t.Fatal(err)
	}
	want, err := readState(t.Context(), tr.pipe, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := replayWithoutLastRows(t.Context(), tr.ours, files); err != nil {
		t.Fatal(err)
	}
	got, err := readState(t.Context(), tr.ours, false)
	if err != nil {
		t.Fatal(err)
	}
	diff := compare(want, got, true)
	if len(diff) == 0 || !slices.ContainsFunc(diff, func(line string) bool { return strings.Contains(line, "sentinel") }) {
		t.Errorf("one event of the log was left out, and the comparison finds %q", diff)
	}
}

// sentinel makes the last row of the log one that nothing else touches.
func sentinel(ctx context.Context, l *testrig.Local, p testrig.Product) error {
	conn, err := l.Connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, statement := range append(sessionStart(p), "SET SESSION binlog_format=ROW", "CREATE TABLE d1.sentinel (a INT PRIMARY KEY)", "INSERT INTO d1.sentinel VALUES (1)") {
		if _, err := conn.Execute(statement); err != nil {
			return err
		}
	}
	return nil
}

// replayWithoutLastRows pipes the log without its last BINLOG statement.
func replayWithoutLastRows(ctx context.Context, l *testrig.Local, files []string) error {
	argv := l.Tools().Command("mysqlbinlog", append([]string{"--no-defaults"}, files...)...)
	text, err := exec.CommandContext(ctx, argv[0], argv[1:]...).Output()
	if err != nil {
		return err
	}
	script := string(text)
	begin := strings.LastIndex(script, "\nBINLOG '")
	end := begin + strings.Index(script[begin:], "/*!*/;")
	if l.Product == testrig.MariaDB {
		end = begin + strings.Index(script[begin:], "'/*!*/;")
	}
	cmd := l.Client(ctx, "--binary-mode")
	cmd.Stdin = strings.NewReader(script[:begin] + "\nDO 0\n" + strings.TrimPrefix(script[end:], "'"))
	return cmd.Run()
}
