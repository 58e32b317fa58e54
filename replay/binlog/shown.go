package binlog

import (
	"regexp"
	"strings"
)

// secret is the word behind which a statement may have a password in plain text: MariaDB logs those of accounts as they
// were typed, and so do both for servers (CREATE SERVER) and replication.
var secret = regexp.MustCompile(`(?i)\b(IDENTIFIED|\w*PASSWORD)\b`)

// Shown is the beginning of a statement on one line, for messages and what is kept: without a password.
func Shown(sql string) string {
	const most = 200
	s := strings.ToValidUTF8(sql[:min(len(sql), most)], "?")
	cut := len(sql) > most
	if at := secret.FindStringIndex(s); at != nil && at[1] < len(s) {
		s, cut = s[:at[1]]+" ", true
	}
	s = strings.Join(strings.Fields(s), " ")
	if cut {
		s += "…"
	}
	return s
}
