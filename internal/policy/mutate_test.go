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

// knockEnv names the rule that a changed package leaves out.
const knockEnv = "INTERLOCK_KNOCKOUT"

// knockouts are the changes after which off("…") leaves out a cluster rule.
var knockouts = []struct{ file, old, new string }{
	{"cluster_rules.go", "if names := s.dependents(t); len(names) > 0 {\n\t\ta.refuse(\"is-source\", fmt.Sprintf(\"%s replicates from",
		"if names := s.dependents(t); len(names) > 0 && !off(\"is-source\") {\n\t\ta.refuse(\"is-source\", fmt.Sprintf(\"%s replicates from"},
	{"cluster_rules.go", "if away, ok := absent(source.member); ok {", `if away, ok := absent(source.member); ok && !off("source is there") {`},
	{"cluster_rules.go", "if remain >= least ||", `if off("min_replicas") || remain >= least ||`},
	{"cluster_scene.go", "slices.Concat(t.member.Clusters, source.member.Clusters)",
		`slices.Concat(t.member.Clusters, map[bool][]string{false: source.member.Clusters}[off("min_replicas of the source's cluster")])`},
	{"cluster_rules.go", "if gone <= s.MaxDown {", `if off("max_down") || gone <= s.MaxDown {`},
	{"cluster_peers.go", "case v.member.machine() == source.member.machine():", `case v.member.machine() == source.member.machine() && !off("another machine than the source"):`},
	{"cluster_peers.go", "known[v.identity()] && v.member.machine() == t.member.machine() ||",
		`!off("another machine than the target") && known[v.identity()] && v.member.machine() == t.member.machine() ||`},
	{"cluster_peers.go", "machines[p.member.machine()] = true", `machines[map[bool]string{true: p.name, false: p.member.machine()}[off("a machine counts once")]] = true`},
	{"cluster_peers.go", `v.in.ReadOnly == "off", v.in.ReadOnly == "":`, `!off("read-only") && (v.in.ReadOnly == "off" || v.in.ReadOnly == ""):`},
	{"cluster_peers.go", "case !source.knows(v.identity()):", `case !source.knows(v.identity()) && !off("known to the source"):`},
	{"cluster_peers.go", `case c.IORunning != "Yes":`, `case c.IORunning != "Yes" && !off("IO thread"):`},
	{"cluster_peers.go", `case c.SQLRunning != "Yes":`, `case c.SQLRunning != "Yes" && !off("SQL thread"):`},
	{"cluster_peers.go", "case c.Delay > 0:", `case c.Delay > 0 && !off("delay"):`},
	{"cluster_peers.go", "case *c.Lag >= s.MaxLag:", `case !off("lag") && (*c.Lag > s.MaxLag || *c.Lag == s.MaxLag && !off("lag, the bound itself")):`},
	{"cluster_peers.go", "if !has.Contains(lost) {",
		`if !off("GTIDs contained") && !off("GTIDs contained, backwards") && !has.Contains(lost) || off("GTIDs contained, backwards") && !lost.Contains(has) {`},
	{"cluster_peers.go", "case m.Taken:", `case m.Taken && !off("taken by this run"):`},
	{"cluster_peers.go", `case m.Held != "":`, `case m.Held != "" && !off("locked by others"):`},
	{"cluster_peers.go", "case m.Report.State == checks.Unknown:", `case m.Report.State == checks.Unknown && !off("seen in full"):`},
	{"cluster_peers.go", "if !m.runs() {", `if !m.runs() && !off("a server runs there") {`},
	{"cluster_peers.go", "all = append(all, s.unplaced(ref, id, source, counted))", `if !off("replicas that only the source knows") { all = append(all, s.unplaced(ref, id, source, counted)) }`},
	{"cluster_peers.go", "all = append(all, s.listed(m, source))", `if !off("listed members") { all = append(all, s.listed(m, source)) }`},
	{"cluster_rules.go", "s.enough(t, primaries[0], a)", `if !off("idle members") { s.enough(t, primaries[0], a) }`},
	{"cluster_rules.go", "if 2*len(online) > size {",
		`if off("group majority") || 2*len(online) > size || off("group majority, of those who answer") && len(online) > 0 {`},
}

// TestKnockouts compiles the package so that each rule can be left out, and plays the model without each in turn.
func TestKnockouts(t *testing.T) {
	if !*mutate {
		t.Logf("left out: -policy.mutate")
		return
	}
	binary, rules := changedPackage(t)
	play := func(rule string) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestModel")
		cmd.Env = append(os.Environ(), knockEnv+"="+rule)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := play(""); err != nil {
		t.Fatalf("with all rules: %v\n%s", err, out)
	}
	for _, rule := range rules {
		out, err := play(rule)
		_, found, seeded := strings.Cut(out, "(-policy.seed ")
		switch {
		case err == nil:
			t.Errorf("%s: left out, and the model does not find out", rule)
		case !seeded:
			t.Errorf("%s: %s", rule, out)
		default:
			first, _, _ := strings.Cut(found, "\n")
			t.Logf("%s: found in round %s", rule, first)
		}
	}
}

// changedPackage builds the package's tests with the knockouts in, and gives their names.
func changedPackage(t *testing.T) (binary string, rules []string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"off_overlay.go": "package policy\n\nimport \"os\"\n\nvar knocked = os.Getenv(\"" + knockEnv + "\")\n\nfunc off(rule string) bool { return rule == knocked }\n"}
	for _, k := range knockouts {
		if texts[k.file] == "" {
			text, err := os.ReadFile(k.file)
			if err != nil {
				t.Fatal(err)
			}
			texts[k.file] = string(text)
		}
		if strings.Count(texts[k.file], k.old) != 1 {
			t.Fatalf("%q is not once in %s", k.old, k.file)
		}
		texts[k.file] = strings.Replace(texts[k.file], k.old, k.new, 1)
		for _, part := range strings.Split(k.new, `off("`)[1:] {
			rule, _, _ := strings.Cut(part, `")`)
			if len(rules) == 0 || rules[len(rules)-1] != rule {
				rules = append(rules, rule)
			}
		}
	}
	temp := t.TempDir()
	replace := map[string]string{}
	for file, text := range texts {
		replace[filepath.Join(dir, file)] = filepath.Join(temp, file)
		if err := os.WriteFile(filepath.Join(temp, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(temp, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(temp, "policy.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary, rules
}
