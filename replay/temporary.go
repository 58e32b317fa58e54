package replay

import (
	"bytes"
	"strings"

	"interlock/replay/binlog"
)

// temporaryTables follows which temporary tables are open at the source, by connection. While one is, a run
// that is interrupted cannot be resumed: the table is gone with its session. A statement that is not
// understood leaves them open, which is the safe side.
type temporaryTables map[temporaryTable]bool

type temporaryTable struct {
	thread uint32
	name   string // as written, lower case, qualified by the session's schema
}

func (t temporaryTables) open() bool { return len(t) > 0 }

// see takes over one statement.
func (t temporaryTables) see(q binlog.Query) {
	switch q.Verb {
	case binlog.VerbCreateTemporary:
		names := tableNames(q.SQL)
		if len(names) == 0 {
			names = []string{"?"} // never dropped
		}
		t[temporaryTable{q.ThreadID, qualified(q.Schema, names[0])}] = true
	case binlog.VerbDropTemporary:
		for _, name := range tableNames(q.SQL) {
			delete(t, temporaryTable{q.ThreadID, qualified(q.Schema, name)})
		}
	case binlog.VerbOther:
		// One of them may have another name from here on.
		if t.ofThread(q.ThreadID) && bytes.Contains(bytes.ToUpper(q.SQL), []byte("RENAME")) {
			t[temporaryTable{q.ThreadID, "?"}] = true
		}
	}
}

// ofThread tells whether a connection has one open.
func (t temporaryTables) ofThread(thread uint32) bool {
	for one := range t {
		if one.thread == thread {
			return true
		}
	}
	return false
}

func qualified(schema, name string) string {
	if strings.Contains(name, ".") {
		return strings.ToLower(name)
	}
	return strings.ToLower(schema + "." + name)
}

// tableNames lists the names behind TEMPORARY TABLE [IF [NOT] EXISTS], up to the first word that is no name or comma.
func tableNames(sql []byte) []string {
	_, found, _ := bytes.Cut(bytes.ToUpper(sql), []byte("TEMPORARY"))
	_, found, there := bytes.Cut(found, []byte("TABLE"))
	if !there {
		return nil
	}
	rest := string(sql[len(sql)-len(found):])
	var names []string
	for {
		rest = strings.TrimLeft(rest, " \t\r\n*/")
		if word := strings.ToUpper(rest); strings.HasPrefix(word, "IF ") || strings.HasPrefix(word, "NOT ") || strings.HasPrefix(word, "EXISTS ") || strings.HasPrefix(word, "EXISTS`") {
			rest = rest[strings.IndexAny(rest, " `"):]
			continue
		}
		name, tail := oneName(rest)
		if name == "" {
			return names
		}
		names = append(names, name)
		tail = strings.TrimLeft(tail, " \t\r\n")
		if !strings.HasPrefix(tail, ",") {
			return names
		}
		rest = tail[1:]
	}
}

// oneName reads a.b, `a`.`b` or a mix at the start of s.
func oneName(s string) (name, rest string) {
	for {
		var part string
		if strings.HasPrefix(s, "`") {
			end := 1
			for ; end < len(s) && s[end] != '`' || strings.HasPrefix(s[end:], "``"); end++ {
				if s[end] == '`' {
					end++
				}
			}
			if end >= len(s) {
				return "", s
			}
			part, s = s[1:end], s[end+1:]
		} else {
			end := strings.IndexAny(s, " \t\r\n,(;.`")
			if end < 0 {
				end = len(s)
			}
			part, s = s[:end], s[end:]
		}
		name += part
		if !strings.HasPrefix(s, ".") {
			return name, s
		}
		name, s = name+".", s[1:]
	}
}
