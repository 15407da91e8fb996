package reports

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/parity"
)

// column describes one column of a table of numbers: its name, its type in SQLite, and its value, which is a string, a bool, an int64, a
// float64 or nil.
type column[R any] struct {
	name, kind string
	of         func(R) any
}

// outputRow is one output of a comparison: of the free runs of a cell, or of its replay. A cell that has none has one row, without an output.
type outputRow struct {
	cell   *parity.Cell
	run    string // free or replay; "" without an output
	output *parity.TensorReport
}

// outputRows lists the outputs of every cell.
func outputRows(m *parity.Matrix) []outputRow {
	var rows []outputRow
	for i := range m.Cells {
		c := &m.Cells[i]
		before := len(rows)
		for _, run := range []struct {
			name   string
			report *parity.Report
		}{{"free", c.Report}, {"replay", c.Replay}} {
			if run.report == nil {
				continue
			}
			for j := range run.report.Outputs {
				rows = append(rows, outputRow{c, run.name, &run.report.Outputs[j]})
			}
		}
		if len(rows) == before {
			rows = append(rows, outputRow{cell: c})
		}
	}
	return rows
}

// decisionRow is a discrete difference of the free runs of a cell, or of its replay.
type decisionRow struct {
	cell     *parity.Cell
	run      string
	decision *parity.Decision
}

func decisionRows(m *parity.Matrix) []decisionRow {
	var rows []decisionRow
	for i := range m.Cells {
		c := &m.Cells[i]
		rows = appendDecisions(rows, c, "free", c.Report)
		rows = appendDecisions(rows, c, "replay", c.Replay)
	}
	return rows
}

func appendDecisions(rows []decisionRow, c *parity.Cell, run string, r *parity.Report) []decisionRow {
	if r == nil {
		return rows
	}
	for i := range r.Decisions {
		rows = append(rows, decisionRow{c, run, &r.Decisions[i]})
	}
	return rows
}

func outputCell(r outputRow) *parity.Cell { return r.cell }

// cellColumns are what is said of a cell as a whole.
var cellColumns = []column[*parity.Cell]{
	{"case_name", "TEXT", func(c *parity.Cell) any { return c.Case }},
	{"reference", "TEXT", func(c *parity.Cell) any { return c.Pair.Reference.String() }},
	{"candidate", "TEXT", func(c *parity.Cell) any { return c.Pair.Candidate.String() }},
	{"policy", "TEXT", func(c *parity.Cell) any { return c.Policy }},
	{"state", "TEXT", func(c *parity.Cell) any { return string(c.State) }},
	{"reason", "TEXT", func(c *parity.Cell) any { return c.Reason }},
	{"signal", "TEXT", func(c *parity.Cell) any { return c.Signal }},
	{"detail", "TEXT", func(c *parity.Cell) any { return c.Detail }},
}

// outputColumns are the numbers of one output.
var outputColumns = append([]column[outputRow]{
	{"run", "TEXT", func(r outputRow) any { return r.run }},
	ofOutput("output", "TEXT", func(t *parity.TensorReport) any { return t.Name }),
	ofOutput("passed", "INTEGER", func(t *parity.TensorReport) any { return t.Passed }),
	ofOutput("judged_by", "TEXT", func(t *parity.TensorReport) any { return string(t.Judgement) }),
	ofOutput("tolerance", "TEXT", func(t *parity.TensorReport) any { return t.Tolerance }),
	ofOutput("problem", "TEXT", func(t *parity.TensorReport) any { return t.Problem }),
	ofOutput("note", "TEXT", func(t *parity.TensorReport) any { return t.Note }),
	ofOutput("shape", "TEXT", func(t *parity.TensorReport) any { return strings.Trim(fmt.Sprint(t.Shape), "[]") }),
	ofOutput("reference_dtype", "TEXT", func(t *parity.TensorReport) any { return t.ReferenceDType }),
	ofOutput("candidate_dtype", "TEXT", func(t *parity.TensorReport) any { return t.CandidateDType }),
	ofOutput("expected", "INTEGER", func(t *parity.TensorReport) any { return int64(t.Coverage.Expected) }),
	ofOutput("compared", "INTEGER", func(t *parity.TensorReport) any { return int64(t.Coverage.Compared) }),
	ofOutput("mismatches", "INTEGER", func(t *parity.TensorReport) any { return int64(t.MismatchCount) }),
	ofOutput("nonfinite_mismatches", "INTEGER", func(t *parity.TensorReport) any { return int64(t.NonFiniteMismatches) }),
	ofOutput("signed_zeros", "INTEGER", func(t *parity.TensorReport) any { return int64(t.SignedZeros) }),
	ofOutput("atol", "REAL", func(t *parity.TensorReport) any { return float64(t.Atol) }),
	ofOutput("rtol", "REAL", func(t *parity.TensorReport) any { return float64(t.Rtol) }),
	ofOutput("max_abs", "REAL", func(t *parity.TensorReport) any { return float64(t.MaxAbsErr) }),
	ofOutput("mean_abs", "REAL", func(t *parity.TensorReport) any { return float64(t.MeanAbsErr) }),
	ofOutput("max_rel", "REAL", func(t *parity.TensorReport) any { return float64(t.MaxRelErr) }),
	ofOutput("mean_rel", "REAL", func(t *parity.TensorReport) any { return float64(t.MeanRelErr) }),
	ofOutput("max_ulp", "INTEGER", func(t *parity.TensorReport) any { return fmt.Sprint(t.MaxULPErr) }), // unsigned, and so as text
	ofOutput("rms", "REAL", func(t *parity.TensorReport) any { return float64(t.RMSErr) }),
	ofOutput("nmse", "REAL", func(t *parity.TensorReport) any { return float64(t.NMSE) }),
	ofOutput("bias", "REAL", func(t *parity.TensorReport) any { return float64(t.Bias) }),
	ofOutput("cosine", "REAL", func(t *parity.TensorReport) any { return float64(t.Cosine) }),
	ofBudgetOf("budget_ratio", "REAL", func(b *parity.BudgetReport) any { return float64(b.Ratio) }),
	ofBudgetOf("budget_beyond", "INTEGER", func(b *parity.BudgetReport) any { return int64(b.Beyond) }),
	ofBudgetOf("budget_unknown", "INTEGER", func(b *parity.BudgetReport) any { return int64(b.Unknown) }),
	ofBudgetOf("budget_lambda", "REAL", func(b *parity.BudgetReport) any { return float64(b.Lambda) }),
	ofSmallest("smallest_abs", func(s *parity.SmallestRule) any { return float64(s.Abs) }),
	ofSmallest("smallest_rel", func(s *parity.SmallestRule) any { return float64(s.Rel) }),
	ofSmallest("smallest_angle", func(s *parity.SmallestRule) any {
		if s.Angle == nil {
			return nil
		}
		return float64(*s.Angle)
	}),
	ofWorst("worst_index", "TEXT", func(w *parity.Worst) any { return strings.Trim(fmt.Sprint(w.Index), "[]") }),
	ofWorst("worst_reference", "REAL", func(w *parity.Worst) any { return float64(w.Reference) }),
	ofWorst("worst_candidate", "REAL", func(w *parity.Worst) any { return float64(w.Candidate) }),
}, histogramColumns()...)

func ofOutput(name, kind string, of func(*parity.TensorReport) any) column[outputRow] {
	return column[outputRow]{name, kind, func(r outputRow) any {
		if r.output == nil {
			return nil
		}
		return of(r.output)
	}}
}

func ofSmallest(name string, of func(*parity.SmallestRule) any) column[outputRow] {
	return ofOutput(name, "REAL", func(t *parity.TensorReport) any {
		if t.Smallest == nil {
			return nil
		}
		return of(t.Smallest)
	})
}

func ofBudgetOf(name, kind string, of func(*parity.BudgetReport) any) column[outputRow] {
	return ofOutput(name, kind, func(t *parity.TensorReport) any {
		if t.Budget == nil {
			return nil
		}
		return of(t.Budget)
	})
}

func ofWorst(name, kind string, of func(*parity.Worst) any) column[outputRow] {
	return ofOutput(name, kind, func(t *parity.TensorReport) any {
		if t.Worst == nil {
			return nil
		}
		return of(t.Worst)
	})
}

// histogramColumns count the absolute errors: equal elements, then a column per decade from its lower bound, then what is not finite.
func histogramColumns() []column[outputRow] {
	list := []column[outputRow]{ofOutput("equal", "INTEGER", func(t *parity.TensorReport) any { return int64(t.Histogram.Zero) })}
	for i := range (parity.Histogram{}).Decades {
		exponent := i + parity.FirstDecade
		name := fmt.Sprintf("from_1e%d", exponent)
		if exponent < 0 {
			name = fmt.Sprintf("from_1em%d", -exponent)
		}
		list = append(list, ofOutput(name, "INTEGER", func(t *parity.TensorReport) any { return int64(t.Histogram.Decades[i]) }))
	}
	return list
}

// decisionColumns are the numbers of one decision.
var decisionColumns = []column[decisionRow]{
	{"run", "TEXT", func(r decisionRow) any { return r.run }},
	{"kind", "TEXT", func(r decisionRow) any { return string(r.decision.Kind) }},
	{"verdict", "TEXT", func(r decisionRow) any { return string(r.decision.Verdict) }},
	{"output", "TEXT", func(r decisionRow) any { return r.decision.Output }},
	{"image", "INTEGER", func(r decisionRow) any { return int64(r.decision.Image) }},
	{"measure", "TEXT", func(r decisionRow) any { return r.decision.Measure }},
	{"gap", "REAL", func(r decisionRow) any { return float64(r.decision.Gap) }},
	{"moved", "REAL", func(r decisionRow) any { return float64(r.decision.Moved) }},
	{"text", "TEXT", func(r decisionRow) any { return r.decision.String() }},
}

// executionColumns are the numbers of one execution.
var executionColumns = []column[*parity.ExecutionRecord]{
	{"case_name", "TEXT", func(e *parity.ExecutionRecord) any { return e.Case }},
	{"execution", "TEXT", func(e *parity.ExecutionRecord) any { return e.Column.String() }},
	{"state", "TEXT", func(e *parity.ExecutionRecord) any { return string(e.State) }},
	{"reason", "TEXT", func(e *parity.ExecutionRecord) any { return e.Reason }},
	{"detail", "TEXT", func(e *parity.ExecutionRecord) any { return e.Detail }},
	{"upload_ns", "INTEGER", func(e *parity.ExecutionRecord) any { return e.Upload.Nanoseconds() }},
	{"execute_ns", "INTEGER", func(e *parity.ExecutionRecord) any { return e.Execute.Nanoseconds() }},
	{"download_ns", "INTEGER", func(e *parity.ExecutionRecord) any { return e.Download.Nanoseconds() }},
	{"wall_ns", "INTEGER", func(e *parity.ExecutionRecord) any { return e.Wall.Nanoseconds() }},
	{"host_bytes", "INTEGER", func(e *parity.ExecutionRecord) any { return e.HostBytes }},
	{"device_bytes", "INTEGER", func(e *parity.ExecutionRecord) any { return e.DevBytes }},
	{"peak_bytes", "INTEGER", func(e *parity.ExecutionRecord) any { return e.Peak }},
	{"deterministic", "INTEGER", func(e *parity.ExecutionRecord) any {
		if e.Deterministic == nil {
			return nil
		}
		return *e.Deterministic
	}},
	{"plan", "TEXT", func(e *parity.ExecutionRecord) any {
		if e.Plan == nil {
			return nil
		}
		text, err := json.Marshal(e.Plan)
		if err != nil {
			return nil
		}
		return string(text)
	}},
}

// within widens the columns of a row's cell to the row.
func within[R any](columns []column[*parity.Cell], cell func(R) *parity.Cell) []column[R] {
	var list []column[R]
	for _, c := range columns {
		list = append(list, column[R]{c.name, c.kind, func(r R) any { return c.of(cell(r)) }})
	}
	return list
}
