package reports

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// glance is what terminal, Markdown and page show of a matrix case by case, and what they tell once instead: a column that cannot be had in any case
// says the same in every cell of its pairs. Counts, verdict and the forms for programs have all cells.
type glance struct {
	pairs  []int // those that are shown, by their places in the matrix
	places []int // of the cells that are shown, in their case
	lacks  []lack
	told   int // cells that lacks stand for
}

// lack are columns that cannot be had in any case, for one reason.
type lack struct {
	columns []string
	why     string
}

// String names the columns and the reason in one line.
func (l lack) String() string { return strings.Join(l.columns, ", ") + ": " + l.why }

// glanceOf decides what is shown. A pair is left out only where every cell of it is unsupported: a crash of its other side is seen.
func glanceOf(m *parity.Matrix) glance {
	var g glance
	why := lacking(m)
	told := map[parity.Column]bool{}
	for i, p := range m.Pairs {
		lacksOne := why[p.Reference] != "" || why[p.Candidate] != ""
		if !lacksOne || !unsupported(m, i) {
			g.pairs = append(g.pairs, i)
			continue
		}
		told[p.Reference], told[p.Candidate] = true, true
	}
	g.told = len(m.Cases) * len(m.Policies) * (len(m.Pairs) - len(g.pairs))
	for policyAt := range m.Policies {
		for _, pairAt := range g.pairs {
			g.places = append(g.places, policyAt*len(m.Pairs)+pairAt)
		}
	}
	for _, c := range m.Columns {
		if !told[c] || why[c] == "" {
			continue
		}
		at := slices.IndexFunc(g.lacks, func(l lack) bool { return l.why == why[c] })
		if at < 0 {
			at = len(g.lacks)
			g.lacks = append(g.lacks, lack{why: why[c]})
		}
		g.lacks[at].columns = append(g.lacks[at].columns, c.String())
	}
	return g
}

// lacking tells why a column cannot be had, of those that are unsupported in every case and for the same reason.
func lacking(m *parity.Matrix) map[parity.Column]string {
	why, runs := map[parity.Column]string{}, map[parity.Column]int{}
	for i := range m.Executions {
		e := &m.Executions[i]
		text := strings.Trim(e.Reason+": "+e.Detail, ": ")
		if runs[e.Column]++; runs[e.Column] == 1 && e.State == evidence.Unsupported {
			why[e.Column] = text
		}
		if e.State != evidence.Unsupported || why[e.Column] != text {
			delete(why, e.Column)
		}
	}
	return why
}

// unsupported tells whether every cell of a pair is.
func unsupported(m *parity.Matrix, pairAt int) bool {
	for at := pairAt; at < len(m.Cells); at += len(m.Pairs) {
		if m.Cells[at].State != evidence.Unsupported {
			return false
		}
	}
	return true
}

// shows tells whether a cell is shown, by its place among all.
func (g glance) shows(m *parity.Matrix, at int) bool {
	return slices.Contains(g.pairs, at%len(m.Pairs))
}

// heading stands above the lacks; "" where there are none.
func (g glance) heading(m *parity.Matrix) string {
	if len(g.lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("Not to be had in any case, for which %d of the %d cells are unsupported:", g.told, len(m.Cells))
}
