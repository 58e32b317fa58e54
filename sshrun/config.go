package sshrun

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// configScan is what one needs to know of ssh's configuration files to tell which hosts get the same answer
// from ssh -G. It is no parser of their meaning: wherever a line could make the answer depend on the host in
// a way not understood here, perHost is set and every host is asked for.
type configScan struct {
	perHost bool
	ciphers bool // somebody has chosen ciphers; or a file could not be read, and may have
	blocks  []hostBlock
}

// doubt gives up on telling hosts apart.
func (s *configScan) doubt() { s.perHost, s.ciphers = true, true }

// hostBlock is one Host line and what its lines say of names.
type hostBlock struct {
	patterns []string
	named    bool // holds HostName or a percent token: the answer depends on the name
}

// maxConfigDepth is OpenSSH's own bound for nested Include (readconf.h, READCONF_MAX_DEPTH).
const maxConfigDepth = 16

// perHostKeywords make the answer depend on more than which blocks fit.
var perHostKeywords = map[string]bool{
	"match": true, "canonicalizehostname": true, "canonicaldomains": true,
	"canonicalizemaxdots": true, "canonicalizepermittedcnames": true, "canonicalizefallbacklocal": true,
}

// tokenKeywords may hold percent tokens that this package expands itself, or does not use.
var tokenKeywords = map[string]bool{
	"controlpath": true, "localcommand": true, "remotecommand": true, "proxycommand": true,
	"identityfile": true, "certificatefile": true, "hostkeyalias": true, "localforward": true, "remoteforward": true,
}

// scanConfig reads the files that ssh would: file, or the user's and the system's where file is "".
func scanConfig(file, home string) *configScan {
	s := &configScan{}
	switch file {
	case "none":
	case "":
		s.file(filepath.Join(home, ".ssh/config"), filepath.Join(home, ".ssh"), 0)
		s.file("/etc/ssh/ssh_config", "/etc/ssh", 0)
	default:
		s.file(file, filepath.Join(home, ".ssh"), 0)
	}
	return s
}

// file scans one file; relative Include paths are under includeDir. Each file starts with a block of its own
// that fits every host.
func (s *configScan) file(path, includeDir string, depth int) {
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return
	}
	if err != nil || depth > maxConfigDepth {
		s.doubt()
		return
	}
	s.open("*")
	for _, line := range strings.Split(string(text), "\n") {
		keyword, value := splitConfigLine(line)
		switch {
		case keyword == "":
		case perHostKeywords[keyword]:
			s.perHost = true
		case keyword == "ciphers":
			s.ciphers = true
		case keyword == "host":
			s.host(value)
		case keyword == "include":
			s.include(value, includeDir, depth)
		case keyword == "hostname", strings.Contains(value, "%") && !tokenKeywords[keyword]:
			s.blocks[len(s.blocks)-1].named = true
		}
	}
}

func (s *configScan) open(patterns ...string) {
	s.blocks = append(s.blocks, hostBlock{patterns: patterns})
}

func (s *configScan) host(value string) {
	if strings.ContainsAny(value, `"'\#`) {
		s.perHost = true
	}
	s.open(strings.Fields(value)...)
}

// include scans the files that value names. Inside a block that does not fit every host they apply to some
// hosts alone: then every host is asked for.
func (s *configScan) include(value, dir string, depth int) {
	here := s.blocks[len(s.blocks)-1].patterns
	if len(here) != 1 || here[0] != "*" || strings.ContainsAny(value, `"'\$%#`) {
		s.doubt()
		return
	}
	for _, pattern := range strings.Fields(value) {
		if rest, ok := strings.CutPrefix(pattern, "~/"); ok {
			pattern = filepath.Join(filepath.Dir(dir), rest)
			if filepath.Base(dir) != ".ssh" {
				s.doubt()
				return
			}
		} else if !filepath.IsAbs(pattern) {
			pattern = filepath.Join(dir, pattern)
		}
		files, err := filepath.Glob(pattern)
		if err != nil {
			s.doubt()
		}
		for _, f := range files {
			s.file(f, dir, depth+1)
		}
	}
	s.open("*") // after an Include, lines belong to the including block again
}

// splitConfigLine takes "Keyword value" or "Keyword=value" apart; the keyword comes back in lower case.
func splitConfigLine(line string) (keyword, value string) {
	line = strings.TrimSpace(line)
	if line == "" || line[0] == '#' {
		return "", ""
	}
	end := strings.IndexAny(line, " \t=")
	if end < 0 {
		return strings.ToLower(line), ""
	}
	value = strings.TrimLeft(line[end:], " \t")
	value = strings.TrimLeft(strings.TrimPrefix(value, "="), " \t")
	return strings.ToLower(strings.Trim(line[:end], `"`)), value
}

// class names the set of hosts that ssh -G answers alike but for their own name. ok is false where name is
// to be asked for alone.
func (s *configScan) class(name string) (class string, ok bool) {
	if s.perHost || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return "", false
	}
	var b strings.Builder
	for i, block := range s.blocks {
		if !block.fits(name) {
			continue
		}
		if block.named {
			return "", false
		}
		b.WriteString(strconv.Itoa(i))
		b.WriteByte(' ')
	}
	return fmt.Sprintf("blocks %s", b.String()), true
}

// fits is ssh's rule: one pattern matches and no negated one does.
func (b *hostBlock) fits(name string) bool {
	found := false
	for _, p := range b.patterns {
		negated := strings.HasPrefix(p, "!")
		if !wildcard(strings.TrimPrefix(p, "!"), name) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

// wildcard matches * and ? as ssh does, over all characters. Upper case in a pattern matches nothing here;
// ssh lowers neither side.
func wildcard(pattern, name string) bool {
	if !strings.ContainsAny(pattern, "*?") {
		return pattern == name
	}
	star, mark := -1, 0
	p := 0
	for n := 0; n < len(name); {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, n
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == name[n]):
			p++
			n++
		case star >= 0:
			mark++
			p, n = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
