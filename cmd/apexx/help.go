package main

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
)

// helpWidth is the width of a terminal that help has to be readable on; urfave/cli indents descriptions and the texts of flags.
const (
	helpWidth         = 80
	descriptionIndent = 3
	flagIndent        = 6
)

// oneLineHelp is urfave/cli's form of a flag: its names, a tab, and all of its text.
var oneLineHelp = cli.FlagStringer

// flagHelp puts the text of a flag below its names. That a switch is off until it is given goes without saying.
func flagHelp(f cli.Flag) string {
	names, text, _ := strings.Cut(oneLineHelp(f), "\t")
	return names + "\n" + wrapText(strings.TrimSuffix(text, " (default: false)"), helpWidth-flagIndent)
}

// printHelp fills one of urfave/cli's templates. Their function wrap sets text from a column on, and by default breaks no line.
func printHelp(w io.Writer, template string, data any) {
	wrap := func(text string, column int) string {
		var lines []string
		for line := range strings.Lines(text) {
			lines = append(lines, strings.Split(wrapText(line, helpWidth-column), "\n")...)
		}
		for i := 1; i < len(lines); i++ {
			lines[i] = strings.TrimRight(strings.Repeat(" ", column)+lines[i], " ")
		}
		return strings.Join(lines, "\n")
	}
	cli.HelpPrinterCustom(w, template, data, map[string]any{"wrap": wrap})
}

// fitHelp wraps the descriptions of commands.
func fitHelp(commands []*cli.Command) {
	for _, c := range commands {
		c.Description = wrapText(c.Description, helpWidth-descriptionIndent)
		fitHelp(c.Subcommands)
	}
}

// wrapText breaks paragraphs, which an empty line ends, into lines of at most so many columns.
func wrapText(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		var lines []string
		line := ""
		for _, word := range strings.Fields(p) {
			if line != "" && utf8.RuneCountInString(line+" "+word) > width {
				lines, line = append(lines, line), ""
			}
			line = strings.TrimSpace(line + " " + word)
		}
		paragraphs[i] = strings.Join(append(lines, line), "\n")
	}
	return strings.Join(paragraphs, "\n\n")
}
