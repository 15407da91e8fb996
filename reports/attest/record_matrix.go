package attest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/reports"
)

// matrixRecord is a parity matrix. Its outputs are not in the file: believed are the numbers of each comparison, and everything that
// follows from them was derived anew.
type matrixRecord struct{ *reports.Document }

func readMatrix(data []byte) (record, error) {
	d, err := reports.ReadMatrix(bytes.NewReader(data))
	return matrixRecord{d}, err
}

func (m matrixRecord) items() []string { return []string{ParityReport, BackendParity} }

func (m matrixRecord) origin() origin {
	o := origin{build: &m.Build, models: []reports.ModelDigests{{}}}
	if m.Model != nil {
		o.models[0] = *m.Model
	}
	return o
}

func (m matrixRecord) judge(r *rules) (Status, string) {
	rule, code := r.policy.Matrix, m.ExitCode()
	for _, name := range m.Matrix.Policies {
		if !slices.Contains(rule.Policies, name) {
			return Fail, fmt.Sprintf("it was judged by %q, the policy accepts %q", name, rule.Policies)
		}
	}
	var where []env.Software
	for _, f := range m.Where {
		where = append(where, env.Software(f))
	}
	if faults := env.Injected(where); faults != "" {
		return Fail, injected(faults)
	}
	switch code {
	case exit.OK:
	case exit.Inconclusive:
		return Pending, m.sum(code)
	default:
		return Fail, m.sum(code)
	}
	for _, name := range rule.Cases {
		for _, col := range rule.Columns {
			if !m.compared(name, col) {
				return Fail, fmt.Sprintf("the policy requires the case %s in %s, which was not compared", name, col)
			}
		}
	}
	for i := range m.Matrix.Cells {
		c := &m.Matrix.Cells[i]
		if why := lacks(c, m.Matrix.Key(c), r.outputs); why != "" {
			return Fail, why
		}
	}
	return Pass, m.sum(code)
}

// compared tells whether a case holds in a column, on either side of a cell.
func (m matrixRecord) compared(name string, col parity.Column) bool {
	return slices.ContainsFunc(m.Matrix.Cells, func(c parity.Cell) bool {
		return c.Case == name && (c.Pair.Candidate == col || c.Pair.Reference == col) && c.State.Holds()
	})
}

// lacks names an output of the released model that a cell did not compare. Stored expectations may cover a part of the outputs.
func lacks(c *parity.Cell, key string, outputs []string) string {
	if c.Report == nil || c.Pair.Reference.Backend == parity.GoldenBackend {
		return ""
	}
	for _, name := range outputs {
		if !slices.ContainsFunc(c.Report.Outputs, func(o parity.TensorReport) bool { return o.Name == name }) {
			return fmt.Sprintf("%s: the output %s of the released model was not compared", key, name)
		}
	}
	return ""
}

func (m matrixRecord) sum(code int) string {
	held := m.Matrix.Count(evidence.Pass) + m.Matrix.Count(evidence.Explained)
	return fmt.Sprintf("%s: %d of %d cells hold (%s)", evidence.Verdict(code), held, len(m.Matrix.Cells), strings.Join(m.Matrix.Policies, ", "))
}

func (m matrixRecord) tests() []test {
	var list []test
	for i := range m.Matrix.Cells {
		c := &m.Matrix.Cells[i]
		name := m.Matrix.Key(c)
		switch {
		case c.State.Holds():
			list = append(list, test{name, Pass})
		case c.State == evidence.Unverified:
			list = append(list, test{name, Pending})
		case c.State != evidence.Unsupported && c.State != evidence.NotRun:
			list = append(list, test{name, Fail})
		}
	}
	return list
}
