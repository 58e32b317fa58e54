package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// samples are the values of several rounds, in the order of the rounds.
type samples []float64

func (s samples) median() float64 {
	sorted := slices.Sorted(slices.Values(s))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// spread is the lowest and the highest value, in a unit.
func (s samples) spread(unit func(float64) string) string {
	return fmt.Sprintf("%s–%s", unit(slices.Min(s)), unit(slices.Max(s)))
}

func (s samples) String() string { return s.show(duration) }

func (s samples) show(unit func(float64) string) string {
	return fmt.Sprintf("%s (%s)", unit(s.median()), s.spread(unit))
}

// over divides round by round: what disturbs a round disturbs both halves of it.
func (s samples) over(other samples) samples {
	out := make(samples, len(s))
	for i := range s {
		out[i] = s[i] / other[i]
	}
	return out
}

func duration(seconds float64) string {
	switch d := time.Duration(seconds * float64(time.Second)); {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	case d < time.Second:
		return fmt.Sprintf("%.0f ms", d.Seconds()*1e3)
	default:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
}

func times(ratio float64) string { return fmt.Sprintf("%.2gx", ratio) }

func megabytes(bytes int64) string { return fmt.Sprintf("%.0f MB", float64(bytes)/(1<<20)) }

// rounds are the samples of one contender.
type rounds struct {
	wall, cpu samples // seconds
}

// manyRounds is from where on a round that does not count comes first, so that caches are warm for all.
const manyRounds = 5

// alternate lets contenders take turns for n rounds, and starts each round with another one.
func (b *bench) alternate(ctx context.Context, n int, contenders ...contender) ([]rounds, error) {
	all := make([]rounds, len(contenders))
	first := 0
	if n >= manyRounds {
		first = -1
	}
	for round := first; round < n; round++ {
		for i := range contenders {
			i = (i + round + len(contenders)) % len(contenders)
			u, err := contenders[i].run(ctx, b)
			if err != nil {
				return nil, err
			}
			if round >= 0 {
				all[i].wall = append(all[i].wall, u.wall.Seconds())
				all[i].cpu = append(all[i].cpu, u.cpu.Seconds())
			}
		}
	}
	return all, nil
}
