package reports

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/source"
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
	Quality *MatrixQuality // what low precisions cost on a data set; nil where nobody asked
	// Certificate is of the same executions; nil where nobody asked.
	Certificate *MatrixCertificate
	Images      []CaseGallery

	Again string // apexx's version that judged a record again; "" for a matrix that ran just now

	AnyModel bool             // it is of a model that is not Apex-X
	Subject  string           // flags that say what was compared, such as "--cases pictures", for commands that are proposed
	LeftOut  []source.LeftOut // files of the folder of cases that are none
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

// CaseGallery are the pictures of one case of a matrix: what each execution found, by its column, and what differs in each pair.
type CaseGallery struct {
	Case    string          `json:"case"`
	Columns []LabelledImage `json:"columns"`
	Pairs   []PairImages    `json:"pairs"`
}

// PairImages are the pictures of what differs in a pair.
type PairImages struct {
	Pair   parity.Pair     `json:"pair"`
	Images []LabelledImage `json:"images"`
}

// LabelledImage is an encoded picture with its caption, such as the name of a column.
type LabelledImage struct {
	Label string `json:"label"`
	Type  string `json:"type"` // "png" or "jpeg"
	Data  []byte `json:"data"`
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

// judgedAgain says what is shown of a record; "" for a matrix that ran just now.
func (d *Document) judgedAgain() string {
	if d.Again == "" {
		return ""
	}
	return fmt.Sprintf("from its record, by apexx %s: nothing was executed or compared for it, and a record has no pictures", d.Again)
}

// imagesOf returns the pictures of a case in a pair: of the reference, of the candidate, and of what differs.
func (d *Document) imagesOf(name string, p parity.Pair) (list []LabelledImage) {
	for _, c := range d.Images {
		if c.Case != name {
			continue
		}
		for _, column := range []parity.Column{p.Reference, p.Candidate} {
			for _, im := range c.Columns {
				if im.Label == column.String() {
					list = append(list, im)
				}
			}
		}
		for _, of := range c.Pairs {
			if of.Pair == p {
				list = append(list, of.Images...)
			}
		}
	}
	return list
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
	percent := math.Round(100 * most)
	if most > 1 {
		percent = max(percent, 101) // 100 % would be within
	}
	text := fmt.Sprintf(" %.0f%%", percent)
	switch {
	case !known:
		return ""
	case most > 99:
		text = " ≫"
	}
	if most > 1 && c.State.Holds() {
		text += beyondMark
	}
	return text
}

// beyondMark stands behind a share that is more than rounding explains, of a cell that holds by its tolerances.
const beyondMark = "(!)"

// budgeted tells whether any cell has budgets.
func budgeted(m *parity.Matrix) bool {
	return slices.ContainsFunc(m.Cells, func(c parity.Cell) bool { return c.Report != nil && ofBudget(&c) != "" })
}

// numbersAre says what the numbers of the cells are.
func numbersAre(m *parity.Matrix) string {
	const errors = "largest absolute error of any output"
	switch {
	case !budgeted(m):
		return errors
	case slices.ContainsFunc(m.Cells, func(c parity.Cell) bool { return c.Report != nil && strings.HasSuffix(ofBudget(&c), beyondMark) }):
		return errors + ", and the largest share of what rounding may leave; " + beyondMark + " within its tolerances, and more than rounding explains: see apexx locate"
	}
	return errors + ", and the largest share of what rounding may leave"
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

// perCase is how many cells a case has: its pairs under one policy, and then under the next.
func perCase(m *parity.Matrix) int { return len(m.Policies) * len(m.Pairs) }

// cell returns a cell of a case, by their places.
func cell(m *parity.Matrix, caseAt, at int) *parity.Cell { return &m.Cells[caseAt*perCase(m)+at] }

// judgedBy names the policies of a matrix.
func judgedBy(m *parity.Matrix) string { return strings.Join(m.Policies, policySeparator) }

// policySeparator stands between the names of policies, which have no comma.
const policySeparator = ", "

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

// WriteDir writes every form of the matrix into an existing folder and returns the paths: matrix.json and, with a cell a line, matrix.jsonl;
// matrix.csv and matrix.sqlite with every number; junit.xml, matrix.md, and index.html with everything at a glance and a page for each of the
// cells that matter in the folder cells. Each file is complete or absent; pages of an earlier matrix are taken away.
func WriteDir(dir string, d *Document) ([]string, error) {
	var files []outputFile
	for _, f := range []struct {
		name  string
		write func(io.Writer, *Document) error
	}{{"matrix.json", JSON}, {"matrix.jsonl", MatrixJSONL}, {"matrix.csv", MatrixCSV}, {"matrix.sqlite", MatrixSQLite}, {"junit.xml", MatrixJUnit},
		{"matrix.md", Markdown}, {"index.html", HTML}} {
		files = append(files, outputFile{f.name, func(w io.Writer) error { return f.write(w, d) }})
	}
	pages, err := cellFiles(dir, d)
	if err != nil {
		return nil, err
	}
	return writeFiles(dir, append(files, pages...))
}

// RecordLine tells a terminal what the table above it is of: a record, and when it was made.
func (d *Document) RecordLine() string {
	return fmt.Sprintf("record: made %s; judged again %s", d.made(), d.judgedAgain())
}

// made is when the matrix was made, for people.
func (d *Document) made() string {
	if d.When.IsZero() && d.Again != "" {
		return "at a time that the record does not tell"
	}
	return d.when()
}

// circumstances lists when, how and where the matrix was made, and whether it is a record that was judged again.
func circumstances(d *Document) []backends.Fact {
	var facts []backends.Fact
	for _, f := range []backends.Fact{{Key: "judged again", Value: d.judgedAgain()}, {Key: "made", Value: d.made()}, {Key: "command", Value: d.Command}, {Key: "apexx", Value: d.Version}} {
		if f.Value != "" {
			facts = append(facts, f)
		}
	}
	return append(facts, d.Where...)
}
