package fleet

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"time"

	"interlock/checks"
	"interlock/internal/audit"
	"interlock/internal/hosts"
	"interlock/sshrun"
)

// Remote says how hosts are reached, as the command line gave it. What it leaves empty, hosts.toml and then
// the user's ssh configuration say.
type Remote struct {
	Config        string // hosts.toml; "": the first that is found
	User          string
	Port          int
	SSHConfig     string // as ssh -F
	IdentityFiles []string
	Transport     string // "", native or openssh; ssh: auto

	// Of a command line of ssh's.
	SSHArgs []string  // more of ssh's options; they beat hosts.toml
	Verbose bool      // say what the connection does
	Quiet   bool      // warnings are not said
	LogFile io.Writer // where the connection's words go; nil: standard error
}

// words are the options of a command line that stand for r, but for ssh's own.
func (r Remote) words() []string {
	var words []string
	words = appendGiven(words, "--config", r.Config)
	words = appendGiven(words, "-F", r.SSHConfig)
	words = appendGiven(words, "-l", r.User)
	if r.Port != 0 {
		words = append(words, "-p", strconv.Itoa(r.Port))
	}
	for _, file := range r.IdentityFiles {
		words = append(words, "-i", file)
	}
	return appendGiven(words, "--transport", r.Transport)
}

func (r Remote) validate() error {
	switch {
	case r.Port < 0 || r.Port > 65535:
		return Usage("", "-p %d: a port is 1 to 65535", r.Port)
	case r.Transport != "" && r.Transport != "native" && r.Transport != "openssh" && (r.Transport != "auto" || r.SSHArgs == nil):
		return Usage("", "--transport %q: want native or openssh", r.Transport)
	}
	return nil
}

// site is what every command that reaches hosts starts from: the inventory and a client.
type site struct {
	inv    *hosts.Inventory
	client *sshrun.Client
	flags  Remote
	owner  string      // who asks, for the locks: user@client
	tty    *sshrun.TTY // nil: nobody to ask

	// ways are the names under which ssh's configuration knows hosts, where they are not those of the inventory.
	ways map[string]string
}

func newSite(r Remote, s Streams) (*site, error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	inv, err := loadInventory(r.Config)
	if err != nil {
		return nil, err
	}
	o := sshrun.Options{
		ConfigFile: r.SSHConfig, User: r.User, Port: r.Port, IdentityFiles: r.IdentityFiles,
		Args: r.SSHArgs, ConnectTimeout: inv.Defaults.ConnectTimeout, Transport: r.Transport, Log: r.logger(s),
	}
	tty, err := sshrun.OpenTTY()
	if err == nil { // without one there is nobody to ask, which is no error
		o.Terminal = tty
	}
	return &site{inv: inv, client: sshrun.NewClient(o), flags: r, owner: audit.Who() + "@" + audit.From(), tty: tty}, nil
}

func (r Remote) logger(s Streams) *slog.Logger {
	level, to := slog.LevelWarn, s.Err
	switch {
	case r.Verbose:
		level = slog.LevelDebug
	case r.Quiet:
		level = slog.LevelError
	}
	if r.LogFile != nil {
		to = r.LogFile
	}
	return slog.New(slog.NewTextHandler(to, &slog.HandlerOptions{Level: level}))
}

// target is where a host is, by hosts.toml; [defaults] counts where neither a flag nor the host says more.
func (f *site) target(name string) sshrun.Target {
	user, bare := hosts.SplitUser(name)
	h, _ := f.inv.Lookup(bare)
	if way, ok := f.ways[bare]; ok { // ssh's configuration says where that leads, and as whom
		bare, h = way, hosts.Host{}
	}
	t := sshrun.Target{Name: bare, Address: h.Address, Port: h.Port, User: h.User, IdentityFile: h.IdentityFile, KnownHosts: h.KnownHosts}
	if user != "" {
		t.User = user
	}
	if t.User == "" && f.flags.User == "" {
		t.User = f.inv.Defaults.User
	}
	if t.Port == 0 && f.flags.Port == 0 {
		t.Port = f.inv.Defaults.Port
	}
	return t
}

// request is what every request to a host says, whatever its mode.
func (f *site) request(name string, mode checks.Mode) checks.Request {
	_, bare := hosts.SplitUser(name)
	h, _ := f.inv.Lookup(bare)
	r := checks.Request{
		Nonce: checks.NewNonce(), Mode: mode, Host: bare, Owner: f.owner,
		Member:       len(f.inv.ClusterOf(name)) > 0,
		DefaultsFile: h.MySQLDefaultsFile,
		IdleAfter:    f.inv.Defaults.IdleAfter, Timeout: f.inv.Defaults.CheckTimeout,
	}
	for _, c := range f.inv.Critical {
		r.Critical = append(r.Critical, checks.Critical{Name: c.Name, Process: c.Process, Port: c.Port})
	}
	for _, d := range f.inv.Data {
		r.DataPaths = append(r.DataPaths, d.Path)
	}
	for _, c := range f.inv.Clients {
		r.Clients = append(r.Clients, c.User)
	}
	return r
}

// reportTimeout bounds the wait for a report from here. The host bounds its own check; the rest is for
// a slow login, a loaded machine and the way back.
func (f *site) reportTimeout() time.Duration { return f.inv.Defaults.CheckTimeout + 15*time.Second }

func (f *site) close() {
	_ = f.client.Close()
	if f.tty != nil {
		_ = f.tty.Close()
	}
}

// each does do for every name, at most parallel at once, and gives the results in the order of names.
func each[T any](ctx context.Context, parallel int, names []string, do func(context.Context, string) T) []T {
	results := make([]T, len(names))
	sshrun.Each(ctx, parallel, len(names), func(ctx context.Context, i int) { results[i] = do(ctx, names[i]) })
	return results
}

// parallelism is the flag's number of hosts at once, or hosts.toml's.
func (f *site) parallelism(flag int) (int, error) {
	switch {
	case flag < 0:
		return 0, Usage("", "--parallel %d: want 1 or more", flag)
	case flag == 0:
		return f.inv.Defaults.Parallel, nil
	}
	return flag, nil
}

// oneHost resolves a set that must be a single host.
func (f *site) oneHost(set string) (string, error) {
	names, err := expand(f.inv, set)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		return "", Usage("", "%s is %d hosts: want one", set, len(names))
	}
	return names[0], nil
}

func plural(n int, one, many string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, one)
	}
	return fmt.Sprintf("%d %s", n, many)
}
