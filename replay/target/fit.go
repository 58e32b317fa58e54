package target

import (
	"fmt"
	"strings"

	"interlock/replay/binlog"
)

// Fit tells whether rows of the log's layout are rows of the table: number, types, nullability and sign of
// columns, and their names where the log has them (binlog_row_metadata=FULL). The error names the first column
// that differs and what to do.
func (t *Table) Fit(layout *binlog.Table) error {
	if err := t.fit(layout); err != nil {
		return fmt.Errorf("rows of table %s do not fit: %w (the target must be as it was when the log begins: restore the backup that the log continues)", t, err)
	}
	return nil
}

func (t *Table) fit(layout *binlog.Table) error {
	for i := range min(len(layout.Columns), len(t.Columns)) {
		if err := t.Columns[i].fit(layout, i); err != nil {
			return fmt.Errorf("column %d, %s: %w", i+1, quoteName(t.Columns[i].Name), err)
		}
	}
	if len(layout.Columns) != len(t.Columns) {
		return fmt.Errorf("the log has %d columns, the target %d", len(layout.Columns), len(t.Columns))
	}
	return nil
}

// fit compares the column with column i of the log.
func (c *Column) fit(layout *binlog.Table, i int) error {
	logged := layout.Columns[i]
	want, err := c.layouts()
	if err != nil {
		return err
	}
	fits := false
	for _, one := range want {
		fits = fits || one.Type == logged.Type && one.Meta == logged.Meta
	}
	if !fits {
		return fmt.Errorf("the log has %s, the target %s (%s)", describeLayout(logged), c.definition, describeLayout(want[0]))
	}
	if logged.Nullable != c.Nullable {
		return fmt.Errorf("the log has it as %s, the target as %s", nullability(logged.Nullable), nullability(c.Nullable))
	}
	if layout.HasUnsigned && c.signed() && layout.Unsigned.Has(i) != c.Unsigned {
		return fmt.Errorf("the log has it as %s, the target as %s", sign(layout.Unsigned.Has(i)), sign(c.Unsigned))
	}
	if len(layout.ColumnNames) == len(layout.Columns) && !strings.EqualFold(layout.ColumnNames[i], c.Name) {
		return fmt.Errorf("the log calls it %s", quoteName(layout.ColumnNames[i]))
	}
	return nil
}

func nullability(nullable bool) string {
	if nullable {
		return "nullable"
	}
	return "NOT NULL"
}

func sign(unsigned bool) string {
	if unsigned {
		return "unsigned"
	}
	return "signed"
}

// signed tells whether a table map states the sign of columns of this type.
func (c *Column) signed() bool {
	switch c.DataType {
	case "tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double":
		return true
	}
	return false
}

// layouts are the ways in which a table map may describe the column, the usual one first. Found out on MySQL 9.7
// and MariaDB 10.11 for all types that they have; save_field_metadata of each Field, sql/field.cc, for the rest.
func (c *Column) layouts() ([]binlog.Column, error) {
	if fixed, known := fixedLayout(c.DataType); known {
		return []binlog.Column{fixed}, nil
	}
	one := func(t binlog.ColumnType, meta uint64) []binlog.Column {
		return []binlog.Column{{Type: t, Meta: uint16(meta)}}
	}
	compressed := strings.Contains(c.definition, "compressed*/") || strings.Contains(c.definition, " compressed")
	switch c.DataType {
	case "decimal":
		return one(binlog.ColNewDecimal, c.precision<<8|c.scale), nil
	case "bit":
		// InnoDB keeps whole bytes; an engine with bit fields (MyISAM) keeps the odd bits apart.
		return append(one(binlog.ColBit, (c.precision+7)/8<<8), one(binlog.ColBit, c.precision/8<<8|c.precision%8)...), nil
	case "time", "datetime", "timestamp":
		return c.temporalLayouts()
	case "char", "binary":
		return one(binlog.ColString, c.octets), nil
	case "varchar", "varbinary":
		if compressed {
			return one(binlog.ColVarcharCompressed, c.octets+1), nil // one byte says how it is compressed
		}
		return one(binlog.ColVarchar, c.octets), nil
	case "tinytext", "tinyblob", "text", "blob", "mediumtext", "mediumblob", "longtext", "longblob":
		kind := binlog.ColBlob
		if compressed {
			kind = binlog.ColBlobCompressed
		}
		return one(kind, blobLength(c.DataType)), nil
	case "enum":
		if countValues(c.definition) > 255 {
			return one(binlog.ColEnum, 2), nil
		}
		return one(binlog.ColEnum, 1), nil
	case "set":
		bytes := uint64(countValues(c.definition)+7) / 8
		if bytes > 4 {
			bytes = 8
		}
		return one(binlog.ColSet, bytes), nil
	case "vector":
		// MySQL 9's is a BLOB of its own type. MariaDB 11.7's is a VARBINARY of four bytes a dimension.
		return append(one(binlog.ColVector, 4), one(binlog.ColVarchar, c.octets)...), nil
	default:
		return nil, fmt.Errorf("type %q of the target is not known to this version", c.definition)
	}
}

// fixedLayout knows the types that have the same layout always.
func fixedLayout(dataType string) (binlog.Column, bool) {
	layouts := map[string]binlog.Column{
		"tinyint": {Type: binlog.ColTiny}, "smallint": {Type: binlog.ColShort}, "mediumint": {Type: binlog.ColInt24},
		"int": {Type: binlog.ColLong}, "bigint": {Type: binlog.ColLongLong},
		"float": {Type: binlog.ColFloat, Meta: 4}, "double": {Type: binlog.ColDouble, Meta: 8},
		"year": {Type: binlog.ColYear}, "date": {Type: binlog.ColDate}, "json": {Type: binlog.ColJSON, Meta: 4},
		// MariaDB's own: fixed bytes.
		"inet6": {Type: binlog.ColString, Meta: 16}, "inet4": {Type: binlog.ColString, Meta: 4}, "uuid": {Type: binlog.ColString, Meta: 16},
	}
	for _, spatial := range []string{"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
		"multipolygon", "geomcollection", "geometrycollection"} {
		layouts[spatial] = binlog.Column{Type: binlog.ColGeometry, Meta: 4}
	}
	layout, known := layouts[dataType]
	return layout, known
}

// temporalLayouts are today's form and, where the definition says that the column still has it (MariaDB's
// mysql56_temporal_format=OFF, show_old_temporals in MySQL), the one of before MySQL 5.6.
func (c *Column) temporalLayouts() ([]binlog.Column, error) {
	now := map[string]binlog.ColumnType{"time": binlog.ColTime2, "datetime": binlog.ColDatetime2, "timestamp": binlog.ColTimestamp2}
	before := map[string]binlog.ColumnType{"time": binlog.ColTime, "datetime": binlog.ColDatetime, "timestamp": binlog.ColTimestamp}
	if strings.Contains(c.definition, "mariadb-5.3") || strings.Contains(c.definition, "5.5 binary format") {
		if c.fraction > 0 { // a table map does not say how many bytes they take
			return nil, fmt.Errorf("%s, whose fractions are kept as before MariaDB 10.1.2, is not supported: use mariadb-binlog "+
				"(or ALTER TABLE … FORCE on the source with mysql56_temporal_format=ON, and a new backup)", c.definition)
		}
		return []binlog.Column{{Type: before[c.DataType], Meta: 0}}, nil
	}
	return []binlog.Column{{Type: now[c.DataType], Meta: uint16(c.fraction)}}, nil
}

// blobLength is how many bytes the length of a value takes.
func blobLength(dataType string) uint64 {
	switch {
	case strings.HasPrefix(dataType, "tiny"):
		return 1
	case strings.HasPrefix(dataType, "medium"):
		return 3
	case strings.HasPrefix(dataType, "long"):
		return 4
	}
	return 2
}

// countValues counts the values of enum('a','it”s').
func countValues(definition string) int {
	n, quoted := 0, false
	for i := 0; i < len(definition); i++ {
		if definition[i] != '\'' {
			continue
		}
		if quoted && i+1 < len(definition) && definition[i+1] == '\'' {
			i++
			continue
		}
		if !quoted {
			n++
		}
		quoted = !quoted
	}
	return n
}

// describeLayout says what a table map says, in the words of a column definition.
func describeLayout(c binlog.Column) string {
	names := map[binlog.ColumnType]string{
		binlog.ColTiny: "TINYINT", binlog.ColShort: "SMALLINT", binlog.ColInt24: "MEDIUMINT", binlog.ColLong: "INT",
		binlog.ColLongLong: "BIGINT", binlog.ColFloat: "FLOAT", binlog.ColDouble: "DOUBLE", binlog.ColYear: "YEAR",
		binlog.ColDate: "DATE", binlog.ColJSON: "JSON", binlog.ColGeometry: "GEOMETRY", binlog.ColVector: "VECTOR",
		binlog.ColTime: "TIME of the format before 5.6", binlog.ColDatetime: "DATETIME of the format before 5.6",
		binlog.ColTimestamp: "TIMESTAMP of the format before 5.6",
	}
	if name, plain := names[c.Type]; plain {
		return name
	}
	switch c.Type {
	case binlog.ColNewDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", c.Meta>>8, c.Meta&0xff)
	case binlog.ColBit:
		return fmt.Sprintf("BIT of %d bytes and %d bits", c.Meta>>8, c.Meta&0xff)
	case binlog.ColTime2:
		return fmt.Sprintf("TIME(%d)", c.Meta)
	case binlog.ColDatetime2:
		return fmt.Sprintf("DATETIME(%d)", c.Meta)
	case binlog.ColTimestamp2:
		return fmt.Sprintf("TIMESTAMP(%d)", c.Meta)
	case binlog.ColString:
		return fmt.Sprintf("CHAR of %d bytes", c.Meta)
	case binlog.ColVarchar:
		return fmt.Sprintf("VARCHAR of %d bytes", c.Meta)
	case binlog.ColVarcharCompressed:
		return fmt.Sprintf("compressed VARCHAR of %d bytes", c.Meta)
	case binlog.ColBlob:
		return fmt.Sprintf("BLOB with lengths of %d bytes", c.Meta)
	case binlog.ColBlobCompressed:
		return fmt.Sprintf("compressed BLOB with lengths of %d bytes", c.Meta)
	case binlog.ColEnum:
		return fmt.Sprintf("ENUM of %d bytes", c.Meta)
	case binlog.ColSet:
		return fmt.Sprintf("SET of %d bytes", c.Meta)
	default:
		return fmt.Sprintf("type %d with metadata %d", c.Type, c.Meta)
	}
}
