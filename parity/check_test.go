package parity

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// checked is a matrix whose cells pass, fail, crash, are absent and vary, as Run gives it.
func checked(t *testing.T) *Matrix {
	t.Helper()
	_, spec := smallMatrix(1)
	m, err := Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestCheckAcceptsWhatRunGives(t *testing.T) {
	if err := checked(t).Check(); err != nil {
		t.Error(err)
	}
}

// What does not follow from the numbers is refused.
func TestCheck(t *testing.T) {
	// held is the first cell that holds and whose only output was judged by tolerance.
	held := func(m *Matrix) (*Cell, *TensorReport) {
		for i := range m.Cells {
			if c := &m.Cells[i]; c.State == evidence.Pass && c.Pair.Reference != golden && c.Report.Outputs[0].Judgement == ByTolerance {
				return c, &c.Report.Outputs[0]
			}
		}
		t.Fatal("no cell holds")
		return nil, nil
	}
	for name, tt := range map[string]struct {
		edit func(m *Matrix, c *Cell, o *TensorReport)
		want string
	}{
		"a policy of nobody":    {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Policies = []string{"lenient"} }, "whose tolerances"},
		"no pairs":              {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Pairs, m.Cells = nil, nil }, "compares nothing"},
		"a cell less":           {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Cells = m.Cells[1:] }, "cells were dropped"},
		"an execution less":     {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Executions = m.Executions[1:] }, "executions"},
		"cells out of order":    {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Cells[0], m.Cells[1] = m.Cells[1], m.Cells[0] }, "cell 0 is of"},
		"another state":         {func(_ *Matrix, c *Cell, _ *TensorReport) { c.State = evidence.Explained }, "its state is explained, that of its numbers is pass"},
		"no report":             {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report = nil }, "there is no report"},
		"the report of another": {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.CaseName = "x" }, "its report is of x"},
		"a report of no replay": {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Replay = c.Report }, "had decided nothing otherwise"},
		"a wide tolerance":      {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Tolerance = "abs 1" }, "the policy asks for"},
		"wide bounds":           {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Atol = 1 }, "its bounds are 1 and 0.0005 relative, those of"},
		"wide relative bounds":  {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Rtol = 1 }, "its bounds are 5e-05 and 1 relative"},
		"another class":         {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Class = "int8" }, `its class is "int8", that of its pair is "default"`},
		"more may mismatch":     {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.MismatchRatioLimit = 1 }, "1 of the elements may mismatch, by the policy 0.0001"},
		"a bound of a failure":  {wideFailure, "its bounds are 9 and 0.0005 relative"},
		"no outputs":            {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Outputs = nil }, "compares no output"},
		"an output less":        {anotherOutput, "compares 1 outputs (y)"},
		"a largest error of 0":  {func(_ *Matrix, c *Cell, o *TensorReport) { o.Histogram = Histogram{Decades: [16]int{9: 1}} }, "its largest error is 0, in its histogram it is from 0.0001 to 0.001"},
		"an error on average":   {func(_ *Matrix, _ *Cell, o *TensorReport) { o.MeanAbsErr = 1 }, "its errors are 1 on average"},
		"a ratio of its own":    {func(_ *Matrix, _ *Cell, o *TensorReport) { o.MismatchRatio = 0.5 }, "0 of 1 elements mismatch, which is not 0.5"},
		"more unforgiven":       {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Unforgiven = 1 }, "1 of 0 mismatches are off by more than is ever forgiven"},
		"a reason of its own":   {func(m *Matrix, _ *Cell, _ *TensorReport) { lackingCell(m).Reason = "worker_not_found" }, `its reason is "worker_not_found", `},
		"a detail of its own":   {func(m *Matrix, _ *Cell, _ *TensorReport) { lackingCell(m).Detail = "on purpose" }, `"on purpose", that of its sides is "`},
		"another sum":           {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.MaxAbsErr = 0.5 }, "its largest error is 0.5 (mean 0, relative 0), that of its outputs is 0"},
		"other counts":          {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.TotalCount = 9 }, "0 of 9 elements mismatch, of its outputs 0 of 1"},
		"coverage of others":    {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Coverage.Compared = 9 }, "it covers 9 of 1 elements"},
		"bits that were equal":  {func(_ *Matrix, c *Cell, _ *TensorReport) { yes := true; c.Report.Deterministic = &yes }, "do not say the same of a second run"},
		"a negative time":       {func(m *Matrix, _ *Cell, _ *TensorReport) { m.Executions[0].Execute = -1 }, "execution 0, of"},
		"a bias of its own":     {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Bias = 1 }, "with a bias of 1"},
		"a cosine of 2":         {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Cosine = 2 }, "a cosine of 2"},
		"a budget of none":      {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Budget = &BudgetSummary{Factor: 6, Output: "x"} }, "that of its outputs"},
		"a budget at another λ": {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Budget = &BudgetSummary{Factor: 60} }, "λ = 60"},
		"outputs of budgets":    {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Budget = &BudgetReport{Elements: 1} }, "its report is not"},
		"an image left out":     {leftOut, "nothing of an image was compared of output x"},
		"tiles that differ":     {func(_ *Matrix, _ *Cell, o *TensorReport) { decided(o) }, "1 of its elements differ, and nothing was decided otherwise"},
		"judged by nothing":     {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Judgement = ByNothing }, "nothing judged it"},
		"judged by decisions":   {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Judgement = ByDecisions }, "decisions judged it"},
		"judged as equal":       {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Judgement = ByEquality }, "passed as equal"},
		"judged somehow":        {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Judgement = "luck" }, `judged by "luck"`},
		"elements uncounted":    {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Shape = []int{2} }, "of 2 elements 1 were compared"},
		"a histogram of others": {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Histogram.Zero++ }, "its histogram has"},
		"a worst beyond":        {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Worst = &Worst{Candidate: 9, Reference: 1} }, "its worst element is off by 8"},
		"a worst that is NaN":   {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Worst = &Worst{Candidate: Number(math.NaN())} }, "its worst element is off by NaN"},
		"an output twice":       {func(_ *Matrix, c *Cell, o *TensorReport) { c.Report.Outputs = append(c.Report.Outputs, *o) }, "comes twice"},
		"a problem that passed": {func(_ *Matrix, _ *Cell, o *TensorReport) { o.Problem = "other shapes" }, "could not be compared"},
		"an unknown verdict":    {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Decisions = []Decision{{Verdict: "fine"}} }, `the verdict "fine"`},
		"a bug that passed":     {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Decisions = []Decision{{Verdict: Bug}} }, "that of its numbers is fail"},
		"an unproven flip":      {func(_ *Matrix, c *Cell, _ *TensorReport) { c.Report.Decisions = []Decision{{Verdict: Unproven}} }, "does not say so"},
	} {
		m := checked(t)
		c, o := held(m)
		tt.edit(m, c, o)
		if err := m.Check(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// wideFailure widens the bound of an output that failed.
func wideFailure(m *Matrix, _ *Cell, _ *TensorReport) {
	at := slices.IndexFunc(m.Cells, func(c Cell) bool { return c.State == evidence.Fail && c.Pair.Reference != golden })
	m.Cells[at].Report.Outputs[0].Atol = 9
}

// lackingCell is a cell of which a side could not be had.
func lackingCell(m *Matrix) *Cell {
	return &m.Cells[slices.IndexFunc(m.Cells, func(c Cell) bool { return c.State == evidence.Unsupported })]
}

// anotherOutput renames the only output of a cell: it is no longer that of the case's other cells.
func anotherOutput(_ *Matrix, c *Cell, o *TensorReport) { o.Name = "y" }

// leftOut makes an output one of which nothing was compared.
func leftOut(_ *Matrix, c *Cell, o *TensorReport) {
	o.Coverage.Compared, o.TotalCount, o.Histogram = 0, 0, Histogram{}
	o.Coverage.LeftOut = []Omission{{causeRerouted, 0, 1}}
}

// decided makes an output a list of tiles of which one differs.
func decided(o *TensorReport) {
	o.Judgement, o.Tolerance, o.ReferenceDType, o.Atol, o.Rtol = ByDecisions, "decisions", "int64", 0, 0
	o.MismatchCount, o.MismatchRatio = 1, 1
}

// The bound of an output of unknown scale is a part of its largest element, and that is neither below the worst element nor above what all
// elements are together.
func TestCheckLargest(t *testing.T) {
	ref, cand := tensor.New(tensor.Float32, 4, 5), tensor.New(tensor.Float32, 4, 5)
	r, c := tensor.Data[float32](ref), tensor.Data[float32](cand)
	for i := range r {
		r[i] = float32(i%7) - 3
		c[i] = r[i] + 1e-7*float32(i%3)
	}
	tol := Tolerance{OfLargest: 1e-6}
	o := Compare(ref, cand, tol)
	if err := o.checkWorst(tol); err != nil || !o.Passed {
		t.Fatalf("%+v: %v", o, err)
	}
	for name, tt := range map[string]struct {
		atol Number
		want string
	}{"lower": {1e-6, "beside an element of"}, "higher": {9e-6, "all elements together are"}, "beyond": {Number(math.Inf(1)), "all elements together are"}} {
		forged := o
		forged.Atol = tt.atol
		if err := forged.checkWorst(tol); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	clear(r[1:]) // a single element is all there is
	clear(c[1:])
	c[0] += 1e-6
	o = Compare(ref, cand, tol)
	if err := o.checkWorst(tol); err != nil {
		t.Errorf("%+v: %v", o, err)
	}
}
