package sshrun

import (
	"bytes"
	"crypto/sha1"
	"encoding"
	"encoding/base64"
	"fmt"
	"hash"
	"net"
	"strings"
	"sync"

	"github.com/skeema/knownhosts"
	"golang.org/x/crypto/ssh"
	xknownhosts "golang.org/x/crypto/ssh/knownhosts"
)

// knownIndex finds the keys of a host without a walk over all lines, which the library does for each host: with 5,000
// hosts that are all known, that is 25 million comparisons (0.45 ms of CPU a host; 7 ms where names are hashed, 0.9 ms here).
//
// It knows lines that name hosts in full, and hashed ones. Patterns, negations and authorities it does not: a set of
// files with one of those is the library's (partial is true). The zero value is empty.
type knownIndex struct {
	partial bool
	lines   int
	plain   map[hostPort][]knownLine
	hashed  []*hashedLine
	trying  sync.Mutex // one name is tried at a time: it is CPU alone, and connections under way need some, too
}

type hostPort struct{ host, port string }

// knownLine is one line's key. at orders lines over all files.
type knownLine struct {
	at  int
	key ssh.PublicKey
}

// hashedLine is |1|salt|hash of one name. HMAC's two keyed blocks do not depend on the name asked for: they are
// computed once, and what is left of four blocks of SHA-1 are two.
type hashedLine struct {
	knownLine
	inner, outer []byte // states of SHA-1 after the keyed block
	sum          []byte
	// owner is the name that the line was found to stand for; "": not found yet. It stands for no other. Under trying.
	owner string
}

// add takes in one line that parseKnownLine has accepted: its hosts field, marker and key.
func (x *knownIndex) add(hosts, marker string, key ssh.PublicKey) {
	x.lines++
	line := knownLine{at: x.lines, key: key}
	switch {
	case marker != "", strings.ContainsAny(hosts, "*?!"):
		x.partial = true
	case strings.HasPrefix(hosts, "|"):
		h, ok := newHashedLine(hosts, line)
		if !ok {
			x.partial = true
			return
		}
		x.hashed = append(x.hashed, h)
	default:
		for _, p := range strings.Split(hosts, ",") {
			if p == "" {
				continue
			}
			host, port, err := net.SplitHostPort(p)
			if err != nil {
				host, port = p, "22"
			}
			if x.plain == nil {
				x.plain = map[hostPort][]knownLine{}
			}
			x.plain[hostPort{host, port}] = append(x.plain[hostPort{host, port}], line)
		}
	}
}

// keys are those of addr, host:port, in the order of their lines.
func (x *knownIndex) keys(addr string) []knownhosts.PublicKey {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil // as the library has it
	}
	found := x.plain[hostPort{host, port}]
	if len(x.hashed) > 0 {
		found = append(found[:len(found):len(found)], x.ofHashed(xknownhosts.Normalize(net.JoinHostPort(host, port)))...)
	}
	var keys []knownhosts.PublicKey
	for at := 0; len(keys) < len(found); {
		next := -1 // the first line after at: there are few
		for i, line := range found {
			if line.at > at && (next < 0 || line.at < found[next].at) {
				next = i
			}
		}
		if next < 0 { // a line that names the host twice
			break
		}
		at = found[next].at
		keys = append(keys, knownhosts.PublicKey{PublicKey: found[next].key})
	}
	return keys
}

// ofHashed tries name against every hashed line that is not known to stand for another one.
func (x *knownIndex) ofHashed(name string) (found []knownLine) {
	x.trying.Lock()
	defer x.trying.Unlock()
	mac := newNameMAC(name)
	for _, h := range x.hashed {
		if h.owner == "" && bytes.Equal(mac.of(h), h.sum) {
			h.owner = name
		}
		if h.owner == name {
			found = append(found, h.knownLine)
		}
	}
	return found
}

// newHashedLine reads |1|salt|hash, both in base64 (hostfile.c, host_hash). ok is false where the library is to say
// what it is.
func newHashedLine(field string, line knownLine) (h *hashedLine, ok bool) {
	part := strings.Split(field, "|")
	if len(part) != 4 || part[1] != "1" {
		return nil, false
	}
	salt, err1 := base64.StdEncoding.DecodeString(part[2])
	sum, err2 := base64.StdEncoding.DecodeString(part[3])
	if err1 != nil || err2 != nil || len(salt) > sha1.BlockSize {
		return nil, false
	}
	h = &hashedLine{knownLine: line, sum: sum}
	for pad, state := range map[byte]*[]byte{0x36: &h.inner, 0x5c: &h.outer} { // RFC 2104
		var block [sha1.BlockSize]byte
		copy(block[:], salt)
		for i := range block {
			block[i] ^= pad
		}
		d := sha1.New()
		_, _ = d.Write(block[:]) // never fails
		saved, err := d.(encoding.BinaryMarshaler).MarshalBinary()
		if err != nil {
			return nil, false
		}
		*state = saved
	}
	return h, true
}

// nameMAC computes the HMAC-SHA1 of one name under many salts. It is for one goroutine.
type nameMAC struct {
	name   []byte
	digest hash.Hash
	state  encoding.BinaryUnmarshaler // digest
	sum    [sha1.Size]byte
}

func newNameMAC(name string) *nameMAC {
	m := &nameMAC{name: []byte(name), digest: sha1.New()}
	m.state = m.digest.(encoding.BinaryUnmarshaler)
	return m
}

// of is valid until the next call.
func (m *nameMAC) of(h *hashedLine) []byte {
	inner := m.from(h.inner, m.name)
	return m.from(h.outer, inner)
}

func (m *nameMAC) from(state, data []byte) []byte {
	if err := m.state.UnmarshalBinary(state); err != nil {
		panic(fmt.Sprintf("known hosts: SHA-1 does not take its own state: %v", err))
	}
	_, _ = m.digest.Write(data) // never fails
	return m.digest.Sum(m.sum[:0])
}
