package testrig

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestAccountsOverSSH(t *testing.T) {
	rig := For(t)
	begin := time.Now()
	_, err := rig.AddHosts(t.Context(), HostSpec{Name: "h1"}, HostSpec{Name: "h2"})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("two hosts up in %s", time.Since(begin))
	for _, account := range Accounts {
		out, err := ssh(t.Context(), rig, account+"@h1", "id -un; sudo -n id -un || echo refused")
		if err != nil {
			t.Fatal(err)
		}
		want := account + "\nroot\n"
		switch account {
		case "plain", "asks":
			want = account + "\nrefused\n"
		case "ops-banner":
			want = "*** This machine belongs to the database team ***\n" + want
		}
		if out != want {
			t.Errorf("%s: got %q, want %q", account, out, want)
		}
	}
}

func ssh(ctx context.Context, rig *Rig, host, script string) (string, error) {
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "ssh", "-F", rig.SSHConfig(), host, script)
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	return string(out), err
}
