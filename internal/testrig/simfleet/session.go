package simfleet

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// maxSessions is sshd's own MaxSessions.
const maxSessions = 10

// drips is in how many pieces a dripping host says its report.
const drips = 25

// serve is one connection, from its acceptance to its end.
func (h *host) serve(raw net.Conn) {
	f := h.fleet
	f.book.note(func(l *Ledger) { l.Connections++; l.Open++ })
	defer f.book.note(func(l *Ledger) { l.Open-- })
	conn := far(raw, f.o.RoundTrip)
	defer conn.wait()
	defer conn.Close()
	server, chans, reqs, err := ssh.NewServerConn(conn, f.server)
	if err != nil {
		return // the client has said why, or left
	}
	defer server.Close()
	f.working.Go(func() { ssh.DiscardRequests(reqs) })
	sessions := &sessionSet{}
	for ch := range chans {
		if ch.ChannelType() != "session" || !sessions.enter() {
			_ = ch.Reject(ssh.ResourceShortage, "no more sessions")
			continue
		}
		channel, requests, err := ch.Accept()
		if err != nil {
			return
		}
		f.working.Go(func() {
			defer sessions.leave()
			(&session{host: h, set: sessions, ch: channel}).serve(requests)
		})
	}
}

// session is one channel.
type session struct {
	host *host
	set  *sessionSet
	ch   ssh.Channel
}

// serve answers the session's requests; the first exec starts it.
func (s *session) serve(requests <-chan *ssh.Request) {
	running := false
	for r := range requests {
		var exec struct{ Line string }
		if r.Type != "exec" || running || ssh.Unmarshal(r.Payload, &exec) != nil {
			_ = r.Reply(false, nil) // env, a terminal, signals
			continue
		}
		running = true
		_ = r.Reply(true, nil)
		s.host.fleet.working.Go(func() {
			defer s.ch.Close()
			s.host.fleet.book.note(func(l *Ledger) { l.Sessions++; l.Working++ })
			defer s.host.fleet.book.note(func(l *Ledger) { l.Working-- })
			status := s.exec(exec.Line)
			_, _ = s.ch.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{uint32(status)}))
		})
	}
}

// complain is what a host does with a request that it does not understand.
func (s *session) complain(status int, format string, args ...any) int {
	s.host.fleet.book.problem(s.host.name, format, args...)
	fmt.Fprintf(s.ch.Stderr(), "interlock: "+format+"\n", args...)
	return status
}

// exec is the login shell with a request's line.
func (s *session) exec(line string) (status int) {
	f := s.host.fleet
	words, err := splitWords(line)
	if err != nil || len(words) < 4 || words[0] != "exec" || words[2] != "-c" {
		return s.complain(2, "%.80q: not a request (%v)", line, err)
	}
	if len(words) == 4 {
		return s.plain(words[3])
	}
	if words[1] != "/bin/sh" || !strings.Contains(words[3], `"${1#script=}"`) || len(words) < 6 {
		return s.complain(2, "%.80q: does not unpack its first argument", words[3])
	}
	q, err := f.scripts.parseRequest(words[5:])
	if err != nil {
		return s.complain(64, "request: %v", err)
	}
	switch q.mode {
	case "check":
		s.report(s.host.reply(q))
		return 0
	case "run":
		return s.guarded(q)
	case "signal":
		if !s.host.signal(q.id, q.signal) {
			fmt.Fprintf(s.ch.Stderr(), "interlock: no running command with id %s\n", q.id)
			return 1
		}
		return 0
	}
	return s.complain(64, "request: mode %s is not simulated", q.mode)
}

// plain is a command without a check: a read-only one, or the request to stop those of this connection.
func (s *session) plain(text string) int {
	if strings.HasPrefix(text, "for d in /proc/[0-9]*;") {
		s.set.signal("INT")
		return 0
	}
	return s.run(request{command: text, class: "read-only", nonce: text}, "")
}

// report sends a report at the pace of the host.
func (s *session) report(r reported) {
	f := s.host.fleet
	switch s.host.kind {
	case slow:
		time.Sleep(f.o.Slow)
	case dripping:
		for n := range drips {
			time.Sleep(f.o.Slow / drips)
			_, _ = io.WriteString(s.ch, r.text[n*len(r.text)/drips:(n+1)*len(r.text)/drips])
		}
		f.book.note(func(l *Ledger) { l.Reports++ })
		return
	}
	// Between half and three halves of Inspect: no two hosts are alike.
	time.Sleep(f.o.Inspect/2 + f.o.Inspect*time.Duration(s.host.index%101)/100)
	if _, err := io.WriteString(s.ch, r.text); err == nil {
		f.book.note(func(l *Ledger) { l.Reports++ })
	}
}

// guarded is a session in mode run: report, go, command, end.
func (s *session) guarded(q request) int {
	r := s.host.reply(q)
	s.report(r)
	switch r.verdict {
	case "run":
	case "locked":
		return 75
	default:
		return 77
	}
	if !s.awaitGo(q) {
		s.host.unlock(r.lock)
		s.host.fleet.book.note(func(l *Ledger) { l.Declined++ })
		return 77
	}
	return s.run(q, r.lock)
}

// awaitGo reads exactly the go line. End of input, anything else and silence mean no.
func (s *session) awaitGo(q request) bool {
	line := make([]byte, len(q.nonce)+len("go \n"))
	got := make(chan error, 1)
	s.host.fleet.working.Go(func() {
		_, err := io.ReadFull(s.ch, line)
		got <- err
	})
	t := time.NewTimer(time.Duration(q.goWait) * time.Second)
	defer t.Stop()
	select {
	case err := <-got:
		if err == nil && string(line) != "go "+q.nonce+"\n" {
			s.host.fleet.book.problem(s.host.name, "a go that is none: %q", line)
			return false
		}
		return err == nil
	case <-t.C:
		return false
	}
}

// run runs the command to its end, whether or not anybody still listens.
func (s *session) run(q request, lock string) int {
	c := s.host.start(q, lock)
	s.set.add(c)
	defer s.set.remove(c)
	status := c.run()
	s.host.end(c, status)
	return status
}
