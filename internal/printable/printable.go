// Package printable makes text from outside fit for people: for a terminal, a report, a log that a machine reads line by line.
//
// Names of files and messages of other programs may hold anything. A newline forges a line of the output, an escape sequence
// rewrites the terminal, a bidirectional override shows a text in another order than it has, and a byte that is no UTF-8 makes a
// whole page invalid. All of these become visible escapes as Go writes them in strings: \n, \x1b, \u202e, \xff. A backslash stays as it
// is, so that the result is to be read and not to be decoded.
package printable

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The greatest lengths of results, in bytes.
const (
	MaxLine = 1000
	MaxText = 256 << 10
)

// cut stands for what was left out at the end.
const cut = "…"

// Line returns s as one line of valid UTF-8 that is safe to print: characters that are not graphic (unicode.IsGraphic) and bytes that
// are no UTF-8 become escapes, also a tab and a newline. It holds at most MaxLine bytes and ends with … where s is longer. No line is a
// command to a runner of GitHub Actions: a leading :: and every ##[ are escaped. Line(Line(s)) is Line(s).
func Line(s string) string { return clean(s, MaxLine, "") }

// Text is Line for several lines, such as a stack: newlines and tabs stay, and it holds at most MaxText bytes.
func Text(s string) string { return clean(s, MaxText, "\n\t") }

// clean escapes all that is not graphic and not in keep, and cuts the result to limit bytes.
func clean(s string, limit int, keep string) string {
	var out strings.Builder
	safe := 0 // bytes of out after which there is room for the cut mark
	blank := true
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		if r == utf8.RuneError && n == 1 || command(s[i:], blank) || !unicode.IsGraphic(r) && !strings.ContainsRune(keep, r) {
			piece = escape(r, piece)
		}
		if out.Len()+len(piece) > limit {
			return out.String()[:safe] + cut
		}
		out.WriteString(piece)
		if out.Len() <= limit-len(cut) {
			safe = out.Len()
		}
		blank = piece == "\n" || blank && unicode.IsSpace(r)
		i += n
	}
	return out.String()
}

// command tells whether a command to a runner of GitHub Actions starts here: "::" begins one at the start of a line, blanks before
// it not counted, "##[" anywhere.
func command(s string, blank bool) bool {
	return blank && strings.HasPrefix(s, "::") || strings.HasPrefix(s, "##[")
}

// escape writes a character as Go does in a string: by its short name, as \x of its byte below 0x80 or of a byte that is no UTF-8,
// else as \u or \U.
func escape(r rune, piece string) string {
	switch {
	case r == '\n':
		return `\n`
	case r == '\r':
		return `\r`
	case r == '\t':
		return `\t`
	case len(piece) == 1:
		return fmt.Sprintf(`\x%02x`, piece[0])
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04x`, r)
	}
	return fmt.Sprintf(`\U%08x`, r)
}
