package binlog

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
)

// words cuts a statement into the words that it begins with. Comments are skipped, what stands in executable
// ones is not: the servers write DROP /*!40005 TEMPORARY */ TABLE.
type words struct {
	sql    []byte
	inside bool // of an executable comment, whose end is skipped like a blank
}

// skip goes to what is neither blank nor comment.
func (w *words) skip() {
	for len(w.sql) > 0 {
		switch c := w.sql[0]; {
		case c == ' ' || c >= '\t' && c <= '\r':
			w.sql = w.sql[1:]
		case c == '#', bytes.HasPrefix(w.sql, []byte("--")) && (len(w.sql) == 2 || w.sql[2] <= ' '):
			_, w.sql, _ = bytes.Cut(w.sql, []byte{'\n'})
		case bytes.HasPrefix(w.sql, []byte("/*!")), bytes.HasPrefix(w.sql, []byte("/*M!")):
			_, w.sql, _ = bytes.Cut(w.sql, []byte{'!'})
			for len(w.sql) > 0 && w.sql[0] >= '0' && w.sql[0] <= '9' {
				w.sql = w.sql[1:]
			}
			w.inside = true
		case bytes.HasPrefix(w.sql, []byte("/*")):
			_, w.sql, _ = bytes.Cut(w.sql[2:], []byte("*/"))
		case w.inside && bytes.HasPrefix(w.sql, []byte("*/")):
			w.sql, w.inside = w.sql[2:], false
		default:
			return
		}
	}
}

// next is the next word in upper case, empty where something else stands. A word longer than any that is
// looked for is cut.
func (w *words) next() string {
	w.skip()
	var word [12]byte
	n := 0
	for n < len(w.sql) {
		c := w.sql[n]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		if (c < 'A' || c > 'Z') && c != '_' && (c < '0' || c > '9') && c != '$' && c < 0x80 {
			break
		}
		if n < len(word) {
			word[n] = c
		}
		n++
	}
	w.sql = w.sql[n:]
	return string(word[:min(n, len(word))])
}

// ended tells whether nothing follows but blanks, comments and a semicolon.
func (w *words) ended() bool {
	w.skip()
	return len(w.sql) == 0 || w.sql[0] == ';'
}

// verbOf finds out what a statement is.
func verbOf(sql []byte) Verb {
	if string(sql) == "BEGIN" { // as both servers write it, before nearly every transaction
		return VerbBegin
	}
	w := words{sql: sql}
	w.skip()
	if len(w.sql) > 0 && w.sql[0] == '(' {
		return VerbDML // (SELECT …)
	}
	switch w.next() {
	case "BEGIN":
		if w.ended() || w.next() == "WORK" && w.ended() {
			return VerbBegin
		}
	case "START":
		if w.next() == "TRANSACTION" {
			return VerbBegin
		}
	case "COMMIT":
		if w.ended() || w.next() == "WORK" && w.ended() {
			return VerbCommit
		}
	case "ROLLBACK":
		return verbOfRollback(&w)
	case "SAVEPOINT":
		return VerbSavepoint
	case "RELEASE":
		if w.next() == "SAVEPOINT" {
			return VerbSavepoint
		}
	case "XA":
		return verbOfXA(w.next())
	case "INSERT", "UPDATE", "DELETE", "REPLACE", "WITH", "SELECT", "DO", "CALL":
		return VerbDML
	case "LOAD":
		if next := w.next(); next == "DATA" || next == "XML" {
			return VerbDML
		}
	case "CREATE":
		next := w.next()
		if next == "OR" && w.next() == "REPLACE" {
			next = w.next()
		}
		if next == "TEMPORARY" {
			return VerbCreateTemporary
		}
	case "DROP":
		if w.next() == "TEMPORARY" {
			return VerbDropTemporary
		}
	case "SET":
		if w.next() == "STATEMENT" && w.skipTo("FOR") { // of MariaDB: SET STATEMENT variable = value, … FOR statement
			if inner := w; inner.next() != "SET" { // it cannot be nested
				return verbOf(w.sql)
			}
		}
	}
	return VerbOther
}

// skipTo goes behind a word, over literals and whatever else stands before it, and tells whether the word is there.
func (w *words) skipTo(word string) bool {
	for w.skip(); len(w.sql) > 0; w.skip() {
		switch quote := w.sql[0]; quote {
		case '\'', '"', '`':
			i := 1
			for ; i < len(w.sql) && w.sql[i] != quote; i++ {
				if w.sql[i] == '\\' && quote != '`' {
					i++
				}
			}
			w.sql = w.sql[min(i+1, len(w.sql)):]
		default:
			left := len(w.sql)
			if w.next() == word {
				return true
			}
			if len(w.sql) == left {
				w.sql = w.sql[1:] // = , @ .
			}
		}
	}
	return false
}

func verbOfRollback(w *words) Verb {
	if w.ended() {
		return VerbRollback
	}
	next := w.next()
	if next == "WORK" {
		if w.ended() {
			return VerbRollback
		}
		next = w.next()
	}
	if next == "TO" {
		return VerbRollbackTo
	}
	return VerbOther
}

func verbOfXA(word string) Verb {
	switch word {
	case "START", "BEGIN":
		return VerbXAStart
	case "END":
		return VerbXAEnd
	case "PREPARE":
		return VerbXAPrepare
	case "COMMIT":
		return VerbXACommit
	case "ROLLBACK":
		return VerbXARollback
	}
	return VerbOther
}

// createsWithRows tells whether a statement is the CREATE TABLE of MySQL's CREATE TABLE … SELECT, which the
// rows follow in the same transaction. Partitions and directories may stand behind what tells it from others. Source:
// WL#13355, MySQL 8.0.21.
func createsWithRows(sql []byte) bool {
	w := words{sql: sql}
	if w.next() != "CREATE" {
		return false
	}
	for w.skipTo("START") {
		if w.next() == "TRANSACTION" {
			return true
		}
	}
	return false
}

// numbered is an option of a table, and no property of a column.
var numbered = regexp.MustCompile(`AUTO_INCREMENT\s*=?\s*[0-9]+`)

// tables finds the word. MySQL knows CREATE TABLE … TABLE t, for SELECT * FROM t.
var tables = regexp.MustCompile(`\bTABLE\b`)

// byPlace tells whether what a statement does may depend on where rows lie in a table that InnoDB numbers itself: it
// numbers them as it finds them, keeps the first of several, takes some of them, or triggers that do so. What is not
// understood does. Rows that a server logs are chosen already.
func byPlace(verb Verb, sql []byte) bool {
	if verb == VerbDML {
		return true
	}
	if verb != VerbOther && verb != VerbCreateTemporary {
		return false
	}
	w := words{sql: sql}
	first, next := w.next(), w.next()
	for next == "OR" || next == "REPLACE" || next == "TEMPORARY" || next == "ONLINE" || next == "OFFLINE" {
		next = w.next()
	}
	text := bytes.ToUpper(sql)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(word string) bool { return bytes.Contains(text, []byte(word)) })
	}
	switch {
	case first == "SET":
		return has("FOR")
	case first == "ANALYZE": // of MariaDB: ANALYZE INSERT … runs it
		return next != "TABLE" && next != "TABLES"
	case first == "CREATE" && next == "TABLE":
		return has("SELECT") || len(tables.FindAll(text, 2)) > 1
	case first == "ALTER" && next == "IGNORE":
		return true
	case first == "ALTER" && next == "TABLE":
		text = numbered.ReplaceAll(text, nil)
		return has("AUTO_INCREMENT", "SERIAL", "NEXT", "ORDER")
	}
	return false
}

// xidOf reads the XID of an XA statement as servers log it: X'67',X”,1, and writes it in lower case.
func xidOf(sql []byte) (string, error) {
	w := words{sql: sql}
	w.next()
	w.next()
	w.skip()
	gtrid, rest, err := hexLiteral(w.sql)
	if err != nil {
		return "", fmt.Errorf("read XID of %q: %w", sql[:min(len(sql), 200)], err)
	}
	bqual, rest, err := hexLiteral(bytes.TrimPrefix(rest, []byte{','}))
	if err != nil {
		return "", fmt.Errorf("read XID of %q: %w", sql[:min(len(sql), 200)], err)
	}
	rest = bytes.TrimPrefix(rest, []byte{','})
	n := 0
	for n < len(rest) && (rest[n] >= '0' && rest[n] <= '9' || n == 0 && rest[n] == '-') {
		n++
	}
	format, err := strconv.ParseInt(string(rest[:n]), 10, 64)
	if err != nil {
		return "", fmt.Errorf("read XID of %q: format id: %w", sql[:min(len(sql), 200)], err)
	}
	return formatXID(gtrid, bqual, format), nil
}

// hexLiteral reads X'…' at the start of text.
func hexLiteral(text []byte) (value, rest []byte, err error) {
	if len(text) < 3 || text[0]|0x20 != 'x' || text[1] != '\'' {
		return nil, text, fmt.Errorf("want X'…'")
	}
	digits, rest, found := bytes.Cut(text[2:], []byte{'\''})
	if !found {
		return nil, text, fmt.Errorf("literal X'… is not closed")
	}
	value, err = hex.DecodeString(string(digits))
	return value, rest, err
}

func formatXID(gtrid, bqual []byte, format int64) string {
	return fmt.Sprintf("X'%x',X'%x',%d", gtrid, bqual, format)
}
