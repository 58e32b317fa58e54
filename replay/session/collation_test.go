package session

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"interlock/internal/testrig"
)

var update = flag.Bool("update", false, "write the lists of collations anew")

// The embedded lists are what the servers list.
func TestCollationsAreTheServers(t *testing.T) {
	for product, statement := range map[testrig.Product]string{
		testrig.MySQL: "SELECT id, character_set_name AS charset, collation_name AS name FROM information_schema.collations ORDER BY id",
		// MariaDB 10.10 lists the newer ones in full in this table alone.
		testrig.MariaDB: "SELECT id, character_set_name AS charset, full_collation_name AS name FROM information_schema.collation_character_set_applicability ORDER BY id",
	} {
		t.Run(string(product), func(t *testing.T) {
			server := testrig.LocalFor(t, testrig.LocalSpec{Product: product})
			rows, err := server.Query(t.Context(), statement)
			if err != nil {
				t.Fatal(err)
			}
			var list strings.Builder
			for _, row := range rows {
				fmt.Fprintf(&list, "%s %s %s\n", row["id"], row["charset"], row["name"])
			}
			file := "collations/" + string(product) + ".txt"
			if *update {
				if err := os.WriteFile(file, []byte(list.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(text), list.String()); diff != "" {
				t.Errorf("-%s +server (-update writes it anew):\n%s", file, diff)
			}
			if known := collationsOf[flavorOf(product)](); len(known) != len(rows) {
				t.Errorf("%d of %d are read", len(known), len(rows))
			}
		})
	}
}
