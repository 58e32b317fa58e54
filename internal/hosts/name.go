package hosts

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNameBytes is the longest name that DNS can hold (RFC 1035, 2.3.4).
const maxNameBytes = 253

// SplitUser cuts "user@host" as ssh does, at the last @; user is "" when there is none.
func SplitUser(name string) (user, host string) {
	if i := strings.LastIndexByte(name, '@'); i >= 0 {
		return name[:i], name[i+1:]
	}
	return "", name
}

// identity is what makes two spellings one host: no user, no letter case, no final dot of the DNS root, an
// IP address in its shortest form. It does not ask DNS: two names of one machine are found by what the
// machine says of itself.
func identity(name string) string {
	_, host := SplitUser(name)
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Unmap().String()
	}
	return strings.TrimSuffix(strings.ToLower(host), ".")
}

// checkName tells what is wrong with a host name, without user@. Only ASCII letters, digits and . _ : -
// are let through, so that no name can be an option, a path, a pattern or a look-alike of another; a name
// with a colon must be an IPv6 address, written without brackets, which are for ranges.
func checkName(name string) *fault {
	if name == "" {
		return newFault(0, "the host name is empty", "write a name")
	}
	if len(name) > maxNameBytes {
		return newFault(0, fmt.Sprintf("the host name is %d bytes long", len(name)), "at most 253 are possible in DNS")
	}
	for i, r := range name {
		if !nameRune(r) {
			return badRune(i, name[i:], r)
		}
	}
	if strings.EqualFold(name, "all") {
		return newFault(0, fmt.Sprintf("%q is not a host name", name), "write @all for every host that the inventory names")
	}
	if strings.Contains(name, ":") {
		if _, err := netip.ParseAddr(name); err != nil {
			return newFault(strings.IndexByte(name, ':'), fmt.Sprintf("%q has a colon but is no IPv6 address", name),
				"a port stands in hosts.toml or in the ssh configuration")
		}
		return nil
	}
	if first := name[0]; !alnum(rune(first)) {
		return newFault(0, fmt.Sprintf("host name %q begins with %q", name, first), "begin it with a letter or a digit")
	}
	if i := strings.Index(name, ".."); i >= 0 {
		return newFault(i, fmt.Sprintf("host name %q has two dots in a row", name), "a range is written [1-9]")
	}
	return nil
}

func alnum(r rune) bool {
	return '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z'
}

func nameRune(r rune) bool { return alnum(r) || r == '.' || r == '_' || r == ':' || r == '-' }

// badRune words the fault of a character that no host name may have; rest begins with it.
func badRune(off int, rest string, r rune) *fault {
	switch {
	case r == utf8.RuneError && !utf8.RuneStart(rest[0]), r == utf8.RuneError && !strings.HasPrefix(rest, string(utf8.RuneError)):
		return newFault(off, fmt.Sprintf("byte 0x%02x is not UTF-8", rest[0]), "names are ASCII")
	case r > unicode.MaxASCII:
		return newFault(off, fmt.Sprintf("%q (%U) is not an ASCII letter", r, r), "names are made of A-Z a-z 0-9 . _ : - (IDNs in their xn-- form)")
	case r == '*' || r == '?':
		return newFault(off, fmt.Sprintf("%q in a host name: there are no patterns", r), "write a range such as db[1-9], or @all")
	case r == '@':
		return newFault(off, "\"@\" inside a name", "a group is written @name, after a comma")
	default:
		return newFault(off, fmt.Sprintf("%q in a host name", r), "names are made of A-Z a-z 0-9 . _ : -")
	}
}

// checkUser tells what is wrong with a login name. It must not look like an option to the program that it
// may be handed to.
func checkUser(user string) *fault {
	if user == "" {
		return newFault(0, "the user name is empty", "write user@host, or the host alone")
	}
	for i, r := range user {
		if !alnum(r) && r != '.' && r != '_' && (r != '-' || i == 0) {
			return newFault(i, fmt.Sprintf("%q in user name %q", r, user), "user names are made of A-Z a-z 0-9 . _ -")
		}
	}
	return nil
}

// fault is what is wrong at a byte offset of a text that somebody wrote.
type fault struct {
	off    int // bytes from the start of the text
	text   string
	remedy string
	quiet  bool // said already where it came from: a reference to a broken group
}

func newFault(off int, text, remedy string) *fault {
	return &fault{off: off, text: text, remedy: remedy}
}

// at moves the fault by the offset of its text within a longer one.
func (f *fault) at(off int) *fault {
	if f == nil {
		return nil
	}
	moved := *f
	moved.off += off
	return &moved
}

func (f *fault) Error() string {
	if f.remedy == "" {
		return f.text
	}
	return f.text + "; " + f.remedy
}
