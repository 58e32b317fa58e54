package policy

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var mutate = flag.Bool("policy.mutate", false, "knock out each cluster rule in turn, and see that the model finds out")

// knockouts are the cluster rules, each with the change that takes it out.
var knockouts = []struct{ rule, file, old, new string }{
	{"is-source", "cluster_rules.go", `if names := s.dependents(t); len(names) > 0 {
		a.refuse("is-source", fmt.Sprintf("%s replicates from`, `if names := s.dependents(t); false {
		a.refuse("is-source", fmt.Sprintf("%s replicates from`},
	{"source-down: taken, unseen", "cluster_rules.go", "if away, ok := absent(source.member); ok {", "if away, ok := absent(source.member); false && ok {"},
	{"too-few-replicas", "cluster_rules.go", "if remain >= least ||", "if true || remain >= least ||"},
	{"min_replicas of the source's cluster", "cluster_scene.go", "slices.Concat(t.member.Clusters, source.member.Clusters)", "t.member.Clusters"},
	{"max_down", "cluster_rules.go", "if gone <= s.MaxDown {", "if true {"},
	{"same machine as the source", "cluster_peers.go", "case v.member.machine() == source.member.machine():", "case false:"},
	{"same machine as the target", "cluster_peers.go", "v.identity() == t.identity() || counted[v.member.Name]", "counted[v.member.Name]"},
	{"one machine counts once", "cluster_peers.go", "machines[p.member.machine()] = true", "machines[p.name] = true"},
	{"read-only", "cluster_peers.go", `v.in.ReadOnly == "off", v.in.ReadOnly == "":`, `false:`},
	{"known to the source", "cluster_peers.go", "case !source.knows(v.identity()):", "case false:"},
	{"IO thread", "cluster_peers.go", `case c.IORunning != "Yes":`, "case false:"},
	{"SQL thread", "cluster_peers.go", `case c.SQLRunning != "Yes":`, "case false:"},
	{"delay", "cluster_peers.go", "case c.Delay > 0:", "case false:"},
	{"lag", "cluster_peers.go", "case *c.Lag >= s.MaxLag:", "case false:"},
	{"lag, off by one", "cluster_peers.go", "case *c.Lag >= s.MaxLag:", "case *c.Lag > s.MaxLag:"},
	{"GTIDs contained", "cluster_peers.go", "if !has.Contains(lost) {", "if false {"},
	{"GTIDs contained, backwards", "cluster_peers.go", "if !has.Contains(lost) {", "if !lost.Contains(has) {"},
	{"taken by this run", "cluster_peers.go", "case m.Taken:", "case false:"},
	{"locked by others", "cluster_peers.go", `case m.Held != "":`, "case false:"},
	{"seen in full", "cluster_peers.go", "case m.Report.State == checks.Unknown:", "case false:"},
	{"no server runs there", "cluster_peers.go", "if !m.runs() {", "if false {"},
	{"a replica that only the source knows", "cluster_peers.go", "all = append(all, s.unplaced(ref, id, source, counted))", ""},
	{"listed members", "cluster_peers.go", "all = append(all, s.listed(m, source))", ""},
	{"idle members", "cluster_rules.go", "s.enough(t, primaries[0], a)", ""},
	{"stopped members", "cluster_peers.go", "case t.in.State == checks.Stopped:", "case false:"},
	{"group-majority", "cluster_rules.go", "if 2*len(online) > size {", "if true {"},
	{"group-majority, of those who answer", "cluster_rules.go", "if 2*len(online) > size {", "if 2*len(online) > len(online) {"},
}

// TestKnockouts compiles the package with one rule less, in turn, and plays the model.
func TestKnockouts(t *testing.T) {
	if !*mutate {
		t.Logf("left out: -policy.mutate")
		return
	}
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range knockouts {
		text, err := os.ReadFile(k.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(text), k.old) != 1 {
			t.Errorf("%s: %q is not once in %s", k.rule, k.old, k.file)
			continue
		}
		temp := t.TempDir()
		changed, overlay := filepath.Join(temp, k.file), filepath.Join(temp, "overlay.json")
		list, err := json.Marshal(map[string]map[string]string{"Replace": {filepath.Join(dir, k.file): changed}})
		if err != nil {
			t.Fatal(err)
		}
		for path, content := range map[string][]byte{changed: []byte(strings.Replace(string(text), k.old, k.new, 1)), overlay: list} {
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		out, err := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, "-run", "^TestModel", ".").CombinedOutput()
		switch {
		case err == nil:
			t.Errorf("%s: knocked out, and the model does not find out", k.rule)
		case !strings.Contains(string(out), "-policy.seed"):
			t.Errorf("%s: %s", k.rule, out)
		default:
			_, found, _ := strings.Cut(string(out), "(-policy.seed ")
			first, _, _ := strings.Cut(found, "\n")
			t.Logf("%s: %s", k.rule, first)
		}
	}
}
