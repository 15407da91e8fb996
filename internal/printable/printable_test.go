package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", `C:\photos\rocket 1.jpg`, `C:\photos\rocket 1.jpg`},
		{"other scripts", "Größe 日本 עברית é 👍", "Größe 日本 עברית é 👍"},
		{"replacement character", "a�b", "a�b"},
		{"newline", "a\n::error file=x::pwned", `a\n::error file=x::pwned`},
		{"returns and tabs", "a\r\nb\tc\vd\fe", `a\r\nb\tc\x0bd\x0ce`},
		{"escape sequence", "\x1b[2J\x1b]0;title\x07", `\x1b[2J\x1b]0;title\x07`},
		{"NUL, DEL", "a\x00b\x7f", `a\x00b\x7f`},
		{"C1", "\u0085\u009b31m", `\u0085\u009b31m`},
		{"separators", "a\u2028b\u2029c", `a\u2028b\u2029c`},
		{"bidirectional", "a\u202egpj.exe\u2066\u200f", `a\u202egpj.exe\u2066\u200f`},
		{"invisible", "a\u200bb\ufeff\U000e0041", `a\u200bb\ufeff\U000e0041`},
		{"no UTF-8", "a\xffb\xc3", `a\xffb\xc3`},
		{"surrogate", "a\xed\xa0\x80", `a\xed\xa0\x80`},
		{"command", "::error::x", `\x3a:error::x`},
		{"command after blanks", " \u00a0::error::x", " \u00a0\\x3a:error::x"},
		{"old command", "see ##[error]x", `see \x23#[error]x`},
		{"no command", "a::b # ## [", "a::b # ## ["},
		{"at the limit", strings.Repeat("x", MaxLine), strings.Repeat("x", MaxLine)},
		{"beyond it", strings.Repeat("x", MaxLine+1), strings.Repeat("x", MaxLine-3) + "…"},
		{"cut before an escape", strings.Repeat("x", MaxLine-4) + "\n\n\n", strings.Repeat("x", MaxLine-4) + "…"},
		{"cut before a character", strings.Repeat("x", MaxLine-4) + "日日", strings.Repeat("x", MaxLine-4) + "…"},
	} {
		if got := Line(c.in); got != c.want {
			t.Errorf("%s: Line(%.40q) = %.80q (%d bytes), want %.80q", c.name, c.in, got, len(got), c.want)
		}
	}
}

func TestText(t *testing.T) {
	got := Text("panic: x\n\tat\x1b[1m y\r\n::error::z\n" + strings.Repeat("long\n", MaxText))
	want := "panic: x\n\tat\\x1b[1m y\\r\n\\x3a:error::z\nlong\n"
	if !strings.HasPrefix(got, want) || len(got) > MaxText || !strings.HasSuffix(got, cut) {
		t.Errorf("Text = %.80q (%d bytes), want %q and a cut", got, len(got), want)
	}
}

func FuzzLine(f *testing.F) {
	f.Add("a\xff\u202e\x1b##[x")
	f.Add(" ::error::" + strings.Repeat("日", MaxLine/3))
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if !utf8.ValidString(line) || len(line) > MaxLine || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			t.Errorf("Line(%q) = %q", s, line)
		}
		if again := Line(line); again != line {
			t.Errorf("Line(%q) = %q, of which Line is %q", s, line, again)
		}
	})
}
