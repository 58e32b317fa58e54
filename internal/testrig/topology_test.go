package testrig

import "testing"

func TestDemoIsWhatItSays(t *testing.T) {
	rig := For(t)
	demo, err := rig.Build(t.Context(), "demo")
	if err != nil {
		t.Fatal(err)
	}
	if replicas := mustQuery(t, demo.Servers["db1"], "SHOW REPLICAS"); len(replicas) != 2 {
		t.Errorf("db1 has the replicas %v, want two", replicas)
	}
	for name, want := range map[string]string{"db1": "0", "db2": "1", "db3": "1", "db4": "1"} {
		row := mustQuery(t, demo.Servers[name], "SELECT @@super_read_only AS ro, (SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'app') AS clients")[0]
		clients := "0"
		if name == "db1" {
			clients = "4"
		}
		if row["ro"] != want || row["clients"] != clients {
			t.Errorf("%s: super_read_only %s with %s clients, want %s with %s", name, row["ro"], row["clients"], want, clients)
		}
	}
	if out := mustExec(t, rig.Host("app1"), "ls -d /var/lib/mysql /etc/mysql /opt/mysql 2>/dev/null || true"); out != "" {
		t.Errorf("app1 has %q", out)
	}
	if _, err := rig.Build(t.Context(), "nonsense"); err == nil {
		t.Error("an unknown topology was built")
	}
}

func TestMariaDBFleet(t *testing.T) {
	rig := For(t)
	fleet, err := rig.Build(t.Context(), "mariadb")
	if err != nil {
		t.Fatal(err)
	}
	if replicas := mustQuery(t, fleet.Servers["db1"], "SHOW SLAVE HOSTS"); len(replicas) != 2 {
		t.Errorf("db1 has the replicas %v, want two", replicas)
	}
}
