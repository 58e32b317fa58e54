package checks

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/internal/testrig"
)

// ask1 is the single instance that a host reports.
func ask1(t *testing.T, h *testrig.Host) Instance {
	t.Helper()
	a := ask(t, h, accounts[0], checkOf())
	if a.report == nil || len(a.report.Instances) != 1 {
		t.Fatalf("%s: %v", h.Name, a)
	}
	return a.report.Instances[0]
}

// value is what a server itself says.
func value(t *testing.T, s *testrig.Server, expression string) string {
	t.Helper()
	rows, err := s.Query(t.Context(), "SELECT "+expression+" AS v")
	if err != nil || len(rows) != 1 {
		t.Fatalf("%v, %v", rows, err)
	}
	return strings.NewReplacer("\n", "", `\n`, "").Replace(rows[0]["v"])
}

// connected holds that a source names the addresses of its replicas as it sees them.
func connected(t *testing.T, source Instance, replicas ...*testrig.Host) {
	t.Helper()
	var got, want []string
	for _, address := range source.Dumps {
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			t.Errorf("a replica is connected from %q: %v", address, err)
		}
		got = append(got, host)
	}
	for _, h := range replicas {
		want = append(want, h.Addr.String())
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("replicas are connected from %v, want %v", got, want)
	}
}

// A MySQL source says where its replicas are and its GTID set whole, however long: the server's own SHOW VARIABLES cuts it at
// 1024 characters. Beyond 128 KiB the set is no set.
func TestWholeSetOfGTIDs(t *testing.T) {
	rig := testrig.For(t)
	hosts, err := rig.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MySQL}},
		testrig.HostSpec{Name: "db2", Products: []testrig.Product{testrig.MySQL}})
	if err != nil {
		t.Fatal(err)
	}
	var s [2]*testrig.Server
	for i, h := range hosts {
		s[i] = startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL})
	}
	if err := testrig.Replicate(t.Context(), s[0], s[1]); err != nil {
		t.Fatal(err)
	}
	add := func(first, n int) {
		sets := make([]string, n)
		for i := range sets {
			sets[i] = fmt.Sprintf("%08x-0000-0000-0000-000000000000:1-%d", first+i, 1+i)
		}
		query(t, s[1], "SET GLOBAL gtid_purged='+"+strings.Join(sets, ",")+"'")
	}
	for _, n := range []int{1, 40, 1000} {
		add(n<<16, n)
		in := ask1(t, hosts[1])
		if want := value(t, s[1], "@@GLOBAL.gtid_executed"); in.GTIDExecuted != want || want == "" {
			t.Errorf("after %d more: %d characters, want %d: %.200s", n, len(in.GTIDExecuted), len(want), in.GTIDExecuted)
		}
	}
	add(1<<30, 3000)
	if in := ask1(t, hosts[1]); !strings.HasSuffix(in.GTIDExecuted, ",cut") || in.State != Replica {
		t.Errorf("a set of %d characters came as one of %d, ending in %q, on a %s", len(value(t, s[1], "@@GLOBAL.gtid_executed")), len(in.GTIDExecuted),
			in.GTIDExecuted[max(0, len(in.GTIDExecuted)-8):], in.State)
	}
	in := ask1(t, hosts[0])
	connected(t, in, hosts[1])
	if len(in.Replicas) != 1 || in.Replicas[0].UUID != value(t, s[1], "@@server_uuid") || in.Group != nil {
		t.Errorf("replicas %+v, group %+v", in.Replicas, in.Group)
	}
}

// A MariaDB server says its positions by domain and by server.
func TestPositionsOfMariaDB(t *testing.T) {
	rig := testrig.For(t)
	hosts, err := rig.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MariaDB}},
		testrig.HostSpec{Name: "db2", Products: []testrig.Product{testrig.MariaDB}})
	if err != nil {
		t.Fatal(err)
	}
	var s [2]*testrig.Server
	for i, h := range hosts {
		s[i] = startServer(t, h, testrig.ServerSpec{Product: testrig.MariaDB})
	}
	if err := testrig.Replicate(t.Context(), s[0], s[1]); err != nil {
		t.Fatal(err)
	}
	query(t, s[0], "CREATE DATABASE one; CREATE DATABASE two")
	if err := s[1].WaitCaughtUp(t.Context(), s[0]); err != nil {
		t.Fatal(err)
	}
	// What the replica writes by itself, in a domain of its own: strict mode forbids it in the source's.
	query(t, s[1], "SET GLOBAL read_only=OFF; SET gtid_domain_id=7; CREATE DATABASE mine; SET GLOBAL read_only=ON")
	connected(t, ask1(t, hosts[0]), hosts[1])
	for i, h := range hosts {
		in := ask1(t, h)
		for name, got := range map[string]string{
			"current_pos": in.GTIDExecuted, "binlog_pos": in.GTIDBinlogPos, "slave_pos": in.GTIDSlavePos, "binlog_state": in.GTIDBinlogState,
		} {
			if want := value(t, s[i], "@@GLOBAL.gtid_"+name); got != want {
				t.Errorf("%s: gtid_%s %q, want %q", h.Name, name, got, want)
			}
		}
		if i == 1 && (!strings.Contains(in.GTIDBinlogState, fmt.Sprintf("7-%d-", s[1].ServerID)) || in.GTIDSlavePos == "") {
			t.Errorf("what it wrote by itself is not in %+v", in)
		}
	}
}

// Members of Group Replication say what the group is and who is in it, as each of them sees it.
func TestGroupReplicationFacts(t *testing.T) {
	rig := testrig.For(t)
	hosts, err := rig.AddHosts(t.Context(), testrig.HostSpec{Name: "db1", Products: []testrig.Product{testrig.MySQL}},
		testrig.HostSpec{Name: "db2", Products: []testrig.Product{testrig.MySQL}})
	if err != nil {
		t.Fatal(err)
	}
	const name = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
	seeds := fmt.Sprintf("%s:33061,%s:33061", hosts[0].Addr, hosts[1].Addr)
	var s [2]*testrig.Server
	for i, h := range hosts {
		s[i] = startServer(t, h, testrig.ServerSpec{Product: testrig.MySQL, Settings: []string{
			"plugin-load-add=group_replication.so", "group-replication-group-name=" + name, "group-replication-start-on-boot=OFF",
			fmt.Sprintf("group-replication-local-address=%s:33061", h.Addr), "group-replication-group-seeds=" + seeds,
			"group-replication-ip-allowlist=AUTOMATIC", "report-host=" + h.Addr.String(), "group-replication-recovery-get-public-key=ON",
		}})
	}
	join := fmt.Sprintf("START GROUP_REPLICATION USER='%s', PASSWORD='%s'", testrig.ReplUser, testrig.ReplUser)
	query(t, s[0], "RESET BINARY LOGS AND GTIDS; SET GLOBAL group_replication_bootstrap_group=ON; "+join+"; SET GLOBAL group_replication_bootstrap_group=OFF")
	query(t, s[1], "RESET BINARY LOGS AND GTIDS; "+join)
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		online, err := s[0].Query(t.Context(), "SELECT MEMBER_ID FROM performance_schema.replication_group_members WHERE MEMBER_STATE='ONLINE'")
		if err == nil && len(online) == 2 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("members online: %v, %v", online, err)
		}
	}
	for i, h := range hosts {
		a := expect(t, h, checkOf(), Primary, "group-member")
		in := a.report.Instances[0]
		g := in.Group
		role := []string{"PRIMARY", "SECONDARY"}[i]
		if g == nil || g.Kind != GroupReplication || g.Name != name || g.Size != 2 || g.State != "ONLINE" || g.Role != role || !g.SinglePrimary || in.GroupMember != "ONLINE" {
			t.Errorf("%s: group %+v", h.Name, g)
			continue
		}
		seen := map[string]GroupMember{}
		for _, m := range g.Members {
			seen[m.UUID] = m
		}
		for j := range s {
			want := GroupMember{UUID: value(t, s[j], "@@server_uuid"), Host: hosts[j].Addr.String(), Port: 3306, State: "ONLINE", Role: []string{"PRIMARY", "SECONDARY"}[j]}
			if got := seen[want.UUID]; got != want {
				t.Errorf("%s sees %+v, want %+v", h.Name, got, want)
			}
		}
	}
	// One that left is of no group; what it holds is still there.
	query(t, s[1], "STOP GROUP_REPLICATION")
	if in := ask1(t, hosts[1]); in.Group != nil || in.GroupMember != "" {
		t.Errorf("after it left: %+v", in)
	}
}
