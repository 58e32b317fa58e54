package policy

import (
	"slices"
	"strings"

	"interlock/checks"
)

// connection are the options that say how to reach a server, for all of its client programs. Option files are
// trusted where the client itself looks for them: under /etc and in the home directory. A file elsewhere may
// hold an init-command. Abbreviated options and those with underscores are not known.
const connection = "-u: -p? -h: -P: -S: -C --user= --password? --host= --port= --socket= --protocol= --compress --connect-timeout= --default-character-set= --ssl --ssl-mode= --ssl-ca=file --ssl-cert=file --ssl-key=file --skip-ssl --get-server-public-key --enable-cleartext-plugin --defaults-file= --defaults-extra-file= --defaults-group-suffix= --login-path= --no-defaults --print-defaults"

// mysqlPrograms are the servers' client programs. mysqldump is missing: it locks tables, and with
// --master-data or --flush-logs it does more; so are mysqlcheck, mysqlimport, mysqlslap, mysql_upgrade,
// xtrabackup and the pt- tools.
func mysqlPrograms() []program {
	return []program{
		{names: "mysql mariadb", operands: "text", most: 1, check: mysqlCheck,
			opts: connection + " -ABNEHXbfnqrstUvV -e: -D: --execute= --database= --batch --skip-column-names --column-names --silent --raw --table --vertical --verbose --html --xml --no-auto-rehash --quick --force --no-beep --unbuffered --safe-updates"},
		{names: "mysqladmin mariadb-admin", operands: "text", check: mysqladminCheck,
			opts: connection + " -sfrvEbV -i: -c: -w? --silent --relative --verbose --vertical --no-beep --sleep= --count= --wait?"},
		{names: "mysqlshow mariadb-show", operands: "text", check: defaultsCheck,
			opts: connection + " -ktiv --count --keys --status --show-table-type --verbose"},
		{names: "mysqlbinlog mariadb-binlog", operands: "file",
			opts: "-vHsF -d: -j: --verbose --hexdump --short-form --base64-output= --database= --start-datetime= --stop-datetime= --start-position= --stop-position= --offset= --server-id= --include-gtids= --exclude-gtids= --skip-gtids --verify-binlog-checksum --no-defaults --print-table-metadata --force-if-open"},
		{names: "innochecksum", operands: "file", opts: "-vciS -s: -e: -p: --verbose --count --start-page= --end-page= --page= --page-type-summary --strict-check="},
		{names: "my_print_defaults", operands: "text", opts: "-se -c:file --show --defaults-file=file --defaults-extra-file=file"},
		{names: "mysqldumpslow mariadb-dumpslow", operands: "file", opts: "-adrl -s: -t: -n: -g: -h: -i: -v", check: func(c *call, p *parsed) {
			for _, v := range p.operands {
				if v.kind != exact || !strings.HasPrefix(v.text, "/") || !plainText(v.text) {
					c.cannot(v.span, "Perl opens this file, and a name can be a command to it; give a plain path")
				}
			}
		}},
	}
}

// defaultsCheck holds option files against the places where the client looks by itself.
func defaultsCheck(c *call, p *parsed) {
	for _, g := range p.opts {
		if g.name != "defaults-file" && g.name != "defaults-extra-file" {
			continue
		}
		v := g.value
		ok := v.kind == exact && !strings.Contains(v.text, "..") &&
			(strings.HasPrefix(v.text, "/etc/") || v.text == "/root/.my.cnf" || v.text == "~/.my.cnf" ||
				strings.HasPrefix(v.text, "/home/") && strings.HasSuffix(v.text, "/.my.cnf") && strings.Count(v.text, "/") == 3)
		if !ok {
			c.cannot(g.span, "option file %s may hold an init-command; known are those under /etc and ~/.my.cnf", describe(v))
		}
	}
}

// mysqlCheck takes statements given with -e, or as a here-document, that read.
func mysqlCheck(c *call, p *parsed) {
	defaultsCheck(c, p)
	statements := 0
	for _, g := range p.opts {
		if g.name != "e" && g.name != "execute" {
			continue
		}
		statements++
		if g.value.kind != exact {
			c.destructive(g.value.span, "unknown-value", "the statement is not known beforehand")
			continue
		}
		c.statements(g.value.text, g.value.span)
	}
	if statements > 1 {
		c.cannot(c.span, "of several -e %s may run the last alone, or all as one", c.name.text)
	}
	if statements > 0 && len(c.stdin) > 0 {
		c.cannot(c.span, "which of statement and standard input %s runs is not known", c.name.text)
	}
	if statements > 0 || p.has("V", "version", "help", "print-defaults") {
		return
	}
	if len(c.stdin) != 1 || c.stdin[0] == notText {
		c.cannot(c.span, "%s without -e runs whatever it is fed", c.name.text)
		return
	}
	c.statements(c.stdin[0], c.span)
}

func (c *call) statements(text string, s span) {
	if why := readsOnly(text); why != "" {
		c.destructive(s, "sql", "%s", why)
	}
}

// mysqladmin's commands that read; the short forms are the manual's own.
var mysqladminReads = words("status stat ping processlist proc extended-status ext variables var version ver")

func mysqladminCheck(c *call, p *parsed) {
	defaultsCheck(c, p)
	if len(p.operands) == 0 && !p.has("V", "version", "help", "print-defaults") {
		c.cannot(c.span, "%s without a command", c.name.text)
	}
	for _, v := range p.operands {
		switch {
		case v.kind == exact && mysqladminReads[v.text]:
		case v.is("shutdown"):
			for _, g := range p.opts {
				if (g.name == "h" || g.name == "host") && (g.value.kind != exact || !slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, g.value.text)) {
					c.destructive(g.span, "other-host", "this stops a server on another host, which is not looked at")
				}
			}
			c.add(checks.Disruptive, v.span, "service", "shutdown stops the server")
		default:
			c.cannot(v.span, "%s %s is not known to keep data", c.name.text, describe(v))
		}
	}
}
