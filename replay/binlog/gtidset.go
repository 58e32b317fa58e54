package binlog

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GTIDSet is a set of GTIDs. For MySQL it is intervals by UUID and tag. For MariaDB it is a position: by
// domain the last GTID, which contains every GTID of that domain with a number up to its own.
// The zero value is empty and has no flavor yet. A nil set is empty too, to whoever only asks.
type GTIDSet struct {
	flavor Flavor
	// MySQL: by source, sorted, disjoint and not adjacent.
	runs map[source][]run
	// MariaDB: the last GTID by domain.
	last map[uint32]GTID
}

// source is whose numbers an interval counts: UUID and tag.
type source struct {
	sid [16]byte
	tag string
}

// run is an interval of numbers, both ends in it.
type run struct{ first, last uint64 }

// ParseGTIDSet reads gtid_executed, gtid_purged, gtid_slave_pos and their like.
func ParseGTIDSet(flavor Flavor, text string) (*GTIDSet, error) {
	s := &GTIDSet{flavor: flavor}
	text = strings.Join(strings.Fields(text), "")
	for part := range strings.SplitSeq(text, ",") {
		if part == "" {
			continue
		}
		switch flavor {
		case MySQL:
			if err := s.parseSource(part); err != nil {
				return nil, fmt.Errorf("parse GTID set %q: %w", part, err)
			}
		case MariaDB:
			g, err := parseMariaGTID(part)
			if err != nil {
				return nil, fmt.Errorf("parse GTID position: %w", err)
			}
			if old, ok := s.last[g.Domain]; ok {
				return nil, fmt.Errorf("parse GTID position %q: two GTIDs of domain %d: %s and %s", text, g.Domain, old, g)
			}
			s.Add(g)
		default:
			return nil, fmt.Errorf("parse GTID set %q: of no flavor", text)
		}
	}
	return s, nil
}

// parseSource reads one comma's worth of a MySQL set: UUID[:TAG]:1-3:5[:TAG:1-2]…
func (s *GTIDSet) parseSource(text string) error {
	parts := strings.Split(text, ":")
	sid, err := parseUUID(parts[0])
	if err != nil {
		return err
	}
	if len(parts) == 1 {
		return fmt.Errorf("UUID without intervals")
	}
	key, awaits := source{sid: sid}, false // awaits: a tag needs an interval
	for _, part := range parts[1:] {
		if part == "" {
			return fmt.Errorf("empty interval")
		}
		if part[0] < '0' || part[0] > '9' {
			if awaits {
				return fmt.Errorf("tag %q without intervals", key.tag)
			}
			if key.tag, err = parseTag(part); err != nil {
				return err
			}
			awaits = true
			continue
		}
		first, last, ranged := strings.Cut(part, "-")
		r := run{}
		if r.first, err = parseGNO(first); err != nil {
			return err
		}
		r.last = r.first
		if ranged {
			if r.last, err = parseGNO(last); err != nil {
				return err
			}
		}
		if r.last < r.first {
			return fmt.Errorf("interval %q ends before it starts", part)
		}
		s.addRun(key, r)
		awaits = false
	}
	if awaits {
		return fmt.Errorf("tag %q without intervals", key.tag)
	}
	return nil
}

// Add adds one GTID; an anonymous one changes nothing. In MariaDB a number lower than the domain's last is
// in the position already.
func (s *GTIDSet) Add(g GTID) {
	switch g.Flavor {
	case MySQL:
		s.flavor = MySQL
		s.addRun(source{g.SID, g.Tag}, run{g.Number, g.Number})
	case MariaDB:
		s.flavor = MariaDB
		if s.last == nil {
			s.last = map[uint32]GTID{}
		}
		if old, ok := s.last[g.Domain]; !ok || g.Number >= old.Number {
			s.last[g.Domain] = g
		}
	}
}

func (s *GTIDSet) addRun(key source, r run) {
	if s.runs == nil {
		s.runs = map[source][]run{}
	}
	runs := s.runs[key]
	// What comes next in a log mostly comes next in the set too.
	if n := len(runs); n > 0 && runs[n-1].last+1 == r.first {
		runs[n-1].last = r.last
		return
	}
	// [i, j) are the runs that r touches or overlaps.
	i, _ := slices.BinarySearchFunc(runs, r.first, func(o run, first uint64) int { return cmp.Compare(o.last+1, first) })
	j := i
	for j < len(runs) && runs[j].first <= r.last+1 {
		r.first, r.last = min(r.first, runs[j].first), max(r.last, runs[j].last)
		j++
	}
	s.runs[key] = slices.Replace(runs, i, j, r)
}

// AddSet adds every GTID of o.
func (s *GTIDSet) AddSet(o *GTIDSet) {
	if o == nil {
		return
	}
	if s.flavor == 0 {
		s.flavor = o.flavor
	}
	for key, runs := range o.runs {
		for _, r := range runs {
			s.addRun(key, r)
		}
	}
	for _, g := range o.last {
		s.Add(g)
	}
}

// Contains tells whether g is in the set. An anonymous GTID is in none.
func (s *GTIDSet) Contains(g GTID) bool {
	if s == nil {
		return false
	}
	switch g.Flavor {
	case MySQL:
		return covers(s.runs[source{g.SID, g.Tag}], run{g.Number, g.Number})
	case MariaDB:
		last, ok := s.last[g.Domain]
		return ok && g.Number <= last.Number
	}
	return false
}

// covers tells whether one of runs holds all of r.
func covers(runs []run, r run) bool {
	i, _ := slices.BinarySearchFunc(runs, r.first, func(o run, first uint64) int { return cmp.Compare(o.last, first) })
	return i < len(runs) && runs[i].first <= r.first && runs[i].last >= r.last
}

// ContainsSet tells whether every GTID of o is in the set.
func (s *GTIDSet) ContainsSet(o *GTIDSet) bool {
	if o.Empty() {
		return true
	}
	if s == nil {
		return false
	}
	for key, runs := range o.runs {
		for _, r := range runs {
			if !covers(s.runs[key], r) {
				return false
			}
		}
	}
	for _, g := range o.last {
		if !s.Contains(g) {
			return false
		}
	}
	return true
}

// Equal tells whether both sets hold the same GTIDs; of MariaDB, whether the positions are the same.
func (s *GTIDSet) Equal(o *GTIDSet) bool {
	if s.Empty() || o.Empty() {
		return s.Empty() && o.Empty()
	}
	return maps.EqualFunc(s.runs, o.runs, slices.Equal[[]run]) && maps.Equal(s.last, o.last)
}

// Minus is what is in s and not in o. MySQL alone: a position of MariaDB has no such difference, and the
// result is empty then.
func (s *GTIDSet) Minus(o *GTIDSet) *GTIDSet {
	out := &GTIDSet{}
	if s == nil {
		return out
	}
	out.flavor = s.flavor
	for key, runs := range s.runs {
		var minus []run
		if o != nil {
			minus = o.runs[key]
		}
		for _, r := range runs {
			for _, m := range minus {
				if m.last < r.first || m.first > r.last {
					continue
				}
				if m.first > r.first {
					out.addRun(key, run{r.first, m.first - 1})
				}
				r.first = m.last + 1
				if r.first > r.last {
					break
				}
			}
			if r.first <= r.last {
				out.addRun(key, r)
			}
		}
	}
	return out
}

// Intersect is what is in both. MySQL alone, as Minus is.
func (s *GTIDSet) Intersect(o *GTIDSet) *GTIDSet {
	return s.Minus(s.Minus(o))
}

// Diverges tells whether a position of MariaDB has another GTID in the place of g: the same domain and number, of another
// server. Then the histories of the two are not one. MySQL's GTIDs cannot be taken for one another.
func (s *GTIDSet) Diverges(g GTID) bool {
	if s == nil || g.Flavor != MariaDB {
		return false
	}
	last, ok := s.last[g.Domain]
	return ok && last.Number == g.Number && last != g
}

// DivergesFrom is Diverges for any GTID of another position.
func (s *GTIDSet) DivergesFrom(o *GTIDSet) bool {
	if o == nil {
		return false
	}
	for _, g := range o.last {
		if s.Diverges(g) {
			return true
		}
	}
	return false
}

// Beyond are the GTIDs of a position of MariaDB that are further on than another position is in the same domain. A domain
// that the other one does not have is not looked at.
func (s *GTIDSet) Beyond(o *GTIDSet) *GTIDSet {
	out := &GTIDSet{}
	if s == nil || o == nil {
		return out
	}
	for domain, g := range s.last {
		if end, ok := o.last[domain]; ok && g.Number > end.Number {
			out.Add(g)
		}
	}
	return out
}

// ContainsAny tells whether a GTID of o is in the set; of MariaDB's positions, the one that o names in a domain.
func (s *GTIDSet) ContainsAny(o *GTIDSet) bool {
	if o == nil {
		return false
	}
	for _, g := range o.last {
		if s.Contains(g) {
			return true
		}
	}
	return !o.Intersect(s).Empty()
}

// begin adds the first GTID of a domain of MariaDB that the set has none of.
func (s *GTIDSet) begin(g GTID) {
	if _, ok := s.last[g.Domain]; !ok {
		s.Add(g)
	}
}

// Through is the set with everything before what it holds: of each source every number up to its last. MySQL alone;
// a position of MariaDB is that already.
func (s *GTIDSet) Through() *GTIDSet {
	out := s.Clone()
	for key, runs := range out.runs {
		out.runs[key] = []run{{1, runs[len(runs)-1].last}}
	}
	return out
}

// Empty tells whether there is no GTID in the set.
func (s *GTIDSet) Empty() bool { return s == nil || len(s.runs) == 0 && len(s.last) == 0 }

// Clone is a copy.
func (s *GTIDSet) Clone() *GTIDSet {
	out := &GTIDSet{}
	out.AddSet(s)
	return out
}

// count is how many GTIDs the set holds, of MariaDB the sum of its numbers: it grows as the set does.
func (s *GTIDSet) count() uint64 {
	if s == nil {
		return 0
	}
	n := uint64(0)
	for _, runs := range s.runs {
		for _, r := range runs {
			n += r.last - r.first + 1
		}
	}
	for _, g := range s.last {
		n += g.Number
	}
	return n
}

// String writes the set as its server does: UUIDs sorted and in lower case, without a tag first.
func (s *GTIDSet) String() string {
	if s.Empty() {
		return ""
	}
	var b strings.Builder
	if s.flavor == MariaDB {
		for _, domain := range slices.Sorted(maps.Keys(s.last)) {
			if b.Len() > 0 {
				b.WriteByte(',')
			}
			b.WriteString(s.last[domain].String())
		}
		return b.String()
	}
	keys := slices.SortedFunc(maps.Keys(s.runs), func(a, b source) int {
		return cmp.Or(bytes.Compare(a.sid[:], b.sid[:]), strings.Compare(a.tag, b.tag))
	})
	for i, key := range keys {
		if i == 0 || keys[i-1].sid != key.sid {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(formatUUID(key.sid))
		}
		if key.tag != "" {
			b.WriteByte(':')
			b.WriteString(key.tag)
		}
		for _, r := range s.runs[key] {
			b.WriteByte(':')
			b.WriteString(strconv.FormatUint(r.first, 10))
			if r.last > r.first {
				b.WriteByte('-')
				b.WriteString(strconv.FormatUint(r.last, 10))
			}
		}
	}
	return b.String()
}
