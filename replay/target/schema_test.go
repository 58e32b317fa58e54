package target

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// brief is what a test says of a table; columns are numbered from 0.
type brief struct {
	Columns  []string
	Key      []int
	Unique   []int // UniqueColumns
	Unsafe   bool
	Computed bool
	Checked  bool
	Ordered  string
	NotTx    bool
}

func briefOf(t *Table) brief {
	b := brief{Key: t.Key, Unique: t.UniqueColumns(), Unsafe: t.UniqueUnsafe, Computed: t.Computed, Checked: t.Checked, Ordered: t.Ordered, NotTx: t.NotTransactional}
	for _, c := range t.Columns {
		b.Columns = append(b.Columns, c.Name)
	}
	return b
}

// definition is a table and what is to be known of it.
type definition struct {
	sql  string // with %s for the name
	want brief
}

// definitions of both servers.
var definitions = map[string]definition{
	"plain":  {"CREATE TABLE %s (id INT PRIMARY KEY, a INT, b INT, UNIQUE (a, b))", brief{Columns: []string{"id", "a", "b"}, Key: []int{0}, Unique: []int{0, 1, 2}}},
	"order":  {"CREATE TABLE %s (a INT, b INT, c INT, PRIMARY KEY (c, a DESC))", brief{Columns: []string{"a", "b", "c"}, Key: []int{2, 0}, Unique: []int{0, 2}}},
	"no key": {"CREATE TABLE %s (a INT, UNIQUE (a))", brief{Columns: []string{"a"}, Unique: []int{0}}},
	"unique": {"CREATE TABLE %s (a INT, b INT NOT NULL, c VARCHAR(9) NOT NULL, UNIQUE x (a), UNIQUE y (c, b))", brief{Columns: []string{"a", "b", "c"}, Key: []int{2, 1}, Unique: []int{0, 1, 2}}},
	"prefix": {"CREATE TABLE %s (a VARCHAR(200) NOT NULL, b INT, UNIQUE (a(10)))", brief{Columns: []string{"a", "b"}, Unique: []int{0}, Unsafe: true}},
	"two unique": {"CREATE TABLE %s (a INT NOT NULL, b INT NOT NULL, c INT, UNIQUE a (c), UNIQUE z (b), UNIQUE y (a))",
		brief{Columns: []string{"a", "b", "c"}, Key: []int{1}, Unique: []int{0, 1, 2}}},
	"prefix primary": {"CREATE TABLE %s (b INT, a TEXT, PRIMARY KEY (a(10)))", brief{Columns: []string{"b", "a"}, Key: []int{1}, Unique: []int{1}, Unsafe: true}},
	"virtual": {"CREATE TABLE %s (id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL, UNIQUE (v))",
		brief{Columns: []string{"id", "a", "v"}, Key: []int{0}, Unique: []int{0, 2}, Unsafe: true, Computed: true}},
	"stored": {"CREATE TABLE %s (a INT NOT NULL, s INT AS (a + 1) STORED, INDEX (s))", brief{Columns: []string{"a", "s"}, Computed: true}},
	"defaults": {"CREATE TABLE %s (id INT PRIMARY KEY, a INT DEFAULT (RAND() * 10), t TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP)",
		brief{Columns: []string{"id", "a", "t"}, Key: []int{0}, Unique: []int{0}}},
	"invisible":   {"CREATE TABLE %s (id INT PRIMARY KEY, a INT INVISIBLE, b INT)", brief{Columns: []string{"id", "a", "b"}, Key: []int{0}, Unique: []int{0}}},
	"partitioned": {"CREATE TABLE %s (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3", brief{Columns: []string{"id"}, Key: []int{0}, Unique: []int{0}}},
	"partitioned by columns": {"CREATE TABLE %s (a INT, b DATE, c INT) PARTITION BY RANGE COLUMNS (a, b) SUBPARTITION BY KEY (c) SUBPARTITIONS 2 (PARTITION p VALUES LESS THAN (5, MAXVALUE))",
		brief{Columns: []string{"a", "b", "c"}}},
	"partitioned by a month": {"CREATE TABLE %s (a INT, `c``d` DATETIME) PARTITION BY RANGE (EXTRACT(YEAR_MONTH FROM `c``d`)) SUBPARTITION BY HASH (TO_DAYS(`c``d`)) SUBPARTITIONS 2 (PARTITION p VALUES LESS THAN MAXVALUE)",
		brief{Columns: []string{"a", "c`d"}}},
	"partitioned by a difference": {"CREATE TABLE %s (id INT UNSIGNED DEFAULT 20 PRIMARY KEY) PARTITION BY RANGE (id - 10) (PARTITION p VALUES LESS THAN MAXVALUE)",
		brief{Columns: []string{"id"}, Key: []int{0}, Unique: []int{0}, Computed: true}},
	"partitioned by a quotient": {"CREATE TABLE %s (id INT, a DATE, PRIMARY KEY (id, a)) PARTITION BY RANGE (YEAR(a)) SUBPARTITION BY HASH (id DIV 5) SUBPARTITIONS 2 (PARTITION p VALUES LESS THAN MAXVALUE)",
		brief{Columns: []string{"id", "a"}, Key: []int{0, 1}, Unique: []int{0, 1}, Computed: true}},
	"MyISAM":      {"CREATE TABLE %s (id INT PRIMARY KEY) ENGINE=MyISAM", brief{Columns: []string{"id"}, Key: []int{0}, Unique: []int{0}, NotTx: true}},
	"memory":      {"CREATE TABLE %s (id INT, u INT NOT NULL, UNIQUE USING HASH (u)) ENGINE=MEMORY", brief{Columns: []string{"id", "u"}, Key: []int{1}, Unique: []int{1}, NotTx: true}},
	"a.b`c'd\\é日": {"CREATE TABLE %s (`i``d` INT PRIMARY KEY)", brief{Columns: []string{"i`d"}, Key: []int{0}, Unique: []int{0}}},
}

var mysqlDefinitions = map[string]definition{
	"gipk":                   {"CREATE TABLE %s (a INT)", brief{Columns: []string{"my_row_id", "a"}, Key: []int{0}, Unique: []int{0}}}, // with sql_generate_invisible_primary_key
	"check":                  {"CREATE TABLE %s (id INT PRIMARY KEY, a INT CHECK (a > 0), CHECK (id > a) NOT ENFORCED)", brief{Columns: []string{"id", "a"}, Key: []int{0}, Unique: []int{0}, Checked: true}},
	"check, not enforced":    {"CREATE TABLE %s (id INT PRIMARY KEY, a INT CHECK (a > 0) NOT ENFORCED)", brief{Columns: []string{"id", "a"}, Key: []int{0}, Unique: []int{0}}},
	"functional":             {"CREATE TABLE %s (id INT PRIMARY KEY, a INT, b INT, UNIQUE ((a * 2)))", brief{Columns: []string{"id", "a", "b"}, Key: []int{0}, Unique: []int{0, 1, 2}, Unsafe: true, Computed: true}},
	"functional, not unique": {"CREATE TABLE %s (id INT PRIMARY KEY, a INT, INDEX ((a * 2)))", brief{Columns: []string{"id", "a"}, Key: []int{0}, Unique: []int{0}, Computed: true}},
	"multi-valued": {"CREATE TABLE %s (id INT PRIMARY KEY, j JSON, UNIQUE ((CAST(j->'$.a' AS UNSIGNED ARRAY))))",
		brief{Columns: []string{"id", "j"}, Key: []int{0}, Unique: []int{0, 1}, Unsafe: true, Computed: true}},
}

var mariadbDefinitions = map[string]definition{
	"check": {"CREATE TABLE %s (id INT PRIMARY KEY, a INT CHECK (a > 0))", brief{Columns: []string{"id", "a"}, Key: []int{0}, Unique: []int{0}}},
	"hash": {"CREATE TABLE %s (id INT PRIMARY KEY, t TEXT NOT NULL, u VARCHAR(4000), UNIQUE (t), UNIQUE (u))",
		brief{Columns: []string{"id", "t", "u", "DB_ROW_HASH_1", "DB_ROW_HASH_2"}, Key: []int{0}, Unique: []int{0, 1, 2, 3, 4}, Unsafe: true}},
	"hash by order": {"CREATE TABLE %s (a TEXT NOT NULL, b INT NOT NULL, UNIQUE a (a), UNIQUE b (b))",
		brief{Columns: []string{"a", "b", "DB_ROW_HASH_1"}, Key: []int{1}, Unique: []int{0, 1, 2}, Unsafe: true}},
	"versioned": {"CREATE TABLE %s (id INT PRIMARY KEY, t TEXT, UNIQUE (t)) WITH SYSTEM VERSIONING",
		brief{Columns: []string{"id", "t", "row_start", "row_end", "DB_ROW_HASH_1"}, Key: []int{0}, Unique: []int{0, 1, 4}, Unsafe: true, Ordered: "system-versioned"}},
	"versions named": {"CREATE TABLE %s (id INT PRIMARY KEY, s TIMESTAMP(6) AS ROW START, e TIMESTAMP(6) AS ROW END, PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
		brief{Columns: []string{"id", "s", "e"}, Key: []int{0, 2}, Unique: []int{0, 2}, Computed: true, Ordered: "system-versioned"}},
	"period": {"CREATE TABLE %s (id INT, f DATE, t DATE, PERIOD FOR p (f, t), PRIMARY KEY (id, p WITHOUT OVERLAPS))",
		brief{Columns: []string{"id", "f", "t"}, Key: []int{0, 2, 1}, Unique: []int{0, 1, 2}, Ordered: "a period of application time"}},
	"sequence": {"CREATE SEQUENCE %s", brief{Columns: []string{"next_not_cached_value", "minimum_value", "maximum_value", "start_value", "increment",
		"cache_size", "cycle_option", "cycle_count"}, Ordered: "a sequence"}},
}

func TestTable(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, local *testrig.Local, s *Server) {
		all := []map[string]definition{definitions, mysqlDefinitions}
		if local.Product == testrig.MariaDB {
			all[1] = mariadbDefinitions
		}
		c := dial(t, s)
		mustExec(t, c, "CREATE DATABASE app")
		schema := s.Schema()
		defer schema.Close()
		for _, group := range all {
			for name, d := range group {
				if name == "gipk" {
					mustExec(t, c, "SET sql_generate_invisible_primary_key=ON")
				}
				mustExec(t, c, fmt.Sprintf(d.sql, tableName{"app", name}))
				if name == "gipk" {
					mustExec(t, c, "SET sql_generate_invisible_primary_key=OFF")
				}
				table, err := schema.Table(t.Context(), "app", name)
				if err != nil {
					t.Error(err)
					continue
				}
				slices.Sort(d.want.Unique)
				if diff := cmp.Diff(d.want, briefOf(table)); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
				if table.Partitioned != strings.HasPrefix(name, "partitioned") {
					t.Errorf("%s: partitioned: %v", name, table.Partitioned)
				}
			}
		}
		testCache(t, c, schema)
		testSize(t, c, schema)
		testSpeed(t, schema)
		if own, err := schema.Table(t.Context(), "mysql", "proc"); err == nil && own.Ordered == "" {
			t.Error("a table of the server's own can be folded")
		}
	})
}

// testSize holds that a table's size is that of now, not of a day ago.
func testSize(t *testing.T, c *Conn, schema *Schema) {
	mustExec(t, c, "CREATE TABLE app.grows (a INT PRIMARY KEY, b VARCHAR(1000), KEY (b(20)))")
	size := func() uint64 {
		t.Helper()
		schema.Forget()
		table, err := schema.Table(t.Context(), "app", "grows")
		if err != nil {
			t.Fatal(err)
		}
		return table.Bytes
	}
	if empty := size(); empty < 16<<10 || empty > 64<<10 {
		t.Errorf("empty it has %d bytes", empty)
	}
	mustExec(t, c, "INSERT INTO app.grows SELECT n, REPEAT('x', 1000) FROM (WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000) SELECT n FROM s) numbers")
	mustExec(t, c, "ANALYZE TABLE app.grows")
	if full := size(); full < 1<<20 || full > 8<<20 {
		t.Errorf("with a megabyte of rows it has %d bytes", full)
	}
	mustExec(t, c, "DROP TABLE app.grows")
}

// testCache holds that a description stays until Forget, and what cannot be described.
func testCache(t *testing.T, c *Conn, schema *Schema) {
	before, err := schema.Table(t.Context(), "app", "plain")
	if err != nil {
		t.Fatal(err)
	}
	mustExec(t, c, "ALTER TABLE app.plain ADD d INT", "CREATE VIEW app.view AS SELECT 1")
	if same, err := schema.Table(t.Context(), "app", "plain"); same != before || err != nil {
		t.Errorf("the description changed by itself: %v", err)
	}
	schema.Forget()
	if after, err := schema.Table(t.Context(), "app", "plain"); err != nil || len(after.Columns) != 4 {
		t.Errorf("after Forget: %v, %v", after, err)
	}
	_, err = schema.Table(t.Context(), "app", "gone")
	mustRefuse(t, err, "`app`.`gone`", "not on the target", "the backup that the log continues")
	_, err = schema.Table(t.Context(), "app", "view")
	mustRefuse(t, err, "`app`.`view`", "a view")
	mustExec(t, c, fmt.Sprintf("KILL %d", schema.conn.ID))
	schema.Forget()
	if _, err := schema.Table(t.Context(), "app", "plain"); err != nil {
		t.Errorf("after the connection was lost: %v", err)
	}
}

// testSpeed measures a description after a barrier. The bound is for a busy machine; 2 ms is the aim.
func testSpeed(t *testing.T, schema *Schema) {
	const rounds, bound = 20, 100 * time.Millisecond
	start := time.Now()
	for range rounds {
		schema.Forget()
		if _, err := schema.Table(t.Context(), "app", "plain"); err != nil {
			t.Fatal(err)
		}
	}
	each := time.Since(start) / rounds
	t.Logf("%s a table", each)
	if each > bound {
		t.Errorf("%s a table, more than %s", each, bound)
	}
}

func TestForeignKeys(t *testing.T) {
	eachServer(t, testrig.LocalSpec{}, func(t *testing.T, _ *testrig.Local, s *Server) {
		c := dial(t, s)
		mustExec(t, c, "CREATE DATABASE app", "CREATE DATABASE `o-é.日`",
			"CREATE TABLE app.lonely (id INT PRIMARY KEY)",
			"CREATE TABLE app.root (id INT PRIMARY KEY)",
			"CREATE TABLE `o-é.日`.`c.d$` (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES app.root (id))",
			"CREATE TABLE app.grandchild (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES `o-é.日`.`c.d$` (id) ON DELETE SET NULL)",
			"CREATE TABLE app.self (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES self (id) ON DELETE RESTRICT ON UPDATE NO ACTION)")
		schema := s.Schema()
		defer schema.Close()
		for name, want := range map[tableName]foreignGroup{
			{"app", "lonely"}: {}, {"app", "self"}: {name: "`app`.`self`"},
			{"app", "root"}: {"`app`.`grandchild`", true}, {"o-é.日", "c.d$"}: {"`app`.`grandchild`", true}, {"app", "grandchild"}: {"`app`.`grandchild`", true},
		} {
			table, err := schema.Table(t.Context(), name.schema, name.name)
			if err != nil {
				t.Fatal(err)
			}
			if got := (foreignGroup{table.Group, table.Actions}); got != want {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
		for _, action := range []string{"ON DELETE CASCADE", "ON UPDATE CASCADE", "ON UPDATE SET NULL"} {
			mustExec(t, c, "CREATE TABLE app.acts (id INT PRIMARY KEY, r INT, FOREIGN KEY (r) REFERENCES app.lonely (id) "+action+")")
			schema.Forget()
			if table, err := schema.Table(t.Context(), "app", "lonely"); err != nil || !table.Actions {
				t.Errorf("%s is not seen: %v, %v", action, table, err)
			}
			mustExec(t, c, "DROP TABLE app.acts")
		}
	})
}

// A table that the target spells otherwise than the log is known by its foreign keys all the same: passed over, their
// cascades would be lost.
func TestForeignKeysOfLowerCaseNames(t *testing.T) {
	local := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB, Settings: []string{"lower-case-table-names=1"}})
	s := connect(t, Options{Socket: local.Socket, User: "root"})
	mustExec(t, dial(t, s), "CREATE DATABASE App", "CREATE TABLE App.Parent (id INT PRIMARY KEY)",
		"CREATE TABLE App.Child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES App.Parent (id) ON DELETE CASCADE)")
	schema := s.Schema()
	defer schema.Close()
	for _, name := range []string{"Parent", "Child", "child"} {
		table, err := schema.Table(t.Context(), "App", name)
		if err != nil {
			t.Fatal(err)
		}
		if table.Group == "" || !table.Actions {
			t.Errorf("%s: group %q, actions %t", name, table.Group, table.Actions)
		}
	}
}

// Where there is no primary key, the key is the one that the server takes for it, in whatever order its indexes have been
// made and named: that of its before-images under binlog_row_image=MINIMAL.
func TestKeyIsTheServers(t *testing.T) {
	const three = "CREATE TABLE d.%s (a INT NOT NULL, b INT NOT NULL, c INT NOT NULL, d VARCHAR(20) NOT NULL, n INT, UNIQUE q (d(3)), UNIQUE n (n), UNIQUE z (b), UNIQUE y (a))"
	cases := []struct {
		made       []string // with %s for the name
		key        []int
		notMariaDB bool // it looks for rows by another index, and logs whole images
	}{
		{[]string{three}, []int{1}, false},
		{[]string{three, "ALTER TABLE d.%s ADD UNIQUE b (c, a)"}, []int{1}, false},
		{[]string{three, "ALTER TABLE d.%s DROP KEY z, ADD UNIQUE b (b)"}, []int{0}, false},
		{[]string{three, "ALTER TABLE d.%s RENAME KEY z TO zz, RENAME KEY y TO a"}, []int{1}, false},
		{[]string{three, "ALTER TABLE d.%s MODIFY b INT NULL"}, []int{0}, false},
		{[]string{three, "ALTER TABLE d.%s MODIFY b INT NULL", "ALTER TABLE d.%s MODIFY b INT NOT NULL"}, []int{0}, false},
		{[]string{three, "ALTER TABLE d.%s DROP KEY z, DROP KEY y, ADD UNIQUE x (c DESC, b)"}, []int{2, 1}, false},
		{[]string{three, "ALTER TABLE d.%s DROP KEY z, DROP KEY y", "ALTER TABLE d.%s MODIFY n INT NOT NULL"}, []int{4}, true},
		{[]string{three, "ALTER TABLE d.%s ADD PRIMARY KEY (c)"}, []int{2}, false},
	}
	onBoth(t, func(t *testing.T, s *site) {
		s.run("CREATE DATABASE d")
		logged := dial(t, s.server)
		mustExec(t, logged, "SET SESSION binlog_row_image=MINIMAL")
		for i, c := range cases {
			name := fmt.Sprintf("t%d", i)
			for _, sql := range c.made {
				s.run(fmt.Sprintf(sql, name))
			}
			mustExec(t, logged, "INSERT INTO d."+name+" VALUES (1, 2, 3, 'd', 4)", "DELETE FROM d."+name)
		}
		before := map[string]binlog.Bitmap{}
		eachEvent(t, s.Local, func(f *binlog.Format, ev *binlog.Event, cache *binlog.TableCache) (err error) {
			if ev.Type == binlog.TypeTableMap {
				_, err = cache.Parse(f, ev)
			} else if ev.Type.IsRows() {
				var rows binlog.Rows
				if rows, err = binlog.ParseRows(f, ev, cache.Table); err == nil && rows.Kind == binlog.DeleteRows {
					before[rows.Table.Name] = rows.Before
				}
			}
			return err
		})
		schema := s.server.Schema()
		defer schema.Close()
		for i, c := range cases {
			name := fmt.Sprintf("t%d", i)
			table, err := schema.Table(t.Context(), "d", name)
			s.ok(err)
			var server []int
			for column := range table.Columns {
				if before[name].Has(column) {
					server = append(server, column)
				}
			}
			want, image := c.key, slices.Sorted(slices.Values(c.key))
			if c.notMariaDB && s.Product == testrig.MariaDB {
				want, image = nil, []int{0, 1, 2, 3, 4}
			}
			if !slices.Equal(server, image) {
				t.Errorf("%q: the server's before-image has columns %v instead of %v", c.made, server, image)
			}
			if !slices.Equal(table.Key, want) {
				t.Errorf("%q: key %v instead of %v", c.made, table.Key, want)
			}
		}
	})
}
