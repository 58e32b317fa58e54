package proof

import (
	"testing"

	"interlock/internal/testrig"
)

// What is excused after a kill of the server is a counter that is lower and above every row, and nothing else.
func TestCounterSurvives(t *testing.T) {
	l := testrig.LocalFor(t, testrig.LocalSpec{Product: testrig.MariaDB})
	if _, err := l.Exec(t.Context(), "CREATE DATABASE `d 2`; CREATE TABLE `d 2`.t (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO `d 2`.t VALUES (40)"); err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]bool{
		"`d 2`.`t`: AUTO_INCREMENT: want 43, got 41":    true,
		"`d 2`.`t`: AUTO_INCREMENT: want 43, got 40":    false, // the next insert would meet row 40
		"`d 2`.`t`: AUTO_INCREMENT: want 43, got 44":    false, // higher is no loss
		"`d 2`.`gone`: AUTO_INCREMENT: want 43, got 41": false,
		"`d 2`.`t`: 3 rows differ in all":               false,
	} {
		if got := counterSurvives(t.Context(), t, l, line); got != want {
			t.Errorf("%s: %v, want %v", line, got, want)
		}
	}
}

// A server that was started anew shows the counter that it had: see readCounters.
func TestCounterAfterAStart(t *testing.T) {
	for _, p := range []testrig.Product{testrig.MySQL, testrig.MariaDB} {
		l := testrig.LocalFor(t, testrig.LocalSpec{Product: p})
		if _, err := l.Exec(t.Context(), "CREATE DATABASE d; CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY); INSERT INTO d.t VALUES (40)"); err != nil {
			t.Fatal(err)
		}
		if err := restart(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		s, err := readState(t.Context(), l, false)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.tables["`d`.`t`"].counter; got != "41" {
			t.Errorf("%s: AUTO_INCREMENT is %s after a start, want 41", p, got)
		}
	}
}
