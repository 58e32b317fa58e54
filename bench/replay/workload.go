package main

import "interlock/internal/testrig"

// size is how much of a workload there is.
type size struct {
	tables       int
	rows         int // of each table, before the log begins
	transactions int
}

// times is the size with n times the transactions, at least one.
func (s size) times(n float64) size {
	s.transactions = max(1, int(float64(s.transactions)*n))
	return s
}

// mariadbTimes is how many times as many transactions a workload has on MariaDB when quick: its pipe is so much
// faster that its times would otherwise be those of starting and connecting.
const mariadbTimes = 3

// sized is the workload's size in this run.
func (w workload) sized(b *bench) size {
	switch {
	case b.scale > 0:
		return w.full.times(b.scale)
	case b.product == testrig.MariaDB:
		return w.quick.times(mariadbTimes)
	}
	return w.quick
}

// bar is how fast interlock must be at least; 0 means that nothing is asked.
type bar struct {
	pipe    float64 // times as fast as the pipe
	applier float64 // times as fast as the best applier
	load    float64 // at most so many times the time of LOAD DATA
}

// workload is one kind of load on the source of a log.
type workload struct {
	name        string // what -workload takes
	what        string // what the table says
	quick, full size
	poolBytes   int64    // buffer pool of every contender's server; 0: defaultPool
	settings    []string // of the source while it writes the log
	noLoad      string   // why LOAD DATA cannot leave the same behind; empty: it can
	scan        bool     // its log is also read without a server: every table is keyed by its first column, an integer
	bar         bar
	prepare     func(*source) error // schema and rows before the log begins
	run         func(*source) error // what the log holds
}

// The bars: what folds to few rows must be as fast as a bulk load, whatever folds beat the pipe three times, and
// nothing be slower than the pipe.
var (
	barBulk   = bar{pipe: 50, applier: 5}
	barInsert = bar{pipe: 50, applier: 5, load: 1.5}
	barFold   = bar{pipe: 3}
	barOther  = bar{pipe: 1}
)

const (
	defaultPool = 512 << 20
	smallPool   = 32 << 20 // an eighth of what the workload "big" has
)

// workloads are all of them, in the order of the table.
func workloads() []workload {
	return []workload{
		{
			name: "write-special", what: "oltp_write_only, special distribution", bar: barBulk, scan: true,
			quick: size{4, 25_000, 60_000}, full: size{4, 50_000, 200_000},
			prepare: sysbenchPrepare, run: sysbench("oltp_write_only", "--rand-type=special"),
		}, {
			name: "write-uniform", what: "oltp_write_only, uniform", bar: barBulk,
			quick: size{4, 25_000, 60_000}, full: size{4, 50_000, 200_000},
			prepare: sysbenchPrepare, run: sysbench("oltp_write_only", "--rand-type=uniform"),
		}, {
			name: "insert", what: "oltp_insert", bar: barInsert, scan: true,
			quick: size{4, 1_000, 60_000}, full: size{4, 1_000, 300_000},
			prepare: sysbenchPrepare, run: sysbench("oltp_insert"),
		}, {
			name: "hot", what: "updates of 1,000 hot rows", bar: barBulk,
			quick: size{1, 1_000, 60_000}, full: size{1, 1_000, 300_000},
			prepare: prepareHot, run: runHot,
		}, {
			name: "wide", what: "small updates of rows of 8 KB", bar: barFold, scan: true,
			quick: size{1, 5_000, 8_000}, full: size{1, 20_000, 50_000},
			prepare: prepareWide, run: runWide,
		}, {
			name: "unique", what: "unique values swapped between rows", bar: barFold,
			quick: size{1, 20_000, 8_000}, full: size{1, 100_000, 100_000},
			prepare: prepareUnique, run: runUnique,
		}, {
			name: "tpcc", what: "TPC-C-like, foreign keys without actions", bar: barFold,
			quick: size{1, 2, 4_000}, full: size{1, 4, 40_000},
			prepare: prepareTPCC(false), run: runTPCC(false),
		}, {
			name: "cascade", what: "the same, ON DELETE CASCADE", bar: barOther,
			quick: size{1, 2, 4_000}, full: size{1, 4, 40_000},
			prepare: prepareTPCC(true), run: runTPCC(true),
		}, {
			name: "nokey", what: "a table without any key", bar: barOther,
			noLoad: "rows cannot be named",
			quick:  size{1, 1_000, 3_000}, full: size{1, 1_000, 20_000},
			prepare: prepareNoKey, run: runNoKey,
		}, {
			name: "ddl", what: "oltp_write_only, a DDL every 100 transactions", bar: barOther,
			noLoad: "the schema changes",
			quick:  size{2, 10_000, 6_000}, full: size{4, 50_000, 50_000},
			prepare: sysbenchPrepare, run: runDDL,
		}, {
			name: "minimal", what: "oltp_write_only, MINIMAL images", bar: barFold,
			quick: size{4, 25_000, 8_000}, full: size{4, 50_000, 100_000},
			settings: []string{"binlog-row-image=MINIMAL"},
			prepare:  sysbenchPrepare, run: sysbench("oltp_write_only", "--rand-type=special"),
		}, {
			name: "statement", what: "oltp_write_only, statement format", bar: barOther,
			quick: size{4, 25_000, 4_000}, full: size{4, 50_000, 50_000},
			settings: []string{"binlog-format=STATEMENT"},
			prepare:  sysbenchPrepare, run: sysbench("oltp_write_only", "--rand-type=special"),
		}, {
			name: "big", what: "oltp_write_only uniform, data 8 times the buffer pool", bar: barFold,
			quick: size{4, 280_000, 8_000}, full: size{4, 280_000, 100_000}, poolBytes: smallPool,
			prepare: sysbenchPrepare, run: sysbench("oltp_write_only", "--rand-type=uniform"),
		},
	}
}
