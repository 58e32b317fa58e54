package main

import (
	"bufio"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// netTable is what LOAD DATA must do to one table: take out rows that have gone, then load those that are new
// or differ, in key order.
type netTable struct {
	Name  string
	Key   []string // columns of the primary key, which are the table's first
	Files []string // of loadPart rows each, in key order
	Rows  int64
	Gone  []string // keys as they stand in a list of values: (1,2)
}

// loadPart is how many rows a file for LOAD DATA has: several connections can share a table.
const loadPart = 10_000

// exportTables writes every table to a file in dir, in order of its primary key, a row a line.
func exportTables(s *source, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	names, err := tableNames(s.ctx, s.Local)
	if err != nil {
		return err
	}
	for _, name := range names {
		key, err := primaryKey(s, name)
		if err != nil {
			return err
		}
		if _, err := s.Query(s.ctx, fmt.Sprintf("SELECT * FROM %s.%s ORDER BY %s INTO OUTFILE '%s'",
			database, name, strings.Join(key, ", "), filepath.Join(dir, name))); err != nil {
			return err
		}
	}
	return nil
}

func primaryKey(s *source, table string) ([]string, error) {
	rows, err := s.Query(s.ctx, fmt.Sprintf("SELECT column_name n, ordinal_position p FROM information_schema.columns "+
		"WHERE table_schema = '%s' AND table_name = '%s' AND column_key = 'PRI' ORDER BY ordinal_position", database, table))
	if err != nil {
		return nil, err
	}
	var key []string
	for i, row := range rows {
		if row["p"] != strconv.Itoa(i+1) {
			return nil, fmt.Errorf("export %s: its primary key is not its first columns", table)
		}
		key = append(key, row["n"])
	}
	if len(key) == 0 {
		return nil, fmt.Errorf("export %s: it has no primary key", table)
	}
	return key, nil
}

// netTables compares the tables of dir/before with those of dir/after, removes both and returns what differs.
func netTables(s *source, dir string) ([]netTable, error) {
	names, err := tableNames(s.ctx, s.Local)
	if err != nil {
		return nil, err
	}
	var net []netTable
	for _, name := range names {
		t := netTable{Name: name}
		if t.Key, err = primaryKey(s, name); err != nil {
			return nil, err
		}
		if err := t.compare(dir); err != nil {
			return nil, fmt.Errorf("compare %s before and after: %w", name, err)
		}
		if t.Rows > 0 || len(t.Gone) > 0 {
			net = append(net, t)
		}
	}
	return net, errors.Join(os.RemoveAll(filepath.Join(dir, "before")), os.RemoveAll(filepath.Join(dir, "after")))
}

// compare finds the rows that are new or differ by the hashes of whole lines, and those that have gone by the
// hashes of their keys.
func (t *netTable) compare(dir string) error {
	seed := maphash.MakeSeed()
	before, after := filepath.Join(dir, "before", t.Name), filepath.Join(dir, "after", t.Name)
	old, kept := map[uint64]bool{}, map[uint64]bool{}
	if err := eachLine(before, func(line string) error {
		old[maphash.String(seed, line)] = true
		return nil
	}); err != nil {
		return err
	}
	parts := &partWriter{prefix: filepath.Join(dir, "net-"+t.Name)}
	err := eachLine(after, func(line string) error {
		kept[maphash.String(seed, t.keyOf(line))] = true
		if old[maphash.String(seed, line)] {
			return nil
		}
		t.Rows++
		return parts.add(line)
	})
	if err := errors.Join(err, parts.close()); err != nil {
		return err
	}
	t.Files = parts.files
	return eachLine(before, func(line string) error {
		if key := t.keyOf(line); !kept[maphash.String(seed, key)] {
			t.Gone = append(t.Gone, "("+strings.ReplaceAll(key, "\t", ",")+")")
		}
		return nil
	})
}

// keyOf is the part of a line that holds the key, which is of integers in every workload.
func (t *netTable) keyOf(line string) string {
	end := 0
	for range t.Key {
		next := strings.IndexAny(line[end:], "\t\n")
		if next < 0 {
			return line
		}
		end += next + 1
	}
	return line[:end-1]
}

// eachLine calls do with every line of a file, its line feed included.
func eachLine(path string, do func(line string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<20)
	for {
		line, err := in.ReadString('\n')
		if errors.Is(err, io.EOF) && line == "" {
			return nil
		}
		if err != nil {
			return err
		}
		if err := do(line); err != nil {
			return err
		}
	}
}

// partWriter writes lines to files of loadPart lines each.
type partWriter struct {
	prefix string
	files  []string
	file   *os.File
	out    *bufio.Writer
	lines  int // of the file that is open
}

func (p *partWriter) add(line string) (err error) {
	if p.file == nil || p.lines == loadPart {
		if err := p.close(); err != nil {
			return err
		}
		name := fmt.Sprintf("%s.%d", p.prefix, len(p.files))
		if p.file, err = os.Create(name); err != nil {
			return err
		}
		p.files, p.out, p.lines = append(p.files, name), bufio.NewWriterSize(p.file, 1<<20), 0
	}
	p.lines++
	_, err = p.out.WriteString(line)
	return err
}

func (p *partWriter) close() error {
	if p.file == nil {
		return nil
	}
	err := errors.Join(p.out.Flush(), p.file.Close())
	p.file = nil
	return err
}
