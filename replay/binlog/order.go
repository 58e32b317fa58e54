package binlog

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// order puts the files into the order in which they were written, and refuses what is no chain.
func (l *Log) order() error {
	if err := l.sameFlavor(); err != nil {
		return err
	}
	if err := l.refuseCopies(); err != nil {
		return err
	}
	// Along a chain the GTIDs before a file only grow. Files between which none were added have the same, and
	// so have all files of a log without GTIDs.
	counts := make(map[*File]uint64, len(l.Files)) // a set may have thousands of sources
	for _, f := range l.Files {
		counts[f] = f.Previous.count()
	}
	slices.SortStableFunc(l.Files, func(a, b *File) int { return cmp.Compare(counts[a], counts[b]) })
	var ordered []*File
	for rest := l.Files; len(rest) > 0; {
		n := 1
		for n < len(rest) && counts[rest[n]] == counts[rest[0]] {
			n++
		}
		ordered = append(ordered, orderByLinks(rest[:n])...)
		rest = rest[n:]
	}
	l.Files = ordered
	for i := 1; i < len(l.Files); i++ {
		if err := checkNeighbours(l.Files[i-1], l.Files[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) sameFlavor() error {
	for _, f := range l.Files[1:] {
		if first := l.Files[0]; f.Format.Flavor != first.Format.Flavor {
			return fmt.Errorf("order binary logs: %s was written by %s and %s by %s: they are not of one chain",
				first.Path, first.Format.Flavor, f.Path, f.Format.Flavor)
		}
	}
	return nil
}

// nothingBetween tells whether two files that begin alike may still be two: a server that was killed and started
// again within a second, with nothing logged in between, leaves a file that is the beginning of the next one. They
// are neighbours by number, and the shorter one holds no transaction.
func nothingBetween(a, b *File) (bool, error) {
	if a.Size > b.Size {
		a, b = b, a
	}
	if na, nb := number(a.Name), number(b.Name); na < 0 || nb < 0 || na == nb || na-nb > 1 || nb-na > 1 {
		return false, nil
	}
	r, err := (&Log{Files: []*File{a}}).readFile(0, int64(len(magic)))
	if err != nil {
		return false, err
	}
	defer r.Close()
	_, err = r.Next(context.Background())
	if errors.Is(err, io.EOF) {
		return r.scan.offset == a.Size, nil // else it is cut: a copy
	}
	return false, err
}

// refuseCopies refuses the same file twice, also under different names or at different ages, and different
// files of the same name.
func (l *Log) refuseCopies() error {
	type start struct {
		format string
		before [sha256.Size]byte // of the GTIDs: their text may be megabytes in each of thousands of files
	}
	starts := map[start]*File{}
	names := map[string]*File{}
	for _, f := range l.Files {
		raw := bytes.Clone(f.Format.Raw)
		raw[17] &^= byte(flagInUse)
		key := start{string(raw), sha256.Sum256([]byte(f.Previous.String()))}
		if other := starts[key]; other != nil {
			same, err := samePrefix(other, f)
			if err != nil {
				return err
			}
			if same {
				if next, err := nothingBetween(other, f); err != nil {
					return err
				} else if next {
					same = false
				}
			}
			if same && other.Size == f.Size {
				return fmt.Errorf("order binary logs: %s and %s are the same file: give it once", other.Path, f.Path)
			}
			if same {
				shorter, longer := other, f
				if shorter.Size > longer.Size {
					shorter, longer = longer, shorter
				}
				return fmt.Errorf("order binary logs: %s is an earlier copy of %s: leave it out", shorter.Path, longer.Path)
			}
		}
		starts[key] = f
		if other := names[f.Name]; other != nil {
			return fmt.Errorf("order binary logs: two different files are named %s, %s and %s: give those of one server%s",
				f.Name, other.Path, f.Path, twoServers(other, f))
		}
		names[f.Name] = f
	}
	return nil
}

// samePrefix tells whether the shorter file is the start of the longer one. The flag that a file is still
// being written may differ.
func samePrefix(a, b *File) (bool, error) {
	ra, doneA, err := a.open()
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", a.Path, err)
	}
	defer doneA() //nolint:errcheck // it was read only
	rb, doneB, err := b.open()
	if err != nil {
		return false, fmt.Errorf("compare %s: %w", b.Path, err)
	}
	defer doneB() //nolint:errcheck // it was read only
	size := min(a.Size, b.Size)
	bufA, bufB := make([]byte, readAhead), make([]byte, readAhead)
	for at := int64(len(magic)) + int64(a.Format.header.Size); at < size; {
		n := min(readAhead, size-at)
		if _, err := io.ReadFull(io.NewSectionReader(ra, at, n), bufA[:n]); err != nil {
			return false, fmt.Errorf("compare %s: %w", a.Path, err)
		}
		if _, err := io.ReadFull(io.NewSectionReader(rb, at, n), bufB[:n]); err != nil {
			return false, fmt.Errorf("compare %s: %w", b.Path, err)
		}
		if !bytes.Equal(bufA[:n], bufB[:n]) {
			return false, nil
		}
		at += n
	}
	return true, nil
}

// orderByLinks orders files that GTIDs do not: runs of files of which each names the next, the runs by when
// they were begun, then by the number in their names.
func orderByLinks(files []*File) []*File {
	byName := map[string]*File{}
	linked := map[*File]bool{} // some file names it as its next
	for _, f := range files {
		byName[f.Name] = f
	}
	for _, f := range files {
		if next := byName[f.next]; next != nil && next != f {
			linked[next] = true
		}
	}
	earlier := func(a, b *File) int {
		return cmp.Or(cmp.Compare(a.Format.header.Timestamp, b.Format.header.Timestamp),
			cmp.Compare(number(a.Name), number(b.Name)), strings.Compare(a.Name, b.Name))
	}
	sorted := slices.SortedFunc(slices.Values(files), earlier)
	var out []*File
	taken := map[*File]bool{}
	// Heads first; what is left then names one another in a circle, and is refused as a gap.
	for _, heads := range []bool{true, false} {
		for _, f := range sorted {
			if heads && linked[f] {
				continue
			}
			for ; f != nil && !taken[f]; f = byName[f.next] {
				taken[f] = true
				out = append(out, f)
			}
		}
	}
	return out
}

// number is the number at the end of a binary log's name, -1 where there is none.
func number(name string) int64 {
	digits := name[len(strings.TrimRight(name, "0123456789")):]
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// checkNeighbours refuses a gap between two files that can be seen without reading them. Where the GTIDs
// before them differ, Survey compares these.
func checkNeighbours(a, b *File) error {
	if !b.Previous.Equal(a.Previous) {
		if !b.Previous.ContainsSet(a.Previous) {
			return fmt.Errorf("order binary logs: neither of %s and %s comes after the other: before the first were %s, before the second %s; give the files of one server%s",
				a.Path, b.Path, a.Previous, b.Previous, twoServers(a, b))
		}
		return nil
	}
	if a.Format.Flavor == MariaDB && a.Previous != nil && b.Previous != nil {
		return nil // every transaction of MariaDB has a GTID: there is none between them
	}
	return checkLink(a, b)
}

// twoServers is what to do with files of two servers, as they are left by a failover; empty where they are of one. They
// are not joined here: whether the second server had all of the first one's is asked of the target, between two runs.
func twoServers(a, b *File) string {
	first, second := a.Format.header.ServerID, b.Format.header.ServerID
	if first == second {
		return ""
	}
	how := "which leaves out by their GTIDs what is on the target by then"
	if a.Format.Flavor == MySQL && a.Previous.Empty() && b.Previous.Empty() {
		how = "which leaves out by their GTIDs what is on the target by then; without GTIDs give --start-position with where the second took over"
	}
	return fmt.Sprintf(" (they are of servers %d and %d, as after a failover: replay the files of the one that was the primary first, then those of the other as a run of its own, %s)", first, second, how)
}

// checkLink holds two files against each other by name: the rotate event of the first names the second, or,
// where the server stopped or crashed instead, the number in the name is the next one.
func checkLink(a, b *File) error {
	if others := twoServers(a, b); others != "" {
		return fmt.Errorf("order binary logs: no GTIDs prove that %s goes on where %s ends%s", b.Path, a.Path, others)
	}
	if a.tail == tailRotated {
		// A renamed copy mostly still has the old name in it: host1-binlog.000012.
		if !strings.Contains(b.Name, a.next) {
			return fmt.Errorf("order binary logs: after %s comes %s, which is not there; the next file is %s: add the missing files, or give renamed ones their old names",
				a.Path, a.next, b.Path)
		}
		return nil
	}
	if na, nb := number(a.Name), number(b.Name); na < 0 || nb != na+1 {
		return fmt.Errorf("order binary logs: nothing proves that %s comes right after %s: add the missing files, or give renamed ones their old names", b.Path, a.Path)
	}
	if a.tail == tailOpen && a.inUse() {
		return fmt.Errorf("order binary logs: %s was copied while its server was writing it, and %s follows: take another copy of it", a.Path, b.Path)
	}
	return nil
}
