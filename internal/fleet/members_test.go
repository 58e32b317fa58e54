package fleet

import (
	"slices"
	"testing"

	"interlock/checks"
	"interlock/internal/hosts"
)

// What is said of a cluster must not depend on which of its members answered first.
func TestMembersStandInNaturalOrder(t *testing.T) {
	inv := &hosts.Inventory{}
	m := newMembers(&Run{site: &site{inv: inv}})
	for _, host := range []string{"db10", "db2", "db3", "db1", "db2"} {
		m.note(finding{host: host, report: &checks.Report{}})
	}
	if want := []string{"db1", "db2", "db3", "db10"}; !slices.Equal(m.names, want) {
		t.Errorf("%q, want %q", m.names, want)
	}
	if got, want := m.beyond([]string{"db2"}), []string{"db1", "db3", "db10"}; !slices.Equal(got, want) {
		t.Errorf("beyond: %q, want %q", got, want)
	}
}
