package target

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"interlock/internal/testrig"
	"interlock/replay/binlog"
)

// typesOfBoth are column definitions that both servers have.
var typesOfBoth = []string{
	"TINYINT", "TINYINT UNSIGNED", "SMALLINT NOT NULL", "MEDIUMINT UNSIGNED ZEROFILL", "INT", "INT UNSIGNED NOT NULL", "BIGINT", "BIGINT UNSIGNED", "BOOLEAN",
	"FLOAT", "FLOAT(7,3)", "DOUBLE", "DOUBLE UNSIGNED", "DECIMAL(1,0)", "DECIMAL(30,10) UNSIGNED", "DECIMAL(65,30)",
	"BIT", "BIT(8)", "BIT(10)", "BIT(64) NOT NULL", "YEAR", "DATE", "TIME", "TIME(3)", "DATETIME", "DATETIME(6)", "TIMESTAMP NULL", "TIMESTAMP(1) NULL",
	"CHAR(0)", "CHAR(1)", "CHAR(63) CHARACTER SET utf8mb4", "CHAR(64) CHARACTER SET utf8mb4", "CHAR(255) CHARACTER SET utf8mb4", "CHAR(255) CHARACTER SET latin1",
	"BINARY(16)", "BINARY(255)", "VARCHAR(0)", "VARCHAR(63) CHARACTER SET utf8mb4", "VARCHAR(64) CHARACTER SET utf8mb4", "VARCHAR(2000) CHARACTER SET utf8mb4",
	"VARBINARY(255)", "VARBINARY(256)", "TINYTEXT", "TINYBLOB", "TEXT", "TEXT(70000)", "BLOB NOT NULL", "MEDIUMTEXT", "MEDIUMBLOB", "LONGTEXT", "LONGBLOB",
	"JSON", "ENUM('a', 'b')", "ENUM('it''s', 'b\\\\', 'c,d', '\"', 'ü', '\\n')", "SET('a', 'b', 'c')", "GEOMETRY", "POINT NOT NULL", "LINESTRING", "POLYGON",
	"MULTIPOINT", "MULTILINESTRING", "MULTIPOLYGON", "GEOMETRYCOLLECTION", "INT AS (1 + 1) VIRTUAL", "INT AS (1 + 1) STORED", "VARCHAR(9) INVISIBLE",
	enumOf("ENUM", 255), enumOf("ENUM", 256), enumOf("SET", 8), enumOf("SET", 9), enumOf("SET", 17), enumOf("SET", 25), enumOf("SET", 33), enumOf("SET", 64),
}

var typesOfMySQL = []string{"VECTOR(3)", "VECTOR(2000) NOT NULL"}

var typesOfMariaDB = []string{"INET6", "INET4 NOT NULL", "UUID", "TEXT COMPRESSED", "TINYTEXT COMPRESSED", "LONGBLOB COMPRESSED", "VARCHAR(200) COMPRESSED",
	"VARCHAR(255) CHARACTER SET latin1 COMPRESSED", "VARCHAR(256) CHARACTER SET latin1 COMPRESSED", "VARBINARY(300) COMPRESSED", "VARCHAR(2000) CHARACTER SET utf8mb4 COMPRESSED"}

// enumOf is an ENUM or a SET of n values.
func enumOf(kind string, n int) string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("'%d'", i)
	}
	return kind + "(" + strings.Join(values, ",") + ")"
}

// TestFit makes a table of every type and logs a row into it: what the log then says of it must be what the
// target's description says.
func TestFit(t *testing.T) {
	spec := testrig.LocalSpec{Settings: []string{"binlog-row-metadata=FULL", "sql-mode="}}
	eachServer(t, spec, func(t *testing.T, local *testrig.Local, s *Server) {
		types := append(typesOfBoth[:len(typesOfBoth):len(typesOfBoth)], typesOfMySQL...)
		engines := []string{"InnoDB", "MyISAM"}
		if local.Product == testrig.MariaDB {
			types = append(typesOfBoth[:len(typesOfBoth):len(typesOfBoth)], typesOfMariaDB...)
			engines = append(engines, "Aria")
		}
		c := dial(t, s)
		mustExec(t, c, "CREATE DATABASE app")
		made := map[string]string{}
		for i, definition := range types {
			for _, engine := range engines {
				name := fmt.Sprintf("t%d_%s", i, engine)
				made[name] = definition
				// The second column shows a first one whose length was taken for another.
				mustExec(t, c, fmt.Sprintf("CREATE TABLE app.%s (c %s, z INT UNSIGNED) ENGINE=%s", name, definition, engine))
				if err := c.Exec(t.Context(), "INSERT INTO app."+name+" (z) VALUES (1)"); err != nil {
					mustExec(t, c, "INSERT INTO app."+name+" (c, z) VALUES (POINT(1, 2), 1)")
				}
			}
		}
		more := []map[string]definition{definitions, mysqlDefinitions}
		if local.Product == testrig.MariaDB {
			more[1] = mariadbDefinitions
		}
		for _, group := range more {
			for name, d := range group {
				made[name] = d.sql
				if name == "gipk" {
					mustExec(t, c, "SET sql_generate_invisible_primary_key=ON")
				}
				mustExec(t, c, fmt.Sprintf(d.sql, tableName{"app", name}))
				insert := "INSERT INTO " + (tableName{"app", name}).String() + " () VALUES ()"
				switch name {
				case "sequence":
					insert = "SELECT NEXTVAL(app.sequence)"
				case "period":
					insert = "INSERT INTO app.period VALUES (1, '2000-01-01', '2000-01-02')"
				}
				mustExec(t, c, insert)
			}
		}
		layouts := layoutsOf(t, local)
		schema := s.Schema()
		defer schema.Close()
		for name, definition := range made {
			layout := layouts[name]
			if layout == nil {
				t.Errorf("%s (%s) was not logged", name, definition)
				continue
			}
			table, err := schema.Table(t.Context(), "app", name)
			if err != nil {
				t.Error(err)
				continue
			}
			if err := table.Fit(layout); err != nil {
				t.Errorf("%.80s: %v", definition, err)
			}
		}
		testMisfits(t, schema, layouts)
	})
}

// testMisfits fits every layout to the table of every other type: it may fit only where the types are the same
// to a table map.
func testMisfits(t *testing.T, schema *Schema, layouts map[string]*binlog.Table) {
	fits := 0
	for a, layout := range layouts {
		for b, other := range layouts {
			if !strings.HasSuffix(a, "_InnoDB") || !strings.HasSuffix(b, "_InnoDB") {
				continue
			}
			table, err := schema.Table(t.Context(), "app", b)
			if err != nil {
				t.Fatal(err)
			}
			same := layout.SameLayout(other) && layout.Unsigned.Has(0) == other.Unsigned.Has(0)
			if layout.SameLayout(other) && !same && !(&table.Columns[0]).signed() {
				t.Fatalf("%s and %s differ in sign alone, and have none", a, b)
			}
			err = table.Fit(layout)
			if same && err != nil {
				t.Errorf("the layout of %s is that of %s and does not fit: %v", a, b, err)
			}
			if !same && err == nil && layout.Columns[0].Type != binlog.ColBit {
				t.Errorf("the layout of %s fits %s", a, b)
			}
			if err == nil {
				fits++
			}
		}
	}
	if fits < len(typesOfBoth) {
		t.Errorf("only %d fits", fits)
	}
}

func TestMisfitSays(t *testing.T) {
	table := &Table{Schema: "app", Name: "t", Columns: []Column{
		{Name: "id", DataType: "int", definition: "int unsigned", Unsigned: true},
		{Name: "v", DataType: "varchar", definition: "varchar(20)", octets: 80, Nullable: true},
	}}
	good := func() *binlog.Table {
		unsigned := binlog.NewBitmap(2)
		unsigned.Set(0)
		return &binlog.Table{Columns: []binlog.Column{{Type: binlog.ColLong}, {Type: binlog.ColVarchar, Meta: 80, Nullable: true}},
			Unsigned: unsigned, HasUnsigned: true, ColumnNames: []string{"id", "v"}}
	}
	if err := table.Fit(good()); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*binlog.Table){
		"column 2, `v`: the log has VARCHAR of 40 bytes, the target varchar(20) (VARCHAR of 80 bytes)": func(b *binlog.Table) { b.Columns[1].Meta = 40 },
		"column 2, `v`: the log has it as NOT NULL, the target as nullable":                            func(b *binlog.Table) { b.Columns[1].Nullable = false },
		"column 1, `id`: the log has BIGINT":                                                           func(b *binlog.Table) { b.Columns[0].Type = binlog.ColLongLong },
		"column 1, `id`: the log has it as signed, the target as unsigned":                             func(b *binlog.Table) { b.Unsigned[0] = 0 },
		"column 1, `id`: the log calls it `key`":                                                       func(b *binlog.Table) { b.ColumnNames[0] = "key" },
		"the log has 1 columns, the target 2":                                                          func(b *binlog.Table) { b.Columns = b.Columns[:1] },
		"the log has 3 columns, the target 2":                                                          func(b *binlog.Table) { b.Columns = append(b.Columns, b.Columns[0]) },
	} {
		layout := good()
		change(layout)
		mustRefuse(t, table.Fit(layout), "`app`.`t`", want, "restore the backup")
	}
	table.Columns[1].DataType, table.Columns[1].definition = "hologram", "hologram(3)"
	mustRefuse(t, table.Fit(good()), "hologram(3)", "not known")
}

// layoutsOf are the last layouts of all tables in a server's log.
func layoutsOf(t *testing.T, local *testrig.Local) map[string]*binlog.Table {
	t.Helper()
	layouts := map[string]*binlog.Table{}
	eachEvent(t, local, func(f *binlog.Format, ev *binlog.Event, cache *binlog.TableCache) error {
		if ev.Type != binlog.TypeTableMap {
			return nil
		}
		table, err := cache.Parse(f, ev)
		if err == nil {
			layouts[table.Name] = table
		}
		return err
	})
	return layouts
}

// eachEvent reads a server's log.
func eachEvent(t *testing.T, local *testrig.Local, see func(*binlog.Format, *binlog.Event, *binlog.TableCache) error) {
	t.Helper()
	files, err := local.BinlogFiles()
	if err != nil {
		t.Fatal(err)
	}
	log, err := binlog.Open(t.Context(), files, binlog.OpenOptions{TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := log.Read(binlog.Position{})
	if err != nil {
		t.Fatal(err)
	}
	var cache binlog.TableCache
	for {
		if _, err := r.Next(t.Context()); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		for ev, err := range r.Events(t.Context()) {
			if err == nil {
				err = see(r.Format(), ev, &cache)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
