package hosts

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fold writes names as a set, as short as ranges of one number each make it: db[001-003,007],app1. It is
// the inverse of Expand: expanding gives the same names, in natural order within a range, ranges in the
// order in which their first member came. Duplicates go. Names that are no host names are left as they are.
func Fold(names []string) string {
	items := make([]*foldItem, 0, len(names))
	seen := make(map[string]bool, len(names))
	for _, n := range names {
		if !seen[n] {
			seen[n] = true
			items = append(items, &foldItem{name: n, runs: digitRuns(n)})
		}
	}
	// The last number of a name varies most often (r1n1, r1n2), so it is tried first; what found no
	// company there tries the number before it (db1.dc1, db2.dc1).
	most := 0
	for _, it := range items {
		most = max(most, len(it.runs))
	}
	for back := 1; back <= most; back++ {
		items = foldAt(items, back)
	}
	words := make([]string, len(items))
	for i, it := range items {
		words[i] = it.name
	}
	return strings.Join(words, ",")
}

// foldItem is a name, or a word with a range (then runs is nil: it is done).
type foldItem struct {
	name string
	runs [][2]int // start and end of each number in name
}

// foldAt folds the items that differ in their back-th number from the end alone.
func foldAt(items []*foldItem, back int) []*foldItem {
	type slot struct{ before, after string }
	slots := map[slot][]*foldItem{}
	at := func(it *foldItem) (slot, bool) {
		if len(it.runs) < back {
			return slot{}, false
		}
		r := it.runs[len(it.runs)-back]
		return slot{it.name[:r[0]], it.name[r[1]:]}, true
	}
	for _, it := range items {
		if s, ok := at(it); ok {
			slots[s] = append(slots[s], it)
		}
	}
	var out []*foldItem
	for _, it := range items {
		s, ok := at(it)
		if !ok || len(slots[s]) == 1 {
			out = append(out, it)
			continue
		}
		digits := make([]string, 0, len(slots[s]))
		for _, member := range slots[s] {
			r := member.runs[len(member.runs)-back]
			digits = append(digits, member.name[r[0]:r[1]])
		}
		delete(slots, s)
		if len(digits) == 0 {
			continue // folded with the first of them
		}
		for _, list := range byWidth(digits) {
			if len(list) == 1 {
				// Alone in its width; an earlier number may still fold it.
				name := s.before + list[0] + s.after
				out = append(out, &foldItem{name: name, runs: digitRuns(name)})
				continue
			}
			out = append(out, &foldItem{name: s.before + "[" + foldNumbers(list) + "]" + s.after})
		}
	}
	return out
}

// byWidth parts numbers into lists that one range can write: those of one padded width, where 100 goes
// with 001, and those without padding. The order is that of first appearance.
func byWidth(digits []string) [][]string {
	widths := map[int]bool{}
	for _, d := range digits {
		if padded(d) {
			widths[len(d)] = true
		}
	}
	lists, order := map[int][]string{}, []int{}
	for _, d := range digits {
		w := 0
		if widths[len(d)] {
			w = len(d)
		}
		if lists[w] == nil {
			order = append(order, w)
		}
		lists[w] = append(lists[w], d)
	}
	out := make([][]string, 0, len(order))
	for _, w := range order {
		out = append(out, lists[w])
	}
	return out
}

// foldNumbers writes numbers of one width as "001-003,007".
func foldNumbers(digits []string) string {
	slices.SortFunc(digits, compareNumbers)
	var b strings.Builder
	for i := 0; i < len(digits); {
		j := i
		for j+1 < len(digits) && value(digits[j+1]) == value(digits[j])+1 {
			j++
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		b.WriteString(digits[i])
		if j > i {
			b.WriteString("-" + digits[j])
		}
		i = j + 1
	}
	return b.String()
}

func value(digits string) int64 {
	n, _ := strconv.ParseInt(digits, 10, 64) // at most maxDigits digits
	return n
}

// digitRuns finds the numbers in the host part of a name that a range can stand for. IPv6 addresses have
// none: half of their digits are letters.
func digitRuns(name string) [][2]int {
	user, host := SplitUser(name)
	if checkName(host) != nil || strings.Contains(host, ":") || strings.ContainsAny(user, ",!&[]@^") {
		return nil
	}
	var runs [][2]int
	for i := len(name) - len(host); i < len(name); {
		j := i
		for j < len(name) && '0' <= name[j] && name[j] <= '9' {
			j++
		}
		if j > i && j-i <= maxDigits {
			runs = append(runs, [2]int{i, j})
		}
		i = max(j, i+1)
	}
	return runs
}

// Compare orders names as people do, db2 before db10: negative where a comes first, 0 where they are the same.
func Compare(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		i, j := leadingDigits(x), leadingDigits(y)
		if i > 0 && j > 0 {
			if p, q := x[:i], y[:j]; p != q {
				return compareNumbers(p, q)
			}
			x, y = x[i:], y[j:]
			continue
		}
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		x, y = x[1:], y[1:]
	}
	return cmp.Compare(len(x), len(y))
}

// compareNumbers orders digits by value, whatever their length, and equal values by padding.
func compareNumbers(p, q string) int {
	a, b := strings.TrimLeft(p, "0"), strings.TrimLeft(q, "0")
	return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b), cmp.Compare(len(p), len(q)))
}

func leadingDigits(s string) int {
	i := 0
	for i < len(s) && '0' <= s[i] && s[i] <= '9' {
		i++
	}
	return i
}
