package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"interlock/internal/report"
	"interlock/internal/testrig"

	"github.com/go-mysql-org/go-mysql/client"
	"github.com/go-mysql-org/go-mysql/mysql"
)

// contents is what a server holds, as far as two servers can be compared by it.
type contents struct {
	tables map[string]tableContents // by schema.table
	gtids  string                   // gtid_executed
}

// tableContents is one table: its definition without the counter, the counter, and a digest of all values of all
// rows in the order of the primary key.
type tableContents struct {
	definition string
	counter    string // AUTO_INCREMENT; empty: none
	rows       int64
	digest     string
}

// contentsOf reads every table but the server's own and those that interlock keeps its state in.
func contentsOf(ctx context.Context, server *testrig.Local) (*contents, error) {
	names, err := server.Query(ctx, `SELECT CONCAT(table_schema, '.', table_name) AS name FROM information_schema.tables
		WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema', 'interlock_replay')`)
	if err != nil {
		return nil, err
	}
	gtids, err := server.Query(ctx, "SELECT @@GLOBAL.gtid_executed AS gtids")
	if err != nil {
		return nil, err
	}
	c := &contents{tables: map[string]tableContents{}, gtids: strings.ReplaceAll(gtids[0]["gtids"], "\n", "")}
	conn, err := server.Connect(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for _, row := range names {
		if c.tables[row["name"]], err = tableOf(conn, row["name"]); err != nil {
			return nil, fmt.Errorf("read table %s: %w", row["name"], err)
		}
	}
	if len(c.tables) == 0 {
		return nil, fmt.Errorf("read tables of %s: there are none", server)
	}
	return c, nil
}

func tableOf(conn *client.Conn, name string) (t tableContents, err error) {
	show, err := conn.Execute("SHOW CREATE TABLE " + name)
	if err != nil {
		return t, err
	}
	t.definition = string(show.Values[0][1].AsString())
	show.Close()
	if counter := regexp.MustCompile(` AUTO_INCREMENT=(\d+)`).FindStringSubmatch(t.definition); counter != nil {
		t.definition, t.counter = strings.Replace(t.definition, counter[0], "", 1), counter[1]
	}
	key := regexp.MustCompile(`PRIMARY KEY \(([^)]+)\)`).FindStringSubmatch(t.definition)
	if key == nil {
		return t, errors.New("it has no primary key to read it by")
	}
	digest := sha256.New()
	err = conn.ExecuteSelectStreaming(fmt.Sprintf("SELECT * FROM %s ORDER BY %s", name, key[1]), &mysql.Result{},
		func(row []mysql.FieldValue) error {
			t.rows++
			for i := range row {
				hashValue(digest, &row[i])
			}
			return nil
		}, nil)
	t.digest = hex.EncodeToString(digest.Sum(nil))
	return t, err
}

// hashValue adds a value with its length before it, and NULL unlike any text.
func hashValue(digest hash.Hash, v *mysql.FieldValue) {
	text := "NULL"
	switch value := v.Value().(type) {
	case nil:
	case []byte:
		text = fmt.Sprintf("%d:%s", len(value), value)
	default:
		text = fmt.Sprint(value)
		text = fmt.Sprintf("%d:%s", len(text), text)
	}
	fmt.Fprintf(digest, "%s;", text)
}

// column is one server of a comparison.
type column struct {
	title string
	contents
}

// compare draws what servers hold side by side, the first one being what the others should be, and returns the
// names of what differs. Whole digests, definitions and GTID sets are compared, their beginnings shown.
func compare(w io.Writer, style report.Style, servers []column) (different []string, err error) {
	table := report.Table{Columns: []report.Column{{Title: ""}}}
	names := map[string]bool{}
	for _, s := range servers {
		table.Columns = append(table.Columns, report.Column{Title: s.title})
		for name := range s.tables {
			names[name] = true
		}
	}
	line := func(name string, value func(*contents) (full, shown string)) {
		row := report.Row{{Text: name}}
		want, _ := value(&servers[0].contents)
		for i := range servers {
			full, shown := value(&servers[i].contents)
			tone := report.Good
			if full != want {
				tone = report.Bad
				shown += " DIFFERS"
				different = append(different, name+" of "+servers[i].title)
			}
			row = append(row, report.Cell{Text: shown, Tone: tone})
		}
		table.Rows = append(table.Rows, row)
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		line(name, func(c *contents) (string, string) {
			t, there := c.tables[name]
			if !there {
				return "missing", "missing"
			}
			shown := fmt.Sprintf("%s rows %.10s", report.Count(t.rows), t.digest)
			if t.counter != "" {
				shown += " next " + t.counter
			}
			return fmt.Sprintf("%d %s %s %s", t.rows, t.digest, t.counter, t.definition), shown
		})
	}
	line("gtid_executed", func(c *contents) (string, string) { return c.gtids, shortGTIDs(c.gtids) })
	return different, table.Write(w, style)
}

// shortGTIDs leaves the beginnings of the servers' UUIDs.
func shortGTIDs(set string) string {
	return regexp.MustCompile(`([0-9a-f]{8})-[0-9a-f-]{27}`).ReplaceAllString(set, "$1…")
}

// lastGTID is the number of the last transaction of a server all of whose transactions are its own.
func lastGTID(ctx context.Context, server *testrig.Local) (int64, error) {
	rows, err := server.Query(ctx, "SELECT SUBSTRING_INDEX(@@GLOBAL.gtid_executed, '-', -1) AS number")
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(rows[0]["number"], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read last GTID: %w", err)
	}
	return n, nil
}
