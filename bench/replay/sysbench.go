package main

import (
	"fmt"
	"os/exec"
	"strconv"
)

// runSysbench runs one of sysbench's own tests against the source. https://github.com/akopytov/sysbench
func runSysbench(s *source, test string, args ...string) error {
	argv := append([]string{
		test, "--db-driver=mysql", "--mysql-socket=" + s.Socket, "--mysql-user=root", "--mysql-db=" + database,
		"--tables=" + strconv.Itoa(s.size.tables), "--table-size=" + strconv.Itoa(s.size.rows), "--rand-seed=1",
	}, args...)
	out, err := exec.CommandContext(s.ctx, "sysbench", argv...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("run sysbench %s: %w: %s", test, err, tail(out))
	}
	return nil
}

func sysbenchPrepare(s *source) error {
	return runSysbench(s, "oltp_write_only", "--threads="+strconv.Itoa(min(s.size.tables, writers)), "prepare")
}

// sysbench is a workload that commits the size's number of transactions with one of sysbench's tests.
func sysbench(test string, args ...string) func(*source) error {
	return func(s *source) error {
		return runSysbench(s, test, append(args, "--threads="+strconv.Itoa(writers), "--time=0",
			"--events="+strconv.Itoa(s.size.transactions), "run")...)
	}
}
