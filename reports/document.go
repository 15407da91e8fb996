package reports

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// Document is a matrix with the circumstances of its making. Matrix is required; what is empty is left out.
type Document struct {
	Title   string // "" means "Parity matrix"
	When    time.Time
	Version string          // of apexx
	Build   Build           // whose backends were compared
	Model   *ModelDigests   // that ran; nil where it is not known
	Command string          // as it was typed
	Where   []backends.Fact // host, processor, libraries
	Matrix  *parity.Matrix
	Images  []CaseImages
}

// Build tells which source a program was made of.
type Build struct {
	Revision string `json:"revision,omitempty"` // commit, "" where the build did not record it
	Modified bool   `json:"modified"`           // made from a working tree with changes
}

// ModelDigests identify a model by its content.
type ModelDigests struct {
	Config  string `json:"config_sha256"`
	Weights string `json:"weights_sha256"`
}

// CaseImages are the pictures of one case, shown side by side in their order.
type CaseImages struct {
	Case   string
	Images []LabelledImage
}

// LabelledImage is an encoded picture with its caption, such as the name of a column or "difference ×16".
type LabelledImage struct {
	Label string
	Type  string // "png" or "jpeg"
	Data  []byte
}

func (d *Document) title() string {
	if d.Title == "" {
		return "Parity matrix"
	}
	return d.Title
}

// when returns the time of making in UTC, "" where unknown.
func (d *Document) when() string {
	if d.When.IsZero() {
		return ""
	}
	return d.When.UTC().Format(timeFormat)
}

const timeFormat = "2006-01-02 15:04:05 UTC"

// imagesOf returns the pictures of a case.
func (d *Document) imagesOf(name string) []LabelledImage {
	for _, c := range d.Images {
		if c.Case == name {
			return c.Images
		}
	}
	return nil
}

// tally counts the cells by state: "24 cells: 22 pass, 2 explained".
func tally(m *parity.Matrix) string {
	var parts []string
	for _, s := range evidence.States {
		if n := m.Count(s); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, s))
		}
	}
	if len(parts) == 0 {
		return "no cells"
	}
	noun := "cells"
	if len(m.Cells) == 1 {
		noun = "cell"
	}
	return fmt.Sprintf("%d %s: %s%s", len(m.Cells), noun, strings.Join(parts, ", "), notCompared(m))
}

// notCompared names what was asked for and has no cell that could be compared, at most five of it.
func notCompared(m *parity.Matrix) string {
	missing, more := m.Missing(), ""
	if n := len(missing); n > 5 {
		missing, more = missing[:5], fmt.Sprintf(" and %d more", n-5)
	}
	if len(missing) == 0 {
		return ""
	}
	return "; never compared: " + strings.Join(missing, ", ") + more
}

// symbol tells states apart without colour.
func symbol(s evidence.State) string {
	switch s {
	case evidence.Pass:
		return "✓"
	case evidence.Explained:
		return "≈"
	case evidence.Unverified:
		return "?"
	case evidence.Fail:
		return "✗"
	case evidence.Crashed, evidence.Errored:
		return "!"
	case evidence.Hung:
		return "∞"
	case evidence.Unsupported:
		return "–"
	default:
		return "·"
	}
}

// brief is what a cell shows at a glance: its largest absolute error and what share of a budget it takes, or its state.
func brief(c *parity.Cell) string {
	if c.Report == nil {
		return string(c.State)
	}
	return largestError(c) + ofBudget(c)
}

// ofBudget is the largest error of an output over what rounding may leave, " 26%"; "" where nobody derived that.
func ofBudget(c *parity.Cell) string {
	most, known := 0.0, false
	for _, r := range []*parity.Report{c.Report, c.Replay} {
		if r != nil && r.Budget != nil && r.Budget.Output != "" {
			most, known = max(most, float64(r.Budget.Ratio)), true
		}
	}
	switch {
	case !known:
		return ""
	case most > 99:
		return " ≫"
	}
	return fmt.Sprintf(" %.0f%%", 100*most)
}

// budgeted tells whether any cell has budgets.
func budgeted(m *parity.Matrix) bool {
	return slices.ContainsFunc(m.Cells, func(c parity.Cell) bool { return c.Report != nil && ofBudget(&c) != "" })
}

// numbersAre says what the numbers of the cells are.
func numbersAre(m *parity.Matrix) string {
	if budgeted(m) {
		return "largest absolute error of any output, and the largest share of what rounding may leave"
	}
	return "largest absolute error of any output"
}

func largestError(c *parity.Cell) string {
	most := c.Report.MaxAbsErr
	if c.Replay != nil {
		most = max(most, c.Replay.MaxAbsErr)
	}
	switch v := float64(most); {
	case v == 0:
		return "0"
	case v < 0.01:
		return fmt.Sprintf("%.1e", v)
	default:
		return fmt.Sprintf("%.2g", v)
	}
}

// cell returns the cell of a case and pair, by their places.
func cell(m *parity.Matrix, caseAt, pairAt int) *parity.Cell {
	return &m.Cells[caseAt*len(m.Pairs)+pairAt]
}

// why explains a cell that did not simply pass, in one line.
func why(c *parity.Cell) string {
	var parts []string
	for _, p := range []string{c.Reason, c.Signal, c.Detail} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// WriteDir writes matrix.json, matrix.md and index.html into an existing folder and returns their paths. Each file is complete
// or absent.
func WriteDir(dir string, d *Document) ([]string, error) {
	var paths []string
	for _, f := range []struct {
		name  string
		write func(io.Writer, *Document) error
	}{{"matrix.json", JSON}, {"matrix.md", Markdown}, {"index.html", HTML}} {
		path := filepath.Join(dir, f.name)
		if err := atomicfile.WriteFile(path, 0o644, func(w io.Writer) error { return f.write(w, d) }); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// circumstances lists when, how and where the matrix was made.
func circumstances(d *Document) []backends.Fact {
	var facts []backends.Fact
	for _, f := range []backends.Fact{{Key: "made", Value: d.when()}, {Key: "command", Value: d.Command}, {Key: "apexx", Value: d.Version}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return append(facts, d.Where...)
}
