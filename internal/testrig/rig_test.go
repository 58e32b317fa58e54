package testrig

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// traces is what of a rig can be seen on the machine: mounts, namespaces, links, folders, processes.
func traces(t *testing.T, name string, number int, hosts []*Host) []string {
	t.Helper()
	var found []string
	for line := range strings.Lines(readAll(t, "/proc/self/mountinfo")) {
		if strings.Contains(line, filepath.Join(stateRoot, name)+"/") {
			found = append(found, "mount "+line)
		}
	}
	links, err := filepath.Glob(fmt.Sprintf("/sys/class/net/%s*", bridgeName(number)))
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		if base := filepath.Base(link); base == bridgeName(number) || strings.HasPrefix(base, bridgeName(number)+"-") {
			found = append(found, "link "+base)
		}
	}
	if _, err := os.Stat(filepath.Join(stateRoot, name)); err == nil {
		found = append(found, "folder "+name)
	}
	namespaces := map[string]string{}
	for _, h := range hosts {
		for _, kind := range []string{"net", "pid", "mnt", "uts"} {
			if ns, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", h.init.pid, kind)); err == nil {
				namespaces[ns] = h.Name
			}
		}
	}
	files, err := filepath.Glob("/proc/[0-9]*/ns/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if ns, err := os.Readlink(file); err == nil && namespaces[ns] != "" && !zombie(file) {
			found = append(found, fmt.Sprintf("process %s in %s of %s", file, ns, namespaces[ns]))
		}
	}
	return found
}

// zombie tells whether the process of a /proc/PID/ns/KIND has ended: the machine's init, not the rig, reaps
// the orphans of a killed owner.
func zombie(ns string) bool {
	stat, err := os.ReadFile(filepath.Join(filepath.Dir(filepath.Dir(ns)), "stat"))
	return err != nil || strings.Contains(string(stat), ") Z ")
}

func TestCloseLeavesNothing(t *testing.T) {
	For(t) // skips where no rig can be made
	rig, err := New(t.Context(), Options{Name: fmt.Sprintf("close-%d", os.Getpid()), Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	hosts := mustAdd(t, rig, HostSpec{Name: "db1", Products: []Product{MariaDB}}, HostSpec{Name: "off"}, HostSpec{Name: "frozen"}, HostSpec{Name: "cut"})
	server := mustStart(t, hosts[0], ServerSpec{Product: MariaDB, OwnNetwork: false})
	if _, err := server.Traffic(t.Context(), TrafficSpec{Clients: 1, WritesPerSecond: 10}); err != nil {
		t.Fatal(err)
	}
	mustExec(t, hosts[0], "unshare --net --mount sleep 1000 >/dev/null 2>&1 &")
	inits := snapshot(hosts)
	for _, spoil := range []func() error{
		func() error { return hosts[1].PowerOff(t.Context()) },
		hosts[2].Freeze,
		func() error { return hosts[3].CutNetwork(t.Context()) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
	}
	if got := traces(t, rig.Name, rig.number, inits); len(got) < 10 {
		t.Errorf("a running rig should leave many traces, found %q", got)
	}
	if err := rig.Close(); err != nil {
		t.Fatal(err)
	}
	if got := traces(t, rig.Name, rig.number, inits); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
	if _, err := rig.AddHost(t.Context(), HostSpec{Name: "late"}); err == nil {
		t.Error("a closed rig takes a host")
	}
}

// snapshot keeps the inits of hosts that are about to be ended.
func snapshot(hosts []*Host) []*Host {
	var copies []*Host
	for _, h := range hosts {
		copies = append(copies, &Host{Name: h.Name, init: h.init})
	}
	return copies
}

func TestTwoRigsAtOnce(t *testing.T) {
	rig := For(t)
	other, err := New(t.Context(), Options{Name: rig.Name + "-2", Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	a, b := mustAdd(t, rig, HostSpec{Name: "h1"})[0], mustAdd(t, other, HostSpec{Name: "h1"})[0]
	if a.Addr == b.Addr {
		t.Errorf("both hosts are at %s", a.Addr)
	}
	mustExec(t, a, "touch /mark")
	if out, err := ssh(t.Context(), other, "h1", "ls -d /mark"); err == nil {
		t.Errorf("the other rig's host has %q", out)
	}
	if _, err := New(t.Context(), Options{Name: rig.Name, Log: testLog{t}}); err == nil {
		t.Error("a second rig got the same name")
	}
}

// A rig whose owner is killed stays up until the next New, which removes it without a trace.
func TestNextRigRemovesLeftOvers(t *testing.T) {
	For(t)
	command := filepath.Join(t.TempDir(), "rig")
	if out, err := exec.Command("go", "build", "-o", command, "./rig").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name := fmt.Sprintf("killed-%d", os.Getpid())
	cmd := exec.Command(command, "up", "-name", name, "-topology", "clean")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = testLog{t}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill() // where the test has failed before it came to it
	waitForLine(t, stdout, "take down")
	number, err := readNumber(filepath.Join(stateRoot, name))
	if err != nil {
		t.Fatal(err)
	}
	var hosts []*Host
	for _, host := range []string{"app1", "app2"} {
		init, err := readProcess(filepath.Join(stateRoot, name, "hosts", host, "init"))
		if err != nil {
			t.Fatal(err)
		}
		hosts = append(hosts, &Host{Name: host, init: init})
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it says that it was killed
	if got := traces(t, name, number, hosts); len(got) < 10 {
		t.Fatalf("the killed owner should have left many traces, found %q", got)
	}
	next, err := New(t.Context(), Options{Name: name + "-next", Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	// next may have got the killed rig's number, and with it the bridge's name.
	if err := next.Close(); err != nil {
		t.Fatal(err)
	}
	if got := traces(t, name, number, hosts); len(got) != 0 {
		t.Errorf("left behind: %q", got)
	}
}

func waitForLine(t *testing.T, r io.Reader, prefix string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // it may have to build the cache
	defer cancel()
	found := make(chan bool, 1)
	go func() {
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if strings.HasPrefix(lines.Text(), prefix) {
				found <- true
				return
			}
		}
		found <- false
	}()
	select {
	case ok := <-found:
		if !ok {
			t.Fatalf("it ended before it said %q", prefix)
		}
	case <-ctx.Done():
		t.Fatalf("it did not say %q in time", prefix)
	}
}
