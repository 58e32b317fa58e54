package checks

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// expect checks a host as root and holds state and reasons. A search that did not end in its two seconds, on a machine that
// is busy with other tests, is made again.
func expect(t *testing.T, h *testrig.Host, r Request, want State, codes ...string) answer {
	t.Helper()
	a := ask(t, h, accounts[0], r)
	for tries := 1; tries < 4 && a.has("search-bound") && a.state() != string(want); tries++ {
		r.Nonce = NewNonce()
		a = ask(t, h, accounts[0], r)
	}
	if a.state() != string(want) {
		t.Errorf("want %s: %v", want, a)
	}
	for _, code := range codes {
		if !a.has(code) {
			t.Errorf("reason %s is missing: %v", code, a)
		}
	}
	return a
}

// What replicating servers and their clients make of a host, for both products.
func TestReplicationStates(t *testing.T) {
	for _, product := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			rig := testrig.For(t)
			hosts, err := rig.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: []testrig.Product{product}},
				testrig.HostSpec{Name: "db2", Products: []testrig.Product{product}}, testrig.HostSpec{Name: "db3", Products: []testrig.Product{product}})
			if err != nil {
				t.Fatal(err)
			}
			var s [3]*testrig.Server
			for i, h := range hosts {
				s[i] = startServer(t, h, testrig.ServerSpec{Product: product})
			}
			expect(t, hosts[0], checkOf(), Primary, "in-use")
			// db1 <- db2 <- db3: db2 is an intermediate source.
			if err := testrig.Replicate(t.Context(), s[0], s[1]); err != nil {
				t.Fatal(err)
			}
			if err := testrig.Replicate(t.Context(), s[1], s[2]); err != nil {
				t.Fatal(err)
			}
			traffic, err := s[0].Traffic(t.Context(), testrig.TrafficSpec{Clients: 1, WritesPerSecond: 20, Idle: 1})
			if err != nil {
				t.Fatal(err)
			}
			a := expect(t, hosts[0], checkOf(), Primary, "has-replicas")
			if in := a.report.Instances[0]; *in.Clients != 2 || len(in.Replicas) != 1 || in.Product != string(product) {
				t.Errorf("primary: %+v", in)
			}
			expect(t, hosts[1], checkOf(), Primary, "has-replicas")
			a = expect(t, hosts[2], checkOf(), Replica)
			if in := a.report.Instances[0]; len(in.Sources) != 1 || in.Sources[0].Host != hosts[1].Addr.String() || in.Sources[0].Lag == nil || a.report.Facts["serving"] != "" {
				t.Errorf("replica: %+v", in)
			}
			served, err := s[2].Traffic(t.Context(), testrig.TrafficSpec{Idle: 1})
			if err != nil {
				t.Fatal(err)
			}
			if a = expect(t, hosts[2], checkOf(), Replica, "serving"); a.report.Facts["serving"] != "1" {
				t.Errorf("a replica with a client: %v", a)
			}
			_ = served.Stop()
			// A broken replica stays one, a writable one does not.
			stop, writable := "STOP REPLICA", "SET GLOBAL super_read_only=OFF; SET GLOBAL read_only=OFF"
			if product == testrig.MariaDB {
				writable = "SET GLOBAL read_only=OFF"
			}
			query(t, s[2], stop)
			expect(t, hosts[2], checkOf(), Replica)
			query(t, s[2], writable)
			expect(t, hosts[2], checkOf(), Primary, "replica-writable")
			_ = traffic.Stop()
			// Its own replica gone, the one in the middle is a replica and no more.
			query(t, s[2], "RESET REPLICA ALL")
			expect(t, hosts[1], checkOf(), Replica)
		})
	}
}

// A server that nobody uses is idle only where that is declared, or known from earlier checks.
func TestIdle(t *testing.T) {
	for _, product := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			rig := testrig.For(t)
			h := addHost(t, rig, "db1", product)
			s := startServer(t, h, testrig.ServerSpec{Product: product})
			short := checkOf()
			short.IdleAfter = 3 * time.Second
			expect(t, h, short, Primary, "in-use")
			time.Sleep(4 * time.Second)
			expect(t, h, short, Idle, "unused")
			expect(t, h, checkOf(), Primary, "in-use") // 15 minutes are not over
			// One connection, short as it was, starts the clock anew; the rig's query is one.
			query(t, s, "SELECT 1")
			expect(t, h, short, Primary, "in-use")
			time.Sleep(4 * time.Second)
			expect(t, h, short, Idle, "unused")
			// A server that was started again owes a new proof.
			if err := s.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, h, short, Stopped, "data-directory")
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, h, short, Primary, "in-use")
			// A monitoring account is no client, but a client that does nothing is.
			monitored := short
			monitored.Clients = []string{testrig.MonitorUser}
			monitor, err := s.Traffic(t.Context(), testrig.TrafficSpec{Idle: 1, User: testrig.MonitorUser})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, h, monitored, Primary, "in-use")
			time.Sleep(4 * time.Second)
			expect(t, h, monitored, Idle, "unused")
			client, err := s.Traffic(t.Context(), testrig.TrafficSpec{Idle: 1})
			if err != nil {
				t.Fatal(err)
			}
			expect(t, h, monitored, Primary, "in-use")
			time.Sleep(4 * time.Second)
			expect(t, h, monitored, Primary, "in-use")
			_, _ = client.Stop(), monitor.Stop()
			if product == testrig.MySQL {
				query(t, s, "SET GLOBAL offline_mode=ON")
				expect(t, h, checkOf(), Idle, "drained")
				query(t, s, "SET GLOBAL offline_mode=OFF; SET GLOBAL super_read_only=ON")
				expect(t, h, checkOf(), Idle, "drained")
				client, err := s.Traffic(t.Context(), testrig.TrafficSpec{Idle: 1})
				if err != nil {
					t.Fatal(err)
				}
				expect(t, h, checkOf(), Primary, "in-use")
				_ = client.Stop()
			}
		})
	}
}

// A server is seen whatever it is called and wherever it hides.
func TestWaysToHide(t *testing.T) {
	for name, c := range map[string]struct {
		spec  testrig.ServerSpec
		state State
	}{
		"by ld.so":       {testrig.ServerSpec{Product: testrig.MySQL}, Primary},
		"own name":       {testrig.ServerSpec{Product: testrig.MySQL, OwnName: true}, Primary},
		"renamed":        {testrig.ServerSpec{Product: testrig.MySQL, ProcessName: "dbworker"}, Unknown},
		"mariadb":        {testrig.ServerSpec{Product: testrig.MariaDB}, Primary},
		"socket only":    {testrig.ServerSpec{Product: testrig.MySQL, SkipNetworking: true}, Primary},
		"own network":    {testrig.ServerSpec{Product: testrig.MySQL, OwnNetwork: true}, Primary},
		"private mount":  {testrig.ServerSpec{Product: testrig.MySQL, PrivateMount: true}, Primary},
		"other port":     {testrig.ServerSpec{Product: testrig.MySQL, Port: 3399}, Primary},
		"no client":      {testrig.ServerSpec{Product: testrig.MySQL, NoClient: true}, Unknown},
		"mariadb hidden": {testrig.ServerSpec{Product: testrig.MariaDB, ProcessName: "dbworker", OwnNetwork: true, SkipNetworking: true}, Unknown},
	} {
		t.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			rig := testrig.For(t)
			h := addHost(t, rig, "db1", c.spec.Product)
			s := startServer(t, h, c.spec)
			a := expect(t, h, checkOf(), c.state)
			if a.report == nil || len(a.report.Instances) != 1 || a.report.Instances[0].PID == 0 {
				t.Errorf("not one server: %v", a)
			}
			if c.spec.NoClient {
				execOn(t, h, "rm -r /opt/mysql/bin")
				expect(t, h, checkOf(), Unknown, "no-client")
			}
			// Stopped by a signal, it is there and answers nobody.
			if err := s.Pause(); err != nil {
				t.Fatal(err)
			}
			a = expect(t, h, checkOf(), Unknown)
			if a.took > 10*time.Second {
				t.Errorf("a server that hangs took the check %v", a.took)
			}
			if err := s.Resume(); err != nil {
				t.Fatal(err)
			}
			expect(t, h, checkOf(), c.state)
			if c.spec.PrivateMount {
				return // its data goes with it
			}
			if err := s.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			expect(t, h, checkOf(), Stopped)
		})
	}
}

// Instances are judged one by one, and the worst is the host's state.
func TestSeveralInstances(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "db1", testrig.MySQL)
	first := startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL, SkipNetworking: true})
	second := startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL, Port: 3307, SkipNetworking: true})
	for _, s := range []*testrig.Server{first, second} {
		query(t, s, "SET GLOBAL offline_mode=ON")
	}
	a := expect(t, h, checkOf(), Idle)
	if len(a.report.Instances) != 2 {
		t.Errorf("two servers: %v", a)
	}
	query(t, second, "SET GLOBAL offline_mode=OFF")
	expect(t, h, checkOf(), Primary)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	a = expect(t, h, checkOf(), Primary)
	states := map[State]int{}
	for _, in := range a.report.Instances {
		states[in.State]++
	}
	if states[Stopped] != 1 || states[Primary] != 1 {
		t.Errorf("one stopped, one live: %v", a)
	}
	if err := second.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	a = expect(t, h, checkOf(), Stopped)
	if len(a.report.Instances) != 2 {
		t.Errorf("two data directories: %v", a)
	}
}

// What a server cannot tell to the account that asks makes it unknown, never idle.
func TestAccountWithoutProcess(t *testing.T) {
	for _, product := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			t.Parallel()
			rig := testrig.For(t)
			h := addHost(t, rig, "db1", product)
			s := startServer(t, h, testrig.ServerSpec{Product: product})
			if err := h.WriteFile("/root/.my.cnf", "[client]\nuser=noprocess\npassword=noprocess\n", 0o600); err != nil {
				t.Fatal(err)
			}
			query(t, s, "ALTER USER root@localhost ACCOUNT LOCK")
			r := checkOf()
			r.IdleAfter = time.Second
			expect(t, h, r, Unknown, "no-process-privilege")
			time.Sleep(2 * time.Second)
			expect(t, h, r, Unknown, "no-process-privilege")
			// The monitoring account sees the connections; what else it lacks is named.
			if err := h.WriteFile("/etc/monitor.cnf", "[client]\nuser=monitor\npassword=monitor\n", 0o600); err != nil {
				t.Fatal(err)
			}
			r.DefaultsFile = "/etc/monitor.cnf"
			a := ask(t, h, accounts[0], r)
			if s := a.state(); s != string(Unknown) && s != string(Primary) {
				t.Errorf("as monitor: %v", a)
			}
			if a.state() == string(Unknown) && !a.has("query-denied") {
				t.Errorf("as monitor: %v", a)
			}
			// No login at all.
			if err := h.WriteFile("/root/.my.cnf", "[client]\nuser=nobody\npassword=x\n", 0o600); err != nil {
				t.Fatal(err)
			}
			expect(t, h, checkOf(), Unknown, "no-login")
		})
	}
}

// What is at work on a server or a host rides along, and refuses.
func TestBusy(t *testing.T) {
	rig := testrig.For(t)
	h := addHost(t, rig, "db1", testrig.MySQL)
	s := startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL})
	query(t, s, "XA START 'x'; INSERT INTO app.writes (note) VALUES ('x'); XA END 'x'; XA PREPARE 'x'")
	query(t, s, "SET GLOBAL offline_mode=ON")
	a := expect(t, h, checkOf(), Idle, "busy-xa-prepared")
	if a.report.Facts["busy"] == "" {
		t.Errorf("a prepared transaction: %v", a)
	}
	query(t, s, "XA ROLLBACK 'x'")
	if a = expect(t, h, checkOf(), Idle); a.report.Facts["busy"] != "" {
		t.Errorf("after rollback: %v", a)
	}
	for code, name := range map[string]string{"busy-packages": "dpkg", "busy-backup": "xtrabackup"} {
		execOn(t, h, "cp /usr/bin/sleep /usr/local/bin/"+name+"; setsid -f "+name+" 600 </dev/null >/dev/null 2>&1")
		r := runOf(Disruptive, "true")
		if a = expect(t, h, r, Idle, code); a.report.Verdict != "refuse" {
			t.Errorf("%s: %v", name, a)
		}
		execOn(t, h, "kill $(pidof "+name+")")
	}
	if a = expect(t, h, runOf(Disruptive, "true"), Idle); a.code != 0 {
		t.Errorf("with nothing at work: %v", a)
	}
}

// Proxies and other critical processes refuse like a primary.
func TestProxiesAndCriticalProcesses(t *testing.T) {
	rig := testrig.For(t)
	listen := `exec { "/usr/local/bin/NAME" } "NAME", "-e", 'use Socket; socket(S,2,1,0); setsockopt(S,1,2,1); bind(S,pack("Snx12",2,PORT)) or die; listen(S,1); sleep 600'`
	for name, c := range map[string]struct {
		port int
		want State
		code string
	}{
		"haproxy": {3306, Proxy, "proxy"}, "proxysql": {6033, Proxy, "proxy"}, "worker": {3306, Unknown, "listener-unknown"},
		"our-dbd": {4711, Primary, "critical-process"}, "harmless": {8080, Clear, ""}, "other": {4712, Primary, "critical-process"},
	} {
		h := addHost(t, rig, "h-"+name)
		script := strings.NewReplacer("NAME", name, "PORT", fmt.Sprint(c.port)).Replace(listen)
		if err := h.WriteFile("/tmp/start.pl", script, 0o644); err != nil {
			t.Fatal(err)
		}
		execOn(t, h, "cp /usr/bin/perl /usr/local/bin/"+name+"; setsid -f perl /tmp/start.pl </dev/null >/dev/null 2>&1; "+
			fmt.Sprintf("until grep -q ':%04X 00000000:0000 0A' /proc/net/tcp; do sleep 0.05; done", c.port))
		r := checkOf()
		r.Critical = []Critical{{Name: "our db", Process: "our-dbd"}, {Name: "other db", Port: 4712}}
		a := expect(t, h, r, c.want)
		if c.code != "" && !a.has(c.code) {
			t.Errorf("%s: %v", name, a)
		}
	}
}
