package hosts

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.toml")
	const text = `
[hosts.db1]
address = "192.0.2.1"
[hosts."db7.example.com"]
[hosts.v6]
address = "2001:db8::1"
[groups]
web = ["app[1-2]"]
[clusters.users]
hosts = ["db[1-2]"]
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, want string }{
		{"db1", "db1"}, {"DB1", "db1"}, {"db1.", "db1"}, {"root@db1", "db1"}, {"192.0.2.1", "db1"},
		{"2001:DB8:0::1", "v6"}, {"app2", "app2"}, {"db2", "db2"},
		{"db1.example.com", "db1"}, {"db7.example.com", "db7.example.com"}, {"db7", "db7.example.com"},
		{"db7.elsewhere.net", ""}, {"db3", ""}, {"192.0.2.2", ""}, {"github.com", ""}, {"example.com", ""},
		{"app3.example.com", ""}, {"users", ""}, {"web", ""}, {"192", ""},
	} {
		got, known := inv.Called(c.name)
		if got != c.want || known != (c.want != "") {
			t.Errorf("Called(%q) = %q, %v; want %q", c.name, got, known, c.want)
		}
	}
	if !inv.Names() {
		t.Error("the inventory names hosts, and says that it does not")
	}
}
func TestSSHKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "hosts.toml")
	if err := os.WriteFile(file, []byte("[defaults]\nssh_scope = \"all\"\nrequire_shell_allow = true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if inv.Defaults.SSHScope != ScopeAll || !inv.Defaults.RequireShellAllow || inv.Names() {
		t.Errorf("%+v, names hosts: %v", inv.Defaults, inv.Names())
	}
	none, err := Load("")
	if err != nil {
		t.Fatal(err)
	}
	if none.Defaults.SSHScope != ScopeListed || none.Defaults.RequireShellAllow {
		t.Errorf("without a file: %+v", none.Defaults)
	}
}
