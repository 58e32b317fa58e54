package testrig

import (
	"strings"
	"testing"
)

func TestServersAnswer(t *testing.T) {
	rig := For(t)
	for _, product := range []Product{MySQL, MariaDB} {
		t.Run(string(product), func(t *testing.T) {
			host, err := rig.AddHost(t.Context(), HostSpec{Name: string(product), Products: []Product{product}})
			if err != nil {
				t.Fatal(err)
			}
			server, err := host.StartServer(t.Context(), ServerSpec{Product: product})
			if err != nil {
				t.Fatal(err)
			}
			rows, err := server.Query(t.Context(), "SELECT @@datadir AS datadir, @@hostname AS name, NULL AS missing")
			if err != nil {
				t.Fatal(err)
			}
			if _, found := rows[0]["missing"]; found || rows[0]["datadir"] != "/var/lib/mysql/" || rows[0]["name"] != string(product) {
				t.Errorf("got %v", rows)
			}
			out, err := host.Exec(t.Context(), "mysql -BNe 'SELECT current_user()'")
			if err != nil {
				t.Fatal(err)
			}
			if strings.TrimSpace(out) != "root@localhost" {
				t.Errorf("root by socket is %q", out)
			}
		})
	}
}
