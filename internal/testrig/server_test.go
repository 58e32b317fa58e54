package testrig

import (
	"context"
	"strings"
	"testing"
	"time"
)

func mustStart(t *testing.T, h *Host, spec ServerSpec) *Server {
	t.Helper()
	server, err := h.StartServer(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return server
}

func mustQuery(t *testing.T, s *Server, statement string) []map[string]string {
	t.Helper()
	rows, err := s.Query(t.Context(), statement)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

func TestServersAnswer(t *testing.T) {
	rig := For(t)
	for _, product := range []Product{MySQL, MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			host := mustAdd(t, rig, HostSpec{Name: string(product), Products: []Product{product}})[0]
			begin := time.Now()
			server := mustStart(t, host, ServerSpec{Product: product})
			t.Logf("started in %s", time.Since(begin))
			row := mustQuery(t, server, "SELECT 1; SELECT @@datadir AS datadir, @@hostname AS name, '<a>&\n' AS text, NULL AS missing")[0]
			if _, found := row["missing"]; found || len(row) != 3 || row["datadir"] != "/var/lib/mysql/" ||
				row["name"] != string(product) || row["text"] != "<a>&\n" {
				t.Errorf("got %q", row)
			}
			if out := mustExec(t, host, "mysql -BNe 'SELECT current_user()'"); out != "root@localhost\n" {
				t.Errorf("root by socket is %q", out)
			}
			_, err := server.Query(t.Context(), "SELECT nonsense")
			if err == nil || !strings.Contains(err.Error(), "1054") {
				t.Errorf("an unknown column gives %v", err)
			}
		})
	}
}

// mysqld as each way of starting it looks from the host.
func TestWaysToStart(t *testing.T) {
	const listens = "ss -Hltn 'sport = :3306' | head -n 1 | wc -l"
	rig := For(t)
	for _, c := range []struct {
		name  string
		spec  ServerSpec
		probe string
		want  string
	}{
		{"usual-mysql", ServerSpec{Product: MySQL}, "ps -C ld-linux-x86-64 -o comm=;" + listens, "ld-linux-x86-64\n1\n"},
		{"usual-mariadb", ServerSpec{Product: MariaDB}, "ps -C mariadbd -o comm=;" + listens, "mariadbd\n1\n"},
		{"own-name", ServerSpec{Product: MySQL, OwnName: true}, "ps -C mysqld -o comm=; readlink /proc/$(pgrep -x mysqld)/exe", "mysqld\n/opt/mysql/sbin/mysqld\n"},
		{"other-name", ServerSpec{Product: MySQL, ProcessName: "dbengine"}, "readlink /proc/$(pgrep -x dbengine)/exe; pgrep -f 'm[y]sqld ' || true", "/usr/local/sbin/dbengine\n"},
		{"other-name-mariadb", ServerSpec{Product: MariaDB, ProcessName: "dbengine"}, "readlink /proc/$(pgrep -x dbengine)/exe", "/usr/local/sbin/dbengine\n"},
		{"socket-only", ServerSpec{Product: MySQL, SkipNetworking: true}, listens, "0\n"},
		{"own-network", ServerSpec{Product: MariaDB, OwnNetwork: true},
			listens + "; nsenter --net --target $(pgrep -x mariadbd) ss -Hltn 'sport = :3306' | head -n 1 | wc -l", "0\n1\n"},
		{"private-mount", ServerSpec{Product: MySQL, PrivateMount: true, OwnName: true},
			"find / -xdev -name ibdata1; nsenter --mount --target $(pgrep -x mysqld) ls /var/lib/mysql/ibdata1", "/var/lib/mysql/ibdata1\n"},
		{"no-client", ServerSpec{Product: MariaDB, NoClient: true}, "command -v mysql || command -v mariadb || echo none", "none\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			host := mustAdd(t, rig, HostSpec{Name: c.name, Products: []Product{c.spec.Product}})[0]
			server := mustStart(t, host, c.spec)
			if out := mustExec(t, host, c.probe); out != c.want {
				t.Errorf("%s\ngot  %q\nwant %q", c.probe, out, c.want)
			}
			mustQuery(t, server, "SELECT 1")
			if err := server.Kill(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestTwoServersOnAHost(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "db1", Products: []Product{MySQL, MariaDB}})[0]
	first := mustStart(t, host, ServerSpec{Product: MySQL})
	second := mustStart(t, host, ServerSpec{Product: MariaDB, Port: 3307})
	row := mustQuery(t, second, "SELECT @@datadir AS datadir, @@port AS port, @@socket AS socket")[0]
	if row["datadir"] != "/var/lib/mysql-3307/" || row["port"] != "3307" || row["socket"] != "/run/mysqld/mysqld-3307.sock" {
		t.Errorf("the second server says %q", row)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if second.Running() || !first.Running() {
		t.Error("stopping one server did not leave exactly the other")
	}
}

func TestStopKillPause(t *testing.T) {
	rig := For(t)
	host := mustAdd(t, rig, HostSpec{Name: "db1", Products: []Product{MySQL}})[0]
	server := mustStart(t, host, ServerSpec{Product: MySQL})
	mustQuery(t, server, "INSERT INTO app.writes (note) VALUES ('kept')")
	for name, end := range map[string]func(context.Context) error{"stop": server.Stop, "kill": server.Kill} {
		if err := end(t.Context()); err != nil {
			t.Fatal(err)
		}
		if server.Running() {
			t.Errorf("it runs after %s", name)
		}
		if err := server.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows := mustQuery(t, server, "SELECT note FROM app.writes"); len(rows) != 1 {
			t.Errorf("after %s the table holds %v", name, rows)
		}
	}
	if err := server.Pause(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := server.Query(ctx, "SELECT 1"); ctx.Err() == nil {
		t.Errorf("a paused server answers: %v", err)
	}
	if err := server.Resume(); err != nil {
		t.Fatal(err)
	}
	mustQuery(t, server, "SELECT 1")
}

func TestReplicationUnderTraffic(t *testing.T) {
	rig := For(t)
	for _, c := range []struct {
		product  Product
		readOnly string
	}{{MySQL, "@@super_read_only"}, {MariaDB, "@@read_only"}} {
		t.Run(string(c.product), func(t *testing.T) {
			name := string(c.product)
			hosts := mustAdd(t, rig, HostSpec{Name: name + "1", Products: []Product{c.product}}, HostSpec{Name: name + "2", Products: []Product{c.product}})
			primary := mustStart(t, hosts[0], ServerSpec{Product: c.product})
			replica := mustStart(t, hosts[1], ServerSpec{Product: c.product})
			if err := Replicate(t.Context(), primary, replica); err != nil {
				t.Fatal(err)
			}
			traffic, err := primary.Traffic(t.Context(), TrafficSpec{Clients: 2, WritesPerSecond: 100, Idle: 1})
			if err != nil {
				t.Fatal(err)
			}
			if rows := mustQuery(t, primary, "SELECT id FROM information_schema.processlist WHERE user = 'app'"); len(rows) != 3 {
				t.Errorf("%d connections of app, want 3", len(rows))
			}
			if err := waitUntil(t.Context(), "clients write", func() (bool, string, error) { return traffic.Sent() >= 20, "", nil }); err != nil {
				t.Fatal(err)
			}
			if err := traffic.Stop(); err != nil {
				t.Fatal(err)
			}
			if err := replica.WaitCaughtUp(t.Context(), primary); err != nil {
				t.Fatal(err)
			}
			const count = "SELECT COUNT(*) AS n FROM app.writes"
			there, here := mustQuery(t, primary, count)[0]["n"], mustQuery(t, replica, count)[0]["n"]
			if there != here || there == "0" {
				t.Errorf("primary has %s rows, replica %s", there, here)
			}
			if on := mustQuery(t, replica, "SELECT "+c.readOnly+" AS ro")[0]["ro"]; on != "1" {
				t.Errorf("%s of the replica is %s", c.readOnly, on)
			}
		})
	}
}
