package reports

import (
	"slices"
	"strings"
	"unicode"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// next says what to do about a matrix that did not pass, in a sentence or a command; "" where it did. A record was made elsewhere, and has no flags
// but in the command that made it.
func next(d *Document) string {
	text := advice(d)
	if text == "" || d.Again == "" {
		return text
	}
	return "where it was made, with the model and cases of its command: " + text
}

func advice(d *Document) string {
	m := d.Matrix
	switch d.ExitCode() {
	case exit.OK:
		return ""
	case exit.Failed:
		if c := worstCell(m, func(s evidence.State) bool { return s == evidence.Fail }); c != nil && c.Pair.Reference.Backend != parity.GoldenBackend {
			return "find the step: " + locateCommand(d, c)
		}
		if d.Matrix.ExitCode() == exit.OK && d.Certificate.state() == evidence.Fail {
			return "the certificate tells which variations gave other bits: see its table above"
		}
		return "what was expected is not what any backend gives, or the detections as sets are too far apart: see the reasons above"
	case exit.Inconclusive:
		return "nothing wrong was found, and not everything was compared: name fp64 in --precisions, whose decisions the others can be held to, or other inputs"
	case exit.Unavailable:
		return "apexx caps tells what is missing here; --backends available leaves out what is not here"
	case exit.Interrupted:
		return "the same command, with the same --report, goes on"
	}
	if c := worstCell(m, evidence.State.Broken); c != nil && c.State == evidence.Hung {
		return "give it more time with --deadline, or see what it waits for: " + planCommand(c)
	}
	return "a worker broke: the reason above is its own; its environment, with apexx caps"
}

// worstCell is the first cell in a state.
func worstCell(m *parity.Matrix, is func(evidence.State) bool) *parity.Cell {
	for i := range m.Cells {
		if is(m.Cells[i].State) {
			return &m.Cells[i]
		}
	}
	return nil
}

// locateCommand finds the step at which the candidate of a cell parts from another backend.
func locateCommand(d *Document, c *parity.Cell) string {
	name := c.Case
	if d.AnyModel {
		name = ""
	}
	precision := ""
	if p := c.Pair.Candidate.Precision; p != "fp32" {
		precision = "--precision " + string(p)
	}
	profile := ""
	if of, _, _ := strings.Cut(c.Policy, " "); of != "" && of != parity.Balanced.Name() {
		profile = "--profile " + of
	}
	sides := quoted(c.Pair.Reference.Backend + "," + c.Pair.Candidate.Backend)
	words := []string{"apexx locate", d.Subject, "--backends " + sides, precision, profile, quoted(name)}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " ")
}

// quoted keeps a shell from taking a word apart, or for more than a word: names are of files and records.
func quoted(word string) string {
	if strings.ContainsFunc(word, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("'\"\\$&|;<>()*?`", r) }) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}

func planCommand(c *parity.Cell) string {
	return "apexx plan --backend " + quoted(c.Pair.Candidate.Backend) + " --precision " + string(c.Pair.Candidate.Precision)
}
