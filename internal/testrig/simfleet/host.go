package simfleet

import (
	"fmt"
	"strings"
	"sync"
	"time"
)

// kind is what a host of the fleet is.
type kind int

const (
	clean kind = iota // clear
	primary
	replica
	unknown
	locked    // clear, with somebody else's lock
	slow      // clear, and silent for Options.Slow before it reports
	dripping  // clear, and takes Options.Slow to say its report, a few bytes at a time
	refusing  // nobody listens
	blackhole // the kernel does not answer
)

// kindOf spreads the kinds evenly: of 200 hosts one each refuses, is a black hole, is slow, drips and is locked; two
// say unknown, four are a primary and eight its replicas.
func kindOf(i int) kind {
	switch i % 200 {
	case 53:
		return refusing
	case 153:
		return blackhole
	case 23:
		return slow
	case 123:
		return dripping
	case 93:
		return locked
	}
	switch i % 50 {
	case 7:
		return primary
	case 11, 31:
		return replica
	}
	if i%100 == 37 {
		return unknown
	}
	return clean
}

// state is the word for it in a report.
func (k kind) state() string {
	switch k {
	case primary:
		return "primary"
	case replica:
		return "replica"
	case unknown:
		return "unknown"
	}
	return "clear"
}

// othersLock is the id of a lock that no session of ours has taken.
const othersLock = "0ddba11f00d5"

// host is one host. What it keeps on its disk, a real one keeps in /var/lib/interlock.
type host struct {
	fleet *Fleet
	index int
	name  string // its address
	kind  kind

	mu      sync.Mutex
	lock    string // id of the lock; "": free
	running map[string]*command
}

// command is one that was started.
type command struct {
	id   string // its lock, else its nonce
	kill chan string

	mu sync.Mutex
	is Command
}

func (c *command) seen() Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.is
}

// reported is what a host has decided on a request.
type reported struct {
	verdict string
	lock    string // the lock that was taken; "": none
	text    string // the whole report
}

// reply inspects nothing, decides by the table of check.sh's decide, takes the lock where one is due, and gives the
// report.
func (h *host) reply(q request) reported {
	var lines lines
	h.facts(&lines)
	if h.kind == primary || h.kind == replica {
		h.instance(&lines)
	}
	if h.kind == unknown {
		lines.add("reason", "no-login", "no login to mysqld (process 812) worked: Access denied", "GRANT PROCESS, REPLICATION CLIENT ON *.* TO root@localhost IDENTIFIED VIA unix_socket")
	}
	r := reported{verdict: h.decide(q, &lines)}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lock != "" && (q.mode == "check" || q.locks() && r.verdict == "run") {
		lines.add("reason", "locked", "locked by somebody@elsewhere since 2026-01-01T00:00:00Z (id "+h.lock+", destructive)", "wait for it to end; if its owner is gone: interlock locks break "+h.name+" "+h.lock+" --reason TEXT")
		if q.mode == "run" {
			r.verdict = "locked"
		}
	}
	lines.add("verdict", r.verdict)
	if q.mode == "run" && q.locks() && r.verdict == "run" {
		r.lock = q.nonce[:12]
		h.lock = r.lock
		h.fleet.book.locked(h.name, true)
		lines.add("lock", r.lock)
		lines.add("spool", "/var/lib/interlock/spool/"+r.lock)
	}
	r.text = fmt.Sprintf("interlock-report 1 %s\n%sinterlock-end %s %d\n", q.nonce, lines.text.String(), q.nonce, lines.n)
	return r
}

// lines are a report's, between its opening and its closing one.
type lines struct {
	text strings.Builder
	n    int
}

func (l *lines) add(fields ...string) {
	l.text.WriteString(strings.Join(fields, "\t"))
	l.text.WriteByte('\n')
	l.n++
}

func (h *host) facts(l *lines) {
	l.add("fact", "boot_id", fmt.Sprintf("e894e5b6-8dc3-487c-88fd-%012x", h.index))
	l.add("fact", "machine_id", fmt.Sprintf("3d1219c7c4c5404aaa1f%012x", h.index))
	l.add("fact", "hostname", fmt.Sprintf("sim%04d", h.index))
	l.add("fact", "uptime_seconds", "818123")
	for _, looked := range [][2]string{{"processes", "121"}, {"descriptors", "844"}, {"network_namespaces", "2"},
		{"mount_namespaces", "2"}, {"listeners", "11"}, {"locks", "16"}, {"mounts", "31"}, {"devices", "9"}} {
		l.add("looked", looked[0], looked[1])
	}
}

// instance is the server of a primary or a replica. The replicas of one hundred hosts have the primary of the same
// fifty for their source.
func (h *host) instance(l *lines) {
	l.add("instance", "1")
	l.add("i", "state", h.kind.state())
	for _, field := range [][2]string{{"pid", "812"}, {"product", "mysql"}, {"datadir", "/var/lib/mysql"}, {"version", "9.7.4"},
		{"port", "3306"}, {"socket", "/run/mysqld/mysqld.sock"}, {"uuid", fmt.Sprintf("3e11fa47-71ca-11e1-9e33-%012x", h.index)},
		{"server_id", fmt.Sprint(h.index + 1)}, {"clients", "4"}, {"monitoring", "1"}, {"writes_per_second", "40.5"},
		{"writes_over_seconds", "600"}, {"uptime_seconds", "818000"}, {"data_bytes", "72351744"}} {
		l.add("i", field[0], field[1])
	}
	first := h.index / 50 * 50
	source := h.fleet.name(first + 7)
	if h.kind == primary {
		l.add("i", "read_only", "off")
		for n, at := range []int{first + 11, first + 31} {
			l.add("i", fmt.Sprintf("replica.%d.host", n), h.fleet.name(at))
			l.add("i", fmt.Sprintf("replica.%d.port", n), "3306")
		}
		l.add("reason", "has-replicas", "mysql 9.7.4 on 3306 has 2 replicas and 4 clients", "move its replicas to another source first")
		return
	}
	l.add("i", "read_only", "super")
	for _, field := range [][2]string{{"host", source}, {"port", "3306"}, {"io_running", "Yes"}, {"sql_running", "Yes"}, {"lag_seconds", "0"}} {
		l.add("i", "source.0."+field[0], field[1])
	}
	l.add("reason", "replica", "mysql 9.7.4 on 3306 replicates from "+source+":3306", "--allow replica, where the cluster can spare it")
}

// decide is the table, as far as the kinds of this fleet need it. No allowance is known here: what takes one is
// refused.
func (h *host) decide(q request, l *lines) string {
	state := h.kind.state()
	l.add("state", state)
	refuse := func(code, text, remedy string) string {
		l.add("reason", code, text, remedy)
		return "refuse"
	}
	switch q.class {
	case "read-only":
		return "run"
	case "routine":
		if state == "unknown" && !q.onUnknown {
			return refuse("state-unknown", "the host is unknown: what cannot be seen counts as live", "see the other reasons")
		}
		return "run"
	case "disruptive", "destructive":
		switch {
		case state == "clear" && !q.member:
			return "run"
		case state == "replica", state == "clear":
			return refuse("needs-"+state, "a "+q.class+" command on a host that is "+state+" takes an allowance", "--allow it, if that is what you want")
		}
		return refuse("state-"+state, "the host is "+state+": no allowance lets a "+q.class+" command through", "see the other reasons")
	}
	return refuse("class-unknown", "class "+q.class+" is not understood", "use the client that this script came with")
}

// unlock puts the lock away if it is still id's.
func (h *host) unlock(id string) {
	if id == "" {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.lock == id {
		h.lock = ""
		h.fleet.book.locked(h.name, false)
	}
}

// start begins a command; the caller runs it to its end.
func (h *host) start(q request, lock string) *command {
	c := &command{id: lock, kill: make(chan string, 4), is: Command{Host: h.name, Lock: lock, Text: q.command}}
	if c.id == "" {
		c.id = q.nonce
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if q.locks() && h.lock != lock {
		h.fleet.book.problem(h.name, "%s started without its lock", q.command)
	}
	h.running[c.id] = c
	h.fleet.book.started(c)
	return c
}

// run is the command itself, simple commands behind ";": sleep SECONDS takes its time, true and touch none, and what
// else there is no host here has. A signal ends it all.
func (c *command) run() (status int) {
	for _, simple := range strings.Split(c.is.Text, ";") { // Text was written before others knew the command
		if status = c.simple(strings.Fields(simple)); status > 128 {
			return status
		}
	}
	return status
}

func (c *command) simple(words []string) int {
	switch {
	case len(words) == 2 && words[0] == "sleep":
	case len(words) > 0 && (words[0] == "true" || words[0] == "touch"):
		return 0
	default:
		return 127
	}
	d, err := time.ParseDuration(words[1] + "s")
	if err != nil {
		return 1
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return 0
	case signal := <-c.kill:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.is.Signal = signal
		return 128 + map[string]int{"HUP": 1, "INT": 2, "KILL": 9, "TERM": 15}[signal]
	}
}

// end records the command's end, on the host, and puts its lock away.
func (h *host) end(c *command, status int) {
	h.mu.Lock()
	delete(h.running, c.id)
	h.mu.Unlock()
	h.unlock(c.is.Lock)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.is.Ended, c.is.Status = true, status
}

// signal sends a signal to the command with that id; false: it has ended, or never was.
func (h *host) signal(id, signal string) bool {
	h.mu.Lock()
	c := h.running[id]
	h.mu.Unlock()
	if c == nil {
		return false
	}
	select {
	case c.kill <- signal:
	default: // it has enough of them
	}
	return true
}
