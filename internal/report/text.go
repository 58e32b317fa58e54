// Package report renders results for people: tables, folded outputs, a progress line, numbers with units.
// It writes to the io.Writer that it is given and does nothing else; it knows no host and no state.
//
// Whatever a host said is data here: what a terminal could take for a command is shown, never sent.
package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Visible gives s with everything that a terminal acts on, or that hides or turns text, written out:
// control characters and bytes that are not UTF-8 as \x1b, invisible format characters (zero width,
// direction marks) as \u202e, line ends as \n and tabs as \t. A backslash stays as it is: the result is
// for eyes, not for parsing.
func Visible(s string) string { return visible(s, "") }

// visible is Visible but for the characters in keep.
func visible(s, keep string) string {
	clean := true
	for _, r := range s {
		if hidden(r) || r == utf8.RuneError {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case !hidden(r), strings.ContainsRune(keep, r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x100:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		i += size
	}
	return b.String()
}

// hidden tells whether a terminal would not just draw r: controls (Cc), format characters (Cf), private use
// and surrogates (Co, Cs), line and paragraph separators (Zl, Zp).
func hidden(r rune) bool {
	return unicode.In(r, unicode.C, unicode.Zl, unicode.Zp)
}

// Width is how many columns of a terminal s takes: 2 for wide East Asian characters and pictographs, 0 for
// combining marks, 1 for others. It is exact for what host names and messages hold, not for every emoji
// sequence: terminals differ there too.
func Width(s string) int {
	n := 0
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

func runeWidth(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), r >= 0x1160 && r <= 0x11ff: // Hangul vowels and finals join
		return 0
	case unicode.Is(wide, r):
		return 2
	}
	return 1
}

// wide holds the blocks whose characters are wide (Unicode Standard Annex 11, W and F), in whole blocks.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115f, Stride: 1}, // Hangul initials
		{Lo: 0x231a, Hi: 0x231b, Stride: 1}, // watch, hourglass
		{Lo: 0x23e9, Hi: 0x23ec, Stride: 1},
		{Lo: 0x2e80, Hi: 0x303e, Stride: 1}, // CJK radicals and punctuation
		{Lo: 0x3041, Hi: 0x4dbf, Stride: 1}, // Kana to CJK extension A
		{Lo: 0x4e00, Hi: 0xa4cf, Stride: 1}, // CJK, Yi
		{Lo: 0xa960, Hi: 0xa97f, Stride: 1}, // Hangul extension A
		{Lo: 0xac00, Hi: 0xd7a3, Stride: 1}, // Hangul
		{Lo: 0xf900, Hi: 0xfaff, Stride: 1}, // CJK compatibility
		{Lo: 0xfe10, Hi: 0xfe19, Stride: 1},
		{Lo: 0xfe30, Hi: 0xfe6f, Stride: 1},
		{Lo: 0xff00, Hi: 0xff60, Stride: 1}, // full-width forms
		{Lo: 0xffe0, Hi: 0xffe6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1f300, Hi: 0x1f64f, Stride: 1}, // pictographs, faces
		{Lo: 0x1f680, Hi: 0x1f6ff, Stride: 1},
		{Lo: 0x1f900, Hi: 0x1f9ff, Stride: 1},
		{Lo: 0x1fa70, Hi: 0x1faff, Stride: 1},
		{Lo: 0x20000, Hi: 0x3fffd, Stride: 1}, // CJK extensions B and later
	},
}

// cut gives s in at most width columns, with … at its end when something is missing.
func cut(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width <= 0 {
		return ""
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > width-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// wrap breaks s into lines of at most width columns, at spaces where there are any.
func wrap(s string, width int) []string {
	var lines []string
	for Width(s) > width {
		end, n, space := len(s), 0, -1
		for i, r := range s {
			w := runeWidth(r)
			if n+w > width {
				end = i
				break
			}
			n += w
			if r == ' ' && i > 0 {
				space = i
			}
		}
		switch {
		case end < len(s) && s[end] == ' ':
		case space > 0:
			end = space
		case end == 0:
			_, end = utf8.DecodeRuneInString(s) // wider than the column: alone on its line
		}
		lines = append(lines, strings.TrimRight(s[:end], " "))
		s = strings.TrimLeft(s[end:], " ")
	}
	if s != "" || lines == nil {
		lines = append(lines, s)
	}
	return lines
}
