package fleet

import (
	"bufio"
	"context"
	"fmt"

	"interlock/internal/hosts"
)

// NamesOptions are those of `interlock hosts`.
type NamesOptions struct {
	Config string
	Set    string
	Fold   bool // one line, folded: db[001-003]
	Count  bool // the number alone
}

// Names prints the hosts of a set.
type Names struct {
	o     NamesOptions
	s     Streams
	names []string
}

// NewNames resolves the set.
func NewNames(o NamesOptions, s Streams) (*Names, error) {
	if o.Fold && o.Count {
		return nil, Usage("", "hosts: --fold and --count exclude each other")
	}
	inv, err := loadInventory(o.Config)
	if err != nil {
		return nil, err
	}
	names, err := expand(inv, o.Set)
	if err != nil {
		return nil, err
	}
	return &Names{o: o, s: s, names: names}, nil
}

// Run prints one name a line, or what the options say instead.
func (n *Names) Run(context.Context) error {
	out := bufio.NewWriter(n.s.Out)
	switch {
	case n.o.Count:
		fmt.Fprintln(out, len(n.names))
	case n.o.Fold:
		fmt.Fprintln(out, hosts.Fold(n.names))
	default:
		for _, name := range n.names {
			fmt.Fprintln(out, name)
		}
	}
	return out.Flush()
}
