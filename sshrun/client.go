package sshrun

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	// DefaultConnectTimeout bounds TCP, banner, key exchange and authentication of one host, its jump hosts
	// included.
	DefaultConnectTimeout = 10 * time.Second
	// DefaultKeepAlive times missedKeepAlives is how long a dead host goes unnoticed: 15 s.
	DefaultKeepAlive = 5 * time.Second
	missedKeepAlives = 3
)

// Target is a host as the user named it, and what the inventory says of it. A zero field means "ask ssh's
// configuration".
type Target struct {
	Name         string // what Host blocks match; may be user@name
	Address      string // beats HostName
	Port         int
	User         string
	IdentityFile string // comes before those of the configuration, as with ssh -i
	KnownHosts   string // beats UserKnownHostsFile
}

// Options are the same for all hosts of a Client. User, Port and IdentityFiles are the command line's and beat
// Target, which beats ssh's configuration.
type Options struct {
	ConfigFile     string        // as ssh -F; "": the user's and the system's; "none": none
	User           string        // as ssh -l
	Port           int           // as ssh -p
	IdentityFiles  []string      // as ssh -i
	ConnectTimeout time.Duration // 0: the configuration's, else DefaultConnectTimeout
	KeepAlive      time.Duration // 0: DefaultKeepAlive, or ServerAliveInterval where that is shorter
	Args           []string      // more of ssh's options, as an ssh command line gave them (nil: there is none), for the hosts and not their jump hosts; they beat Target
	Transport      string        // "" or "native": in process; "openssh": the system's ssh; "auto": in process where that can
	Terminal       Terminal      // nil: nobody to ask
	Log            *slog.Logger  // nil: silent
}

// Client reaches hosts. It reads key files, known hosts, agents and configuration once, and shares one
// connection per jump host. All its methods may be called at once.
type Client struct {
	opts   Options
	log    *slog.Logger
	home   string // the account's, as ssh takes it; not $HOME
	me     *user.User
	sshBin string // "": no ssh here

	closed atomic.Bool

	handshakes chan struct{} // one for each host that shakes hands

	prompt   prompter
	resolver resolver
	hostKeys hostKeyStore
	keys     keyStore
	jumps    jumpStore
}

// NewClient makes a Client. Nothing is read or started yet.
func NewClient(o Options) *Client {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{opts: o, log: o.Log}
	c.me, c.home = account()
	c.sshBin, _ = exec.LookPath("ssh")
	c.prompt = prompter{turn: make(chan struct{}, 1), term: o.Terminal}
	c.handshakes = make(chan struct{}, handshakesPerCPU*runtime.GOMAXPROCS(0))
	c.resolver.slots = make(chan struct{}, 2*runtime.NumCPU()) // ssh -G is CPU alone: more would only queue
	return c
}

// Close ends the shared connections to jump hosts and agents. Close the Conns first.
func (c *Client) Close() error {
	c.closed.Store(true)
	c.jumps.close()
	c.keys.close()
	return nil
}

// Dial reaches t. Its error is a *HostError.
func (c *Client) Dial(ctx context.Context, t Target) (*Conn, error) {
	if c.closed.Load() {
		return nil, &HostError{Host: t.Name, Stage: StageConnect, Err: errClosed}
	}
	switch c.opts.Transport {
	case "", "native", "auto":
	case "openssh":
		return c.dialOpenSSH(t)
	default:
		return nil, &HostError{Host: t.Name, Stage: StageResolve,
			Err: fmt.Errorf("transport %q: want native or openssh", c.opts.Transport)}
	}
	s, err := c.resolve(ctx, t, c.opts)
	if err != nil {
		return nil, &HostError{Host: t.Name, Stage: StageResolve, Err: err}
	}
	if c.opts.Transport == "auto" && len(s.facts.Beyond) > 0 {
		return c.dialOpenSSH(t)
	}
	n, err := c.dial(ctx, s, nil)
	if e, ok := errors.AsType[*HostError](err); ok && strings.Contains(e.Remedy, useOpenSSH) && c.opts.Transport == "auto" && c.sshBin != "" {
		return c.dialOpenSSH(t)
	}
	if err != nil {
		return nil, err
	}
	return &Conn{host: t.Name, user: s.user, addr: n.remote, backend: n}, nil
}

// account is who runs this, from the password database like ssh, else from the environment.
func account() (*user.User, string) {
	u, err := user.LookupId(strconv.Itoa(os.Getuid()))
	if err != nil {
		home, _ := os.UserHomeDir()
		return &user.User{Username: os.Getenv("USER"), Uid: strconv.Itoa(os.Getuid()), HomeDir: home}, home
	}
	return u, u.HomeDir
}
