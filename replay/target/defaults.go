package target

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// fileOptions are what an option file says of a connection.
type fileOptions struct {
	Options
	protocol    string // tcp, socket; empty: not said
	password    string
	hasPassword bool
}

// The protocols of an option file.
const (
	protocolTCP    = "tcp"
	protocolSocket = "socket"
)

// readsGroup tells whether the clients of both servers read a group of an option file. Sources: load_default_groups
// in MySQL's client/mysql.cc and MariaDB's client/mysql.cc. [mariadb] is not among them: it is the server's.
func readsGroup(name string) bool {
	switch name {
	case "client", "mysql", "client-server", "client-mariadb", "mariadb-client":
		return true
	}
	return false
}

// readDefaults reads an option file as my_default.cc does: later lines win, groups and options of other programs
// are passed over. Includes are refused, and so is any line that is not understood.
func readDefaults(path string) (fileOptions, error) {
	var found fileOptions
	info, err := os.Stat(path)
	if err != nil {
		return found, fmt.Errorf("read option file: %w", err)
	}
	const worldWritable = 0o002
	if info.Mode().Perm()&worldWritable != 0 {
		return found, fmt.Errorf("read option file %q: everybody may write to it (chmod o-w)", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return found, fmt.Errorf("read option file: %w", err)
	}
	return parseDefaults(path, string(text))
}

func parseDefaults(path, text string) (fileOptions, error) {
	var found fileOptions
	group, ours := "", false
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		var err error
		switch line[0] {
		case '[':
			group, err = parseGroup(line)
			ours = ours || readsGroup(group)
		case '!':
			err = fmt.Errorf("%q is not followed here: name the file itself, or copy its lines", line)
		default:
			err = found.take(group, line)
		}
		if err != nil {
			return found, fmt.Errorf("read option file %s:%d: %w", path, i+1, err)
		}
	}
	if !ours {
		return found, fmt.Errorf("read option file %s: it has no group for clients, such as [client]", path)
	}
	return found, nil
}

func parseGroup(line string) (string, error) {
	name, rest, closed := strings.Cut(line[1:], "]")
	if rest = strings.TrimSpace(rest); !closed || rest != "" && rest[0] != '#' && rest[0] != ';' {
		return "", fmt.Errorf("%q is not a group: write it [like-this]", line)
	}
	return strings.TrimSpace(name), nil
}

// take understands one line of a group.
func (f *fileOptions) take(group, line string) error {
	if group == "" {
		return fmt.Errorf("an option stands before the first group")
	}
	line = strings.TrimSpace(cutComment(line))
	name, value, hasValue := strings.Cut(line, "=")
	// Names may be written with - or _, and loose- says that others may not know them.
	name = strings.TrimPrefix(strings.ReplaceAll(strings.TrimSpace(name), "_", "-"), "loose-")
	if name == "" || strings.ContainsAny(name, " \t") {
		return fmt.Errorf("%q is not an option: write it name or name=value", redact(line))
	}
	if !readsGroup(group) {
		return nil
	}
	value, err := unquote(strings.TrimSpace(value))
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	if err := f.set(name, value, hasValue); err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	return nil
}

// redact keeps what may be a password out of errors.
func redact(line string) string {
	if name, _, found := strings.Cut(line, "="); found {
		return name + "=…"
	}
	return line
}

func (f *fileOptions) set(name, value string, hasValue bool) error {
	texts := map[string]*string{"host": &f.Host, "socket": &f.Socket, "user": &f.User, "ssl-mode": &f.SSLMode,
		"ssl-ca": &f.SSLCA, "ssl-cert": &f.SSLCert, "ssl-key": &f.SSLKey}
	if to, known := texts[name]; known {
		if !hasValue {
			return fmt.Errorf("it has no value")
		}
		*to = value
		return nil
	}
	switch name {
	case "port":
		port, err := strconv.Atoi(value)
		if err != nil || port < 0 || port > 65535 {
			return fmt.Errorf("%q is not a port", value)
		}
		f.Port = port
	case "password":
		if !hasValue {
			return fmt.Errorf("it has no value, and nothing here asks for one: give it, or --password-file")
		}
		f.password, f.hasPassword = value, true
	case "ssl", "skip-ssl", "disable-ssl", "ssl-verify-server-cert":
		f.SSLMode = mariadbTLS(name, value)
	case "protocol":
		return f.setProtocol(value)
	case "ssl-capath", "ssl-crl", "ssl-crlpath", "ssl-fips-mode":
		return fmt.Errorf("it is not supported: give --ssl-ca with the certificates in one file")
	}
	return nil
}

// mariadbTLS is the mode that MariaDB's switches stand for.
func mariadbTLS(name, value string) string {
	off := value == "0" || strings.EqualFold(value, "off") || strings.EqualFold(value, "false")
	switch {
	case name == "ssl-verify-server-cert" && !off:
		return "VERIFY_IDENTITY"
	case name == "ssl-verify-server-cert":
		return "REQUIRED"
	case name == "ssl" && !off:
		return "REQUIRED"
	default:
		return "DISABLED"
	}
}

// setProtocol understands what chooses between socket and TCP for localhost, whatever else the file says before or behind it.
func (f *fileOptions) setProtocol(value string) error {
	switch f.protocol = strings.ToLower(value); f.protocol {
	case protocolTCP, protocolSocket:
		return nil
	}
	return fmt.Errorf("%q is not supported: TCP or SOCKET", value)
}

// cutComment takes away what follows a # outside of quotes.
func cutComment(line string) string {
	var quote byte
	escaped := false
	for i := range len(line) {
		switch c := line[i]; {
		case escaped:
			escaped = false
		case quote != 0 && c == '\\':
			escaped = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case quote == 0 && c == '#':
			return line[:i]
		}
	}
	return line
}

// unquote reads a value. Source: MySQL's reference manual, Using Option Files: \b \t \n \r \\ \s, and a backslash
// before anything else stays.
func unquote(value string) (string, error) {
	if value != "" && (value[0] == '\'' || value[0] == '"') {
		if len(value) < 2 || value[len(value)-1] != value[0] {
			return "", fmt.Errorf("its value has a quote at the start and none at the end")
		}
		value = value[1 : len(value)-1]
	}
	if !strings.Contains(value, `\`) {
		return value, nil
	}
	escapes := map[byte]byte{'b': '\b', 't': '\t', 'n': '\n', 'r': '\r', '\\': '\\', 's': ' ', '"': '"', '\'': '\''}
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) {
			if plain, known := escapes[value[i+1]]; known {
				b.WriteByte(plain)
				i++
				continue
			}
		}
		b.WriteByte(value[i])
	}
	return b.String(), nil
}
