package checks

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Bounds of what a host may send: a login shell's banner before the report, one line, and the report.
const (
	maxBannerBytes = 64 << 10
	maxLineBytes   = 64 << 10
	maxReportLines = 20000
)

// ErrNoReport is returned when the session ended without the report's opening line: whatever its exit status,
// the host has said nothing.
var ErrNoReport = errors.New("read report: the session ended without one")

// ErrCutReport is returned when the session ended inside the report.
var ErrCutReport = errors.New("read report: cut short")

// ReadReport reads a report from r, up to and including its closing line; what follows in r is the command's own
// output, untouched. banner is what came before: a login shell's greeting. Any line that is not understood, a
// wrong count or another nonce is an error, and then the report is nil.
func ReadReport(r *bufio.Reader, nonce string) (report *Report, banner []byte, err error) {
	opening := []byte("interlock-report 1 " + nonce)
	for {
		line, err := readLine(r)
		switch {
		case err != nil && len(banner)+len(line) == 0 && errors.Is(err, io.EOF):
			return nil, banner, ErrNoReport
		case err != nil:
			return nil, append(banner, line...), fmt.Errorf("%w: %w", ErrNoReport, err)
		}
		// A banner without a line end stands right before the opening.
		if at := bytes.Index(line, opening); at >= 0 && at+len(opening) == len(line) {
			banner = append(banner, line[:at]...)
			break
		}
		if bytes.HasPrefix(line, []byte("interlock-report ")) {
			return nil, banner, fmt.Errorf("read report: it answers another request: %q", cut(line))
		}
		banner = append(append(banner, line...), '\n')
		if len(banner) > maxBannerBytes {
			return nil, banner, fmt.Errorf("read report: more than %d bytes before it; silence the login shell", maxBannerBytes)
		}
	}
	p := parser{report: &Report{Nonce: nonce, Facts: map[string]string{}, Looked: map[string]int{}}}
	for n := 0; n < maxReportLines; n++ {
		line, err := readLine(r)
		if err != nil {
			return nil, banner, fmt.Errorf("%w after %d lines: %w", ErrCutReport, n, err)
		}
		if rest, ok := strings.CutPrefix(string(line), "interlock-end "); ok {
			if rest != nonce+" "+strconv.Itoa(n) {
				return nil, banner, fmt.Errorf("read report: its closing line says %q after %d lines", cut(line), n)
			}
			report, err := p.finish()
			return report, banner, err
		}
		if err := p.line(string(line)); err != nil {
			return nil, banner, fmt.Errorf("read report: line %d: %w", n+1, err)
		}
	}
	return nil, banner, fmt.Errorf("read report: more than %d lines", maxReportLines)
}

// readLine returns a line without its end ("\n", or "\r\n" as a terminal makes it).
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxLineBytes {
			return line, fmt.Errorf("a line of more than %d bytes", maxLineBytes)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			if errors.Is(err, io.EOF) && len(line) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return line, err
		}
		return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
	}
}

func cut(b []byte) string {
	if len(b) > 120 {
		b = b[:120]
	}
	return string(b)
}

// parser builds a report from its lines.
type parser struct {
	report *Report
	seen   map[string]bool // of state, verdict, lock: each once
}

func (p *parser) line(line string) error {
	fields := strings.Split(line, "\t")
	for i, f := range fields {
		text, ok := decode(f)
		if !ok {
			return fmt.Errorf("%q is not percent-encoded", f)
		}
		if text == "-" {
			text = ""
		}
		fields[i] = text
	}
	args := fields[1:]
	switch kind := fields[0]; {
	case kind == "fact" && len(args) == 2:
		p.fact(args[0], args[1])
	case kind == "looked" && len(args) == 2:
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("%q is not a number", args[1])
		}
		p.report.Looked[args[0]] = n
	case kind == "reason" && len(args) == 3:
		p.report.Reasons = append(p.report.Reasons, Reason{Code: args[0], Text: args[1], Remedy: args[2]})
	case kind == "instance" && len(args) == 1:
		p.report.Instances = append(p.report.Instances, Instance{})
	case kind == "i" && len(args) == 2:
		if len(p.report.Instances) == 0 {
			return fmt.Errorf("%q stands before any instance", line)
		}
		return p.instance(&p.report.Instances[len(p.report.Instances)-1], args[0], args[1])
	case kind == "held" && len(args) == 8:
		return p.held(args)
	case (kind == "state" || kind == "verdict" || kind == "lock" || kind == "lease" || kind == "override" || kind == "spool") && len(args) == 1:
		return p.once(kind, args[0])
	default:
		return fmt.Errorf("%q is not understood", cut([]byte(line)))
	}
	return nil
}

// fact keeps a host fact; one that comes again (busy) is joined by commas.
func (p *parser) fact(key, value string) {
	if old, ok := p.report.Facts[key]; ok {
		value = old + "," + value
	}
	p.report.Facts[key] = value
}

func (p *parser) once(kind, value string) error {
	if p.seen[kind] {
		return fmt.Errorf("%s stands twice", kind)
	}
	if p.seen == nil {
		p.seen = map[string]bool{}
	}
	p.seen[kind] = true
	switch kind {
	case "state":
		p.report.State = State(value)
	case "verdict":
		p.report.Verdict = value
	case "lock":
		p.report.LockID = value
	case "lease":
		p.report.LeaseID = value
	case "override":
		p.report.OverrideID = value
	}
	return nil
}

// held takes a line about a lock or a lease in force.
func (p *parser) held(args []string) error {
	h := Held{Kind: args[0], ID: args[1], Owner: args[2], Class: args[3], Run: args[4], Since: args[5], For: args[6]}
	if h.Kind != "lock" && h.Kind != "lease" {
		return fmt.Errorf("%q is neither lock nor lease", h.Kind)
	}
	if args[7] != "" {
		left, err := parseSeconds(args[7])
		if err != nil {
			return fmt.Errorf("%s held for: %w", h.Kind, err)
		}
		h.Left = left
	}
	p.report.Held = append(p.report.Held, h)
	return nil
}

// finish checks what every report must say.
func (p *parser) finish() (*Report, error) {
	r := p.report
	if !r.State.Valid() {
		return nil, fmt.Errorf("read report: state %q is none of the seven", r.State)
	}
	switch r.Verdict {
	case "run", "refuse", "locked":
	default:
		return nil, fmt.Errorf("read report: verdict %q is not understood", r.Verdict)
	}
	for i, in := range r.Instances {
		if !in.State.Valid() {
			return nil, fmt.Errorf("read report: instance %d has state %q", i+1, in.State)
		}
	}
	return r, nil
}

// instance sets one field; numbers that are none are errors.
func (p *parser) instance(in *Instance, key, value string) error {
	if rest, ok := strings.CutPrefix(key, "source."); ok {
		return sourceField(in, rest, value)
	}
	if rest, ok := strings.CutPrefix(key, "replica."); ok {
		return replicaField(in, rest, value)
	}
	if rest, ok := strings.CutPrefix(key, "dump."); ok {
		if rest != strconv.Itoa(len(in.Dumps)) {
			return fmt.Errorf("field %q is not numbered in order", key)
		}
		in.Dumps = append(in.Dumps, value)
		return nil
	}
	if strings.HasPrefix(key, "group_") && key != "group_member" || strings.HasPrefix(key, "group.") {
		return groupField(in, key, value)
	}
	var err error
	switch key {
	case "state":
		in.State = State(value)
	case "pid":
		in.PID, err = strconv.Atoi(value)
	case "product":
		in.Product = value
	case "version":
		in.Version = value
	case "port":
		in.Port, err = strconv.Atoi(value)
	case "socket":
		in.Socket = value
	case "datadir":
		in.DataDir = value
	case "uuid":
		in.UUID = value
	case "server_id":
		in.ServerID = value
	case "read_only":
		in.ReadOnly = value
	case "offline_mode":
		in.OfflineMode = value == "1"
	case "gtid_executed": // sets come in pieces
		in.GTIDExecuted += value
	case "gtid_binlog_pos":
		in.GTIDBinlogPos += value
	case "gtid_slave_pos":
		in.GTIDSlavePos += value
	case "gtid_binlog_state":
		in.GTIDBinlogState += value
	case "group_member":
		in.GroupMember = value
	case "clients":
		var n int
		n, err = strconv.Atoi(value)
		in.Clients = &n
	case "monitoring":
		in.Monitoring, err = strconv.Atoi(value)
	case "writes_per_second":
		var f float64
		f, err = strconv.ParseFloat(value, 64)
		in.WritesPerSec = &f
	case "writes_over_seconds":
		in.WritesOver, err = parseSeconds(value)
	case "uptime_seconds":
		var d time.Duration
		d, err = parseSeconds(value)
		in.Uptime = &d
	case "data_bytes":
		var n int64
		n, err = strconv.ParseInt(value, 10, 64)
		in.DataBytes = &n
	case "busy":
		in.Busy = append(in.Busy, value)
	case "evidence":
		in.StateEvidence = value
	default:
		return fmt.Errorf("instance field %q is not understood", key)
	}
	if err != nil {
		return fmt.Errorf("instance field %s: %w", key, err)
	}
	return nil
}

func parseSeconds(s string) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * time.Second, err
}
