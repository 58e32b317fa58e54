package binlog

import (
	"strconv"
	"strings"
)

// VersionNumber is a server's version as its own comments write it, 80036 or 101106, and 0 for a text that does not
// begin with a version. Some of MariaDB's begin with 5.5.5-, for clients that stop at 5.
func VersionNumber(text string) int {
	text = strings.TrimPrefix(text, "5.5.5-")
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
