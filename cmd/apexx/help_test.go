package main

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestWrapText(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"one", "one"}, {"one two  three\nfour", "one two\nthree\nfour"}, {"äöü äöü a", "äöü äöü\na"}, {"a\n\nb c", "a\n\nb c"}, {"unbreakable", "unbreakable"},
	} {
		if got := wrapText(c[0], 8); got != c[1] {
			t.Errorf("%q: %q, want %q", c[0], got, c[1])
		}
	}
}

var twoDefaults = regexp.MustCompile(`\(default:[^)]*\)\s+\(default:[^)]*\)`)

// TestHelpFits checks that the help of every command is readable on a terminal of 80 columns, and that every flag says what it
// is for.
func TestHelpFits(t *testing.T) {
	commands := [][]string{nil}
	for _, c := range newApp(nil, nil, nil).Commands {
		commands = append(commands, []string{c.Name})
		for _, sub := range c.Subcommands {
			commands = append(commands, []string{c.Name, sub.Name})
		}
		for _, f := range c.VisibleFlags() {
			if c.Hidden {
				continue
			}
			if _, text, _ := strings.Cut(f.String(), "\n"); strings.TrimSpace(text) == "" {
				t.Errorf("apexx %s %s has no usage", c.Name, f.Names())
			}
		}
	}
	for _, c := range commands {
		var out, errs bytes.Buffer
		if code := run(context.Background(), append(append([]string{"apexx"}, c...), "--help"), nil, &out, &errs); code != 0 || errs.Len() > 0 || out.Len() == 0 {
			t.Errorf("apexx %s --help: exit code %d, %s", c, code, errs.String())
		}
		if twice := twoDefaults.FindString(out.String()); twice != "" {
			t.Errorf("apexx %s --help tells two defaults of one flag: %s", strings.Join(c, " "), twice)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if n := utf8.RuneCountInString(line); n > helpWidth {
				t.Errorf("apexx %s --help has a line of %d columns: %s", strings.Join(c, " "), n, line)
			}
		}
	}
}
