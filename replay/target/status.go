package target

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Status is what --status prints of one run.
type Status struct {
	Fingerprint  string
	Describe     map[string]string
	Started      time.Time
	Done         bool
	Begun        bool   // it has begun to change the server
	Holder       string // who runs it now, and since when; empty: nobody
	Epoch        Epoch
	ChunksDone   int
	Inconsistent bool   // part of an epoch is applied: rows are missing, or there before their time
	Intent       string // a barrier that has begun and is not known to have ended
	Failure      string // the run has come to a wrong end: the target is not to be used
	Temporary    bool   // temporary tables are open: it cannot be resumed once it is interrupted
	Closed       bool   // the target has settings of a run's, and is closed to others
}

// Status reads the runs that the target knows, oldest first. It changes nothing.
func (s *Server) Status(ctx context.Context) ([]Status, error) {
	c, err := s.Dial(ctx)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	there, err := stateThere(ctx, c)
	if err != nil || !there {
		return nil, err
	}
	all, err := records(ctx, c)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	settings, err := c.text(ctx, "SELECT COUNT(*) FROM "+stateSchema+".setting")
	if err != nil {
		return nil, wrapState("read settings", err)
	}
	var out []Status
	for _, one := range all {
		st, err := statusOf(ctx, c, one)
		if err != nil {
			return nil, err
		}
		st.Closed = settings != "0"
		out = append(out, st)
	}
	return out, nil
}

func statusOf(ctx context.Context, c *Conn, one record) (Status, error) {
	st := Status{Fingerprint: one.spec.Fingerprint, Describe: one.spec.Describe, Done: one.done, Begun: one.begun, Temporary: one.temporary}
	var err error
	if st.Started, err = time.Parse("2006-01-02 15:04:05.999999", one.started); err != nil {
		return st, fmt.Errorf("read run %d: %w", one.id, err)
	}
	if one.locked && !one.done {
		st.Holder = one.holder
	}
	last, err := lastEpoch(ctx, c, one.id)
	if err != nil {
		return st, err
	}
	if last != nil {
		st.Epoch, st.ChunksDone = *last, last.Chunks
		if !last.Finished {
			done, err := chunksDone(ctx, c, one.id, last.Number)
			if err != nil {
				return st, err
			}
			st.ChunksDone, st.Inconsistent = len(done), len(done) > 0
		}
	}
	open, err := readIntent(ctx, c, one.id)
	if err != nil {
		return st, err
	}
	if open != nil {
		st.Intent = open.what
	}
	st.Failure, err = readFailure(ctx, c, one.id)
	return st, err
}

// ErrUnfinished is why DropState refuses.
var ErrUnfinished = errors.New("a run on this server is unfinished")

// publishUnfinished gives the server the GTIDs of what an unfinished run has applied, which a crash may have kept from it.
// Where the run cannot be resumed, since a backup has been restored for instance, they are not the server's.
func (s *Server) publishUnfinished(ctx context.Context, c *Conn) {
	r := &Run{server: s, Patience: patience, newestTable: "NULL", conn: c}
	all, err := records(ctx, c)
	if err != nil || r.lookForTables(ctx, c) != nil {
		return
	}
	for i := range all {
		if !all[i].done && all[i].begun {
			_ = r.resume(ctx, &all[i]) // its error is what keeps the GTIDs
		}
	}
}

// StateThere tells whether the schema interlock_replay is on the target, in whatever state.
func (s *Server) StateThere(ctx context.Context) (there bool, err error) {
	err = s.withConn(ctx, func(c *Conn) error {
		schemas, err := c.text(ctx, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = '"+stateSchema+"'")
		if err != nil {
			return fmt.Errorf("look for schema %s: %w", stateSchema, err)
		}
		there = schemas != "0"
		return nil
	})
	return there, err
}

// DropState removes the schema interlock_replay, and puts back first what a run has set and not put back. Where a
// run is unfinished that is refused, unless unfinished says that it may go too: the state came with the backup, or
// the server has been given up.
func (s *Server) DropState(ctx context.Context, unfinished bool) error {
	c, err := s.control(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	there, err := stateThere(ctx, c)
	if err != nil && !unfinished {
		return err
	}
	if !there && err == nil {
		return dropEmpty(ctx, c)
	}
	if err := takeLock(ctx, c); err != nil {
		return err
	}
	if unfinished {
		s.publishUnfinished(ctx, c)
	} else {
		all, err := records(ctx, c)
		if err != nil {
			return err
		}
		for _, one := range all {
			if !one.done {
				return fmt.Errorf("drop state: %w, begun %s UTC: resume it, or, if the server has been restored since, drop its state with --force", ErrUnfinished, one.started)
			}
		}
	}
	// A state that cannot be read holds no settings that could be: force is for that, too.
	if err := restoreSettings(ctx, c); absent(err) != nil && (there || !unfinished) {
		return fmt.Errorf("drop state: %w", err)
	}
	if err := c.Exec(ctx, "DROP DATABASE "+stateSchema); err != nil {
		return fmt.Errorf("drop state: %w", err)
	}
	return nil
}

// dropEmpty removes the schema of a start that was interrupted before its first table. One with tables that are not a
// state's is somebody else's.
func dropEmpty(ctx context.Context, c *Conn) error {
	tables, err := c.text(ctx, "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '"+stateSchema+"'")
	if err != nil {
		return fmt.Errorf("drop state: %w", err)
	}
	if tables != "0" {
		return fmt.Errorf("drop state: the schema %s has no table format, so that it is not interlock's: rename it, or drop it by hand", stateSchema)
	}
	if err := takeLock(ctx, c); err != nil {
		return err
	}
	if err := c.Exec(ctx, "DROP DATABASE IF EXISTS "+stateSchema); err != nil {
		return fmt.Errorf("drop state: %w", err)
	}
	return nil
}
