package policy

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// GTIDs are the transactions that a server has executed, as it says so itself: MySQL's gtid_executed
// (UUID:1-5:7, UUID:tag:1-3; Reference Manual, "GTID Sets") or MariaDB's gtid_current_pos (0-1-5,1-2-7).
// The zero value is no set at all: nothing contains it, and it contains nothing.
type GTIDs struct {
	sources map[string][]gtidRange // MySQL: "uuid" or "uuid:tag" → ranges, sorted, apart from one another
	domains map[uint32]gtidPos     // MariaDB: the last transaction of each domain
}

// gtidRange is first to last, both included.
type gtidRange struct{ first, last int64 }

type gtidPos struct {
	server   uint32
	sequence uint64
}

// errNoGTIDs is returned for an empty text: a server without GTIDs, or one that did not say.
var errNoGTIDs = errors.New("no GTIDs")

// maxGTID is the largest number of a transaction (gtid_next; 2^63 - 2).
const maxGTID = 1<<63 - 2

// ParseGTIDs reads a set of either product. What is empty, cut (the check then ends it in ",cut") or not
// understood is an error, never a smaller set.
func ParseGTIDs(text string) (GTIDs, error) {
	text = strings.Join(strings.Fields(text), "")
	switch {
	case text == "":
		return GTIDs{}, errNoGTIDs
	case strings.Contains(text, ":"):
		return parseMySQLGTIDs(text)
	}
	return parseMariaDBGTIDs(text)
}

func parseMySQLGTIDs(text string) (GTIDs, error) {
	g := GTIDs{sources: map[string][]gtidRange{}}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Split(strings.ToLower(part), ":")
		uuid := words[0]
		if !isUUID(uuid) {
			return GTIDs{}, fmt.Errorf("GTID set: %q is no server's uuid", uuid)
		}
		key, ranges := uuid, 0
		for i, word := range words[1:] {
			if isTag(word) {
				if i > 0 && ranges == 0 {
					return GTIDs{}, fmt.Errorf("GTID set: %q has no transactions", key)
				}
				key, ranges = uuid+":"+word, 0
				continue
			}
			r, err := parseRange(word)
			if err != nil {
				return GTIDs{}, err
			}
			g.sources[key] = append(g.sources[key], r)
			ranges++
		}
		if ranges == 0 {
			return GTIDs{}, fmt.Errorf("GTID set: %q has no transactions", key)
		}
	}
	for key, ranges := range g.sources {
		g.sources[key] = joined(ranges)
	}
	return g, nil
}

func isUUID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i := range len(s) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		if dash != (s[i] == '-') || !dash && !strings.ContainsRune("0123456789abcdef", rune(s[i])) {
			return false
		}
	}
	return true
}

// isTag knows a tag (MySQL 8.3): a letter or _, then up to 31 of these and digits.
func isTag(s string) bool {
	if s == "" || len(s) > 32 || s[0] >= '0' && s[0] <= '9' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

func parseRange(word string) (gtidRange, error) {
	from, to, isRange := strings.Cut(word, "-")
	first, err := gtidNumber(from)
	last := first
	if err == nil && isRange {
		last, err = gtidNumber(to)
	}
	if err != nil || last < first {
		return gtidRange{}, fmt.Errorf("GTID set: %q is no range of transactions", word)
	}
	return gtidRange{first, last}, nil
}

func gtidNumber(s string) (int64, error) {
	n, err := strconv.ParseUint(s, 10, 64) // no sign
	if err != nil || n < 1 || n > maxGTID {
		return 0, fmt.Errorf("%q is no transaction's number", s)
	}
	return int64(n), nil
}

// joined sorts ranges and joins those that touch.
func joined(ranges []gtidRange) []gtidRange {
	slices.SortFunc(ranges, func(a, b gtidRange) int { return cmp.Compare(a.first, b.first) })
	out := ranges[:1]
	for _, r := range ranges[1:] {
		if end := &out[len(out)-1]; r.first <= end.last+1 {
			end.last = max(end.last, r.last)
		} else {
			out = append(out, r)
		}
	}
	return out
}

func parseMariaDBGTIDs(text string) (GTIDs, error) {
	g := GTIDs{domains: map[uint32]gtidPos{}}
	for part := range strings.SplitSeq(text, ",") {
		words := strings.Split(part, "-")
		if len(words) != 3 {
			return GTIDs{}, fmt.Errorf("GTID position: %q is not domain-server-sequence", part)
		}
		domain, err1 := strconv.ParseUint(words[0], 10, 32)
		server, err2 := strconv.ParseUint(words[1], 10, 32)
		sequence, err3 := strconv.ParseUint(words[2], 10, 64)
		if err := errors.Join(err1, err2, err3); err != nil {
			return GTIDs{}, fmt.Errorf("GTID position: %q: %w", part, err)
		}
		if _, twice := g.domains[uint32(domain)]; twice {
			return GTIDs{}, fmt.Errorf("GTID position: domain %d stands twice", domain)
		}
		g.domains[uint32(domain)] = gtidPos{uint32(server), sequence}
	}
	return g, nil
}

// Contains tells whether every transaction of other is in g. Sets of different products, and sets that are
// none, contain nothing of each other.
//
// A MariaDB position names the last transaction of each domain. Further in the same domain contains; the same
// sequence number from another server is another transaction, so that the two have parted.
func (g GTIDs) Contains(other GTIDs) bool {
	return g.known() && other.known() && (g.sources == nil) == (other.sources == nil) && !other.Minus(g).known()
}

func (g GTIDs) known() bool { return len(g.sources)+len(g.domains) > 0 }

// Minus is what g has and other lacks.
func (g GTIDs) Minus(other GTIDs) GTIDs {
	out := GTIDs{}
	for key, ranges := range g.sources {
		if rest := without(ranges, other.sources[key]); len(rest) > 0 {
			if out.sources == nil {
				out.sources = map[string][]gtidRange{}
			}
			out.sources[key] = rest
		}
	}
	for domain, pos := range g.domains {
		if has, ok := other.domains[domain]; ok && (has.sequence > pos.sequence || has == pos) {
			continue
		}
		if out.domains == nil {
			out.domains = map[uint32]gtidPos{}
		}
		out.domains[domain] = pos
	}
	return out
}

// without is what ranges cover and holes do not. Both are sorted, and apart from one another.
func without(ranges, holes []gtidRange) (rest []gtidRange) {
	for _, r := range ranges {
		for _, h := range holes {
			if h.last < r.first || h.first > r.last {
				continue
			}
			if h.first > r.first {
				rest = append(rest, gtidRange{r.first, h.first - 1})
			}
			r.first = h.last + 1
		}
		if r.first <= r.last {
			rest = append(rest, r)
		}
	}
	return rest
}

// With is what g or other has. Of MariaDB's positions the further one counts in each domain.
func (g GTIDs) With(other GTIDs) GTIDs {
	out := GTIDs{}
	for _, set := range []GTIDs{g, other} {
		for key, ranges := range set.sources {
			if out.sources == nil {
				out.sources = map[string][]gtidRange{}
			}
			out.sources[key] = joined(append(slices.Clone(out.sources[key]), ranges...))
		}
		for domain, pos := range set.domains {
			if out.domains == nil {
				out.domains = map[uint32]gtidPos{}
			}
			if has, ok := out.domains[domain]; !ok || pos.sequence > has.sequence {
				out.domains[domain] = pos
			}
		}
	}
	return out
}

// writtenBy is the part of g that a server wrote itself: MySQL knows it by its uuid, MariaDB by its server id.
func (g GTIDs) writtenBy(uuid, serverID string) GTIDs {
	out := GTIDs{}
	for key, ranges := range g.sources {
		if source, _, _ := strings.Cut(key, ":"); strings.EqualFold(source, uuid) {
			out = out.With(GTIDs{sources: map[string][]gtidRange{key: ranges}})
		}
	}
	for domain, pos := range g.domains {
		if strconv.FormatUint(uint64(pos.server), 10) == serverID {
			out = out.With(GTIDs{domains: map[uint32]gtidPos{domain: pos}})
		}
	}
	return out
}

// ownWrites says which transactions a server of MariaDB wrote itself, by domain, from gtid_binlog_state: what is
// written in a domain after others went on there no longer shows in the position.
func ownWrites(binlogState, serverID string) map[uint32]uint64 {
	own := map[uint32]uint64{}
	for part := range strings.SplitSeq(binlogState, ",") {
		g, err := parseMariaDBGTIDs(strings.TrimSpace(part))
		if err != nil {
			continue // an empty state, of a server without a binary log
		}
		for domain, pos := range g.domains {
			if strconv.FormatUint(uint64(pos.server), 10) == serverID {
				own[domain] = pos.sequence
			}
		}
	}
	return own
}

// String is the set as a server writes it, without tags gathered under their uuid.
func (g GTIDs) String() string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(g.sources)) {
		var b strings.Builder
		b.WriteString(key)
		for _, r := range g.sources[key] {
			fmt.Fprintf(&b, ":%d", r.first)
			if r.last > r.first {
				fmt.Fprintf(&b, "-%d", r.last)
			}
		}
		parts = append(parts, b.String())
	}
	for _, domain := range slices.Sorted(maps.Keys(g.domains)) {
		pos := g.domains[domain]
		parts = append(parts, fmt.Sprintf("%d-%d-%d", domain, pos.server, pos.sequence))
	}
	return strings.Join(parts, ",")
}
