package session

import "strconv"

// newest stands for a version that is not known: everything is said to the target, and it refuses what it does
// not have.
const newest = 999999

// versionNumber is a server's version as its own comments write it, 80036 or 101106, and 0 for a text that
// does not begin with a version.
func versionNumber(text string) int {
	number := 0
	for i := range 3 {
		digits := 0
		for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
			digits++
		}
		part, err := strconv.Atoi(text[:digits])
		if err != nil || part > 99 {
			return 0
		}
		number = number*100 + part
		if i < 2 && (digits == len(text) || text[digits] != '.') {
			return 0
		}
		text = text[min(digits+1, len(text)):]
	}
	return number
}
