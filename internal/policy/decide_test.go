package policy

import (
	"slices"
	"strings"
	"testing"

	"interlock/checks"
)

// TestTable is the table of docs/design.md, section 5, with the allowances that each field takes.
func TestTable(t *testing.T) {
	states := []checks.State{checks.Clear, checks.Stopped, checks.Idle, checks.Replica, checks.Primary, checks.Proxy, checks.Unknown}
	for _, tt := range []struct {
		class  checks.Class
		fields string // one for each state: run, refuse, or what is needed
	}{
		{checks.ReadOnly, "run run run run run run run"},
		{checks.Routine, "run run run run run run refuse"},
		{checks.Disruptive, "run run run replica refuse proxy refuse"},
		{checks.Destructive, "run data data replica,data refuse proxy,data refuse"},
	} {
		for i, want := range strings.Fields(tt.fields) {
			r := &checks.Report{State: states[i]}
			got := decide(t, tt.class, r)
			switch want {
			case "run":
				if !got.Run || len(got.Reasons) > 0 || len(got.Needs) > 0 {
					t.Errorf("%s on %s: %+v, want run", tt.class, r.State, got)
				}
			case "refuse":
				if got.Run || len(got.Reasons) == 0 || len(got.Needs) > 0 {
					t.Errorf("%s on %s: %+v, want a refusal that no allowance overcomes", tt.class, r.State, got)
				}
				if all := decide(t, tt.class, r, checks.Allowances...); all.Run {
					t.Errorf("%s on %s runs with every allowance", tt.class, r.State)
				}
			default:
				needs := strings.Split(want, ",")
				codes, help := "needs-"+strings.Join(needs, " needs-"), needs
				if r.State == checks.Replica { // the cluster rules refuse whatever is allowed
					codes, help = codes+" cluster-rules", nil
				}
				if got.Run || !slices.Equal(got.Needs, help) || codesOf(got) != codes {
					t.Errorf("%s on %s: %+v, want %s", tt.class, r.State, got, codes)
				}
				for k := range needs {
					if less := decide(t, tt.class, r, slices.Delete(slices.Clone(needs), k, k+1)...); less.Run {
						t.Errorf("%s on %s runs without %s", tt.class, r.State, needs[k])
					}
				}
				given := decide(t, tt.class, r, needs...)
				if r.State == checks.Replica {
					if given.Run || codesOf(given) != "cluster-rules" || given.Needs != nil {
						t.Errorf("%s on %s with %s: %+v, want the cluster rules to refuse", tt.class, r.State, want, given)
					}
				} else if !given.Run {
					t.Errorf("%s on %s with %s: %+v, want run", tt.class, r.State, want, given)
				}
			}
		}
	}
}

func codesOf(d Decision) string {
	var codes []string
	for _, r := range d.Reasons {
		codes = append(codes, r.Code)
	}
	return strings.Join(codes, " ")
}

func decide(t *testing.T, class checks.Class, r *checks.Report, allow ...string) Decision {
	t.Helper()
	d, err := Decide(class, r, allow)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDecideBeyondTheTable(t *testing.T) {
	busy := map[string]string{"busy": "backup"}
	serving := map[string]string{"serving": "1"}
	host := func(codes ...string) []checks.Reason {
		var out []checks.Reason
		for _, c := range codes {
			out = append(out, checks.Reason{Code: c, Text: c})
		}
		return out
	}
	for _, tt := range []struct {
		title  string
		class  checks.Class
		report checks.Report
		allow  string
		run    bool
		codes  string
		needs  string
	}{
		{"busy", checks.Disruptive, checks.Report{State: checks.Clear, Facts: busy}, "", false, "busy", ""},
		{"busy, and data", checks.Destructive, checks.Report{State: checks.Stopped, Facts: busy}, "", false, "needs-data busy", ""},
		{"busy, routine", checks.Routine, checks.Report{State: checks.Primary, Facts: busy}, "", true, "", ""},
		{"serving", checks.Disruptive, checks.Report{State: checks.Replica, Facts: serving}, "", false, "needs-replica needs-serving cluster-rules", ""},
		{"serving, allowed", checks.Disruptive, checks.Report{State: checks.Replica, Facts: serving}, "replica serving", false, "cluster-rules", ""},
		{"a primary beside a proxy", checks.Disruptive, checks.Report{State: checks.Proxy, Instances: []checks.Instance{{State: checks.Primary}}}, "proxy", false, "state-primary", ""},
		{"a replica beside a proxy", checks.Disruptive, checks.Report{State: checks.Proxy, Instances: []checks.Instance{{State: checks.Replica}}}, "proxy", false, "needs-replica cluster-rules", ""},
		{"a state that is none", checks.Disruptive, checks.Report{State: "fine"}, "data", false, "state-unknown", ""},
		{"no state", checks.Routine, checks.Report{}, "", false, "state-unknown", ""},
		{"routine where the host was told of on_unknown", checks.Routine, checks.Report{State: checks.Unknown, Verdict: "run"}, "", true, "", ""},
		{"the host says no", checks.Disruptive, checks.Report{State: checks.Clear, Verdict: "refuse", Reasons: host("next-boot")}, "", false, "next-boot", ""},
		{"the host says no, without a word", checks.Disruptive, checks.Report{State: checks.Clear, Verdict: "refuse"}, "", false, "host", ""},
		{"the host asks for an allowance", checks.Disruptive, checks.Report{State: checks.Clear, Verdict: "refuse", Reasons: host("trace", "needs-member")}, "", false, "needs-member", "member"},
		{"the host asks for what it has", checks.Disruptive, checks.Report{State: checks.Clear, Verdict: "refuse", Reasons: host("needs-member")}, "member", false, "host", ""},
		{"locked", checks.Disruptive, checks.Report{State: checks.Clear, Verdict: "locked", Reasons: host("locked")}, "", false, "locked", ""},
		{"locked, and data", checks.Destructive, checks.Report{State: checks.Idle, Verdict: "locked", Reasons: host("locked")}, "", false, "needs-data locked", ""},
		{"read-only where the host says no", checks.ReadOnly, checks.Report{State: checks.Unknown, Verdict: "refuse"}, "", true, "", ""},
		{"a class that is none", checks.Class(9), checks.Report{State: checks.Clear, Verdict: "run"}, "", false, "class-unknown", ""},
	} {
		got := decide(t, tt.class, &tt.report, strings.Fields(tt.allow)...)
		codes := codesOf(got)
		if got.Run != tt.run || codes != tt.codes || strings.Join(got.Needs, " ") != tt.needs {
			t.Errorf("%s: run %v, codes %v, needs %v; want %v, %q, %q", tt.title, got.Run, codes, got.Needs, tt.run, tt.codes, tt.needs)
		}
	}
}

func TestDecideErrors(t *testing.T) {
	if _, err := Decide(checks.ReadOnly, &checks.Report{State: checks.Clear}, []string{"everything"}); err == nil || !strings.Contains(err.Error(), `"everything"`) {
		t.Errorf("an allowance that does not exist: %v", err)
	}
	if _, err := Decide(checks.ReadOnly, nil, nil); err == nil {
		t.Errorf("no report: %v", err)
	}
}
