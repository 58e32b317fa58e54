package sshrun

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// unknownKeyPolicy is StrictHostKeyChecking: what to do with a host whose key is not known.
type unknownKeyPolicy int

const (
	askUnknown    unknownKeyPolicy = iota // on the terminal; refuse where there is none
	refuseUnknown                         // yes
	addUnknown                            // accept-new, no
)

// settings is what ssh's configuration says of one host, as far as this package goes by it.
type settings struct {
	name     string // as the user wrote it, without user@
	hostname string
	port     int
	user     string
	network  string // tcp, tcp4, tcp6

	alias       string // HostKeyAlias
	bindAddress string

	identityFiles    []string
	certificateFiles []string
	identitiesOnly   bool
	identityAgent    string // path; "": none
	pubkeyAuth       bool
	preferredAuth    string
	batch            bool

	proxyJump    string
	proxyCommand string
	fdPass       bool

	userKnownHosts    []string
	globalKnownHosts  []string
	unknownKey        unknownKeyPolicy
	hashKnownHosts    bool
	knownHostsCommand bool

	hostKeyAlgos, ciphers, kex, macs []string

	connectTimeout time.Duration
	aliveInterval  time.Duration

	sendEnv []string
	setEnv  []string

	gssapi bool
	pkcs11 bool

	facts Facts
}

// defaultSettings are OpenSSH's own defaults, for machines without ssh.
func (c *Client) defaultSettings(name string) *settings {
	return &settings{
		name: name, hostname: strings.ToLower(name), port: 22, user: c.me.Username, network: "tcp",
		identityFiles: []string{"~/.ssh/id_rsa", "~/.ssh/id_ecdsa", "~/.ssh/id_ecdsa_sk", "~/.ssh/id_ed25519", "~/.ssh/id_ed25519_sk"},
		identityAgent: "SSH_AUTH_SOCK", pubkeyAuth: true,
		userKnownHosts:   []string{"~/.ssh/known_hosts", "~/.ssh/known_hosts2"},
		globalKnownHosts: []string{"/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"},
	}
}

// parseSettings reads what `ssh -G name` printed: lower-case keyword, blank, value; one a line.
func (c *Client) parseSettings(name, out string) (*settings, error) {
	s := c.defaultSettings(name)
	s.identityFiles, s.userKnownHosts, s.globalKnownHosts = nil, nil, nil
	seen := 0
	for sc := bufio.NewScanner(strings.NewReader(out)); sc.Scan(); {
		key, value, ok := strings.Cut(sc.Text(), " ")
		if !ok {
			continue
		}
		if err := s.set(key, value); err != nil {
			return nil, fmt.Errorf("read ssh -G: %s %q: %w", key, value, err)
		}
		if key == "hostname" || key == "port" || key == "user" {
			seen++
		}
	}
	if seen < 3 {
		return nil, fmt.Errorf("read ssh -G: no hostname, port and user in its output")
	}
	for _, beyond := range []struct {
		keyword string
		given   bool
	}{
		{"localcommand", s.facts.permitLocal && s.facts.localCommand}, {"proxyusefdpass", s.fdPass},
		{"pkcs11provider", s.pkcs11}, {"knownhostscommand", s.knownHostsCommand},
	} {
		if beyond.given {
			s.facts.Beyond = append(s.facts.Beyond, beyond.keyword)
		}
	}
	return s, nil
}

// set takes one keyword. Unknown keywords are OpenSSH's own business.
func (s *settings) set(key, value string) (err error) {
	switch key {
	case "hostname":
		s.hostname = value
	case "port":
		s.port, err = strconv.Atoi(value)
	case "user":
		s.user = value
	case "addressfamily":
		s.network = map[string]string{"inet": "tcp4", "inet6": "tcp6"}[value]
		if s.network == "" {
			s.network = "tcp"
		}
	case "hostkeyalias":
		s.alias = value
	case "bindaddress":
		s.bindAddress = value
	case "batchmode":
		s.batch = value == "yes"
	case "proxyjump":
		s.proxyJump = notNone(value)
	case "proxycommand":
		s.proxyCommand = notNone(value)
	case "proxyusefdpass":
		s.fdPass = value == "yes"
	case "hostkeyalgorithms":
		s.hostKeyAlgos = strings.Split(value, ",")
	case "ciphers":
		s.ciphers = strings.Split(value, ",")
	case "kexalgorithms":
		s.kex = strings.Split(value, ",")
	case "macs":
		s.macs = strings.Split(value, ",")
	case "connecttimeout":
		s.connectTimeout, err = seconds(value)
	case "serveraliveinterval":
		s.aliveInterval, err = seconds(value)
	case "sendenv":
		s.sendEnv = append(s.sendEnv, value)
	case "setenv":
		s.setEnv = append(s.setEnv, value)
	default:
		s.setTrust(key, value)
	}
	return err
}

// setTrust takes the keywords that say who is who.
func (s *settings) setTrust(key, value string) {
	switch key {
	case "identityfile":
		s.identityFiles = append(s.identityFiles, value)
	case "certificatefile":
		s.certificateFiles = append(s.certificateFiles, value)
	case "identitiesonly":
		s.identitiesOnly = value == "yes"
	case "identityagent":
		s.identityAgent = notNone(value)
	case "pubkeyauthentication":
		s.pubkeyAuth = value != "false" && value != "no"
	case "preferredauthentications":
		s.preferredAuth = value
	case "userknownhostsfile":
		s.userKnownHosts = splitPaths(value)
	case "globalknownhostsfile":
		s.globalKnownHosts = splitPaths(value)
	case "stricthostkeychecking":
		switch value {
		case "true", "yes":
			s.unknownKey = refuseUnknown
		case "false", "no", "off", "accept-new":
			s.unknownKey = addUnknown
		default:
			s.unknownKey = askUnknown
		}
	case "hashknownhosts":
		s.hashKnownHosts = value == "yes"
	case "knownhostscommand":
		s.knownHostsCommand = notNone(value) != ""
	case "gssapiauthentication":
		s.gssapi = value == "yes"
	case "pkcs11provider":
		s.pkcs11 = notNone(value) != ""
	default:
		s.facts.set(key, value)
	}
}

// splitPaths splits a list of paths, which ssh -G prints without quotes: blanks that belong to the name of a file
// that exists do not split.
func splitPaths(value string) []string {
	var paths []string
	for words := strings.Fields(value); len(words) > 0; {
		n := 1
		for i := len(words); i > 1; i-- {
			if _, err := os.Stat(strings.Join(words[:i], " ")); err == nil {
				n = i
				break
			}
		}
		paths = append(paths, strings.Join(words[:n], " "))
		words = words[n:]
	}
	return paths
}

func notNone(value string) string {
	if value == "none" {
		return ""
	}
	return value
}

// seconds reads what ssh -G prints for a time: a number, or none.
func seconds(value string) (time.Duration, error) {
	if value == "none" {
		return 0, nil
	}
	n, err := strconv.Atoi(value)
	return time.Duration(n) * time.Second, err
}

// expand replaces the tokens and the leading tilde that ssh -G leaves in paths.
func (s *settings) expand(c *Client) {
	s.alias = s.tokens(c, s.alias)
	for _, paths := range []*[]string{&s.identityFiles, &s.certificateFiles, &s.userKnownHosts, &s.globalKnownHosts} {
		var full []string
		for _, p := range *paths {
			if p != "none" && p != "" {
				full = append(full, s.path(c, p))
			}
		}
		*paths = full
	}
	switch a := s.identityAgent; {
	case a == "SSH_AUTH_SOCK":
		s.identityAgent = os.Getenv("SSH_AUTH_SOCK")
	case strings.HasPrefix(a, "$"):
		s.identityAgent = os.Getenv(strings.Trim(a, "${}"))
	case a != "":
		s.identityAgent = s.path(c, a)
	}
}

func (s *settings) path(c *Client, p string) string {
	return c.tilde(s.tokens(c, p))
}

// tilde replaces a leading ~/ by the account's home.
func (c *Client) tilde(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		return filepath.Join(c.home, rest)
	}
	return path
}

// tokens replaces the percent tokens of ssh_config(5), "TOKENS", that can stand in what we use. One that is
// not known stays as it is: the path will not exist, and the error shows it.
func (s *settings) tokens(c *Client, text string) string {
	if !strings.Contains(text, "%") {
		return text
	}
	local, _ := os.Hostname()
	short, _, _ := strings.Cut(local, ".")
	key := s.alias
	if key == "" || strings.Contains(key, "%") {
		key = s.hostname
	}
	return strings.NewReplacer("%%", "%", "%d", c.home, "%h", s.hostname, "%i", c.me.Uid, "%k", key, "%L", short,
		"%l", local, "%n", s.name, "%p", strconv.Itoa(s.port), "%r", s.user, "%u", c.me.Username).Replace(text)
}
