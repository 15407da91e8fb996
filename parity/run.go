package parity

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// Run executes every case once in every column and compares the pairs under every policy, a case while the next one is executed. It fails
// only on a specification that makes no sense; whatever goes wrong in an execution is the state of its cells. When ctx ends, what did not
// run is NotRun.
func Run(ctx context.Context, spec MatrixSpec) (*Matrix, error) {
	if spec.Policies == nil {
		spec.Policies = []Policy{Policy{}.orDefault()}
	}
	if spec.Pairs == nil {
		spec.Pairs = DefaultPairs(spec.Columns, slices.ContainsFunc(spec.Cases, func(c Case) bool { return c.Golden != nil }))
	}
	if err := spec.check(); err != nil {
		return nil, err
	}
	r := newRun(spec)
	var executors, comparers sync.WaitGroup
	tasks, executed := make(chan task), make(chan int)
	for range cap(r.slots) {
		executors.Go(func() {
			for t := range tasks {
				if r.execute(ctx, t) {
					executed <- t.caseAt
				}
			}
		})
		comparers.Go(func() {
			for at := range executed {
				r.compareCase(ctx, at)
			}
		})
	}
	for i := range spec.Cases { // case by case, so that few cases hold their outputs at a time
		if f, done := spec.Finished[spec.Cases[i].Name]; done {
			copy(r.cellsOf(i), f.Cells)
			copy(r.records[i*len(spec.Columns):], f.Executions)
			continue
		}
		for j := range spec.Columns {
			tasks <- task{i, j}
		}
	}
	close(tasks)
	executors.Wait()
	close(executed)
	comparers.Wait()
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
	slots      chan struct{} // one for each execution at a time, replays included

	mu   sync.Mutex // guards left and the caller's functions
	left []int      // executions that a case still waits for
}

func newRun(spec MatrixSpec) *run {
	r := &run{
		spec: spec, executions: make([][]evidence.Run, len(spec.Cases)), left: make([]int, len(spec.Cases)),
		records: make([]ExecutionRecord, len(spec.Cases)*len(spec.Columns)),
		slots:   make(chan struct{}, max(spec.Jobs, 1)),
	}
	for i := range spec.Cases {
		r.cells = append(r.cells, spec.cellsOf(spec.Cases[i].Name)...)
		r.executions[i] = make([]evidence.Run, len(spec.Columns))
		r.left[i] = len(spec.Columns)
	}
	return r
}

// cellsOf are the cells of a case.
func (r *run) cellsOf(at int) []Cell {
	n := len(r.spec.Policies) * len(r.spec.Pairs)
	return r.cells[at*n : (at+1)*n]
}

// execute runs a task, and tells whether it was the last that its case waited for.
func (r *run) execute(ctx context.Context, t task) (last bool) {
	c, col := &r.spec.Cases[t.caseAt], r.spec.Columns[t.column]
	e := r.safely(ctx, func() evidence.Run { return r.spec.Runner.Execute(ctx, c, col.Backend, col.Precision) })
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
	defer r.mu.Unlock()
	if r.spec.OnExecution != nil {
		r.spec.OnExecution(c, col, &e)
	}
	r.left[t.caseAt]--
	return r.left[t.caseAt] == 0
}

// tell hands a case on that was compared. Of one that was interrupted there is nothing to keep.
func (r *run) tell(ctx context.Context, at int) {
	if r.spec.OnCase == nil || ctx.Err() != nil {
		return
	}
	columns := len(r.spec.Columns)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spec.OnCase(FinishedCase{r.spec.Cases[at].Name, slices.Clone(r.cellsOf(at)), slices.Clone(r.records[at*columns : (at+1)*columns])})
}

// safely executes when a slot is free, and turns a panic of the runner, an ended context and an answer outside the contract into states.
func (r *run) safely(ctx context.Context, execute func() evidence.Run) (e evidence.Run) {
	r.slots <- struct{}{}
	defer func() { <-r.slots }()
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

// compareCase compares a case that was executed, and hands it on.
func (r *run) compareCase(ctx context.Context, at int) {
	c := &caseRun{spec: &r.spec, of: &r.spec.Cases[at], executions: r.executions[at], safely: r.safely, replays: map[Pair]evidence.Run{}}
	cells := r.cellsOf(at)
	for i := range cells {
		c.judge(ctx, &cells[i], r.spec.Policies[i/len(r.spec.Pairs)])
	}
	r.executions[at] = nil // releases the outputs
	r.tell(ctx, at)
}

// caseRun is a case that was executed, with what is derived and executed once for all of its cells, whatever their policies.
type caseRun struct {
	spec       *MatrixSpec
	of         *Case
	executions []evidence.Run // by column
	safely     func(context.Context, func() evidence.Run) evidence.Run
	derived    []derivation
	replays    map[Pair]evidence.Run // candidates under the reference's decisions
}

// judge compares the sides of a cell under its policy.
func (r *caseRun) judge(ctx context.Context, cell *Cell, policy Policy) {
	budgets, missing := r.budgetsFor(ctx, cell.Pair, policy.Factor)
	r.free(cell, policy, budgets)
	r.replay(ctx, cell, policy, budgets)
	cell.withoutBudget(missing, policy.Factor)
}

// side returns the execution of a column; the golden one is made of the case's expectations.
func (r *caseRun) side(col Column) evidence.Run {
	if col != golden {
		return r.executions[slices.Index(r.spec.Columns, col)]
	}
	return r.of.expected()
}

// expected returns the expectations of a case as a run.
func (c *Case) expected() evidence.Run {
	if c.Golden != nil {
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: c.Golden}
	}
	return evidence.Run{Outcome: evidence.Outcome{State: evidence.NotRun, Reason: evidence.ReasonNoExpected, Detail: "the case has no expected outputs"}}
}

// free compares the free runs of a cell.
func (r *caseRun) free(cell *Cell, policy Policy, budgets *Budgets) {
	ref, cand := r.side(cell.Pair.Reference), r.side(cell.Pair.Candidate)
	if ref.State != evidence.Measured || cand.State != evidence.Measured {
		return // matrix says why, once it is known how the other cases ended
	}
	compare := func(ref, cand tensor.List) *Report {
		return r.compare(cell.Pair, ref, cand, Options{Policy: policy, Budgets: budgets})
	}
	report := compare(ref.Outputs, cand.Outputs)
	report.Deterministic = both(ref.Deterministic(), cand.Deterministic())
	for _, again := range [][2]tensor.List{{ref.Outputs, cand.Again}, {ref.Again, cand.Outputs}} { // what differs from run to run has to hold in each
		if report.Deterministic == nil || *report.Deterministic || again[0] == nil || again[1] == nil {
			continue
		}
		if second := compare(again[0], again[1]); second.State.Worse(report.State) {
			second.Deterministic = report.Deterministic
			report = second
		}
	}
	cell.State, cell.Report = report.State, report
	cell.Detail = report.Summary()
	cell.countSets(ref.Outputs, cand.Outputs)
}

// compare compares the sides of a pair. Of the options it completes what follows from the pair and the case.
func (r *caseRun) compare(p Pair, ref, cand tensor.List, opt Options) *Report {
	c := r.of
	opt.Class, opt.Setting = p.class(), c.Setting
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

// both tells of two sessions whether each gave the same bits twice: false where one of them did not, and nil where none of them ran twice.
func both(a, b *bool) *bool {
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
	m := &Matrix{Name: r.spec.Name, Columns: r.spec.Columns, Pairs: r.spec.Pairs, Cells: r.cells, Executions: r.records}
	for _, p := range r.spec.Policies {
		m.Policies = append(m.Policies, p.Name)
	}
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
			c.Outcome = r.absence(i/(len(r.spec.Policies)*len(r.spec.Pairs)), c.Pair)
		}
	}
	m.Sets = m.judgeSets()
	return m
}

// absence is why a cell could not be compared: the worse of how its two sides ended.
func (r *run) absence(at int, p Pair) evidence.Outcome {
	return p.absence(func(col Column) evidence.Outcome {
		if col == golden {
			return r.spec.Cases[at].expected().Outcome
		}
		return r.records[at*len(r.spec.Columns)+slices.Index(r.spec.Columns, col)].Outcome
	})
}

// absence is the worse of how the two sides of a pair ended, and names the side.
func (p Pair) absence(ended func(Column) evidence.Outcome) evidence.Outcome {
	var worst evidence.Outcome
	for _, col := range []Column{p.Reference, p.Candidate} {
		o := ended(col)
		if worst.State == "" || o.State.Worse(worst.State) {
			worst = o
			worst.Detail = col.String() + ": " + o.Detail
		}
	}
	return worst
}
