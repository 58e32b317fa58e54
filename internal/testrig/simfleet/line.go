package simfleet

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// splitWords splits an exec request as a login shell would, as far as requests of ours need it: words between
// blanks, single quotes. Whatever else means something to a shell is an error: nothing is guessed.
func splitWords(line string) ([]string, error) {
	var words []string
	for {
		line = strings.TrimLeft(line, " ")
		if line == "" {
			return words, nil
		}
		var word strings.Builder
		for line != "" && line[0] != ' ' {
			if line[0] == '\'' {
				quoted, rest, ok := strings.Cut(line[1:], "'")
				if !ok {
					return nil, errors.New("a quote is not closed")
				}
				word.WriteString(quoted)
				line = rest
				continue
			}
			end := strings.IndexAny(line, " '")
			if end < 0 {
				end = len(line)
			}
			if strings.ContainsAny(line[:end], "\"\\`$&|;<>(){}*?[]!#~\n\t") {
				return nil, fmt.Errorf("%.40q outside quotes is more than this login shell knows", line[:end])
			}
			word.WriteString(line[:end])
			line = line[end:]
		}
		words = append(words, word.String())
	}
}

// request is what a session asks, with the defaults of check.sh's parse_request.
type request struct {
	nonce, mode, class, command, owner, host string
	allow                                    []string
	member, onUnknown                        bool
	id, signal                               string
	goWait                                   int // seconds
}

// script is check.sh as it came, unpacked: which keys it knows, it says itself.
type script struct {
	packed string
	keys   map[string]bool
}

// scripts keeps the last script that came: a client sends the same one to all.
type scripts struct {
	mu   sync.Mutex
	last *script
}

// keyLine is how parse_request names a key.
var keyLine = regexp.MustCompile(`(?m)^\s*([a-z0-9]+)=\*\) q_[a-z0-9]+=`)

// unpack reads a script. gzip's checksum makes sure that it is whole.
func (s *scripts) unpack(packed string) (*script, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last != nil && s.last.packed == packed {
		return s.last, nil
	}
	r, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(packed)))
	if err != nil {
		return nil, fmt.Errorf("unpack the script: %w", err)
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("unpack the script: %w", err)
	}
	if !bytes.Contains(text, []byte("interlock-report 1 ")) {
		return nil, errors.New("the script prints no report")
	}
	one := &script{packed: packed, keys: map[string]bool{}}
	for _, m := range keyLine.FindAllSubmatch(text, -1) {
		one.keys[string(m[1])] = true
	}
	s.last = one
	return one, nil
}

// parseRequest reads the words that follow the interpreter's name, as check.sh does: a key that the script does not
// know, or a number or nonce that is none, ends the session with 64.
func (s *scripts) parseRequest(args []string) (request, error) {
	q := request{mode: "check", class: "destructive", owner: "-", host: "-", signal: "INT", goWait: 10}
	packed, ok := strings.CutPrefix(args[0], "script=")
	if !ok {
		return q, fmt.Errorf("the first argument is %.20q, not the script", args[0])
	}
	sh, err := s.unpack(packed)
	if err != nil {
		return q, err
	}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || !sh.keys[key] {
			return q, fmt.Errorf("%.40q is not understood", arg)
		}
		if err := q.set(key, value); err != nil {
			return q, err
		}
	}
	if len(q.nonce) != 32 || strings.Trim(q.nonce, "0123456789abcdef") != "" {
		return q, fmt.Errorf("nonce %q is not hexadecimal", q.nonce)
	}
	return q, nil
}

func (q *request) set(key, value string) (err error) {
	switch key {
	case "nonce":
		q.nonce = value
	case "mode":
		q.mode = value
	case "class":
		q.class = value
	case "owner":
		q.owner = value
	case "host":
		q.host = value
	case "allow":
		q.allow = strings.Split(value, ",")
	case "member":
		q.member = value == "1"
	case "onunknown":
		q.onUnknown = value == "1"
	case "id":
		q.id = value
	case "signal":
		q.signal = value
	case "go":
		q.goWait, err = strconv.Atoi(value)
	case "cmd64":
		var text []byte
		text, err = base64.StdEncoding.DecodeString(value)
		q.command = string(text)
	}
	if err != nil {
		err = fmt.Errorf("%s=%.40s: %w", key, value, err)
	}
	return err
}

// locks tells whether a command of this class takes a lock.
func (q *request) locks() bool { return q.class == "disruptive" || q.class == "destructive" }
