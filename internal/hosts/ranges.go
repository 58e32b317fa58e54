package hosts

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDigits keeps the numbers of a range within an int64.
const maxDigits = 18

// expandRanges multiplies the ranges in a word out, the last one fastest: r[1-2]n[1-2] is r1n1, r1n2,
// r2n1, r2n2. Brackets are known to be balanced and not nested.
func expandRanges(word string) ([]string, *fault) {
	names := []string{""}
	for off := 0; off < len(word); {
		open := strings.IndexByte(word[off:], '[')
		if open < 0 {
			return appendAll(names, []string{word[off:]}), nil
		}
		end := off + open + strings.IndexByte(word[off+open:], ']')
		body := off + open + 1
		numbers, f := expandList(word[body:end])
		if f != nil {
			return nil, f.at(body)
		}
		if len(names)*len(numbers) > maxSetHosts {
			return nil, tooMany().at(off + open)
		}
		names = appendAll(appendAll(names, []string{word[off : off+open]}), numbers)
		off = end + 1
	}
	return names, nil
}

func tooMany() *fault {
	return newFault(0, fmt.Sprintf("a range of more than %d hosts", maxSetHosts), "see it for a slip of the finger")
}

// appendAll gives every head with every tail.
func appendAll(heads, tails []string) []string {
	all := make([]string, 0, len(heads)*len(tails))
	for _, h := range heads {
		for _, t := range tails {
			all = append(all, h+t)
		}
	}
	return all
}

// expandList gives the numbers of "001-003,007,1-9/2", padded as written.
func expandList(body string) ([]string, *fault) {
	if body == "" {
		return nil, newFault(0, "the range is empty", "write [1-9]; an IPv6 address goes without brackets")
	}
	var numbers []string
	off := 0
	for _, item := range strings.Split(body, ",") {
		list, f := expandItem(item)
		if f != nil {
			return nil, f.at(off)
		}
		if len(numbers)+len(list) > maxSetHosts {
			return nil, tooMany().at(off)
		}
		numbers = append(numbers, list...)
		off += len(item) + 1
	}
	return numbers, nil
}

// expandItem gives the numbers of "7", "1-9" or "1-9/2".
func expandItem(item string) ([]string, *fault) {
	span, stepText, stepped := strings.Cut(item, "/")
	first, last, ranged := strings.Cut(span, "-")
	from, f := number(first)
	if f != nil {
		return nil, f
	}
	if !ranged {
		if stepped {
			return nil, newFault(len(span), fmt.Sprintf("a step without a range in %q", item), "write 1-9/2")
		}
		return []string{first}, nil
	}
	to, f := number(last)
	if f != nil {
		return nil, f.at(len(first) + 1)
	}
	step := int64(1)
	if stepped {
		if step, f = number(stepText); f != nil {
			return nil, f.at(len(span) + 1)
		}
	}
	switch {
	case step == 0:
		return nil, newFault(len(span)+1, fmt.Sprintf("the step of %q is 0", item), "1 is the smallest")
	case to < from:
		return nil, newFault(0, fmt.Sprintf("range %s runs backwards", span), fmt.Sprintf("write %s-%s", last, first))
	case padded(first) && len(last) < len(first), padded(last) && len(first) != len(last):
		return nil, newFault(0, fmt.Sprintf("range %s is padded unevenly", span), "give both ends the same number of digits")
	case (to-from)/step >= maxSetHosts:
		return nil, tooMany()
	}
	width := 0
	if padded(first) {
		width = len(first)
	}
	numbers := make([]string, 0, (to-from)/step+1)
	for n := from; n <= to; n += step {
		numbers = append(numbers, fmt.Sprintf("%0*d", width, n))
		if n > to-step {
			break // n += step could overflow
		}
	}
	return numbers, nil
}

// padded tells whether a number is written with zeros that its value does not need.
func padded(digits string) bool { return len(digits) > 1 && digits[0] == '0' }

func number(digits string) (int64, *fault) {
	if digits == "" {
		return 0, newFault(0, "a number is missing in the range", "write 1-9, 1-9/2 or 1,3")
	}
	for i, r := range digits {
		if r < '0' || r > '9' {
			return 0, newFault(i, fmt.Sprintf("%q in a range", r), "ranges are made of numbers: 1-9, 1-9/2 or 1,3; an IPv6 address goes without brackets")
		}
	}
	if len(digits) > maxDigits {
		return 0, newFault(0, fmt.Sprintf("number %s has more than %d digits", digits, maxDigits), "see it for a slip of the finger")
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return 0, newFault(0, err.Error(), "")
	}
	return n, nil
}

// runes counts the characters of s before byte off.
func runes(s string, off int) int { return utf8.RuneCountInString(s[:min(off, len(s))]) }
