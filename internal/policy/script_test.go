package policy

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"interlock/checks"
)

// The host decides by the table in check.sh, the client by the one in decide.go: every cell of both is compared,
// with every set of allowances. The client may be stricter only where cluster rules speak.
func TestTableOfTheHost(t *testing.T) {
	if _, err := exec.LookPath("dash"); err != nil {
		t.Fatalf("look for dash: %v; install it", err)
	}
	functions, _, ok := strings.Cut(checks.Script(), "\nmain \"$@\"\n")
	if !ok {
		t.Fatal("check.sh does not end in main")
	}
	states := []checks.State{checks.Clear, checks.Stopped, checks.Idle, checks.Replica, checks.Primary, checks.Proxy, checks.Unknown}
	classes := []checks.Class{checks.ReadOnly, checks.Routine, checks.Disruptive, checks.Destructive}
	var script strings.Builder
	script.WriteString(functions + "\nq_mode=run q_onunknown=0 q_offer=0 q_override=''\n")
	type cell struct {
		class checks.Class
		state checks.State
		busy  string
		serve string
		allow []string
	}
	var cells []cell
	for _, class := range classes {
		for _, state := range states {
			for _, busy := range []string{"", "packages"} {
				for _, serve := range []string{"0", "1"} {
					for set := range 1 << len(checks.Allowances) {
						var allow []string
						for i, word := range checks.Allowances {
							if set&(1<<i) != 0 {
								allow = append(allow, word)
							}
						}
						cells = append(cells, cell{class, state, busy, serve, allow})
						fmt.Fprintf(&script, "h_report='' h_count=0 h_codes='' h_words='' h_root=0 h_states='' q_member=0 h_state=%s q_class=%s h_busy='%s' h_serving=%s q_allow='%s'\ndecide\nprintf '%%s\\n' \"$h_verdict\"\n",
							state, class, busy, serve, strings.Join(allow, ","))
					}
				}
			}
		}
	}
	cmd := exec.Command("dash", "-s")
	cmd.Stdin = strings.NewReader(script.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("run check.sh's decide: %v", err)
	}
	verdicts := strings.Fields(string(out))
	if len(verdicts) != len(cells) {
		t.Fatalf("%d verdicts for %d cells", len(verdicts), len(cells))
	}
	for i, c := range cells {
		r := &checks.Report{State: c.state, Facts: map[string]string{"serving": c.serve, "busy": c.busy}}
		d, err := Decide(c.class, r, c.allow)
		if err != nil {
			t.Fatal(err)
		}
		own := slices.DeleteFunc(slices.Clone(d.Reasons), func(r checks.Reason) bool { return r.Code == "cluster-rules" })
		if client := len(own) == 0; client != (verdicts[i] == "run") {
			t.Errorf("%s on %s, busy %q, serving %s, allow %v: the host says %s, the client %v: %v", c.class, c.state, c.busy, c.serve, c.allow, verdicts[i], client, d.Reasons)
		}
	}
	t.Logf("%d cells compared", len(cells))
}
