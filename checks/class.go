package checks

import "fmt"

// Class is what a command can do to the data on a host, as the host is told. The order is that of harm.
type Class int

// The classes, from harmless to destructive (docs/design.md, "Classes").
const (
	ReadOnly    Class = iota // proven harmless
	Routine                  // writes, but declared in hosts.toml to be fine on live hosts
	Disruptive               // interrupts service, keeps data
	Destructive              // everything else
)

var classNames = [...]string{"read-only", "routine", "disruptive", "destructive"}

// String returns the class's word, as it stands in hosts.toml, requests and JSON.
func (c Class) String() string {
	if c < ReadOnly || c > Destructive {
		return fmt.Sprintf("class(%d)", int(c))
	}
	return classNames[c]
}

// MarshalText renders the class as its word.
func (c Class) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a class's word.
func (c *Class) UnmarshalText(b []byte) error {
	p, err := ParseClass(string(b))
	if err == nil {
		*c = p
	}
	return err
}

// ParseClass reads a class's word; any other word is an error.
func ParseClass(word string) (Class, error) {
	for i, name := range classNames {
		if word == name {
			return Class(i), nil
		}
	}
	return Destructive, fmt.Errorf("class %q: want read-only, routine, disruptive or destructive", word)
}

// State is what a host, or one server instance on it, is. Its words stand in docs/checks.md.
type State string

// The states. Severity orders them.
const (
	Clear   State = "clear"
	Stopped State = "stopped"
	Idle    State = "idle"
	Replica State = "replica"
	Primary State = "primary"
	Proxy   State = "proxy"
	Unknown State = "unknown"
)

// Severity orders states for sorting and for "the worst instance wins": unknown, primary and proxy weigh
// the same, since each refuses everything; a word that is not a state weighs as unknown.
func (s State) Severity() int {
	switch s {
	case Clear:
		return 0
	case Stopped:
		return 1
	case Idle:
		return 2
	case Replica:
		return 3
	default:
		return 4
	}
}

// Valid tells whether s is one of the seven states.
func (s State) Valid() bool {
	switch s {
	case Clear, Stopped, Idle, Replica, Primary, Proxy, Unknown:
		return true
	}
	return false
}

// Allowances are the words that --allow takes. None of them lets a command through on a primary or where
// the state is unknown.
var Allowances = []string{"data", "replica", "serving", "member", "proxy"}
