package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"

	"interlock/checks"
	"interlock/internal/policy"
	"interlock/internal/report"
)

// sftp starts the sftp server: one that writes where a destructive command may run, under the host's lock, and
// one that only reads everywhere else. That one refuses every change by itself.
func (c *SSH) sftp(ctx context.Context) error {
	r, err := c.prepare(sftpServer)
	if err != nil {
		return err
	}
	said := &held{} // a refusal in full would greet every file that is fetched
	r.s.Err = said
	ends, err := r.attended(ctx)
	if err != nil {
		return err
	}
	o := ends[0]
	if o.kind != refused && o.kind != locked {
		said.release(c.s.Err)
		return c.finish(r, o)
	}
	if !c.o.Line.Has("q") {
		why := string(o.kind)
		if len(o.reasons) > 0 {
			why = o.reasons[0].Text
		}
		c.s.notef("sftp only reads on %s: %s", c.name, report.Visible(why))
	}
	if r, err = c.prepare(sftpServer + " -R"); err != nil {
		return err
	}
	r.class.Class, r.class.Reasons = checks.ReadOnly, nil // sftp-server(8), -R: opens nothing for writing, changes nothing
	if ends, err = r.attended(ctx); err != nil {
		return err
	}
	return c.finish(r, ends[0])
}

// subsystem lets another subsystem through where a destructive command may run. Nothing is known of it but its
// name, and nothing holds a lock for it.
func (c *SSH) subsystem(ctx context.Context) error {
	r, err := c.prepare("subsystem " + c.command)
	if err != nil {
		return err
	}
	defer r.record.close()
	r.class.Class = checks.Destructive
	f, err := c.look(ctx, r)
	if err != nil {
		return err
	}
	v := judge(f, r.class, r.o.Allow)
	if err := c.decided(r, &v); err != nil || !v.run() {
		return cmpErr(err, status(ExitSSH))
	}
	return c.let()
}

// shell opens a shell after a banner that says what the host is. What is typed in it nobody guards.
func (c *SSH) shell(ctx context.Context) error {
	r, err := c.prepare(loginShell)
	required := c.site.inv.Defaults.RequireShellAllow
	if err != nil && !required {
		c.s.notef("warning: not recorded: %v", err) // a full disk here must not lock people out
		r = &Run{s: c.s, site: c.site, names: []string{c.name}, record: &record{}}
		r.print = newPrinter(RunOptions{}, c.s, r.names)
	} else if err != nil {
		return err
	}
	defer r.record.close()
	r.class = policy.Classification{Class: checks.Destructive, Command: "a shell"}
	r.record.base.Command = r.class.Command
	f, err := c.look(ctx, r)
	if err != nil {
		return err
	}
	v := verdict{host: c.name, kind: exited, err: f.err}
	if f.err != nil {
		v.kind = unreachable
	} else {
		v.state = f.report.State
		v.addFacts(f.report)
	}
	required = required && !slices.Contains(c.o.Allow, allowShell)
	if required && f.err == nil && v.state.Severity() >= checks.Replica.Severity() {
		v.kind = refused
		v.reasons = []checks.Reason{{Code: "needs-shell", Text: fmt.Sprintf("the host is %s, and hosts.toml says require_shell_allow", v.state),
			Remedy: "interlock ssh --allow shell " + c.o.Line.Host}}
	}
	if !required && v.kind == unreachable {
		c.s.notef("%s: not looked at: %s", c.name, report.Visible(cause(f.err)))
		return c.let() // ssh says why not, or finds a way
	}
	if err := c.decided(r, &v); err != nil && required || !v.run() {
		return cmpErr(err, status(ExitSSH))
	}
	c.banner(v)
	return c.let()
}

// banner says what the host is.
func (c *SSH) banner(v verdict) {
	text := fmt.Sprintf("interlock: %s is %s\n", c.name, v.state)
	for _, fact := range v.facts {
		text += "  " + report.Visible(fact.Text) + "\n"
	}
	c.s.say(text + "interlock: nothing guards what is typed in this shell\n")
}

// look asks the host what it is. Its error means that it was interrupted.
func (c *SSH) look(ctx context.Context, r *Run) (f finding, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case <-c.o.Interrupts:
			cancel(errInterrupted)
		case <-ctx.Done():
		}
	})
	defer func() {
		cancel(nil)
		watching.Wait()
	}()
	f.host = c.name
	conn, err := c.site.client.Dial(ctx, c.site.target(c.name))
	if err == nil {
		defer conn.Close()
		q := c.site.request(c.name, checks.ModeCheck)
		q.Class, q.Allow = checks.Destructive, r.o.Allow
		f.report, err = c.site.ask(ctx, conn, q)
	}
	f.err = err
	if ctx.Err() != nil {
		return f, context.Cause(ctx)
	}
	return f, nil
}

// decided records a verdict after which another program takes over, and says a no.
func (c *SSH) decided(r *Run, v *verdict) error {
	err := r.record.decision(*v, "")
	c.s.say(refusals(r.class.Command, []verdict{*v}) + unreachables([]verdict{*v}))
	if err != nil && v.run() {
		return err
	}
	return nil
}

// inBackground is ssh -f: the same once more in another process, which is left alone once its command has started.
// Until then it shares the terminal with this one, so that it can ask there.
func (c *SSH) inBackground(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	defer told.Close()
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self) // it outlives us
	cmd.Args = append([]string{"interlock", "ssh", "--started-fd=3"}, c.o.Args...)
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{tell}
	err = cmd.Start()
	_ = tell.Close()
	if err != nil {
		return fmt.Errorf("go to the background: %w", err)
	}
	if n, _ := told.Read(make([]byte, 1)); n == 1 {
		return nil
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); errors.As(err, &ended) && ended.ExitCode() >= 0 {
		return status(ended.ExitCode())
	} else if err != nil {
		return fmt.Errorf("in the background: %w", err)
	}
	return nil
}

// announcer tells the process that waits for it that the command has started, and leaves the terminal.
type announcer struct {
	printer
	to   *os.File
	once sync.Once
}

func (a *announcer) host(name string) (stdout, stderr io.Writer) {
	a.once.Do(func() {
		_, _ = syscall.Setsid() // it fails for the leader of a group, which has left already
		_, _ = a.to.WriteString("s")
		_ = a.to.Close()
	})
	return a.printer.host(name)
}
