package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"

	"interlock/checks"
	"interlock/internal/hosts"
	"interlock/internal/policy"
	"interlock/sshrun"
)

// ExitSSH is the exit status of ssh for every failure that is not the command's own.
const ExitSSH = 255

const (
	// passLetters are the options with which ssh runs no command on a host: it prints something, forwards, or
	// talks to a process on this machine.
	passLetters = "GVQOWN"
	// sessionLetters say what becomes of the session, the others how the host is reached. Left to ssh alone among
	// them: M and S (interlock shares no connections), e, E, y.
	sessionLetters = "fnstTeEyMS" + passLetters
	// allowShell is the word of --allow that opens a shell on a live host in spite of require_shell_allow.
	allowShell = "shell"
)

// loginShell is what ssh starts where no command is given.
const loginShell = `exec "${SHELL:-/bin/sh}" -l # a script on standard input`

// sftpServer starts the server of the subsystem sftp where distributions have it (Debian; RHEL; SUSE, Arch; BSD).
const sftpServer = "PATH=/usr/lib/openssh:/usr/libexec/openssh:/usr/lib/ssh:/usr/libexec:$PATH exec sftp-server"

// SSHOptions are those of `interlock ssh`.
type SSHOptions struct {
	Args       []string            // as given
	Line       *sshrun.CommandLine // the same, read
	Config     string
	Allow      []string
	Override   string // as of RunOptions
	Reason     string
	Transport  string           // "": in process where that can, else the system's ssh
	Interrupts <-chan os.Signal // the first one stops the command, the second one leaves
	Started    *os.File         // of the process in the background (-f): is told once the command has started
}

// SSH stands in for OpenSSH's ssh. A command on a host of the inventory is guarded as a run on that host is.
// What is none of a guard's business is handed to the system's ssh, which takes the place of this process.
type SSH struct {
	o       SSHOptions
	s       Streams
	site    *site
	name    string // the inventory's, where it has one
	facts   sshrun.Facts
	command string // joined by blanks, as ssh does it; "": none
}

// NewSSH makes an SSH. Every error of it means status 255.
func NewSSH(o SSHOptions, s Streams) (*SSH, error) {
	for _, word := range o.Allow {
		if word != allowShell && !slices.Contains(checks.Allowances, word) {
			return nil, Usage("", "--allow %q: want %s, %s", word, strings.Join(checks.Allowances, ", "), allowShell)
		}
	}
	return &SSH{o: o, s: s, command: strings.Join(o.Line.Command, " ")}, nil
}

// Run does it.
func (c *SSH) Run(ctx context.Context) error {
	line := c.o.Line
	noCommand := len(line.Command) == 0
	if line.Host == "" || line.Has(passLetters) {
		return c.pass()
	}
	if err := c.resolve(ctx); err != nil {
		return err
	}
	defer c.site.close()
	if c.command == "" && noCommand {
		c.command = c.facts.RemoteCommand
	}
	subsystem := line.Has("s") || c.facts.SessionType == "subsystem"
	background := line.Has("f") || c.facts.Fork
	switch {
	case !c.guards(), c.facts.SessionType == "none":
		return c.pass()
	case background && c.command == "":
		return c.pass() // ssh says that it cannot
	case background && c.o.Started == nil:
		return c.inBackground(ctx)
	case subsystem && c.command == "sftp":
		return c.sftp(ctx)
	case subsystem:
		return c.subsystem(ctx)
	case c.command == "" && isTerminal(c.s.In) && !c.stdinNull():
		return c.shell(ctx)
	case c.command == "":
		return c.run(ctx, loginShell)
	}
	return c.run(ctx, c.command)
}

// resolve opens the inventory, and asks ssh's configuration about the host.
func (c *SSH) resolve(ctx context.Context) (err error) {
	line := c.o.Line
	r := Remote{
		Config: c.o.Config, SSHConfig: line.Last('F'), Transport: c.o.Transport,
		SSHArgs: append([]string{}, line.Without(sessionLetters+"F")...),
		Verbose: line.Has("v"), Quiet: line.Has("q"),
	}
	if r.Transport == "" {
		r.Transport = "auto"
	}
	if path := line.Last('E'); path != "" {
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600) // open until the process ends
		if err != nil {
			return fmt.Errorf("open log file: %w", err)
		}
		r.LogFile = f
	}
	if c.site, err = newSite(r, c.s); err != nil {
		return err
	}
	if c.facts, err = c.site.client.Facts(ctx, c.site.target(line.Host)); err != nil {
		c.site.close()
		return err
	}
	return nil
}

// guards tells whether the host is one to guard, and finds the inventory's name for it. What the inventory calls
// otherwise, or where the name leads to by ssh's configuration, is a host of the inventory all the same. Without a
// host in the inventory every host is one to guard: a file that was not found must not switch the guard off.
func (c *SSH) guards() bool {
	inv, host := c.site.inv, c.o.Line.Host
	c.name = host
	own, known := inv.Called(host)
	if !known {
		own, known = inv.Called(c.facts.HostName)
	}
	if known {
		h, _ := inv.Lookup(own)
		c.name = own
		if !strings.EqualFold(own, host) && !strings.EqualFold(h.Address, host) {
			c.site.ways = map[string]string{own: host}
		}
	}
	return known || inv.Defaults.SSHScope == hosts.ScopeAll || !inv.Names()
}

func (c *SSH) stdinNull() bool {
	return c.o.Line.Has("nf") || c.facts.StdinNull || c.facts.Fork
}

// tty tells whether the session has a terminal: ssh.c, the uses of request_tty.
func (c *SSH) tty() bool {
	request := c.facts.RequestTTY
	given := ""
	for _, o := range c.o.Line.Options {
		switch {
		case o.Letter == 'T':
			given = "false"
		case o.Letter == 't' && given == "true":
			given = "force"
		case o.Letter == 't' && given != "force":
			given = "true"
		}
	}
	if given != "" {
		request = given
	}
	return request == "force" || request == "true" && isTerminal(c.s.In) && !c.stdinNull()
}

// run guards a line, as `interlock run` of one host does.
func (c *SSH) run(ctx context.Context, line string) error {
	r, err := c.prepare(line)
	if err != nil {
		return err
	}
	r.o.TTY = c.tty()
	ends, err := r.attended(ctx)
	if err != nil {
		return err
	}
	return c.finish(r, ends[0])
}

// prepare makes the run of a line on the host.
func (c *SSH) prepare(line string) (*Run, error) {
	if strings.TrimSpace(line) == "" {
		return nil, errors.New("the command is empty")
	}
	if err := policy.MisplacedSelector(line, c.site.inv.Key); err != nil {
		return nil, err
	}
	r := &Run{s: c.s, site: c.site, names: []string{c.name}, parallel: 1, typed: c}
	r.o = RunOptions{
		Remote: c.site.flags, Hosts: c.name, Command: []string{line}, Shell: "/bin/sh", Interrupts: c.o.Interrupts,
		Override: c.o.Override, Reason: c.o.Reason, NoWaitHealthy: true, // whoever calls ssh waits for a reboot by himself
		Allow: slices.DeleteFunc(slices.Clone(c.o.Allow), func(word string) bool { return word == allowShell }),
	}
	if err := r.o.validateOverride(1); err != nil {
		return nil, err
	}
	if c.stdinNull() {
		null, err := os.Open(os.DevNull)
		if err != nil {
			return nil, err
		}
		r.s.In = null
	}
	if err := r.equip(line); err != nil {
		return nil, err
	}
	r.o.Unspooled = isTransfer(line)
	if c.o.Started != nil {
		r.print = &announcer{printer: r.print, to: c.o.Started}
	}
	return r, nil
}

// again is the command line as it was typed, with other long options instead of an override's.
func (c *SSH) again(given []string) []string {
	words := append([]string{"interlock", "ssh"}, given...)
	words = appendGiven(words, "--config", c.o.Config)
	words = appendGiven(words, "--transport", c.o.Transport)
	words = appendGiven(words, "--allow", strings.Join(c.o.Allow, ","))
	words = append(append(words, c.o.Line.Without("")...), c.o.Line.Host)
	return append(words, c.o.Line.Command...)
}

// isTransfer tells whether a line is the far end of a transfer. What it gives out is data, which has no business
// in a spool on the host; and it ends by itself when its client does.
func isTransfer(line string) bool {
	switch first, _, _ := strings.Cut(line, " "); first {
	case "rsync", "scp", "git-receive-pack", "git-upload-pack":
		return true
	}
	return strings.HasPrefix(line, sftpServer)
}

// finish says what is left to say; the status is the command's own, or ssh's for everything else.
func (c *SSH) finish(r *Run, o outcome) error {
	err := r.print.finish()
	for _, text := range leftRunning(r.class, []outcome{o}) {
		c.s.notef("%s", text)
	}
	r.sayEnd(o)
	code := ExitSSH
	if o.kind == exited && (err == nil || o.exit != ExitOK) {
		code = o.exit
	}
	return c.s.end(code, err)
}

// pass lets the system's ssh do it, as it was asked for.
func (c *SSH) pass() error {
	args := c.o.Args
	if line := c.o.Line; len(line.Long) > 0 {
		args = line.Without("")
		if line.Host != "" {
			args = append(append(args, "--", line.Host), line.Command...)
		}
	}
	bin, err := sshrun.SystemSSH()
	if err != nil {
		return err
	}
	return become(bin, args)
}

// become puts the system's ssh in the place of this process.
func become(bin string, args []string) error {
	err := syscall.Exec(bin, append([]string{"ssh"}, args...), os.Environ())
	return fmt.Errorf("run %s: %w", bin, err)
}

// let hands the session to the system's ssh, once the guard has decided.
func (c *SSH) let() error {
	t := c.site.target(c.name)
	bin, args, err := c.site.client.SystemArgs(t)
	if err != nil {
		return err
	}
	args = append(append(args, c.o.Line.Only(sessionLetters)...), "--", t.Name)
	c.site.close()
	return become(bin, append(args, c.o.Line.Command...))
}
