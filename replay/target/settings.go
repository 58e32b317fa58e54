package target

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"interlock/replay/binlog"
)

// setting is a global variable that is another during a run.
type setting struct{ name, value string }

// flushSetting is the one that Run.flush and Run.durably change during a run.
const flushSetting = "innodb_flush_log_at_trx_commit"

// settingsTimeout is how long Settings may take. Closing the event scheduler waits for it to end.
const settingsTimeout = 20 * time.Second

// maxPacket is the largest max_allowed_packet of both servers: 1 GiB.
const maxPacket = 1 << 30

// settings are what a run sets, in this order; they are put back in the opposite one. sync_binlog is not among
// them: chunks do not write the target's binary log.
func (s *Server) settings() []setting {
	all := []setting{
		{"event_scheduler", "OFF"},
		// New connections have it: those that are open keep theirs.
		{"max_allowed_packet", strconv.Itoa(maxPacket)},
		// The source took its functions as they are; a target that logs may not (error 1418).
		{"log_bin_trust_function_creators", "1"},
		// Data and marks share one redo log: a crash takes back both.
		{flushSetting, "0"},
	}
	if s.Flavor == binlog.MySQL {
		return append(all, setting{"offline_mode", "1"})
	}
	// gtid_slave_pos is set to what a log of another server says, whatever the target's own log holds (errors 1947, 1948).
	all = append(all, setting{"gtid_strict_mode", "0"})
	// MariaDB has no offline_mode. An init_connect that fails stops everybody: a connection of an account without
	// CONNECTION ADMIN is closed at its first statement, with the reason in the error log (init_connect, MariaDB's
	// Server System Variables). Not read_only: what the log's statements fire runs with the rights of its definer, who
	// may not write then.
	return append(all, setting{"init_connect", "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'closed by interlock replay'"})
}

// Settings closes the target to others and sets what a run needs, keeping what was there in interlock_replay
// so that the next start puts it back after a crash. It may be called again, after the server was restarted for
// instance. Connections that are to send large packets are opened after it. The end of ctx does not stop it half way: the
// server would still run the statement that was under way, when Restore has been.
func (r *Run) Settings(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settingsTimeout)
	defer cancel()
	return r.server.withConn(ctx, func(c *Conn) error { return r.server.applySettings(ctx, c) })
}

// Restore puts back what Settings has set. A variable that has another value than ours by now is left alone:
// either the server was restarted and has forgotten ours, or somebody has changed it since. (A restarted server
// whose configuration says what we had set cannot be told from one that was not: it gets what it had before.)
func (r *Run) Restore(ctx context.Context) error {
	broken, old := r.broken()
	err := r.server.withConn(ctx, func(c *Conn) error {
		// What was interrupted on the control connection may still run on the server, and set a variable again behind our
		// back (Run.flush does): once the lock is ours it has ended.
		if broken {
			if err := r.relock(ctx, c, old); err != nil {
				return err
			}
		}
		return restoreSettings(ctx, c)
	})
	if err == nil || ctx.Err() != nil {
		return err
	}
	// The log may have changed our account, or have taken from it what lets it in: the connection that we have lives on.
	r.mu.Lock()
	defer r.mu.Unlock()
	if restoreSettings(ctx, r.conn) == nil {
		return nil
	}
	return err
}

// withConn opens a connection for f, whose statements are not logged. It is one of its own, so that whoever holds
// the run's may call.
func (s *Server) withConn(ctx context.Context, f func(*Conn) error) error {
	return with(ctx, s.control, f)
}

// ask opens a connection for f that asks for no privilege: Preflight is to name those that are missing.
func (s *Server) ask(ctx context.Context, f func(*Conn) error) error {
	return with(ctx, s.Dial, f)
}

// with opens a connection for the length of f.
func with(ctx context.Context, open func(context.Context) (*Conn, error), f func(*Conn) error) error {
	c, err := open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// kept is a row of interlock_replay.setting.
type kept struct{ name, previous, ours string }

// applySettings sets all, or puts back what it has set and returns an error.
func (s *Server) applySettings(ctx context.Context, c *Conn) error {
	err := s.setAll(ctx, c)
	if err == nil {
		err = s.stillLetIn(ctx)
	}
	if err == nil {
		return nil
	}
	if lost(err) || ctx.Err() != nil {
		return err // the next start puts them back
	}
	return errors.Join(err, restoreSettings(ctx, c))
}

func (s *Server) setAll(ctx context.Context, c *Conn) error {
	all, err := keptSettings(ctx, c)
	if err != nil {
		return err
	}
	for _, want := range s.settings() {
		now, err := global(ctx, c, want.name)
		if err != nil {
			return err
		}
		// Ours from before, or the server's own: nothing to put back. But Run.flush sets this one to 1 for a while, and a
		// start after a kill in that while must not take the 1 for the server's own.
		flushes := want.name == flushSetting
		if same(now, want.value) && !flushes || want.name == "event_scheduler" && now == "DISABLED" {
			continue
		}
		previous := now
		if i := slices.IndexFunc(all, func(k kept) bool { return k.name == want.name && k.set(now) }); i >= 0 {
			previous = all[i].previous // ours of a version that set another value, or of a flush
		}
		// First written down, then set: between the two a crash leaves a row that Restore finds to be void.
		err = c.Exec(ctx, fmt.Sprintf("REPLACE INTO %s.setting (name, previous, ours) VALUES (%s, %s, %s)",
			stateSchema, quoteText(want.name), quoteText(previous), quoteText(want.value)))
		if err != nil {
			return wrapState("keep setting", err)
		}
		if err := setGlobal(ctx, c, want.name, want.value); err != nil {
			return err
		}
	}
	return nil
}

// set tells whether a value of the variable is of our making. Run.flush has another one for the length of a commit,
// in which a start may have ended.
func (k kept) set(now string) bool {
	return same(now, k.ours) || k.name == flushSetting && now == "1"
}

// stillLetIn makes sure that the target has not been closed to ourselves. MariaDB says so by ending the connection, which
// may happen to one for other reasons, but not to two.
func (s *Server) stillLetIn(ctx context.Context) error {
	come := func() error {
		return s.withConn(ctx, func(c *Conn) error { return c.Exec(ctx, "DO 0") })
	}
	err := come()
	if lost(err) {
		err = come()
	}
	if ctx.Err() != nil {
		return err
	}
	if err != nil {
		return fmt.Errorf("close the target to others: it is closed to %s too: %w (grant it CONNECTION_ADMIN, in MariaDB CONNECTION ADMIN)", s.opts, err)
	}
	return nil
}

func restoreSettings(ctx context.Context, c *Conn) error {
	all, err := keptSettings(ctx, c)
	if err != nil {
		return err
	}
	for _, k := range all {
		now, err := global(ctx, c, k.name)
		if err != nil {
			return err
		}
		if k.set(now) {
			if err := setGlobal(ctx, c, k.name, k.previous); err != nil {
				return err
			}
		}
	}
	if len(all) == 0 {
		return nil
	}
	// Forgotten once all are back: a server that has become read-only or full takes the settings and not this, and what is
	// kept of a variable that is as it was is void.
	return wrapState("forget settings", c.Exec(ctx, "DELETE FROM "+stateSchema+".setting"))
}

// keptSettings are the rows of interlock_replay.setting; what closes the target comes last, so that it is
// opened when all else is as it was.
func keptSettings(ctx context.Context, c *Conn) ([]kept, error) {
	rows, err := c.Query(ctx, "SELECT name, previous, ours FROM "+stateSchema+".setting ORDER BY name")
	if err != nil {
		return nil, wrapState("read settings", err)
	}
	all := make([]kept, len(rows))
	for i, row := range rows {
		all[i] = kept{row[0].Text, row[1].Text, row[2].Text}
	}
	slices.SortStableFunc(all, func(a, b kept) int { return closes(a.name) - closes(b.name) })
	return all, nil
}

func closes(name string) int {
	switch name {
	case "offline_mode", "init_connect":
		return 1
	}
	return 0
}

func global(ctx context.Context, c *Conn, name string) (string, error) {
	value, err := c.text(ctx, "SELECT @@GLOBAL."+name)
	if err != nil {
		return "", fmt.Errorf("read variable %s: %w", name, err)
	}
	return value, nil
}

func setGlobal(ctx context.Context, c *Conn, name, value string) error {
	text := value
	if _, err := strconv.ParseInt(value, 10, 64); err != nil {
		text = quoteText(value)
	}
	if err := c.Exec(ctx, "SET GLOBAL "+name+"="+text); err != nil {
		return fmt.Errorf("set variable %s to %s: %w", name, text, err)
	}
	return nil
}

// same compares two values of a variable; switches read 1 and 0 or ON and OFF, by version.
func same(a, b string) bool {
	plain := func(text string) string {
		switch text = strings.ToUpper(text); text {
		case "ON":
			return "1"
		case "OFF":
			return "0"
		}
		return text
	}
	return plain(a) == plain(b)
}
