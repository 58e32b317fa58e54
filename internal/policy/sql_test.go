package policy

import "testing"

func TestReadsOnly(t *testing.T) {
	for _, statement := range []string{
		"select 1", "SELECT 1;", "show databases", "SHOW REPLICA STATUS\\G", "select @@hostname, @@global.read_only",
		"select count(*) from app.orders where a in (1,2) and b like 'x\\_%'", "use app; select 1 from t", "status",
		"show grants for 'app'@'%'", "explain select * from t", "explain format=json select 1", "desc app.orders",
		"explain for connection 12", "select `a b` from `t`", "select 'it''s'", "select max(a), if(b, 1, 2) from (select 1) x",
		"with n as (select 1) select * from n", "(select 1) union (select 2)", "select 1 /* why */", "show create procedure app.p",
		"select user, host from mysql.user", "select 1\\Gselect 2\\G", "explain update t set a = 1", "",
		"select concat(round(sum(data_length)/1024/1024, 1), ' MB') from information_schema.tables group by table_schema",
	} {
		if why := readsOnly(statement); why != "" {
			t.Errorf("%q: %s", statement, why)
		}
	}
	for _, statement := range []string{
		"delete from t", "select 1; drop table t", "select 1 into outfile '/tmp/x'", "select 1 into @x", "select * from t for update",
		"select * from t lock in share mode", "select * from t for share", "select sleep(1)", "select get_lock('a', 1)",
		"select benchmark(1, 1)", "select load_file('/etc/passwd')", "select sys_exec('x')", "select @a := 1", "set global read_only=0",
		"call p()", "select app.f(1)", "select `f`(1)", "select \"f\"(1)", "select f (1)", "explain analyze select 1", "describe analyze select 1",
		"/*! drop table t */", "select 1 /*!50000 , sleep(1) */", "select 1 /*+ set_var(a=1) */", "select 1 -- ' \n; drop table t", "select 1 # '\n; drop table t",
		"select 'a\\'; drop table t; -- '", "select 'a\\\\'; drop table t", "\\! rm x", "\\. x", "\\T x", "\\P cat", "source x", "system rm x",
		"select 1\nsystem rm x", "select 'a\n\\! rm x", "delimiter x", "tee x", "pager x", "select 1; \\! rm x", "flush tables", "kill 1",
		"stop replica", "shutdown", "with n as (select 1) delete from t", "select nextval(s)", "select next value for s", "select s.nextval",
		"select * from stats_mysql_query_digest_reset", "show tables where sleep(1)", "select 'a", "select * from (select * from t for update) x",
		"handler t open", "do sleep(1)", "select {fn sleep(1)}", "insert into t values (1)", "explain insert into t values (1)", "prepare x from 'y'",
		"checksum table t", "analyze table t", "begin", "select procedure analyse()", "show binlog events where (select 1 for update)",
	} {
		if why := readsOnly(statement); why == "" {
			t.Errorf("%q passes", statement)
		}
	}
}

func TestAwkPrints(t *testing.T) {
	for _, program := range []string{
		"{print $1}", "$3 > 100 {print $1, $2/1024}", "/error|warn/ {n++} END {print n}", "{ if ($1 > 5) n += $1 / 2 } END { printf \"%d > %s\\n\", n, \"x\" }",
		"NR==1 || /[^ ]/", "BEGIN {FS=\":\"} $1 ~ /a\\/b/ {print length($0)}", "!seen[$1]++", "{a[$1]+=$2} END {for (k in a) print k, a[k] / 2}",
	} {
		if !awkPrints(program) {
			t.Errorf("%q does not pass", program)
		}
	}
	for _, program := range []string{
		"BEGIN{system(\"x\")}", "{print > \"f\"}", "{print >> \"f\"}", "{print | \"sh\"}", "{\"x\" | getline}", "{print a,\n\"b\" > \"f\"}",
		"{print \"a;}\" > \"f\"}", "{print /;}/ > \"f\"}", "{printf(\"a\") > \"f\"}", "@load \"x\"", "@include \"x\"", "BEGIN{f=\"system\"; @f(\"x\")}",
		"BEGIN{ARGV[1]=\"/dev/sda\";ARGC=2}", "{print a |& \"x\"}", "(a) /;/ > \"f\"", "{print length /;/ > \"f\"}", "{getline x < \"f\"}", "{print \"a\" \\\n> \"f\"}",
	} {
		if awkPrints(program) {
			t.Errorf("%q passes", program)
		}
	}
}

func TestSedPrints(t *testing.T) {
	for _, script := range []string{
		"p", "1,10p", "$!d", "5q", "/a/,/b/p", "s/a/b/", "s|/a|/b|g", "s/[^ ]*$//; s/x/y/gI", "/^#/d;/^$/d", "y/abc/xyz/", "/a/{p;d}", "s/[[:space:]]*$//", "1~2d", "/a/I,+3p", "",
	} {
		if !sedPrints(script) {
			t.Errorf("%q does not pass", script)
		}
	}
	for _, script := range []string{
		"w f", "s/a/b/w f", "s/a/b/e", "e", "1e rm x", "r f", "R f", "W f", "s/a/b/gw f", "/a/w f", "p;w f", "p\nw f", "{p}w f", "s/[/]/x/;w f#]/x/",
		"s/a/b\\\nw f/", "a\\\nx", ":a", "s/a/b", "y/a/b/w f", "\\,a,w f", "s\\a\\b\\w f", "/[/]/w f", "i x", "F",
	} {
		if sedPrints(script) {
			t.Errorf("%q passes", script)
		}
	}
}
