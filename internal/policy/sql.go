package policy

import (
	"fmt"
	"slices"
	"strings"
)

// readsOnly tells why the text of one or more SQL statements, as the mysql client reads it, is not known to
// read only; "" when it is.
//
// The reader is strict where server and client, or two settings of sql_mode, read differently: no comments, no
// backslash before a quote or a backslash, no client command at the start of any line.
func readsOnly(text string) string {
	for line := range strings.SplitSeq(text, "\n") {
		first := strings.ToLower(strings.TrimLeft(line, " \t"))
		if i := strings.IndexFunc(first, func(r rune) bool { return !letter(byte(r)) || r > 127 }); i >= 0 {
			first = first[:i]
		}
		if clientCommands[first] {
			return fmt.Sprintf("%s is a command of the client", first)
		}
	}
	tokens, why := sqlTokens(text)
	if why != "" {
		return why
	}
	for len(tokens) > 0 {
		end := slices.IndexFunc(tokens, func(t sqlToken) bool { return t.kind == sqlEnd })
		statement := tokens
		if end >= 0 {
			statement, tokens = tokens[:end], tokens[end+1:]
		} else {
			tokens = nil
		}
		if len(statement) == 0 {
			continue
		}
		if why := statementReads(statement); why != "" {
			return why
		}
	}
	return ""
}

// clientCommands are the words that the mysql client takes for itself at the start of a line; use, status and
// help, which do nothing but that, are judged as statements.
var clientCommands = words(`clear connect delimiter edit ego exit go nopager notee nowarning pager print prompt
	query_attributes quit rehash resetconnection sandbox source ssl_session_data_print system tee warnings charset`)

type sqlKind int

const (
	sqlWord   sqlKind = iota // a bare word, in upper case
	sqlQuoted                // within backquotes or double quotes: an identifier, perhaps
	sqlString
	sqlNumber
	sqlMark // punctuation
	sqlEnd  // ; \G or \g
)

type sqlToken struct {
	kind sqlKind
	text string
}

func sqlTokens(text string) ([]sqlToken, string) {
	s := &scanner{text: text}
	var out []sqlToken
	for !s.done() {
		start, b := s.pos, s.peek()
		kind := sqlMark
		switch {
		case b == ' ' || b == '\t' || b == '\n':
			s.next()
			continue
		case b == '\'' || b == '"' || b == '`':
			if !s.sqlQuoted(b) {
				return nil, "a quoted text that not every server reads alike"
			}
			kind = sqlQuoted
			if b == '\'' {
				kind = sqlString
			}
		case letter(b):
			s.word()
			kind = sqlWord
		case b >= '0' && b <= '9':
			s.word()
			s.skip("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_")
			kind = sqlNumber
		case b == '\\':
			s.next()
			if c := s.next(); c != 'G' && c != 'g' {
				return nil, "a command of the client"
			}
			kind = sqlEnd
		case b == ';':
			s.next()
			kind = sqlEnd
		case strings.HasPrefix(text[s.pos:], "/* "):
			// A plain comment. One with ! or + behind the star is code, and quotes and stars within are not for us.
			end := strings.Index(text[s.pos:], " */")
			if end < 0 || strings.ContainsAny(text[s.pos+2:s.pos+end], "*/;\\'\"`!+\n") {
				return nil, "comments can be code for some servers"
			}
			s.pos += end + 3
			continue
		case b == '#' || strings.HasPrefix(text[s.pos:], "--") || strings.HasPrefix(text[s.pos:], "/*"):
			return nil, "comments can be code for some servers"
		case strings.HasPrefix(text[s.pos:], ":="):
			return nil, "an assignment to a variable"
		case b == '{' || b == '}' || b == '$' || b == ':' || b == '[' || b == ']' || b == '?':
			return nil, fmt.Sprintf("%q is not understood in a statement", b)
		default:
			s.next()
		}
		out = append(out, sqlToken{kind, strings.ToUpper(text[start:s.pos])})
	}
	return out, ""
}

// sqlQuoted skips a quoted text. A backslash before a quote or a backslash ends it or not, by sql_mode.
func (s *scanner) sqlQuoted(quote byte) bool {
	s.next()
	for !s.done() {
		switch b := s.next(); b {
		case '\\':
			if next := s.next(); next == '\\' || next == '\'' || next == '"' || next == '`' || next == 0 {
				return false
			}
		case quote:
			if s.peek() != quote {
				return true
			}
			s.next()
		}
	}
	return false
}

func statementReads(t []sqlToken) string {
	for len(t) > 1 && t[0].text == "(" {
		t = t[1:]
	}
	first := t[0]
	if first.kind != sqlWord {
		return "a statement that does not begin with a word"
	}
	word := func(i int) string {
		if i < len(t) && t[i].kind == sqlWord {
			return t[i].text
		}
		return ""
	}
	switch first.text {
	case "SHOW", "SELECT", "WITH":
		return expressions(t, false)
	case "DESC", "DESCRIBE", "EXPLAIN":
		i := 1
		for word(i) == "EXTENDED" || word(i) == "PARTITIONS" {
			i++
		}
		if word(i) == "FORMAT" && i+2 < len(t) && t[i+1].text == "=" {
			i += 3
		}
		if word(i) == "FOR" && word(i+1) == "CONNECTION" && len(t) == i+3 && t[i+2].kind == sqlNumber {
			return ""
		}
		switch word(i) {
		case "SELECT":
			return expressions(t[i:], false)
		case "UPDATE", "DELETE": // explained, not run
			return expressions(t[i+1:], false)
		}
		if i == 1 && len(t) <= 5 {
			return expressions(t[i:], true) // a table's columns
		}
		return fmt.Sprintf("%s of anything but a SELECT or a table can run it", first.text)
	case "USE":
		if len(t) == 2 {
			return ""
		}
	case "STATUS":
		if len(t) == 1 {
			return ""
		}
	}
	return fmt.Sprintf("%s is not a statement that is known to read only", first.text)
}

// sqlForbidden are words that may not stand anywhere: they write, lock, run something or move a sequence.
// FOR and LOCK catch FOR UPDATE, FOR SHARE and LOCK IN SHARE MODE.
var sqlForbidden = words(`INTO FOR LOCK PROCEDURE ANALYZE INSERT UPDATE DELETE CALL DO HANDLER EXECUTE PREPARE NEXTVAL SETVAL NEXT
	OUTFILE DUMPFILE RETURNING`)

// sqlBeforeParen are the words that may stand before a parenthesis without being functions.
var sqlBeforeParen = words(`SELECT ALL AND ANY AS BETWEEN BY CASE DISTINCT DIV ELSE EXCEPT EXISTS FROM HAVING IN INTERSECT INTERVAL
	AGAINST MATCH IS JOIN KEY LIKE LIMIT MOD NOT ON OR ORDER OVER REGEXP RLIKE SOME THEN UNION USING WHEN WHERE XOR PARTITION
	CHAR VARCHAR DECIMAL BINARY SIGNED UNSIGNED DATETIME TIME COLUMNS INDEX SEPARATOR ASC DESC`)

// sqlFunctions are built in and neither wait, lock, write nor read files. A name that is missing here may be
// a stored or loadable function: SLEEP, BENCHMARK, GET_LOCK, LOAD_FILE and the like are missing on purpose.
var sqlFunctions = words(`ABS ACOS ADDDATE ADDTIME ASCII ASIN ATAN ATAN2 AVG BIN BIN_TO_UUID BIT_AND BIT_COUNT BIT_LENGTH BIT_OR
	BIT_XOR CAST CEIL CEILING CHAR_LENGTH CHARACTER_LENGTH CHARSET COALESCE COERCIBILITY COLLATION CONCAT CONCAT_WS
	CONNECTION_ID CONV CONVERT CONVERT_TZ COS COT COUNT CRC32 CUME_DIST CURDATE CURRENT_DATE CURRENT_ROLE CURRENT_TIME
	CURRENT_TIMESTAMP CURRENT_USER CURTIME DATABASE DATE DATE_ADD DATE_FORMAT DATE_SUB DATEDIFF DAY DAYNAME DAYOFMONTH
	DAYOFWEEK DAYOFYEAR DEGREES DENSE_RANK ELT EXP EXPORT_SET EXTRACT FIELD FIND_IN_SET FIRST_VALUE FLOOR FORMAT
	FORMAT_BYTES FORMAT_PICO_TIME FOUND_ROWS FROM_DAYS FROM_UNIXTIME GREATEST GROUP_CONCAT GROUPING GTID_SUBSET
	GTID_SUBTRACT HEX HOUR IF IFNULL INET_ATON INET_NTOA INET6_ATON INET6_NTOA INSTR ISNULL IS_UUID JSON_ARRAY
	JSON_ARRAYAGG JSON_CONTAINS JSON_CONTAINS_PATH JSON_DEPTH JSON_EXTRACT JSON_KEYS JSON_LENGTH JSON_OBJECT
	JSON_OBJECTAGG JSON_PRETTY JSON_QUOTE JSON_SEARCH JSON_TYPE JSON_UNQUOTE JSON_VALID JSON_VALUE LAG LAST_DAY
	LAST_VALUE LCASE LEAD LEAST LEFT LENGTH LN LOCALTIME LOCALTIMESTAMP LOCATE LOG LOG10 LOG2 LOWER LPAD LTRIM MAKEDATE
	MAKETIME MAX MD5 MICROSECOND MID MIN MINUTE MONTH MONTHNAME NOW NTH_VALUE NTILE NULLIF OCT OCTET_LENGTH ORD
	PERCENT_RANK PERIOD_ADD PERIOD_DIFF PI POSITION POW POWER QUARTER QUOTE RADIANS RANK REGEXP_INSTR REGEXP_LIKE
	REGEXP_REPLACE REGEXP_SUBSTR REPEAT REPLACE REVERSE RIGHT ROUND ROW_COUNT ROW_NUMBER RPAD RTRIM SCHEMA SECOND
	SEC_TO_TIME SESSION_USER SHA SHA1 SHA2 SIGN SIN SOUNDEX SPACE SQRT STD STDDEV STDDEV_POP STDDEV_SAMP STR_TO_DATE
	STRCMP SUBDATE SUBSTR SUBSTRING SUBSTRING_INDEX SUBTIME SUM SYSDATE SYSTEM_USER TAN TIME_FORMAT TIME_TO_SEC TIMEDIFF
	TIMESTAMP TIMESTAMPADD TIMESTAMPDIFF TO_DAYS TO_SECONDS TRIM TRUNCATE UCASE UNHEX UNIX_TIMESTAMP UPPER USER
	UTC_DATE UTC_TIME UTC_TIMESTAMP UUID UUID_TO_BIN VAR_POP VAR_SAMP VARIANCE VERSION WEEK WEEKDAY WEEKOFYEAR YEAR
	YEARWEEK`)

// expressions proves the words of a statement. Names tells that no function may be called at all.
func expressions(t []sqlToken, names bool) string {
	for i, tok := range t {
		if tok.kind == sqlWord && sqlForbidden[tok.text] && !named(t, i) {
			return fmt.Sprintf("%s can do more than read", tok.text)
		}
		if (tok.kind == sqlWord || tok.kind == sqlQuoted) && strings.HasSuffix(strings.Trim(tok.text, "`\""), "_RESET") {
			return "reading ProxySQL's table " + tok.text + " empties it"
		}
		if tok.kind != sqlMark || tok.text != "(" || i == 0 {
			continue
		}
		before := t[i-1]
		switch {
		case names:
			return "a call within a description"
		case before.kind == sqlMark:
			if before.text == "." {
				return "a stored function can do anything"
			}
		case before.kind == sqlWord && i > 1 && t[i-2].text == ".":
			return fmt.Sprintf("stored function %s can do anything", before.text)
		case before.kind == sqlWord && (sqlFunctions[before.text] || sqlBeforeParen[before.text]):
		default:
			return fmt.Sprintf("function %s is not known to read only", before.text)
		}
	}
	return ""
}

// named tells whether the word at i means an object of SHOW: SHOW CREATE PROCEDURE, SHOW PROCEDURE STATUS,
// SHOW GRANTS FOR, SHOW REPLICA STATUS FOR CHANNEL.
func named(t []sqlToken, i int) bool {
	if t[0].text != "SHOW" {
		return false
	}
	switch t[i].text {
	case "PROCEDURE":
		return i == 1 || t[i-1].text == "CREATE"
	case "FOR":
		return !slices.ContainsFunc(t, func(t sqlToken) bool { return t.text == "SELECT" })
	}
	return false
}
