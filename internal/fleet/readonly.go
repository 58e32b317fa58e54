package fleet

import (
	"context"

	"interlock/checks"
	"interlock/sshrun"
)

// readOnly runs a command that was proven harmless: no check, no count, no lock, everywhere at once.
func (r *Run) readOnly(ctx context.Context) []outcome {
	if err := r.record.readOnly(r.names); err != nil {
		r.s.notef("warning: not recorded: %v", err)
	}
	return each(ctx, r.parallel, r.names, func(ctx context.Context, host string) outcome { return r.ended(r.plain(ctx, host)) })
}

// plain runs the command on one host.
func (r *Run) plain(ctx context.Context, host string) outcome {
	if r.stops.interrupted() || ctx.Err() != nil {
		return outcome{host: host, kind: notStarted, err: errInterrupted}
	}
	conn, err := r.site.client.Dial(ctx, r.site.target(host))
	if err != nil {
		return outcome{host: host, kind: unreachable, err: err}
	}
	defer conn.Close()
	line, err := checks.PlainExecLine(r.o.Shell, r.class.Command)
	if err != nil {
		return outcome{host: host, kind: notStarted, err: err}
	}
	asks := r.newAsker(ctx, conn, host, "")
	asks.starting()
	if !r.stops.start(host, asks.stop) {
		asks.started(false)
		return outcome{host: host, kind: notStarted, err: errInterrupted}
	}
	defer r.stops.end(host)
	session, err := conn.Start(ctx, line, sshrun.StartOptions{PTY: r.pty()})
	asks.started(err == nil)
	if err != nil {
		return outcome{host: host, kind: unreachable, err: err}
	}
	return r.stream(ctx, newTalk(session, checks.Request{}), host, asks)
}
