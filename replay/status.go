package replay

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"interlock/replay/target"
)

// Status prints what the target knows of runs.
func Status(ctx context.Context, opts target.Options, w io.Writer) error {
	server, err := target.Connect(ctx, opts)
	if err != nil {
		return notConnected(err)
	}
	defer server.Close()
	runs, err := server.Status(ctx)
	if err != nil {
		return err
	}
	if len(runs) == 0 {
		_, err := fmt.Fprintln(w, "no run has been begun on this server")
		return err
	}
	for i := range runs {
		if err := writeStatus(w, &runs[i]); err != nil {
			return err
		}
	}
	return nil
}

func writeStatus(w io.Writer, s *target.Status) error {
	b := bufio.NewWriter(w)
	state := "interrupted: whole up to the last finished epoch"
	switch {
	case s.Failure != "":
		state = "FAILED, do not use this server: " + s.Failure
	case s.Done:
		state = "finished"
	case s.Holder != "":
		state = underWay(s)
	case s.Intent != "":
		state = "UNCERTAIN: a statement had begun and is not known to have ended"
	case s.Inconsistent:
		state = "INCONSISTENT: an epoch is applied in part, rows are missing"
	}
	fmt.Fprintf(b, "run of %s UTC: %s\n", s.Started.Format("2006-01-02 15:04:05"), state)
	for _, key := range []string{"files", "start position", "stop position", "stop datetime", "stop before GTID", "skipped GTIDs"} {
		if text := s.Describe[key]; text != "" {
			fmt.Fprintf(b, "  %s: %s\n", key, text)
		}
	}
	if e := s.Epoch; e.Number > 0 {
		fmt.Fprintf(b, "  epoch %d, %s to %s", e.Number, e.From, e.To)
		if e.Chunks > 0 {
			fmt.Fprintf(b, ": %d of %d chunks", s.ChunksDone, e.Chunks)
		}
		if e.Finished {
			b.WriteString(", finished")
		}
		b.WriteString("\n")
	}
	switch {
	case s.Intent == "":
	case s.Holder != "":
		fmt.Fprintf(b, "  running: %s\n", s.Intent)
	default:
		fmt.Fprintf(b, "  begun: %s\n  look whether it has taken effect, then go on with --resolve-intent done, or redo\n", s.Intent)
	}
	if s.Temporary {
		b.WriteString("  temporary tables are open: it cannot be resumed once it is interrupted\n")
	}
	if s.Closed {
		b.WriteString("  the server is closed to others until it has ended\n")
	}
	if s.Holder != "" {
		fmt.Fprintf(b, "  held by %s\n", s.Holder)
	}
	return b.Flush()
}

// underWay says how far a run has come that somebody runs now.
func underWay(s *target.Status) string {
	to := s.Epoch.From
	if s.Epoch.Finished {
		to = s.Epoch.To
	}
	if to == "" {
		return "under way"
	}
	return "under way, applied up to " + placeOf(to)
}

// DropState removes what runs left on the target. Where one is unfinished that needs force. It writes to out what it
// did, and what stays.
func DropState(ctx context.Context, opts target.Options, force bool, out io.Writer) error {
	server, err := target.Connect(ctx, opts)
	if err != nil {
		return notConnected(err)
	}
	defer server.Close()
	there, err := server.StateThere(ctx)
	if err != nil {
		return err
	}
	if !there {
		_, err := fmt.Fprintln(out, "there is no schema interlock_replay on this server")
		return err
	}
	// A state that cannot be read is one that force is for.
	runs, unread := server.Status(ctx)
	if unread != nil && !force {
		return unread
	}
	if err := server.DropState(ctx, force); err != nil {
		return err
	}
	if err := writeDropped(out, runs, unread); err != nil {
		return err
	}
	set, err := server.GTIDSet(ctx)
	if err != nil || set.Empty() {
		return err
	}
	_, err = fmt.Fprintf(out, "the server's GTIDs stay as they are, %s: if a backup has been loaded since that does not set them, set them to what it has\n", set)
	return err
}

// writeDropped says what has been dropped, and what the server is without it: nothing else remembers.
func writeDropped(w io.Writer, runs []target.Status, unread error) error {
	b := bufio.NewWriter(w)
	fmt.Fprintln(b, "removed the schema interlock_replay")
	if unread != nil {
		fmt.Fprintf(b, "it could not be read: WHETHER THIS SERVER LACKS ROWS IS NOT KNOWN: unless no run was interrupted on it, restore the backup before it is used (%v)\n", unread)
	}
	for i := range runs {
		s := &runs[i]
		begun := s.Started.Format("2006-01-02 15:04:05")
		switch {
		case s.Failure != "":
			fmt.Fprintf(b, "the run of %s UTC had failed: THIS SERVER IS NOT TO BE USED: restore the backup, unless that has been done since\n", begun)
		case s.Done:
		case s.Inconsistent:
			fmt.Fprintf(b, "the run of %s UTC was INCONSISTENT: THIS SERVER LACKS ROWS: restore the backup before it is used, unless that has been done since\n", begun)
		case s.Intent != "":
			fmt.Fprintf(b, "the run of %s UTC was UNCERTAIN: look whether this has taken effect before the server is used, unless the backup has been restored since: %s\n", begun, s.Intent)
		}
	}
	return b.Flush()
}
