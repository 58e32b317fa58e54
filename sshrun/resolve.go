package sshrun

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// resolver asks ssh -G, once per class of hosts where the configuration allows it (config.go), at most
// cap(slots) at a time.
type resolver struct {
	slots chan struct{}

	scanOnce sync.Once
	scan     *configScan

	mu      sync.Mutex
	answers map[string]*answer
}

// answer is one output of ssh -G; done is closed once the rest is set.
type answer struct {
	done      chan struct{}
	settings  *settings
	err       error
	abandoned bool // whoever asked gave up; it is no answer
}

// resolve gives the settings of t, ready for use. flags are those of the command line, as far as they are
// meant for t.
func (c *Client) resolve(ctx context.Context, t Target, flags Options) (*settings, error) {
	q, err := c.newQuestion(t, flags)
	if err != nil {
		return nil, err
	}
	var s settings
	if c.sshBin == "" {
		s = *c.defaultSettings(q.name)
		s.identityFiles = slices.Concat(q.identities, s.identityFiles)
		if q.user != "" {
			s.user = q.user
		}
		if q.port != 0 {
			s.port = q.port
		}
	} else {
		shared, err := c.askSSH(ctx, q)
		if err != nil {
			return nil, err
		}
		s = *shared
	}
	if s.name != q.name { // a host of the same class, asked before: no HostName applies to either
		s.name, s.hostname = q.name, strings.ToLower(q.name)
	}
	if t.Address != "" {
		s.hostname = strings.ToLower(t.Address)
	}
	if t.KnownHosts != "" {
		s.userKnownHosts = []string{t.KnownHosts}
	}
	s.expand(c)
	return &s, nil
}

// question is what is asked of ssh -G for one host.
type question struct {
	name, user, address string
	port                int
	identities          []string
	args                []string // more of ssh's options
}

// newQuestion puts together t and flags: flags beat the inventory, which beats ssh's configuration.
func (c *Client) newQuestion(t Target, flags Options) (question, error) {
	q := question{name: t.Name, user: flags.User, address: t.Address, port: flags.Port, identities: flags.IdentityFiles, args: flags.Args}
	if at := strings.LastIndexByte(q.name, '@'); at >= 0 {
		q.name = t.Name[at+1:]
		if q.user == "" {
			q.user = t.Name[:at]
		}
	}
	if q.user == "" {
		q.user = t.User
	}
	if q.port == 0 {
		q.port = t.Port
	}
	if len(q.identities) == 0 && t.IdentityFile != "" {
		q.identities = []string{t.IdentityFile}
	}
	if err := plainName(q.name); err != nil {
		return q, err
	}
	if strings.HasPrefix(q.user, "-") || strings.ContainsAny(q.user, " \t\n'\"`$\\;&<>|(){}") {
		return q, fmt.Errorf("user %q: not a user name", q.user)
	}
	for _, file := range q.identities { // ssh warns and goes on with other keys; whoever names a key means it
		if _, err := os.Stat(c.tilde(file)); err != nil {
			return q, fmt.Errorf("identity file: %w", err)
		}
	}
	if t.Address != "" {
		return q, plainName(t.Address)
	}
	return q, nil
}

// plainName refuses what ssh would take for an option or what could mean something to the shell of a
// ProxyCommand; ssh does the same.
func plainName(name string) error {
	if name == "" || name[0] == '-' || strings.ContainsAny(name, " \t\r\n'\"`$\\;&<>|(){}@/") {
		return fmt.Errorf("host name %q: not a host name", name)
	}
	return nil
}

// askSSH returns the settings of q's class of hosts. They are shared: do not change them.
func (c *Client) askSSH(ctx context.Context, q question) (*settings, error) {
	r := &c.resolver
	r.scanOnce.Do(func() { r.scan = scanConfig(c.opts.ConfigFile, c.home) })
	class, shared := r.scan.class(q.name)
	if shared = shared && q.args == nil; !shared {
		class = "host " + q.name + " at " + q.address
	}
	key := fmt.Sprintf("%s\x00%s\x00%d\x00%q\x00%q", class, q.user, q.port, q.identities, q.args)
	for {
		r.mu.Lock()
		a, asked := r.answers[key]
		if !asked {
			a = &answer{done: make(chan struct{})}
			if r.answers == nil {
				r.answers = map[string]*answer{}
			}
			r.answers[key] = a
		}
		r.mu.Unlock()
		if !asked {
			a.settings, a.err = c.runSSHG(ctx, q, shared)
			if a.err != nil && ctx.Err() != nil {
				a.abandoned = true
				r.mu.Lock()
				delete(r.answers, key)
				r.mu.Unlock()
			}
			close(a.done)
			return a.settings, a.err
		}
		select {
		case <-a.done:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
		if !a.abandoned {
			return a.settings, a.err
		}
	}
}

// runSSHG asks ssh for q's settings. The inventory's address is left out where hosts share the answer: no
// Match looks at it there.
func (c *Client) runSSHG(ctx context.Context, q question, shared bool) (*settings, error) {
	select {
	case c.resolver.slots <- struct{}{}:
		defer func() { <-c.resolver.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	args := append([]string{"-G"}, c.sshArgs(q)...)
	if q.args == nil {
		args = append(args, "-T") // else ssh complains that there is no terminal
	}
	if q.address != "" && !shared {
		args = append(args, hostNameArgs(q.address)...)
	}
	cmd := exec.CommandContext(ctx, c.sshBin, append(args, "--", q.name)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, fmt.Errorf("ask ssh -G: %w: %s", err, oneLine(stderr.String()))
	}
	return c.parseSettings(q.name, stdout.String())
}

// sshArgs are the ssh options that carry the command line's and the inventory's wishes.
func (c *Client) sshArgs(q question) []string {
	var args []string
	if c.opts.ConfigFile != "" {
		args = append(args, "-F", c.opts.ConfigFile)
	}
	args = append(args, q.args...) // the first one counts: they stand before what the inventory says
	if q.user != "" {
		args = append(args, "-l", q.user)
	}
	if q.port != 0 {
		args = append(args, "-p", strconv.Itoa(q.port))
	}
	for _, id := range q.identities {
		args = append(args, "-i", id)
	}
	return args
}

// oneLine folds what a program wrote on stderr into one line of at most 500 bytes, for an error.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > 500 {
		text = text[:500] + "…"
	}
	return text
}
