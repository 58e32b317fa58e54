package sshrun

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// CommandLine is a command line of OpenSSH's ssh, taken apart as ssh itself does it.
// Source: the getopt loop of ssh.c, OpenSSH 9.2.
type CommandLine struct {
	Long    []LongOption // not ssh's: those that the caller of ParseCommandLine named
	Options []Option     // in the order given; those of the destination (user, port) stand in its place, as -l and -p
	Host    string       // without user and port; "" where none was given
	Command []string     // ssh joins them by blanks
}

// Option is one of ssh's options: a letter, and its value where it takes one.
type Option struct {
	Letter byte
	Value  string
}

// LongOption is --Name, --Name=Value or --Name Value before the destination.
type LongOption struct{ Name, Value string }

// The letters of ssh's getopt string, by whether they take a value. P is not among them: before OpenSSH 9.4 it
// takes none and does nothing, since then it takes a tag. Which is which decides what the host's name is.
const (
	plainLetters = "1246afgknqstvxACGKMNTVXYy"
	valueLetters = "bceilmopBDEFIJLOQRSWw"
)

// ParseCommandLine reads ssh's arguments. long are options of the caller's own, with whether they take a value;
// they stand before the destination. What ssh would not understand is an error.
func ParseCommandLine(args []string, long map[string]bool) (*CommandLine, error) {
	c := &CommandLine{}
	rest, err := c.options(args, long)
	if err != nil || len(rest) == 0 {
		return c, err
	}
	terminated := len(rest) < len(args) && args[len(args)-len(rest)-1] == "--"
	if err := c.destination(rest[0]); err != nil {
		return nil, err
	}
	rest = rest[1:]
	if len(rest) > 0 && !terminated { // once more, behind the destination
		if rest, err = c.options(rest, nil); err != nil {
			return nil, err
		}
	}
	c.Command = rest
	return c, nil
}

// options reads options up to the first word that is none, as getopt(3) in BSD does.
func (c *CommandLine) options(args []string, long map[string]bool) (rest []string, err error) {
	for len(args) > 0 {
		word := args[0]
		switch {
		case word == "--":
			return args[1:], nil
		case len(word) < 2 || word[0] != '-':
			return args, nil
		case strings.HasPrefix(word, "--"):
			args, err = c.longOption(args, long)
		default:
			args, err = c.letters(args)
		}
		if err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (c *CommandLine) longOption(args []string, long map[string]bool) (rest []string, err error) {
	name, value, attached := strings.Cut(args[0][2:], "=")
	takes, known := long[name]
	rest = args[1:]
	switch {
	case !known:
		return nil, fmt.Errorf("option --%s is not known here", name)
	case attached && !takes:
		return nil, fmt.Errorf("option --%s takes no value", name)
	case takes && !attached:
		if len(rest) == 0 {
			return nil, fmt.Errorf("option --%s: no value", name)
		}
		value, rest = rest[0], rest[1:]
	}
	c.Long = append(c.Long, LongOption{Name: name, Value: value})
	return rest, nil
}

// letters reads one word of letters, of which the last may take a value: attached, or the next word.
func (c *CommandLine) letters(args []string) (rest []string, err error) {
	rest = args[1:]
	for word := args[0][1:]; word != ""; word = word[1:] {
		letter := word[0]
		switch {
		case strings.IndexByte(plainLetters, letter) >= 0:
			c.Options = append(c.Options, Option{Letter: letter})
			continue
		case letter == 'P':
			return nil, errors.New("option -P is not understood: OpenSSH before 9.4 and since then take it differently")
		case strings.IndexByte(valueLetters, letter) < 0:
			return nil, fmt.Errorf("option -%c is not known", letter)
		}
		value := word[1:]
		if value == "" {
			if len(rest) == 0 {
				return nil, fmt.Errorf("option -%c: no value", letter)
			}
			value, rest = rest[0], rest[1:]
		}
		c.Options = append(c.Options, Option{Letter: letter, Value: value})
		break
	}
	return rest, nil
}

// destination reads [user@]host or ssh://[user@]host[:port].
func (c *CommandLine) destination(text string) error {
	rest, uri := strings.CutPrefix(text, "ssh://")
	if uri {
		rest = strings.TrimSuffix(rest, "/")
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user := rest[:at]
		if user == "" || uri && strings.ContainsAny(user, "%;:") {
			return fmt.Errorf("destination %q: its user is not understood: write -l USER", text)
		}
		c.Options = append(c.Options, Option{Letter: 'l', Value: user})
		rest = rest[at+1:]
	}
	if uri {
		host, port, err := splitPort(rest)
		if err != nil {
			return fmt.Errorf("destination %q: %w", text, err)
		}
		if rest = host; port != 0 {
			c.Options = append(c.Options, Option{Letter: 'p', Value: strconv.Itoa(port)})
		}
	}
	if err := plainName(rest); err != nil {
		return fmt.Errorf("destination %q: %w", text, err)
	}
	c.Host = rest
	return nil
}

// splitPort reads host, host:port, [address] or [address]:port; port is 0 where there is none.
func splitPort(text string) (host string, port int, err error) {
	host = text
	var number string
	if inner, ok := strings.CutPrefix(text, "["); ok {
		if host, number, ok = strings.Cut(inner, "]"); !ok {
			return "", 0, errors.New("no closing bracket")
		}
		if number, ok = strings.CutPrefix(number, ":"); !ok {
			return host, 0, nil
		}
	} else if at := strings.LastIndexByte(text, ':'); at >= 0 {
		host, number = text[:at], text[at+1:]
	} else {
		return host, 0, nil
	}
	if port, err = strconv.Atoi(number); err != nil || port < 1 || port > 65535 {
		return "", 0, fmt.Errorf("port %q: want 1 to 65535", number)
	}
	return host, port, nil
}

// Has tells whether one of the letters was given.
func (c *CommandLine) Has(letters string) bool {
	return slices.ContainsFunc(c.Options, func(o Option) bool { return strings.IndexByte(letters, o.Letter) >= 0 })
}

// Count is how often a letter was given.
func (c *CommandLine) Count(letter byte) (n int) {
	for _, o := range c.Options {
		if o.Letter == letter {
			n++
		}
	}
	return n
}

// Last is the value that a letter was given last, which is the one that counts for F and E.
func (c *CommandLine) Last(letter byte) string {
	for _, o := range slices.Backward(c.Options) {
		if o.Letter == letter {
			return o.Value
		}
	}
	return ""
}

// Without gives the options as ssh's arguments, but for those with one of the letters.
func (c *CommandLine) Without(letters string) []string {
	var args []string
	for _, o := range c.Options {
		switch {
		case strings.IndexByte(letters, o.Letter) >= 0:
		case strings.IndexByte(valueLetters, o.Letter) >= 0:
			args = append(args, "-"+string(rune(o.Letter)), o.Value)
		default:
			args = append(args, "-"+string(rune(o.Letter)))
		}
	}
	return args
}

// Only gives the options with one of the letters, as ssh's arguments.
func (c *CommandLine) Only(letters string) []string {
	some := CommandLine{}
	for _, o := range c.Options {
		if strings.IndexByte(letters, o.Letter) >= 0 {
			some.Options = append(some.Options, o)
		}
	}
	return some.Without("")
}
