package proof

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"interlock/internal/testrig"
)

// end is how one workload ended.
type end string

const (
	equal      end = "equal"
	pipeLoses  end = "as the source, where the pipe is not"
	pipeFails  end = "as the source, where the pipe fails"
	bothRefuse end = "refused by name, where the pipe fails"
	named      end = "stopped with a name" // kills alone: it cannot be resumed, and says so
	unsettled  end = "not known yet"       // see settle
	differed   end = "DIFFERED"
)

// most are the ends other than equal, and the share of a kind's workloads, in percent, that may end so. What was
// measured and the causes are in docs/proof.md.
var most = []struct {
	end     end
	percent map[string]int
}{
	{pipeLoses, map[string]int{"mysql": 10, "mysql-native-fk": 5, "mariadb": 5}},
	{pipeFails, map[string]int{"mysql": 15, "mysql-native-fk": 10, "mariadb": 35}},
	{bothRefuse, map[string]int{"mysql": 15, "mysql-native-fk": 20, "mariadb": 20}},
}

// boundFrom is the number of workloads from which a share says something.
const boundFrom = 20

// outcome is an end and its cause, where it has one.
type outcome struct {
	end end
	why string
}

func (o outcome) String() string {
	if o.why == "" {
		return string(o.end)
	}
	return string(o.end) + " (" + o.why + ")"
}

// ends counts the causes of each.
type ends map[end]map[string]int

func (e ends) add(o outcome) {
	if e[o.end] == nil {
		e[o.end] = map[string]int{}
	}
	e[o.end][o.why]++
}

func (e ends) count(of end) int {
	n := 0
	for _, one := range e[of] {
		n += one
	}
	return n
}

func (e ends) String() string {
	var all []string
	for _, one := range []end{equal, pipeLoses, pipeFails, bothRefuse, named, differed} {
		if e.count(one) == 0 {
			continue
		}
		var causes []string
		for _, why := range slices.Sorted(maps.Keys(e[one])) {
			if why != "" {
				causes = append(causes, fmt.Sprintf("%d: %s", e[one][why], why))
			}
		}
		text := fmt.Sprintf("%d %s", e.count(one), one)
		if len(causes) > 0 {
			text += " (" + strings.Join(causes, "; ") + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, ", ")
}

// excess names the ends that more workloads of a kind came to than may.
func (e ends) excess(kind string, workloads int) []string {
	if workloads < boundFrom {
		return nil
	}
	var out []string
	for _, m := range most {
		if n := e.count(m.end); 100*n > m.percent[kind]*workloads {
			out = append(out, fmt.Sprintf("%d of %d workloads on %s ended %s, more than %d %%: the generator or replay has changed", n, workloads, kind, m.end, m.percent[kind]))
		}
	}
	return out
}

// judge says where what interlock left on a server is not what it should be. The pipe is the reference for what the
// log does not hold; where it loses what the source has and the log holds, for a cause that is understood, the source is.
func (t *trio) judge(ctx context.Context, tb testing.TB, l *testrig.Local, ref *reference) (outcome, []string) {
	tb.Helper()
	got, err := readState(ctx, l, true)
	if err != nil {
		return outcome{end: differed}, []string{err.Error()}
	}
	if ref.pipe != nil {
		why := pipeFailure(ref.pipe)
		want := ref.state.withoutPlainKeys()
		for name, w := range want.tables {
			g := got.tables[name]
			if g == nil || maps.Equal(w.rows, g.rows) {
				continue
			}
			if lost := ref.notInLog(t.setup.product, name, w, g); lost != "" {
				w.rows = g.rows
				if !strings.Contains(why, lost) { // another table's
					why += ", " + lost
				}
			}
		}
		// Counters of the source also count what was refused or rolled back.
		if diff := compare(want, got.withoutPlainKeys(), false); len(diff) > 0 {
			return outcome{end: differed}, append([]string{"not as the source, and the pipe cannot: " + ref.pipe.Error()}, diff...)
		}
		return outcome{end: pipeFails, why: why}, nil
	}
	if len(compare(ref.state, got, true)) == 0 {
		return outcome{end: equal}, nil
	}
	source, err := readState(ctx, t.source, false)
	if err != nil {
		return outcome{end: differed}, []string{err.Error()}
	}
	want, causes := ref.correct(t.setup.product, source, got)
	if diff := compare(want, got, true); len(diff) > 0 {
		return outcome{end: differed}, diff
	}
	return outcome{end: pipeLoses, why: strings.Join(causes, ", ")}, nil
}

var plainKey = regexp.MustCompile(",\n  KEY `[^\n]*[^,\n]|  KEY `[^\n]*,\n")

// withoutPlainKeys is the state without its indexes that are not unique: the targets have some that the source has not, see
// gen.unloggedIndexes, and such a one takes the place of one that a foreign key made.
func (s *state) withoutPlainKeys() *state {
	same := *s
	same.tables = map[string]*tableState{}
	for name, t := range s.tables {
		without := *t
		without.create = plainKey.ReplaceAllString(t.create, "")
		same.tables[name] = &without
	}
	return &same
}

// correct is the reference with those of the source's rows and GTIDs which the pipe lost for a known cause, where
// interlock has them; and the causes.
func (ref *reference) correct(product testrig.Product, source, got *state) (*state, []string) {
	want := *ref.state
	want.tables = maps.Clone(ref.state.tables)
	var causes []string
	for name, w := range ref.state.tables {
		g, original := got.tables[name], source.tables[name]
		if g == nil || original == nil || maps.Equal(w.rows, g.rows) {
			continue
		}
		why := ""
		if maps.Equal(original.rows, g.rows) {
			why = ref.rowsLost(w, product)
		}
		if why == "" && product == testrig.MySQL && ref.misread(w, g) {
			why = misreadComputed
		}
		if why != "" {
			corrected := *w
			corrected.rows = g.rows
			want.tables[name] = &corrected
			causes = append(causes, why)
		}
	}
	for name, w := range want.tables {
		if g := got.tables[name]; g != nil && ref.rounded(w.counter, g.counter) {
			corrected := *w
			corrected.counter = g.counter
			want.tables[name] = &corrected
			causes = append(causes, "counter rounded by an increment")
		}
	}
	if want.gtids != got.gtids && source.gtids == got.gtids && ref.ran("XA ROLLBACK") {
		want.gtids = source.gtids
		causes = append(causes, "GTID of an XA ROLLBACK")
	}
	slices.Sort(causes)
	return &want, slices.Compact(causes)
}

// rounded tells whether a counter of the pipe's is the other one, rounded up by an increment that the source's sessions had:
// InnoDB does so with that of the last statement on the same cached table handle, of which the log says nothing.
func (ref *reference) rounded(pipe, ours string) bool {
	p, err := strconv.Atoi(pipe)
	o, err2 := strconv.Atoi(ours)
	if err != nil || err2 != nil || p <= o {
		return false
	}
	for increment := 2; increment <= 10; increment++ {
		for offset := 1; offset <= increment; offset++ {
			if p-o < increment && p%increment == offset%increment && ref.ran(fmt.Sprintf("SET auto_increment_increment = %d", increment)) && ref.ran(fmt.Sprintf("SET auto_increment_offset = %d", offset)) {
				return true
			}
		}
	}
	return false
}

var deletes = regexp.MustCompile("FOREIGN KEY .* ON DELETE (SET NULL|CASCADE)")

// notInLog is why the log does not hold the rows that the source has in a table; empty: for no cause that is known.
func (ref *reference) notInLog(product testrig.Product, name string, source, got *tableState) string {
	switch {
	case product == testrig.MySQL && ref.misread(source, got):
		return misreadComputed
	case product != testrig.MariaDB:
	case ref.ran("REPLACE INTO "+name+" ") && (ref.ran("SET SESSION binlog_row_image = NOBLOB") || ref.ran("SET SESSION binlog_row_image = MINIMAL")):
		// MariaDB does not log what such a REPLACE leaves to the defaults of columns, so that its replicas, too, keep what was
		// there (10.11; shown by hand).
		return "rows of a REPLACE in partial images"
	case ref.ran("SET foreign_key_checks = 0") && ref.ran("SET unique_checks = 0") && holds(got.rows, source.rows):
		// With both off MariaDB inserts into an empty table in bulk, and a later statement of the transaction that fails takes
		// all of it back; what comes then is logged, with what was taken back (10.11; shown by hand).
		return "rows of a bulk insert that the source lost"
	}
	return ""
}

// holds tells whether all rows of the second multiset are in the first.
func holds(all, some map[string]int) bool {
	for row, n := range some {
		if all[row] < n {
			return false
		}
	}
	return true
}

const misreadComputed = "computed columns over utf16 under NO_BACKSLASH_ESCAPES"

var (
	wide     = regexp.MustCompile(`CHARACTER SET (utf16|utf16le|ucs2|utf32)\b`)
	computed = regexp.MustCompile("(?m)^  `([^`]+)` .*GENERATED ALWAYS AS ")
)

// misread tells whether two tables have the same rows but for computed columns that MySQL 9.7 reads as another text in a
// session with NO_BACKSLASH_ESCAPES: the source and the pipe have what such a session wrote, see docs/replay.md.
func (ref *reference) misread(want, got *tableState) bool {
	if !wide.MatchString(want.create) || !ref.ranWith("NO_BACKSLASH_ESCAPES") {
		return false
	}
	var drop []int
	columns := strings.Fields(want.columns)
	for _, m := range computed.FindAllStringSubmatch(want.create, -1) {
		if i := slices.Index(columns, m[1]); i >= 0 {
			drop = append(drop, i)
		}
	}
	return len(drop) > 0 && maps.Equal(without(want.rows, drop), without(got.rows, drop))
}

// without are rows without some of their columns.
func without(rows map[string]int, columns []int) map[string]int {
	left := map[string]int{}
	for row, n := range rows {
		values := strings.Split(row, "|")
		for _, i := range columns {
			values[i] = ""
		}
		left[strings.Join(values, "|")] += n
	}
	return left
}

// rowsLost is why the pipe's server has other rows in a table than the log says; empty: for no cause that is known.
func (ref *reference) rowsLost(t *tableState, product testrig.Product) string {
	if deletes.MatchString(t.create) && ref.ran("REPLACE") {
		return "REPLACE of a parent, whose children the source leaves alone"
	}
	if product == testrig.MySQL && blobs.MatchString(t.create) && !strings.Contains(t.create, "PRIMARY KEY") && (ref.ran("REPLACE") || ref.ranWith("ON DUPLICATE KEY UPDATE")) {
		return "BLOB of a row that one event changes twice, in a table without a primary key"
	}
	return ""
}

var blobs = regexp.MustCompile(`(?i) (\w*blob|\w*text|json|geometry|point|polygon|\w+linestring|vector)\b`)

// ranWith tells whether the source ran a statement that has a clause.
func (ref *reference) ranWith(clause string) bool {
	return slices.ContainsFunc(ref.history, func(s string) bool { return strings.Contains(s, clause) })
}

// ran tells whether the source ran a statement that begins so.
func (ref *reference) ran(begin string) bool {
	return slices.ContainsFunc(ref.history, func(s string) bool {
		_, statement, _ := strings.Cut(s, "*/ ")
		return strings.HasPrefix(statement, begin)
	})
}

var serverError = regexp.MustCompile(`ERROR (\d+)`)

// lastOf is the end of an error, which the event that it is about may stand before in full.
func lastOf(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(text[max(0, len(text)-300):], "")
}

// pipeFailure is why the pipe failed, in a word: the number of the server's error.
func pipeFailure(err error) string {
	if m := serverError.FindStringSubmatch(err.Error()); m != nil {
		return "error " + m[1]
	}
	return "mysqlbinlog"
}

// halfWay is what interlock says, before anything is applied, of a statement of which the log does not say what it did.
var halfWay = regexp.MustCompile(`the transaction at \S+ .*has a statement that failed at the source with error (\d+)`)

// rowGone is what interlock says of a row that the server does not find, with its table.
var rowGone = regexp.MustCompile(`apply rows to table (.+?): ERROR 1032 `)

// computedWithoutKey tells whether the source made a table without a primary key and with computed columns: the log does not
// always give the session that they were computed in, the applying server computes another value, and does not find the
// row again.
func (ref *reference) computedWithoutKey(table string) bool {
	return slices.ContainsFunc(ref.history, func(s string) bool {
		s = strings.ReplaceAll(s, "`", "")
		return strings.Contains(s, "CREATE TABLE "+table+" (") && strings.Contains(s, " AS (") && !strings.Contains(s, "PRIMARY KEY")
	})
}

// xaBesideTemporary is what interlock says of what MariaDB cannot do on one connection, the pipe's one neither.
const xaBesideTemporary = "an XA transaction is prepared while temporary tables are open: MariaDB cannot do that on one connection"

// rowTwice is what interlock says of rows that do not fit together. Where a MariaDB source lost a transaction that it logged
// (an error within its bulk insert, see docs/proof.md) its log has such, and the pipe meets them as errors of rows.
var rowTwice = regexp.MustCompile(`transaction at \S+ .*key .*: the log lacks a change to that row or holds one twice`)

// rowErrors are what the pipe's server says of such rows.
const rowErrors = "error 1032, 1062 or 1180"

func isRowError(pipe error) bool {
	return slices.Contains([]string{"error 1032", "error 1062", "error 1180"}, pipeFailure(pipe))
}

// refusal is how a run ended with an error that the pipe cannot do, either: it names the transaction, and the server's error
// is the one that the pipe met.
func refusal(output string, ref *reference) outcome {
	pipe := ref.pipe
	if halfWay.MatchString(output) {
		return outcome{end: bothRefuse, why: pipeFailure(pipe) + ", a statement that failed half-way at the source"}
	}
	if rowTwice.MatchString(output) && pipeFailure(pipe) == noBinlog {
		return outcome{end: unsettled, why: rowErrors}
	}
	if rowTwice.MatchString(output) && isRowError(pipe) {
		return outcome{end: bothRefuse, why: pipeFailure(pipe) + ", a row that the log lacks or holds twice"}
	}
	if namesPlace.MatchString(output) && strings.Contains(output, xaBesideTemporary) {
		return outcome{end: bothRefuse, why: pipeFailure(pipe) + ", an XA transaction beside temporary tables"}
	}
	if m := rowGone.FindStringSubmatch(output); m != nil && namesPlace.MatchString(output) && ref.computedWithoutKey(m[1]) {
		return outcome{end: bothRefuse, why: pipeFailure(pipe) + ", and behind it 1032 of a computed column without a key"}
	}
	m := serverError.FindStringSubmatch(output)
	if m == nil || !namesPlace.MatchString(output) {
		return outcome{end: differed}
	}
	switch pipeFailure(pipe) {
	case "error " + m[1]:
		return outcome{end: bothRefuse, why: pipeFailure(pipe) + " both"}
	case "error 1180": // a bulk insert that the server takes back at COMMIT, and the source did: see notInLog
		if m[1] == "1062" && ref.ran("SET foreign_key_checks = 0") && ref.ran("SET unique_checks = 0") {
			return outcome{end: bothRefuse, why: "error 1180, a bulk insert of rows that are alike"}
		}
	case noBinlog:
		return outcome{end: unsettled, why: "error " + m[1]}
	}
	return outcome{end: differed}
}

// namesPlace is where a run stopped: a transaction, or an epoch by its first and its last.
var namesPlace = regexp.MustCompile(`transaction at |epoch \d+ \(\S+:\d+\S* to \S+:\d+`)

// noBinlog is what the pipe fails with at a compressed statement of MariaDB, so that what it would have met behind it is not
// known.
const noBinlog = "error 1730"

// settle looks at an unsettled end: the same workload, logged without compression, must end the pipe with the error that
// interlock stopped at.
func (t *trio) settle(tb testing.TB, seed uint64, change func(*mix), o outcome) outcome {
	tb.Helper()
	if o.end != unsettled {
		return o
	}
	g, files, err := t.prepareMix(tb.Context(), seed, func(m *mix) { change(m); m.uncompressed = true })
	if err != nil {
		tb.Fatal(err)
	}
	err = t.pipe.Pipe(tb.Context(), nil, files...)
	if err == nil || pipeFailure(err) != o.why && (o.why != rowErrors || !isRowError(err)) {
		t.report(tb, seed, g, []string{fmt.Sprintf("interlock stops with %s, and the pipe, without log_bin_compress: %v", o.why, err)})
		return outcome{end: differed}
	}
	return outcome{end: bothRefuse, why: o.why + " both, the log uncompressed"}
}
