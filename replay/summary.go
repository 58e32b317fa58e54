package replay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"interlock/internal/report"
	"interlock/replay/binlog"
)

// State is what a run has made of the target.
type State string

// The states.
const (
	StateComplete       State = "complete"        // it has ended: all of the range is there
	StateWhole          State = "whole"           // it was interrupted or failed: nothing is missing up to AppliedTo
	StateInconsistent   State = "inconsistent"    // rows are missing: the target is not to be used
	StateNothingApplied State = "nothing_applied" // this start has changed nothing; what an earlier one left Status tells
)

// Summary is what a run did, as --summary writes it. Durations are seconds.
type Summary struct {
	State State  `json:"state"`
	Error string `json:"error,omitempty"` // why it is not complete
	// AppliedTo is FILE:OFFSET: every transaction that ends before is on the target or was left out for a reason. A +N
	// behind it says that the first N rows events of the transaction that begins there are on the target, too. Empty: not known.
	AppliedTo string `json:"applied_to"`

	Flavor        string `json:"flavor"`
	TargetVersion string `json:"target_version"`
	Resumed       bool   `json:"resumed"`
	Before        bool   `json:"finished_before"` // nothing was left to do
	From          string `json:"from"`            // FILE:OFFSET of the first transaction read
	To            string `json:"to"`              // behind the last one; where the state is not complete, AppliedTo
	Stopped       string `json:"stopped,omitempty"`
	// StopNotReached tells of a --stop-datetime that lies behind the log's end.
	StopNotReached bool      `json:"stop_not_reached,omitempty"`
	Torn           string    `json:"torn,omitempty"`
	LastCommit     time.Time `json:"last_commit"` // of the transactions read

	Read    Counts            `json:"read"`
	Applied Counts            `json:"applied"`
	Skipped map[string]Counts `json:"skipped,omitempty"`
	Net     netRows           `json:"net_rows"`

	Epochs   int64 `json:"epochs"`
	Chunks   int64 `json:"chunks"`
	Barriers int64 `json:"barriers"`
	Merged   int64 `json:"merged_statement_transactions"`

	Tables   []TableSummary `json:"tables"`
	Prepared []string       `json:"left_prepared,omitempty"`
	GTIDs    string         `json:"gtids,omitempty"` // the target's, at the end

	Deadlocks     int     `json:"deadlocks"`
	Reconnects    int     `json:"reconnects"`
	Connections   int     `json:"connections"`
	MemoryBound   int64   `json:"memory_bound_bytes"`
	PeakMemory    int64   `json:"peak_memory_bytes"`
	Stages        Stages  `json:"stages_seconds"`
	Seconds       float64 `json:"seconds"`
	BytesPerSec   float64 `json:"bytes_per_second"`
	ChangesPerSec float64 `json:"changes_per_second"`
}

// Counts is counts as the summary has them.
type Counts struct {
	Transactions int64 `json:"transactions"`
	Changes      int64 `json:"changes"`
	Statements   int64 `json:"statements"`
	Bytes        int64 `json:"bytes"`
}

// Stages is where the time went, in seconds. Folding and applying overlap; applying is wall time.
type Stages struct {
	Survey   float64 `json:"survey"`
	Prepare  float64 `json:"prepare"` // connect, preflight, canary
	Fold     float64 `json:"fold"`    // read, fold and sort, without waiting for the target
	Goes     float64 `json:"goes"`
	Comes    float64 `json:"comes"` // with what keeps its order
	Barriers float64 `json:"barriers"`
	Marks    float64 `json:"marks"` // epochs' rows, AUTO_INCREMENT, GTIDs
	Finish   float64 `json:"finish"`
}

// TableSummary is what became of one table.
type TableSummary struct {
	Table    string `json:"table"`
	Strategy string `json:"strategy"`      // fold, multiset, ordered, or several with a +
	Why      string `json:"why,omitempty"` // of ordered
	Changes  int64  `json:"changes"`
	NetRows  int64  `json:"net_rows"`
}

func (t *tally) summary() Summary {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := Summary{
		LastCommit: t.committed, Read: Counts(t.in), Applied: Counts(t.applied),
		Skipped: map[string]Counts{}, Net: t.rows, Epochs: t.epochs, Chunks: t.chunks, Barriers: t.barriers, Merged: t.merged,
		Prepared: t.prepared, Stages: t.stages,
	}
	if t.at != (binlog.Position{}) {
		s.To = t.at.String()
	}
	if t.stopWhy != "" {
		s.Stopped = fmt.Sprintf("before %s: %s", t.stopAt, t.stopWhy)
	}
	for why, c := range t.skipped {
		s.Skipped[why] = Counts(c)
	}
	for _, name := range slices.Sorted(maps.Keys(t.tables)) {
		s.Tables = append(s.Tables, *t.tables[name])
	}
	return s
}

// ended adds to the summary how the run has ended.
func (r *runner) ended(s *Summary, err error) {
	s.State, s.AppliedTo = r.outcome(err)
	switch {
	case err != nil:
		s.Error = err.Error()
		s.To = s.AppliedTo // what was read runs ahead
	case s.Before:
		s.To = s.AppliedTo
	default:
		s.AppliedTo = s.To
		s.StopNotReached = !r.cfg.Range.StopDatetime.IsZero() && s.Stopped == ""
	}
}

// outcome is what the run has made of the target, and up to where that is whole.
func (r *runner) outcome(err error) (state State, appliedTo string) {
	switch {
	case r.exec != nil && r.exec.reached != (cursor{}):
		appliedTo = placeOf(r.exec.reached.String())
	case r.run != nil && r.run.Last != nil && r.run.Last.Finished:
		appliedTo = placeOf(r.run.Last.To)
	}
	switch {
	case err == nil:
		return StateComplete, appliedTo
	case r.run == nil:
		return StateNothingApplied, ""
	case r.partly(), errors.Is(err, errUnaccounted):
		return StateInconsistent, ""
	case appliedTo == "" && (r.exec == nil || r.exec.underWay == ""):
		return StateNothingApplied, ""
	}
	return StateWhole, appliedTo
}

// maxTables is how many tables the text lists; the JSON file has all.
const maxTables = 20

// Write prints the summary for people.
func (s *Summary) Write(w io.Writer, style report.Style) error {
	b := bufio.NewWriter(w)
	n := report.Count
	if s.Read.Transactions == 0 {
		fmt.Fprintf(b, "nothing to replay: no transaction is in the range\n")
	} else {
		fmt.Fprintf(b, "replayed to %s, committed %s\n", s.To, s.LastCommit.Local().Format("2006-01-02 15:04:05.000000"))
	}
	if s.Stopped != "" {
		fmt.Fprintf(b, "stopped %s\n", s.Stopped)
	}
	if s.StopNotReached {
		fmt.Fprintf(b, "--stop-datetime was not reached: the log ends %s\n", s.logEnd())
	}
	if s.Torn != "" {
		fmt.Fprintf(b, "THE LOG IS TORN: %s\n", s.Torn)
	}
	for _, xid := range s.Prepared {
		fmt.Fprintf(b, "left prepared: XA transaction %s\n", xid)
	}
	fmt.Fprintf(b, "  read     %s transactions, %s changes, %s statements, %s\n", n(s.Read.Transactions), n(s.Read.Changes), n(s.Read.Statements), report.Bytes(s.Read.Bytes))
	fmt.Fprintf(b, "  applied  %s transactions, %s changes, %s statements, %s\n", n(s.Applied.Transactions), n(s.Applied.Changes), n(s.Applied.Statements), report.Bytes(s.Applied.Bytes))
	for _, why := range slices.Sorted(maps.Keys(s.Skipped)) {
		c := s.Skipped[why]
		fmt.Fprintf(b, "  skipped  %s transactions, %s changes: %s\n", n(c.Transactions), n(c.Changes), why)
	}
	fmt.Fprintf(b, "  rows     %s gone, %s come, %s changed in place, %s in order, %s in barriers; %s changes folded away\n",
		n(s.Net.Deletes), n(s.Net.Writes), n(s.Net.Updates), n(s.Net.Ordered), n(s.Net.Barrier), n(s.Net.Folded))
	fmt.Fprintf(b, "  in       %s epochs, %s chunks, %s barriers, %s merged transactions of statements; %d deadlocks\n", n(s.Epochs), n(s.Chunks), n(s.Barriers), n(s.Merged), s.Deadlocks)
	fmt.Fprintf(b, "  took     %s, %s/s of log; %s of memory at most\n", report.Duration(seconds(s.Seconds)), report.Bytes(int64(s.BytesPerSec)), report.Bytes(s.PeakMemory))
	if err := b.Flush(); err != nil {
		return err
	}
	return s.writeTables(w, style)
}

// logEnd says where the log ends that was read to its end.
func (s *Summary) logEnd() string {
	if s.To == "" {
		return "before it"
	}
	return fmt.Sprintf("at %s, committed %s", s.To, s.LastCommit.Local().Format("2006-01-02 15:04:05.000000"))
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func (s *Summary) writeTables(w io.Writer, style report.Style) error {
	tables := slices.Clone(s.Tables)
	slices.SortStableFunc(tables, func(a, b TableSummary) int { return int(b.Changes - a.Changes) })
	t := report.Table{Columns: []report.Column{{Title: "TABLE"}, {Title: "CHANGES", Right: true}, {Title: "ROWS", Right: true}, {Title: "STRATEGY"}}}
	for i, row := range tables {
		if i == maxTables {
			break
		}
		strategy := row.Strategy
		if row.Why != "" {
			strategy += ": " + row.Why
		}
		t.Rows = append(t.Rows, report.Row{{Text: row.Table}, {Text: report.Count(row.Changes)}, {Text: report.Count(row.NetRows)}, {Text: strategy}})
	}
	if err := t.Write(w, style); err != nil {
		return err
	}
	if more := len(tables) - maxTables; more > 0 {
		_, err := fmt.Fprintf(w, "and %d more tables\n", more)
		return err
	}
	return nil
}

// strategyOf adds a word to the strategies of a table.
func (t *tally) table(name, strategy, why string, changes, rows int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.tables[name]
	if s == nil {
		s = &TableSummary{Table: name}
		t.tables[name] = s
	}
	if !slices.Contains(strings.Split(s.Strategy, "+"), strategy) {
		s.Strategy = strings.TrimPrefix(s.Strategy+"+"+strategy, "+")
	}
	if why != "" {
		s.Why = why
	}
	s.Changes += changes
	s.NetRows += rows
}
