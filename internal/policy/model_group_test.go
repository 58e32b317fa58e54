package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"interlock/checks"
)

// TestModelGroup plays random groups of Group Replication or Galera: members that are ONLINE or not, reached or
// not, locked or not, some of them on one machine. A stopped one may be taken only while the others keep a
// majority.
func TestModelGroup(t *testing.T) {
	rounds, first := *modelRounds, uint64(1)
	if *modelSeed != 0 {
		rounds, first = 1, *modelSeed
	}
	taken, refused := 0, 0
	for seed := first; seed < first+uint64(rounds); seed++ {
		rng := rand.New(rand.NewPCG(seed, 5))
		size := 3 + rng.IntN(3)
		site := Site{}
		online := map[string]bool{}
		for n := range size {
			m := ClusterMember{Name: fmt.Sprintf("g%d", n), Clusters: []string{"g"}}
			machine := m.Name
			if rng.IntN(8) == 0 {
				machine = "g1"
			}
			in := checks.Instance{State: checks.Primary, Product: "mysql", UUID: u(n), GroupMember: "ONLINE", Group: &checks.Group{Size: size}}
			switch kind := rng.IntN(6); {
			case n == 0:
				in = checks.Instance{State: checks.Stopped, Product: "mysql"}
				machine = m.Name
			case kind == 0:
				in.GroupMember = []string{"RECOVERING", "ERROR", "UNREACHABLE"}[rng.IntN(3)]
			case kind == 1:
				in = checks.Instance{State: checks.Stopped, Product: "mysql"}
			case kind == 2:
				m.Held = "locked by ann@a"
			}
			m.Report = &checks.Report{State: in.State, Facts: map[string]string{"boot_id": machine}, Instances: []checks.Instance{in}}
			if n > 0 && rng.IntN(8) == 0 {
				m.Report, m.Cause = nil, "no answer"
			}
			if m.Report != nil && m.Held == "" && in.GroupMember == "ONLINE" {
				online[machine] = true
			}
			site.Members = append(site.Members, m)
		}
		if len(online) == 0 {
			continue // nobody tells that there is a group
		}
		class := checks.Disruptive + checks.Class(rng.IntN(2))
		a := site.Assess(class, "g0")
		if len(a.Reasons) > 0 {
			refused++
			continue
		}
		taken++
		if 2*len(online) <= size && len(machinesOf(site)) >= size {
			t.Fatalf("round %d (-policy.seed %d): %d of %d ONLINE without the one that is taken: %+v", seed, seed, len(online), size, site)
		}
	}
	t.Logf("%d rounds from seed %d: %d taken, %d refused", rounds, first, taken, refused)
	if *modelSeed == 0 && (taken < rounds/10 || refused < rounds/10) {
		t.Error("the model allows or refuses too little to prove anything")
	}
}

func machinesOf(site Site) map[string]bool {
	machines := map[string]bool{}
	for i := range site.Members {
		machines[site.Members[i].machine()] = true
	}
	return machines
}
