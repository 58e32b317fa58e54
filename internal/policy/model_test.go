package policy

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"interlock/checks"
)

var (
	modelSeed   = flag.Uint64("policy.seed", 0, "play this round of the model alone")
	modelRounds = flag.Int("policy.rounds", 1000, "rounds of the model")
)

// model is the truth about one cluster, which reports may lie about: what each server really holds and does.
// The rules see reports; what they allow is judged by the truth.
type model struct {
	t       *testing.T
	rng     *rand.Rand
	seed    uint64
	servers []*truth
	written int64 // transactions 1 to written of the primary
	min     int
	down    int // max_down
	running map[string]*operation
	history []string
}

// truth is one server, and the machine it is on.
type truth struct {
	name, machine string
	n             int    // of its uuid
	set           GTIDs  // what it really holds
	source        int    // n of the source that it really follows; 0: none
	runs          bool   // the server runs
	reached       bool   // over SSH
	listed        bool   // in hosts.toml
	io, sql       bool   // threads
	ghost         bool   // its IO thread has ended, and its source has not noticed
	lag           int    // seconds; above 100 also the transactions that it lacks
	delay         bool   // on purpose
	writable      bool   // not read-only
	liar          bool   // reports what it does not have, and its source does not know it
	blind         bool   // the check cannot see all of it
	gone          bool   // its data was destroyed by an operation
	noGTIDs       bool   // it says nothing of its GTIDs
	held          string // the operator whose lock was left on it
}

// operation is a command that an operator runs on a server.
type operation struct {
	operator string
	target   *truth
	class    checks.Class
	relies   []string // leased
	quiet    bool     // nothing shows yet of what it does to the host
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, seed: seed, rng: rand.New(rand.NewPCG(seed, 4)), written: 100, min: 1, running: map[string]*operation{}}
	if m.rng.IntN(4) == 0 {
		m.min = 2
	}
	if m.rng.IntN(4) == 0 {
		m.down = 1
	}
	replicas := 2 + m.rng.IntN(3)
	for n := 1; n <= 1+replicas; n++ {
		s := &truth{name: fmt.Sprintf("db%d", n), machine: fmt.Sprintf("m%d", n), n: n, runs: true, reached: true, listed: n < 3 || m.rng.IntN(4) > 0, io: true, sql: true}
		if n > 1 {
			s.source = 1
		}
		if n > 1 && m.rng.IntN(8) == 0 {
			s.machine = fmt.Sprintf("m%d", n-1) // one machine, two servers
		}
		if n > 2 && m.rng.IntN(8) == 0 {
			s.source = n - 1 // a chain
		}
		m.servers = append(m.servers, s)
	}
	m.replicate()
	return m
}

func (m *model) one(n int) *truth {
	for _, s := range m.servers {
		if s.n == n {
			return s
		}
	}
	return nil
}

// reach says whether a machine is reached, whatever it is called.
func (m *model) reach(s *truth, reached bool) {
	for _, other := range m.servers {
		if other.machine == s.machine {
			other.reached = reached
		}
	}
}

func (m *model) pick() *truth { return m.servers[m.rng.IntN(len(m.servers))] }

// replicate lets every replica have what its threads and its lag allow.
func (m *model) replicate() {
	primary := m.servers[0]
	if primary.runs && !primary.gone {
		primary.set = primary.set.With(GTIDs{sources: map[string][]gtidRange{u(1): {{1, m.written}}}})
	}
	for range m.servers { // as deep as a chain may be
		for _, s := range m.servers[1:] {
			up := m.one(s.source)
			if up == nil || up.gone || !up.runs || s.gone || !s.runs || !s.io || !s.sql || s.delay || s.liar {
				continue
			}
			has := up.set
			if s.lag > 100 { // a smaller one is a large transaction under way
				has = GTIDs{}
				if last := m.written - int64(s.lag); last > 0 {
					has = GTIDs{sources: map[string][]gtidRange{u(1): {{1, last}}}}
				}
			}
			s.set = s.set.With(has)
		}
	}
}

// happen is what befalls a cluster by itself, or by people who do not use interlock; recoveries among it.
func (m *model) happen() {
	s := m.pick()
	what := ""
	switch m.rng.IntN(20) {
	case 0:
		s.io, s.ghost, what = !s.io, m.rng.IntN(2) == 0, "IO thread"
	case 1:
		s.sql, what = !s.sql, "SQL thread"
	case 2:
		s.lag, what = []int{0, 5, 29, 30, 412}[m.rng.IntN(5)], "lag"
	case 3:
		m.reach(s, !s.reached)
		what = "network"
	case 4:
		s.runs, what = !s.runs || s.gone, "server"
		if s.gone {
			s.runs = false
		}
	case 5:
		s.delay, what = !s.delay, "delay"
	case 6:
		if s.n > 1 {
			s.liar, what = !s.liar, "liar"
		}
	case 7:
		if s.n > 1 && !s.gone {
			key := u(s.n)
			last := int64(1)
			for _, r := range s.set.sources[key] {
				last = r.last + 1
			}
			s.set = s.set.With(GTIDs{sources: map[string][]gtidRange{key: {{last, last}}}})
			what = "writes itself"
		}
	case 8:
		if s.n > 1 {
			s.writable, what = !s.writable, "writable"
		}
	case 9:
		what = "blind"
		for _, other := range m.servers {
			if other.machine == s.machine && other != s {
				other.blind = !s.blind
			}
		}
		s.blind = !s.blind
	case 10:
		s.noGTIDs, what = !s.noGTIDs, "GTIDs not told"
	case 11:
		if s.n > 1 {
			s.source, what = []int{1, 1, 1, 0, 2}[m.rng.IntN(5)], "source"
			if s.source == s.n {
				s.source = 1
			}
		}
	case 12, 13, 14, 15: // recovery: rebuilt from the primary, everything as it should be
		if s.n > 1 && m.running[s.name] == nil && !m.servers[0].gone {
			*s = truth{name: s.name, machine: s.machine, n: s.n, set: m.servers[0].set, source: 1, runs: true, reached: true, listed: s.listed, io: true, sql: true, held: s.held}
			what = "rebuilt"
		} else if s.n == 1 {
			s.runs, what = !s.gone, "mended"
		}
		m.reach(s, true)
		for _, other := range m.servers {
			other.blind = other.blind && other.machine != s.machine
		}
	case 16:
		s.held, what = "", "lock broken"
	default:
		m.written += int64(m.rng.IntN(5))
		what = "writes"
	}
	m.replicate()
	m.history = append(m.history, fmt.Sprintf("%s: %s → %+v", s.name, what, *s))
}

// report is what a server's host says.
func (m *model) report(s *truth) *checks.Report {
	r := &checks.Report{Facts: map[string]string{"boot_id": s.machine, "machine_id": s.machine}}
	for _, other := range m.servers {
		if other.machine == s.machine {
			in := m.instance(other)
			r.Instances = append(r.Instances, in)
			if in.State.Severity() >= r.State.Severity() && r.State != checks.Primary || r.State == "" {
				r.State = in.State
			}
		}
	}
	if s.blind {
		r.State = checks.Unknown
	}
	return r
}

func (m *model) instance(s *truth) checks.Instance {
	in := checks.Instance{Product: "mysql", Port: 3306}
	switch {
	case s.gone:
		in.State = checks.Clear
		return in
	case !s.runs:
		in.State = checks.Stopped
		return in
	}
	in.UUID, in.ServerID, in.ReadOnly, in.GTIDExecuted = u(s.n), fmt.Sprint(s.n), "super", s.set.String()
	if s.n == 1 || s.writable {
		in.ReadOnly = "off"
	}
	if s.noGTIDs {
		in.GTIDExecuted = ""
	}
	if up := m.one(s.source); up != nil {
		c := checks.Source{Host: up.name, Port: 3306, UUID: u(up.n), IORunning: yes(s.io && up.runs && !up.gone), SQLRunning: yes(s.sql), AutoPos: true}
		lag := time.Duration(s.lag) * time.Second
		c.Lag = &lag
		if s.delay {
			c.Delay = time.Hour
		}
		if s.liar {
			c.IORunning, c.SQLRunning, *c.Lag, c.Delay = "Yes", "Yes", 0, 0
			in.GTIDExecuted = m.servers[0].set.String()
		}
		in.Sources = []checks.Source{c}
	}
	for _, other := range m.servers {
		if other.source == s.n && other.runs && !other.gone && (other.io || other.ghost) && !other.liar {
			in.Replicas = append(in.Replicas, checks.ReplicaRef{UUID: u(other.n), ServerID: fmt.Sprint(other.n), Host: "name-of-nobody", Port: 3306})
		}
	}
	switch {
	case s.source == 0, len(in.Replicas) > 0, s.writable:
		in.State = checks.Primary
		if s.n > 1 && s.source == 0 && len(in.Replicas) == 0 {
			in.State = checks.Idle
		}
	default:
		in.State = checks.Replica
	}
	return in
}

func yes(b bool) string {
	if b {
		return "Yes"
	}
	return "No"
}

// site is what one operator's run knows after it has asked.
func (m *model) site(operator string) Site {
	site := Site{MinReplicas: map[string]int{"c": m.min}, MaxLag: 30 * time.Second, MaxDown: m.down}
	for _, s := range m.servers {
		k := ClusterMember{Name: s.name, Addresses: []string{s.name}}
		if s.listed {
			k.Clusters = []string{"c"}
		}
		if op := m.running[s.name]; op != nil && op.operator == operator {
			k.Taken = true
		}
		k.Held = m.heldBy(s, operator)
		if s.reached && !m.booting(s) {
			k.Report = m.report(s)
		} else {
			k.Cause = "no answer"
		}
		site.Members = append(site.Members, k)
	}
	return site
}

// heldBy is who else has locked or leased a server's machine.
func (m *model) heldBy(s *truth, operator string) string {
	for _, other := range m.servers {
		if other.machine != s.machine {
			continue
		}
		if other.held != "" && other.held != operator {
			return "locked by " + other.held
		}
		for _, op := range m.running {
			if op.operator != operator && (op.target == other || slices.Contains(op.relies, other.name)) {
				return "leased by " + op.operator
			}
		}
	}
	return ""
}

func (m *model) booting(s *truth) bool {
	for _, op := range m.running {
		if op.target.machine == s.machine && op.class == checks.Disruptive && !op.quiet {
			return true
		}
	}
	return false
}

// taken tells whether an operation is under way on the machine of a server.
func (m *model) taken(s *truth) bool {
	for _, op := range m.running {
		if op.target.machine == s.machine {
			return true
		}
	}
	return false
}

// attempt lets an operator take a server if the table and the rules allow it.
func (m *model) attempt(operator string) {
	s := m.pick()
	class := checks.Disruptive + checks.Class(m.rng.IntN(2))
	if !s.reached || m.taken(s) || m.heldBy(s, operator) != "" {
		return
	}
	r := m.report(s)
	site := m.site(operator)
	var a *Assessment
	if ClusterMatters(class, r, s.listed) {
		got := site.Assess(class, s.name)
		a = &got
	}
	d, err := DecideInCluster(class, r, checks.Allowances, a)
	if err != nil {
		m.t.Fatal(err)
	}
	if !d.Run {
		return
	}
	op := &operation{operator: operator, target: s, class: class, quiet: m.rng.IntN(3) == 0}
	if a != nil {
		op.relies = a.Relies
		m.history = append(m.history, fmt.Sprintf("%s takes %s with a %s command, relying on %q", operator, s.name, class, op.relies))
		m.judge(op, r)
	}
	m.running[s.name] = op
	if class == checks.Destructive {
		for _, other := range m.servers {
			if other.machine == s.machine {
				other.gone, other.runs = true, false
			}
		}
	}
}

// judge holds an operation that was allowed against the truth.
func (m *model) judge(op *operation, r *checks.Report) {
	fail := func(format string, args ...any) {
		m.t.Helper()
		var log strings.Builder
		for _, s := range m.servers {
			fmt.Fprintf(&log, "  %+v\n", *s)
		}
		m.t.Fatalf("round %d (-policy.seed %d): %s\n%s\nhistory:\n  %s", m.seed, m.seed, fmt.Sprintf(format, args...), log.String(), strings.Join(m.history, "\n  "))
	}
	for _, s := range m.servers {
		if s.machine != op.target.machine || s.gone {
			continue
		}
		in := m.instance(s)
		if in.State == checks.Primary {
			fail("%s is a primary or a source", s.name)
		}
		for _, h := range m.servers {
			if h.source == s.n && h.machine != s.machine && h.runs && !h.gone && h.reached && !m.booting(h) && in.State != checks.Stopped &&
				(in.State == checks.Replica || op.class == checks.Destructive && s.listed) {
				fail("%s has a source in %s, which is to be taken", h.name, s.name)
			}
		}
		if in.State == checks.Stopped || in.State == checks.Idle {
			if op.class == checks.Disruptive {
				continue // keeps its data, and serves nobody
			}
			if !s.listed {
				continue // nobody knows what it belongs to
			}
		}
		m.keeps(op, s, fail)
	}
	if away := m.away(op); away > m.down {
		fail("%d members are locked, leased or down beside %s, and %d may be", away, op.target.name, m.down)
	}
}

// away counts the other members that are locked, leased by others, or down.
func (m *model) away(op *operation) int {
	machines := map[string]bool{}
	for _, s := range m.servers {
		// One that neither its source nor hosts.toml nor itself tells of is known to nobody.
		up := m.one(op.target.source)
		tells := s.reached && !m.booting(s) || (s.io || s.ghost) && !s.liar
		known := s.source == op.target.source && s.source != 0 && s.runs && !s.gone && tells || s.listed && (op.target.listed || up != nil && up.listed) && s.n != op.target.source
		idle := op.target.source == 0
		if s.machine == op.target.machine || !known || idle && s.n == 1 {
			continue
		}
		if up != nil && s.machine == up.machine {
			continue
		}
		if !s.reached || m.booting(s) || s.blind || m.heldBy(s, op.operator) != "" || m.taken(s) || s.listed && !m.serves(s.machine) {
			machines[s.machine] = true
		}
	}
	if op.class == checks.Disruptive && m.instance(op.target).State != checks.Replica {
		return 0
	}
	return len(machines)
}

// serves tells whether a server runs on a machine.
func (m *model) serves(machine string) bool {
	return slices.ContainsFunc(m.servers, func(s *truth) bool { return s.machine == machine && s.runs && !s.gone })
}

// keeps makes sure that what s holds, and its primary's data, are on enough machines without it.
func (m *model) keeps(op *operation, s *truth, fail func(string, ...any)) {
	source := m.one(s.source)
	if source == nil {
		source = m.servers[0]
	}
	if !source.reached || !source.runs || source.gone || source.blind || m.taken(source) {
		fail("the source %s of %s is not there", source.name, s.name)
	}
	// A server that lies of its own GTIDs deceives everybody; what it says of its source is what the rules check.
	lost, _ := ParseGTIDs(m.instance(s).GTIDExecuted)
	holders, all := map[string]bool{}, GTIDs{}
	for _, h := range m.servers {
		if h.machine == s.machine || h.machine == source.machine || !h.reached || !h.runs || h.gone || h.blind || h.liar || h.writable || h.delay ||
			h.lag >= 30 || !h.io || !h.sql || h.source != source.n || m.taken(h) || m.booting(h) || m.heldBy(h, op.operator) != "" {
			continue
		}
		if lost.known() && !h.set.Contains(lost) {
			continue
		}
		holders[h.machine] = true
		all = all.With(h.set)
	}
	if len(holders) < m.min {
		fail("without %s the data of %s is on its own machine and %q: fewer than 1 + %d machines", s.name, source.name, slices.Sorted(maps.Keys(holders)), m.min)
	}
	if op.class == checks.Destructive && m.min > 0 && lost.known() && !all.With(source.set).Contains(lost) {
		fail("what %s alone holds is lost: %v", s.name, lost.Minus(all.With(source.set)))
	}
}

// end lets an operation end: well, with its client killed, or with a host that does not come back.
func (m *model) end() {
	for _, name := range slices.Sorted(maps.Keys(m.running)) {
		op := m.running[name]
		switch m.rng.IntN(4) {
		case 0:
			delete(m.running, name)
		case 1: // kill -9 of the client: the leases run out, the lock stays
			delete(m.running, name)
			op.target.held = op.operator + " (gone)"
		case 2:
			delete(m.running, name)
			m.reach(op.target, false)
		}
	}
	m.replicate()
}

// TestModel plays random clusters: things fail and are mended, three operators take what the rules allow, some of
// it at once, and each operation that was allowed is held against the truth.
func TestModel(t *testing.T) {
	rounds, first := *modelRounds, uint64(1)
	if *modelSeed != 0 {
		rounds, first = 1, *modelSeed
	}
	taken := map[checks.Class]int{}
	concurrent := 0
	for seed := first; seed < first+uint64(rounds); seed++ {
		m := newModel(t, seed)
		for range 40 {
			switch m.rng.IntN(5) {
			case 0, 1:
				m.happen()
			case 2:
				m.end()
			default:
				before := len(m.running)
				m.attempt([]string{"ann@a", "bob@b", "cat@c"}[m.rng.IntN(3)])
				if len(m.running) > before {
					concurrent += min(before, 1)
				}
			}
			for _, op := range m.running {
				taken[op.class]++
			}
		}
	}
	t.Logf("%d rounds from seed %d: %d disruptive and %d destructive steps under way, %d begun beside another", rounds, first, taken[checks.Disruptive], taken[checks.Destructive], concurrent)
	if *modelSeed == 0 && (taken[checks.Disruptive] < rounds || taken[checks.Destructive] < rounds/4) {
		t.Error("the model allows too little to prove anything")
	}
}
