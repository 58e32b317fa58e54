package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What LOAD DATA gets is the rows that are new or differ, and what it takes out the keys that have gone.
func TestNetRows(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"before": "1\t1\tsame\n1\t2\tchanges\n2\t1\tgoes\n",
		"after":  "1\t1\tsame\n1\t2\tchanged\n3\t1\tcomes\n",
	} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "t"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	net := netTable{Name: "t", Key: []string{"a", "b"}}
	if err := net.compare(dir); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(net.Gone, []string{"(2,1)"}) || net.Rows != 2 || len(net.Files) != 1 {
		t.Fatalf("got %+v", net)
	}
	text, err := os.ReadFile(net.Files[0])
	if err != nil {
		t.Fatal(err)
	}
	if want := "1\t2\tchanged\n3\t1\tcomes\n"; string(text) != want {
		t.Errorf("to load: %q, want %q", text, want)
	}
	if got := deletes(net); len(got) != 1 || !strings.HasSuffix(got[0], "WHERE (a, b) IN ((2,1))") {
		t.Errorf("deletes: %q", got)
	}
}

// A state that differs in one table, lacks one or has one too many is different.
func TestDifferences(t *testing.T) {
	want := []tableState{{"a", 1, "10"}, {"b", 2, "20"}}
	for _, c := range []struct {
		got  []tableState
		want string
	}{
		{want, ""},
		{[]tableState{{"a", 1, "11"}, {"b", 2, "20"}}, "a"},
		{want[:1], "b"},
		{append(slices.Clone(want), tableState{"c", 0, "0"}), "c"},
	} {
		if got := differences(c.got, want); got != c.want {
			t.Errorf("%v: got %q, want %q", c.got, got, c.want)
		}
	}
}

// A bar is missed when the time is, by whichever number of connections was faster, and when more are slower than one.
func TestVerdict(t *testing.T) {
	took := func(name string, seconds float64) *result {
		return &result{Contender: name, Rounds: []measure{{Wall: seconds}}}
	}
	tab := &table{b: &bench{connections: 4}}
	for _, c := range []struct {
		results []*result
		want    string
	}{
		{[]*result{took("pipe", 100), took("applier-4", 20), took("applier-8", 10), took("load", 1), took("interlock-1", 3), took("interlock-4", 1.4)},
			"met: 50× pipe, 5× applier, 1.5 of LOAD DATA, 4 connections not slower"},
		{[]*result{took("pipe", 100), took("interlock-1", 2.5), took("interlock-4", 3)},
			"MISSED: 50× pipe, 4 connections not slower"},
		{[]*result{took("pipe", 100), {Contender: "interlock-1", Note: "it failed"}}, "-"},
	} {
		if got := tab.verdict(line{workload: workload{bar: barInsert}, results: c.results}); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
