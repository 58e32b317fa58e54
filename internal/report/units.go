package report

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Bytes writes a size in decimal units with three digits: 999 B, 1.50 kB, 214 MB. Negative sizes, which
// are mistakes, are written as they are.
func Bytes(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := scale(float64(n), "kMGTPE")
	return digits3(v) + " " + unit + "B"
}

// Rate writes how many of something happen in a second: 0.25/s, 340/s, 12.5k/s.
func Rate(perSecond float64) string {
	if math.IsNaN(perSecond) || math.IsInf(perSecond, 0) {
		return "?/s"
	}
	if math.Abs(perSecond) < 999.5 {
		return strconv.FormatFloat(round3(perSecond), 'f', -1, 64) + "/s"
	}
	v, unit := scale(perSecond, "kMGTPE")
	return digits3(v) + unit + "/s"
}

// Count writes a whole number with its thousands apart: 1,234,567.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Duration writes the two largest units, rounded down: 3d4h, 2h5m, 4m30s, 12s; below ten seconds 1.2s, and
// below one 250ms.
func Duration(d time.Duration) string {
	if d < 0 {
		return "-" + Duration(-max(d, -math.MaxInt64))
	}
	const day = 24 * time.Hour
	two := func(big, small time.Duration, b, s string) string {
		out := fmt.Sprintf("%d%s", d/big, b)
		if rest := d % big / small; rest > 0 {
			out += fmt.Sprintf("%d%s", rest, s)
		}
		return out
	}
	switch {
	case d >= day:
		return two(day, time.Hour, "d", "h")
	case d >= time.Hour:
		return two(time.Hour, time.Minute, "h", "m")
	case d >= time.Minute:
		return two(time.Minute, time.Second, "m", "s")
	case d >= 10*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	case d >= time.Second:
		return fmt.Sprintf("%d.%ds", d/time.Second, d%time.Second/(100*time.Millisecond))
	case d == 0:
		return "0s"
	case d < time.Millisecond:
		return "<1ms"
	}
	return fmt.Sprintf("%dms", d/time.Millisecond)
}

// scale divides v by thousands until it has three digits before the point.
func scale(v float64, units string) (float64, string) {
	i := -1
	for math.Abs(v) >= 999.5 && i+1 < len(units) {
		v /= 1000
		i++
	}
	return v, units[i : i+1]
}

// digits3 writes v, which is below 1,000, with three digits.
func digits3(v float64) string {
	switch a := math.Abs(v); {
	case a < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case a < 99.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}

// round3 rounds v to three digits.
func round3(v float64) float64 {
	if v == 0 {
		return 0
	}
	s := strconv.FormatFloat(v, 'g', 3, 64)
	r, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return v
	}
	return r
}
