package parity

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// Run executes every case once in every column and compares the pairs. It fails only on a specification that makes no sense;
// whatever goes wrong in an execution is the state of its cells. When ctx ends, what did not run is NotRun.
func Run(ctx context.Context, spec MatrixSpec) (*Matrix, error) {
	spec.Policy = spec.Policy.orDefault()
	if spec.Pairs == nil {
		spec.Pairs = DefaultPairs(spec.Columns, slices.ContainsFunc(spec.Cases, func(c Case) bool { return c.Golden != nil }))
	}
	if err := spec.check(); err != nil {
		return nil, err
	}
	r := newRun(spec)
	var workers sync.WaitGroup
	tasks := make(chan task)
	for range max(spec.Jobs, 1) {
		workers.Go(func() {
			for t := range tasks {
				r.execute(ctx, t)
			}
		})
	}
	for i := range spec.Cases { // case by case, so that few cases hold their outputs at a time
		if f, done := spec.Finished[spec.Cases[i].Name]; done {
			copy(r.cells[i*len(spec.Pairs):], f.Cells)
			copy(r.records[i*len(spec.Columns):], f.Executions)
			continue
		}
		for j := range spec.Columns {
			tasks <- task{i, j}
		}
	}
	close(tasks)
	workers.Wait()
	return r.matrix(), nil
}

// task is one execution, by the places of its case and column.
type task struct{ caseAt, column int }

// run is a matrix in progress. Every slot of executions and cells is written by one goroutine.
type run struct {
	spec       MatrixSpec
	executions [][]evidence.Run // by case and column
	records    []ExecutionRecord
	cells      []Cell

	mu   sync.Mutex // guards left and the caller's OnExecution
	left []int      // executions that a case still waits for
}

func newRun(spec MatrixSpec) *run {
	r := &run{
		spec: spec, executions: make([][]evidence.Run, len(spec.Cases)), left: make([]int, len(spec.Cases)),
		records: make([]ExecutionRecord, len(spec.Cases)*len(spec.Columns)),
		cells:   make([]Cell, len(spec.Cases)*len(spec.Pairs)),
	}
	for i := range spec.Cases {
		r.executions[i] = make([]evidence.Run, len(spec.Columns))
		r.left[i] = len(spec.Columns)
	}
	return r
}

func (r *run) execute(ctx context.Context, t task) {
	c, col := &r.spec.Cases[t.caseAt], r.spec.Columns[t.column]
	e := safely(ctx, func() evidence.Run { return r.spec.Runner.Execute(ctx, c, col.Backend, col.Precision) })
	r.executions[t.caseAt][t.column] = e
	record := ExecutionRecord{
		Case: c.Name, Column: col, Outcome: e.Outcome, Deterministic: e.Deterministic(),
		Upload: e.Timing.Upload, Execute: e.Timing.Execute, Download: e.Timing.Download, Wall: e.Wall,
		HostBytes: e.Memory.Host, DevBytes: e.Memory.Device, Peak: e.Memory.Peak,
	}
	if e.Plan != nil {
		plan := e.Plan.Summary()
		record.Plan = &plan
	}
	r.records[t.caseAt*len(r.spec.Columns)+t.column] = record
	r.mu.Lock()
	if r.spec.OnExecution != nil {
		r.spec.OnExecution(c, col, &e)
	}
	r.left[t.caseAt]--
	last := r.left[t.caseAt] == 0
	r.mu.Unlock()
	if last {
		r.compareCase(ctx, t.caseAt)
		r.executions[t.caseAt] = nil // releases the outputs
		r.tell(ctx, t.caseAt)
	}
}

// tell hands a case on that was compared. Of one that was interrupted there is nothing to keep.
func (r *run) tell(ctx context.Context, at int) {
	if r.spec.OnCase == nil || ctx.Err() != nil {
		return
	}
	pairs, columns := len(r.spec.Pairs), len(r.spec.Columns)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spec.OnCase(FinishedCase{r.spec.Cases[at].Name, slices.Clone(r.cells[at*pairs : (at+1)*pairs]), slices.Clone(r.records[at*columns : (at+1)*columns])})
}

// safely turns a panic of the runner, an ended context and an answer outside the contract into states.
func safely(ctx context.Context, execute func() evidence.Run) (e evidence.Run) {
	if err := ctx.Err(); err != nil {
		return evidence.Failed(ctx, err)
	}
	defer func() {
		if p := recover(); p != nil {
			e = evidence.Failed(ctx, &evidence.Panic{Value: p})
		}
	}()
	return answer(execute())
}

// answer makes an error of what a run cannot end in.
func answer(e evidence.Run) evidence.Run {
	switch {
	case e.State == evidence.Measured && e.Outputs == nil:
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Errored, Reason: evidence.ReasonNoOutputs, Detail: "the runner reported a finished run without outputs"}}
	case !slices.Contains([]evidence.State{evidence.Measured, evidence.Unsupported, evidence.Errored, evidence.Crashed, evidence.Hung, evidence.Cancelled}, e.State):
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Errored, Reason: evidence.ReasonNoState, Detail: fmt.Sprintf("the runner answered with the state %q", e.State)}}
	}
	return e
}

func (r *run) compareCase(ctx context.Context, at int) {
	var derived []derivation
	for i, p := range r.spec.Pairs {
		ref := r.side(at, p.Reference)
		budgets, missing := r.budgetsFor(ctx, at, p, &ref, &derived)
		cell := r.cell(at, p, budgets)
		r.replay(ctx, at, &cell, budgets)
		cell.withoutBudget(missing, r.spec.Factor)
		r.cells[at*len(r.spec.Pairs)+i] = cell
	}
}

// side returns the execution of a column; the golden one is made of the case's expectations.
func (r *run) side(at int, col Column) evidence.Run {
	if col != golden {
		return r.executions[at][slices.Index(r.spec.Columns, col)]
	}
	if expected := r.spec.Cases[at].Golden; expected != nil {
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: expected}
	}
	return evidence.Run{Outcome: evidence.Outcome{State: evidence.NotRun, Reason: evidence.ReasonNoExpected, Detail: "the case has no expected outputs"}}
}

func (r *run) cell(at int, p Pair, budgets *Budgets) Cell {
	c := &r.spec.Cases[at]
	cell := Cell{Case: c.Name, Pair: p}
	ref, cand := r.side(at, p.Reference), r.side(at, p.Candidate)
	if ref.State != evidence.Measured || cand.State != evidence.Measured {
		return cell // matrix says why, once it is known how the other cases ended
	}
	report := r.compare(c, p, ref.Outputs, cand.Outputs, false, budgets)
	report.Deterministic = bothDeterministic(&ref, &cand)
	for _, again := range [][2]tensor.List{{ref.Outputs, cand.Again}, {ref.Again, cand.Outputs}} { // what differs from run to run has to hold in each
		if report.Deterministic == nil || *report.Deterministic || again[0] == nil || again[1] == nil {
			continue
		}
		if second := r.compare(c, p, again[0], again[1], false, budgets); second.State.Worse(report.State) {
			second.Deterministic = report.Deterministic
			report = second
		}
	}
	cell.State, cell.Report = report.State, report
	cell.Detail = report.Summary()
	cell.countSets(ref.Outputs, cand.Outputs)
	return cell
}

func (r *run) compare(c *Case, p Pair, ref, cand tensor.List, replayed bool, budgets *Budgets) *Report {
	opt := Options{Policy: r.spec.Policy, Class: p.class(), Setting: c.Setting, Replayed: replayed, Budgets: budgets}
	if p.Reference == golden {
		cand = expectedOnly(ref, cand)
		if opt.Class == ClassDefault && !c.Setting.AnyModel { // expectations are in float32, and say nothing of what a lower precision costs
			opt.Policy = GoldenPolicy()
		}
	}
	report := CompareOutputs(ref, cand, opt)
	report.CaseName, report.Seed = c.Name, c.Seed
	report.ReferenceBackend, report.CandidateBackend = p.Reference.String(), p.Candidate.String()
	return report
}

// bothDeterministic is false where one of two sessions gave other bits the second time, and nil where none of them ran twice.
func bothDeterministic(ref, cand *evidence.Run) *bool {
	a, b := ref.Deterministic(), cand.Deterministic()
	if a == nil || b != nil && !*b {
		return b
	}
	return a
}

// expectedOnly returns the outputs that expectations name, in their order: expectations may cover a part of the outputs.
func expectedOnly(expected, outputs tensor.List) tensor.List {
	var out tensor.List
	for _, n := range expected {
		if t := outputs.Get(n.Name); t != nil {
			out = append(out, tensor.Named{Name: n.Name, Tensor: t})
		}
	}
	return out
}

func (r *run) matrix() *Matrix {
	m := &Matrix{Name: r.spec.Name, Policy: r.spec.Policy.Name, Columns: r.spec.Columns, Pairs: r.spec.Pairs, Cells: r.cells, Executions: r.records}
	for _, c := range r.spec.Cases {
		m.Cases = append(m.Cases, c.Name)
	}
	for j := range r.spec.Columns {
		outcomes := make([]*evidence.Outcome, len(r.spec.Cases))
		for i := range r.spec.Cases {
			outcomes[i] = &r.records[i*len(r.spec.Columns)+j].Outcome
		}
		evidence.Settle(outcomes)
	}
	for i := range r.cells {
		if c := &r.cells[i]; c.Report == nil {
			c.Outcome = r.absence(i/len(r.spec.Pairs), c.Pair)
		}
	}
	m.Sets = judgeSets(m.Pairs, m.Cells)
	return m
}

// absence is why a cell could not be compared: the worse of how its two sides ended.
func (r *run) absence(at int, p Pair) evidence.Outcome {
	var worst evidence.Outcome
	for _, col := range []Column{p.Reference, p.Candidate} {
		var o evidence.Outcome
		if col == golden {
			o = r.side(at, golden).Outcome
		} else {
			o = r.records[at*len(r.spec.Columns)+slices.Index(r.spec.Columns, col)].Outcome
		}
		if worst.State == "" || o.State.Worse(worst.State) {
			worst = o
			worst.Detail = col.String() + ": " + o.Detail
		}
	}
	return worst
}
