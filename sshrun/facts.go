package sshrun

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
)

// Facts is what ssh's configuration and command line say of a host that matters to whoever stands in for ssh.
type Facts struct {
	HostName      string // where the name leads to
	RequestTTY    string // auto, true, false, force
	SessionType   string // default, none, subsystem
	RemoteCommand string // "": none; its tokens are expanded
	StdinNull     bool
	Fork          bool     // ForkAfterAuthentication
	Beyond        []string // what only the system's ssh does: keywords of ssh_config(5)

	permitLocal, localCommand bool
}

// set takes one keyword of ssh -G.
func (f *Facts) set(key, value string) {
	yes := value == "yes" || value == "true"
	beyond := false
	switch key {
	case "requesttty":
		f.RequestTTY = value
	case "sessiontype":
		f.SessionType = value
	case "remotecommand":
		f.RemoteCommand = notNone(value)
	case "stdinnull":
		f.StdinNull = yes
	case "forkafterauthentication":
		f.Fork = yes
	case "forwardagent", "tunnel":
		beyond = value != "no" && value != "false"
	case "forwardx11":
		beyond = yes
	case "localforward", "remoteforward", "dynamicforward":
		beyond = true
	case "bindinterface":
		beyond = notNone(value) != ""
	case "permitlocalcommand":
		f.permitLocal = yes
	case "localcommand":
		f.localCommand = notNone(value) != ""
	}
	if beyond {
		f.Beyond = append(f.Beyond, key)
	}
}

// Facts asks ssh -G about t. Nothing is connected. Its error is a *HostError.
func (c *Client) Facts(ctx context.Context, t Target) (Facts, error) {
	s, err := c.resolve(ctx, t, c.opts)
	if err != nil {
		return Facts{}, &HostError{Host: t.Name, Stage: StageResolve, Err: err}
	}
	f := s.facts
	f.HostName = s.hostname
	return f, nil
}

// SystemArgs gives the system's ssh and the options that lead it to t as Dial would go there. The caller adds what
// the session needs, --, the name and the command.
func (c *Client) SystemArgs(t Target) (bin string, args []string, err error) {
	q, err := c.newQuestion(t, c.opts)
	if err != nil {
		return "", nil, err
	}
	if bin, err = SystemSSH(); err != nil {
		return "", nil, err
	}
	args = c.sshArgs(q)
	if t.Address != "" {
		args = append(args, hostNameArgs(t.Address)...)
	}
	if t.KnownHosts != "" {
		args = append(args, "-o", "UserKnownHostsFile="+t.KnownHosts)
	}
	return bin, args, nil
}

// SystemSSH is the first ssh on PATH. One that is this very program, under that name, would call itself.
func SystemSSH() (string, error) {
	bin, err := exec.LookPath("ssh")
	if err != nil {
		return "", fmt.Errorf("find the system's ssh: %w", err)
	}
	found, err1 := os.Stat(bin)
	self, err2 := os.Stat("/proc/self/exe")
	if err1 == nil && err2 == nil && os.SameFile(found, self) {
		return "", fmt.Errorf("find the system's ssh: %s is interlock itself: take that name away, interlock-ssh is another that works", strconv.Quote(bin))
	}
	return bin, nil
}
