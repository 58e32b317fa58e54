package binlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// Survey is what one pass over all frames of a log finds, before anything is applied.
type Survey struct {
	Bytes        int64
	Transactions int64
	Events       int64    // as Events yields them, and those that begin and end files
	GTIDs        *GTIDSet // of all whole transactions; MariaDB: position
	First, Last  time.Time
	End          Position // after the last whole transaction
	// Torn says why the log ends after End: a cut event, an incomplete transaction. Empty: it ends well.
	Torn   string
	Temp   bool  // CREATE TEMPORARY TABLE was seen
	Failed []Txn // with a statement that failed at the source
	// ByPlace is the last transaction with a statement that may number or choose rows by where they lie; zero: there is none.
	ByPlace Position
	Firsts  *GTIDSet // MariaDB: the first GTID of each domain
	// Anonymous is the first transaction without a GTID, FirstGTID the first one with one; zero: there is none.
	Anonymous, FirstGTID Position
	// Before is what the source had executed before the first file that was read, as that file says: nil where it does
	// not say. Partial says that the file was not read from its start.
	Before  *GTIDSet
	Partial bool
}

// Survey reads every event of the log once: frames, checksums, types, continuity of the chain. Everything that
// cannot be replayed is refused here with file, position, event, and what to do: LOAD DATA of old logs,
// incidents, encryption, unknown events, GTIDs of MariaDB that do not rise. progress is called now and then with the bytes read; it may be nil.
//
// A file before the last one may end within a transaction only if the next one proves that it was not
// committed: the readers of this log leave it out from then on.
func (l *Log) Survey(ctx context.Context, progress func(bytes int64)) (*Survey, error) {
	return l.SurveyRange(ctx, Position{}, Position{}, progress)
}

// SurveyRange is Survey of the part of a log between two positions, each zero for the log's own end. What lies
// outside is not looked at: so a log can be replayed up to what cannot be, and on behind it.
func (l *Log) SurveyRange(ctx context.Context, from, to Position, progress func(bytes int64)) (*Survey, error) {
	p := surveyor{log: l, passed: &GTIDSet{}, found: &Survey{GTIDs: &GTIDSet{}, Firsts: &GTIDSet{}}, progress: progress, from: from, to: to}
	first := 0
	if from != (Position{}) {
		if first = l.find(from.File); first < 0 {
			return nil, fmt.Errorf("survey binary logs: no file %s is in the log", from.File)
		}
	}
	p.found.Before, p.found.Partial = l.Files[first].Previous, from != (Position{})
	for number := range l.Files {
		if number < first {
			p.found.Bytes += l.Files[number].Size
			continue
		}
		err := p.file(ctx, number)
		if errors.Is(err, errStopped) {
			p.lastEnd(number)
			break
		}
		if err != nil {
			return nil, fmt.Errorf("survey binary logs: %w", err)
		}
	}
	p.report()
	return p.found, nil
}

// lastEnd is the end of a log without a whole transaction in its range.
func (p *surveyor) lastEnd(number int) {
	if p.found.Transactions == 0 {
		p.found.End = p.log.Files[number].at(p.end)
	}
}

// surveyor is the state of a Survey.
type surveyor struct {
	log      *Log
	found    *Survey
	progress func(int64)
	from, to Position
	passed   *GTIDSet // before the range, in the file where it begins

	// Of the current file.
	reader    *Reader
	in        *GTIDSet // GTIDs of its whole transactions
	anonymous bool     // a transaction without one
	partial   bool     // the file is not read from its start
	end       int64    // of the last whole transaction
}

// reportEvery is how many events lie between two calls of progress.
const reportEvery = 8192

func (p *surveyor) report() {
	if p.progress != nil {
		p.progress(p.found.Bytes)
	}
}

func (p *surveyor) file(ctx context.Context, number int) error {
	f := p.log.Files[number]
	r, err := p.log.readFile(number, int64(len(magic)))
	if p.partial = f.Name == p.from.File; p.partial {
		r, err = p.log.Read(p.from)
	}
	if err != nil {
		return err
	}
	if p.partial {
		p.passed = &r.passed
	}
	defer r.Close()
	if err := r.StopAt(p.to); err != nil {
		return err
	}
	p.reader, p.in, p.anonymous, p.end = r, &GTIDSet{flavor: f.Format.Flavor}, false, int64(len(magic))
	before := p.found.Bytes
	why, err := p.events(ctx)
	if err != nil {
		return err
	}
	p.found.Bytes = before + f.Size
	return p.fileEnds(number, why)
}

// events reads the current file to its end. why is how it ends badly, if it does.
func (p *surveyor) events(ctx context.Context) (why string, err error) {
	r, closed, h := p.reader, Type(0), Header{}
	for n := 1; ; n++ {
		if n%reportEvery == 0 {
			p.report()
			if err := ctx.Err(); err != nil {
				return "", err
			}
		}
		if r.Stopped() {
			return "", errStopped
		}
		at := r.scan.offset
		r.scan.w.mark = at // nothing is read twice
		whole, err := r.event(ctx, &h)
		if err != nil {
			return p.ends(err)
		}
		if closed != 0 {
			return "", fmt.Errorf("%s event at %s: it follows the %s event that ends the file; %s", h.Type, r.scan.file.at(at), closed, stopBefore(r.scan.file.at(at)))
		}
		p.found.Bytes += int64(h.Size)
		switch {
		case whole:
			if err := p.transaction(); err != nil {
				return "", err
			}
		case r.group.state == betweenTxns:
			p.found.Events++
			p.end = r.scan.offset
			if h.Type == TypeRotate || h.Type == TypeStop {
				closed = h.Type
			}
			if h.Type == TypeFormatDescription && at != int64(len(magic)) {
				return "", fmt.Errorf("%s event at %s: a second one in one file; %s", h.Type, r.scan.file.at(at), stopBefore(r.scan.file.at(at)))
			}
		}
	}
}

// ends says how the file ends badly, if it does: empty where it ends well.
func (p *surveyor) ends(err error) (why string, _ error) {
	open := p.reader.group.incomplete()
	var torn *tornError
	switch {
	case errors.Is(err, io.EOF):
		return open, nil
	case !errors.As(err, &torn):
		return "", err
	case open != "":
		return fmt.Sprintf("%s, and %s", torn.words, open), nil
	}
	return torn.words, nil
}

// transaction counts a whole transaction.
func (p *surveyor) transaction() error {
	t, s := &p.reader.group.txn, p.found
	if err := errors.Join(p.once(t), p.rises(t)); err != nil {
		return err
	}
	s.Transactions++
	s.Events += int64(t.Events)
	s.Temp = s.Temp || t.CreatesTemporary
	if t.FailedWith != 0 && !t.StartAlter && !t.RollbackAlter { // that COMMIT ALTER does not follow changed nothing
		s.Failed = append(s.Failed, *t)
	}
	if t.ByPlace {
		s.ByPlace = t.Start
	}
	if s.First.IsZero() || t.Committed.Before(s.First) {
		s.First = t.Committed
	}
	if t.Committed.After(s.Last) {
		s.Last = t.Committed
	}
	s.GTIDs.Add(t.GTID)
	p.in.Add(t.GTID)
	switch {
	case t.GTID == GTID{}:
		p.anonymous = true
		if s.Anonymous == (Position{}) {
			s.Anonymous = t.Start
		}
	case s.FirstGTID == (Position{}):
		s.FirstGTID = t.Start
	}
	if t.GTID.Flavor == MariaDB {
		s.Firsts.begin(t.GTID)
	}
	s.End = t.End
	p.end = int64(t.End.Offset)
	return nil
}

// once refuses a GTID of MySQL that an earlier transaction has: a server takes the first of them alone.
func (p *surveyor) once(t *Txn) error {
	if t.GTID.Flavor != MySQL || !p.found.GTIDs.Contains(t.GTID) && !p.passed.Contains(t.GTID) && (p.found.Before == nil || !p.found.Before.Contains(t.GTID)) {
		return nil
	}
	return fmt.Errorf("transaction at %s: its GTID %s is that of an earlier one, and no server writes it twice: the log has been put together wrongly; take another copy of it, or %s",
		t.Start, t.GTID, stopBefore(t.Start))
}

// rises refuses a GTID of MariaDB whose number is not greater than all before it in its domain. A position says what is
// on the target by one number for each domain: such a transaction would count as being there.
func (p *surveyor) rises(t *Txn) error {
	if t.GTID.Flavor != MariaDB {
		return nil
	}
	last, ok := p.found.GTIDs.last[t.GTID.Domain]
	if !ok {
		last, ok = p.passed.last[t.GTID.Domain]
	}
	if !ok && p.found.Before != nil {
		last, ok = p.found.Before.last[t.GTID.Domain]
	}
	if !ok || t.GTID.Number > last.Number {
		return nil
	}
	return fmt.Errorf("transaction at %s: its GTID %s comes behind %s: the numbers of domain %d do not rise, as where two servers write into one domain "+
		"(gtid_strict_mode=OFF), and GTIDs do not tell then which transactions the target has; apply the log with mariadb-binlog, or %s",
		t.Start, t.GTID, last, t.GTID.Domain, stopBefore(t.Start))
}

// fileEnds decides whether a file may end as it does.
func (p *surveyor) fileEnds(number int, why string) error {
	f := p.log.Files[number]
	if number == len(p.log.Files)-1 {
		p.lastEnd(number)
		if why != "" {
			p.found.Torn = why
		}
		return nil
	}
	next := p.log.Files[number+1]
	proved, err := p.checkChain(f, next)
	if why == "" {
		return err
	}
	if err != nil || !proved {
		return fmt.Errorf("%s, and %s follows: take another copy of the first, or %s", why, next.Path, stopBefore(f.at(p.end)))
	}
	f.end = p.end
	return nil
}

// checkChain holds the GTIDs before a file and in it against those before the next one. proved says that they
// prove that nothing lies between.
func (p *surveyor) checkChain(f, next *File) (proved bool, err error) {
	if f.Previous == nil || next.Previous == nil || p.partial {
		return false, checkLink(f, next)
	}
	all := f.Previous.Clone()
	all.AddSet(p.in)
	if f.Format.Flavor == MariaDB {
		err = checkPosition(f, next, all, p.in)
	} else {
		err = checkGTIDs(f, next, all)
	}
	if err != nil {
		return false, err
	}
	if f.Format.Flavor == MariaDB || !p.anonymous && !p.in.Empty() {
		return true, nil
	}
	return false, checkLink(f, next)
}

func checkGTIDs(f, next *File, all *GTIDSet) error {
	if next.Previous.Equal(all) {
		return nil
	}
	if missing := next.Previous.Minus(all); !missing.Empty() {
		return fmt.Errorf("between %s and %s the transactions %s are missing: add the files that hold them%s", f.Path, next.Path, missing, twoServers(f, next))
	}
	return fmt.Errorf("%s holds %s, which %s does not know to come before it: they are not of one chain%s",
		f.Path, all.Minus(next.Previous), next.Path, twoServers(f, next))
}

// checkPosition compares MariaDB's positions by domain: numbers that rise have been proved by then. A domain that had nothing in the file may have been
// taken out of the list (FLUSH BINARY LOGS DELETE_DOMAIN_ID).
func checkPosition(f, next *File, all, in *GTIDSet) error {
	for domain, g := range next.Previous.last {
		if all.last[domain] != g {
			return fmt.Errorf("between %s and %s transactions are missing: the first ends at %s of domain %d, the second begins after %s; add the files between them%s",
				f.Path, next.Path, all.last[domain], domain, g, twoServers(f, next))
		}
	}
	for domain, g := range in.last {
		if _, ok := next.Previous.last[domain]; !ok {
			return fmt.Errorf("%s holds %s, which %s does not know to come before it: they are not of one chain%s", f.Path, g, next.Path, twoServers(f, next))
		}
	}
	return nil
}
