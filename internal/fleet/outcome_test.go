package fleet

import (
	"errors"
	"fmt"
	"testing"
)

func TestExitStatusOfARun(t *testing.T) {
	fine := outcome{kind: exited}
	failed := outcome{kind: exited, exit: 3}
	killed := outcome{kind: signaled, signal: "TERM"}
	for _, c := range []struct {
		name string
		ends []outcome
		want int
	}{
		{"all fine", []outcome{fine, fine}, 0},
		{"one failed", []outcome{fine, failed}, 1},
		{"one killed", []outcome{fine, killed}, 1},
		{"one timed out", []outcome{fine, {kind: timedOut}}, 1},
		{"one lost", []outcome{fine, {kind: lost}}, 69},
		{"one unreachable", []outcome{fine, {kind: unreachable}}, 69},
		{"one locked", []outcome{fine, {kind: locked}}, 75},
		{"one refused", []outcome{fine, {kind: refused}}, 77},
		{"one not started", []outcome{fine, {kind: notStarted}}, 1},
		{"failed counts before refused", []outcome{{kind: refused}, failed}, 1},
		{"refused counts before locked and lost", []outcome{{kind: lost}, {kind: locked}, {kind: refused}}, 77},
		{"locked counts before unreachable", []outcome{{kind: unreachable}, {kind: locked}}, 75},
		{"the reason counts before what it kept from starting", []outcome{{kind: notStarted}, {kind: lost}}, 69},
	} {
		if got := exitOfMany(c.ends); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func TestExitStatusOfOneHost(t *testing.T) {
	for _, c := range []struct {
		end  outcome
		want int
	}{
		{outcome{kind: exited}, 0},
		{outcome{kind: exited, exit: 3}, 3},
		{outcome{kind: exited, exit: 255}, 255},
		{outcome{kind: signaled, signal: "TERM"}, 143},
		{outcome{kind: signaled, signal: "INT"}, 130},
		{outcome{kind: signaled, signal: "something@else"}, 255},
		{outcome{kind: lost}, 69},
		{outcome{kind: timedOut}, 1},
		{outcome{kind: unreachable}, 69},
		{outcome{kind: refused}, 77},
		{outcome{kind: locked}, 75},
		{outcome{kind: notStarted}, 1},
	} {
		if got := exitOfOne(c.end); got != c.want {
			t.Errorf("%+v: %d, want %d", c.end, got, c.want)
		}
	}
}

func TestExitStatusOfAnError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{nil, 0},
		{errors.New("anything"), ExitSoftware},
		{Usage("", "x"), ExitUsage},
		{fmt.Errorf("around: %w", status(7)), 7},
		{errors.Join(status(3), errors.New("also")), 3},
		{status(0), 0},
	} {
		if got := ExitStatus(c.err); got != c.want {
			t.Errorf("%v: %d, want %d", c.err, got, c.want)
		}
	}
}
