package checks

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

const testNonce = "00112233445566778899aabbccddeeff"

// sample holds one line of every kind, and every field that a host can send.
var sample = []string{
	"fact\tboot_id\tb-1",
	"fact\thostname\tdb1",
	"looked\tprocesses\t41",
	"instance\t1",
	"i\tstate\treplica", "i\tpid\t4711", "i\tproduct\tmysql", "i\tversion\t9.7.4", "i\tport\t3306", "i\tsocket\t/run/a%20b.sock",
	"i\tdatadir\t/var/lib/mysql", "i\tuuid\tu-1", "i\tserver_id\t7", "i\tread_only\tsuper", "i\toffline_mode\t1",
	"i\tgtid_executed\tu-1:1-9", "i\tgtid_executed\t,u-2:1", "i\tgtid_binlog_pos\t0-1-2", "i\tgtid_slave_pos\t0-1-3", "i\tgtid_binlog_state\t0-1-2",
	"i\tgroup_member\tONLINE", "i\tgroup_kind\tgroup-replication", "i\tgroup_name\tg-1", "i\tgroup_uuid\t-", "i\tgroup_size\t3", "i\tgroup_status\tPrimary",
	"i\tgroup_state\tONLINE", "i\tgroup_role\tSECONDARY", "i\tgroup_single_primary\t1", "i\tgroup.0.uuid\tu-1", "i\tgroup.0.host\tdb1", "i\tgroup.0.port\t3306",
	"i\tgroup.0.state\tONLINE", "i\tgroup.0.role\tPRIMARY", "i\tgroup.1.uuid\tu-2", "i\tdump.0\t10.0.0.7:51234", "i\tdump.1\tdb9:1",
	"i\tclients\t0", "i\tmonitoring\t2", "i\twrites_per_second\t1.5",
	"i\twrites_over_seconds\t60", "i\tuptime_seconds\t99", "i\tdata_bytes\t4096", "i\tbusy\tclone", "i\tevidence\tdrained",
	"i\tsource.0.channel\tc%09d", "i\tsource.0.host\tdb1", "i\tsource.0.port\t3306", "i\tsource.0.uuid\tu-0", "i\tsource.0.server_id\t1",
	"i\tsource.0.io_running\tYes", "i\tsource.0.sql_running\tNo", "i\tsource.0.lag_seconds\t3", "i\tsource.0.delay_seconds\t0",
	"i\tsource.0.error\t100%25", "i\tsource.0.auto_position\t1", "i\tsource.0.gtid\tu-0:1",
	"i\treplica.0.server_id\t9", "i\treplica.0.uuid\tu-9", "i\treplica.0.host\tdb9", "i\treplica.0.port\t3306",
	"reason\treplica\tit replicates\t--allow replica",
	"state\treplica",
	"fact\tbusy\tclone", "fact\tbusy\tbackup",
	"verdict\trefuse",
	"held\tlock\t0f0f\tme%20here\tdisruptive\tabc\t2026-01-02T03:04:05Z\tlocal\t-", "held\tlease\te0e0\tyou\t-\tdef\t-\t-\t42",
	"lock\t00112233", "lease\te1e1", "override\t0a0b0c0d", "spool\t/var/lib/interlock/spool/00112233",
}

func framed(nonce string, lines ...string) string {
	return "interlock-report 1 " + nonce + "\n" + strings.Join(lines, "\n") + "\n" +
		"interlock-end " + nonce + " " + strconv.Itoa(len(lines)) + "\n"
}

func read(text string) (*Report, []byte, string, error) {
	r := bufio.NewReader(strings.NewReader(text))
	report, banner, err := ReadReport(r, testNonce)
	rest, _ := io.ReadAll(r)
	return report, banner, string(rest), err
}

func TestReadReport(t *testing.T) {
	report, banner, rest, err := read("Welcome!\n" + framed(testNonce, sample...) + "the command's\x00own")
	if err != nil {
		t.Fatal(err)
	}
	if string(banner) != "Welcome!\n" || rest != "the command's\x00own" {
		t.Errorf("banner %q, rest %q", banner, rest)
	}
	if report.State != Replica || report.Run() || report.LockID != "00112233" || len(report.Instances) != 1 {
		t.Errorf("report %+v", report)
	}
	if got := report.Facts["busy"]; got != "clone,backup" {
		t.Errorf("busy %q", got)
	}
	in := report.Instances[0]
	if in.Socket != "/run/a b.sock" || in.PID != 4711 || *in.Clients != 0 || *in.Uptime != 99*time.Second || *in.WritesPerSec != 1.5 || !in.OfflineMode {
		t.Errorf("instance %+v", in)
	}
	s := in.Sources[0]
	if s.Channel != "c\td" || *s.Lag != 3*time.Second || s.Error != "100%" || !s.AutoPos || s.SQLRunning != "No" {
		t.Errorf("source %+v", s)
	}
	if r := in.Replicas[0]; r.Host != "db9" || r.Port != 3306 || r.UUID != "u-9" {
		t.Errorf("replica %+v", r)
	}
	if in.GTIDExecuted != "u-1:1-9,u-2:1" || in.GTIDBinlogPos != "0-1-2" || in.GTIDSlavePos != "0-1-3" || in.GTIDBinlogState != "0-1-2" {
		t.Errorf("GTID sets %+v", in)
	}
	if g := in.Group; g == nil || g.Kind != GroupReplication || g.Name != "g-1" || g.Size != 3 || g.State != "ONLINE" || g.Role != "SECONDARY" ||
		!g.SinglePrimary || len(g.Members) != 2 || g.Members[0] != (GroupMember{UUID: "u-1", Host: "db1", Port: 3306, State: "ONLINE", Role: "PRIMARY"}) {
		t.Errorf("group %+v", g)
	}
	if len(in.Dumps) != 2 || in.Dumps[0] != "10.0.0.7:51234" {
		t.Errorf("dumps %v", in.Dumps)
	}
	if report.OverrideID != "0a0b0c0d" || report.LeaseID != "e1e1" || len(report.Held) != 2 || report.Held[1] != (Held{Kind: "lease", ID: "e0e0", Owner: "you", Run: "def", Left: 42 * time.Second}) ||
		report.Held[0].Owner != "me here" || report.Held[0].For != "local" {
		t.Errorf("lease %q, held %+v", report.LeaseID, report.Held)
	}
	if r := report.Reasons[0]; r.Code != "replica" || r.Remedy != "--allow replica" {
		t.Errorf("reason %+v", r)
	}
}

// A report that lacks its last byte, or any more than that, is none.
func TestReadReportCutAnywhere(t *testing.T) {
	whole := framed(testNonce, sample...)
	for n := range len(whole) {
		report, _, _, err := read(whole[:n])
		if report != nil || err == nil {
			t.Fatalf("cut after %d of %d bytes: %+v, %v", n, len(whole), report, err)
		}
		if n > len("interlock-report 1 ")+len(testNonce) && !errors.Is(err, ErrCutReport) {
			t.Fatalf("cut after %d bytes: %v is not ErrCutReport", n, err)
		}
	}
	if _, _, _, err := read(whole); err != nil {
		t.Fatal(err)
	}
}

// A line that is lost, doubled or swapped for another never leaves a report whole.
func TestReadReportLostLine(t *testing.T) {
	lines := strings.SplitAfter(framed(testNonce, sample...), "\n")
	lines = lines[:len(lines)-1]
	for i := range lines {
		lost := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		if report, _, _, err := read(lost); report != nil || err == nil {
			t.Errorf("without line %q: %+v", lines[i], report)
		}
		if i == len(lines)-1 {
			break // after its end, a report is over
		}
		doubled := strings.Join(lines[:i+1], "") + strings.Join(lines[i:], "")
		if report, _, _, err := read(doubled); report != nil || err == nil {
			t.Errorf("with %q twice: %+v", lines[i], report)
		}
	}
}

func TestReadReportRejects(t *testing.T) {
	ok := []string{"state\tclear", "verdict\trun"}
	other := strings.Repeat("f", 32)
	for name, text := range map[string]string{
		"nothing":             "",
		"banner only":         "hello\n",
		"another nonce":       framed(other, ok...),
		"another end":         "interlock-report 1 " + testNonce + "\nstate\tclear\nverdict\trun\ninterlock-end " + other + " 2\n",
		"another version":     strings.Replace(framed(testNonce, ok...), "report 1", "report 2", 1),
		"count too low":       strings.Replace(framed(testNonce, ok...), " 2\n", " 1\n", 1),
		"count padded":        strings.Replace(framed(testNonce, ok...), " 2\n", " 02\n", 1),
		"no state":            framed(testNonce, "verdict\trun"),
		"no verdict":          framed(testNonce, "state\tclear"),
		"odd state":           framed(testNonce, "state\tclean", "verdict\trun"),
		"two states":          framed(testNonce, "state\tprimary", "state\tclear", "verdict\trun"),
		"two verdicts":        framed(testNonce, "state\tclear", "verdict\trefuse", "verdict\trun"),
		"odd verdict":         framed(testNonce, "state\tclear", "verdict\tRUN"),
		"unknown line":        framed(testNonce, append(ok, "hint\tx")...),
		"too many fields":     framed(testNonce, "state\tclear\tx", "verdict\trun"),
		"noise inside":        framed(testNonce, append(ok, "sh: 1: awk: not found")...),
		"empty line":          framed(testNonce, append(ok, "")...),
		"bad percent":         framed(testNonce, append(ok, "fact\ta\t%2")...),
		"lower-case percent":  framed(testNonce, append(ok, "fact\ta\t%2f")...),
		"looked at a word":    framed(testNonce, append(ok, "looked\tprocesses\tmany")...),
		"field before any":    framed(testNonce, append(ok, "i\tstate\tclear")...),
		"instance no state":   framed(testNonce, append(ok, "instance\t1")...),
		"instance odd field":  framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tmood\tgood")...),
		"instance odd number": framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tport\t33o6")...),
		"source out of order": framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tsource.1.host\tx")...),
		"source negative":     framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tsource.-1.host\tx")...),
		"replica odd field":   framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\treplica.0.mood\tx")...),
		"dump out of order":   framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tdump.1\tx")...),
		"group odd field":     framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tgroup_mood\tx")...),
		"group odd size":      framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tgroup_size\tmany")...),
		"member odd field":    framed(testNonce, append(ok, "instance\t1", "i\tstate\tclear", "i\tgroup.0.mood\tx")...),
		"held by what":        framed(testNonce, append(ok, "held\trope\t0\ta\t-\t-\t-\t-\t-")...),
		"held for ever":       framed(testNonce, append(ok, "held\tlease\t0\ta\t-\t-\t-\t-\tever")...),
		"held too short":      framed(testNonce, append(ok, "held\tlease\t0\ta")...),
		"two leases":          framed(testNonce, append(ok, "lease\ta", "lease\tb")...),
		"line too long":       framed(testNonce, append(ok, "fact\ta\t"+strings.Repeat("x", maxLineBytes))...),
		"too many lines":      framed(testNonce, slicesRepeat("fact\ta\tb", maxReportLines)...),
		"banner too long":     strings.Repeat("hello\n", maxBannerBytes/6+1) + framed(testNonce, ok...),
	} {
		report, _, _, err := read(text)
		if report != nil || err == nil {
			t.Errorf("%s: %+v", name, report)
		}
	}
	for name, text := range map[string]string{
		"plain":                 framed(testNonce, ok...),
		"terminal":              strings.ReplaceAll(framed(testNonce, ok...), "\n", "\r\n"),
		"banner":                "*** mind the gap ***\n" + framed(testNonce, ok...),
		"banner without an end": "% " + framed(testNonce, ok...),
	} {
		if _, _, _, err := read(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Nothing said at all, and a broken connection, are told from a bad report.
func TestReadReportErrors(t *testing.T) {
	if _, _, _, err := read(""); !errors.Is(err, ErrNoReport) {
		t.Errorf("nothing: %v", err)
	}
	if _, banner, _, err := read("sudo: a password is required"); !errors.Is(err, ErrNoReport) || string(banner) != "sudo: a password is required" {
		t.Errorf("banner only: %q, %v", banner, err)
	}
	broken := bufio.NewReader(io.MultiReader(strings.NewReader("interlock-report 1 "+testNonce+"\nstate\tclear\n"), iotest.ErrReader(io.ErrClosedPipe)))
	if _, _, err := ReadReport(broken, testNonce); !errors.Is(err, ErrCutReport) || !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("broken connection: %v", err)
	}
}

func slicesRepeat(line string, n int) []string {
	lines := make([]string, n)
	for i := range lines {
		lines[i] = line
	}
	return lines
}

// FuzzReadReport holds what no input may break: a report comes whole or not at all, and what follows it is untouched.
func FuzzReadReport(f *testing.F) {
	f.Add([]byte(framed(testNonce, sample...)))
	f.Add([]byte("banner\r\n" + framed(testNonce, "state\tclear", "verdict\trun") + "rest"))
	f.Add([]byte("interlock-report 1 " + testNonce + "\ninterlock-end " + testNonce + " 0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(text), 16)
		report, banner, err := ReadReport(r, testNonce)
		if (report == nil) == (err == nil) {
			t.Fatalf("report %v with error %v", report, err)
		}
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if !report.State.Valid() || (report.Verdict != "run" && report.Verdict != "refuse" && report.Verdict != "locked") {
			t.Fatalf("state %q, verdict %q", report.State, report.Verdict)
		}
		if !bytes.HasSuffix(text, rest) || len(banner) > len(text) {
			t.Fatalf("rest %q is not the end of the input", rest)
		}
		opening := []byte("interlock-report 1 " + testNonce)
		closing := []byte("interlock-end " + testNonce + " ")
		framed := text[:len(text)-len(rest)]
		if bytes.Count(framed, opening) < 1 || bytes.Count(framed, closing) != 1 {
			t.Fatalf("a report out of %q", framed)
		}
	})
}
