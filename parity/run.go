package parity

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/apex-x/apexx/backends/tensor"
)

// Run executes every case once in every column and compares the pairs. It fails only on a specification that makes no sense;
// whatever goes wrong in an execution is the state of its cells. When ctx ends, what did not run is NotRun.
func Run(ctx context.Context, spec MatrixSpec) (*Matrix, error) {
	if err := spec.check(); err != nil {
		return nil, err
	}
	spec.Policy = spec.Policy.orDefault()
	if spec.Pairs == nil {
		spec.Pairs = DefaultPairs(spec.Columns, slices.ContainsFunc(spec.Cases, func(c Case) bool { return c.Golden != nil }))
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
	executions [][]Execution // by case and column
	records    []ExecutionRecord
	cells      []Cell

	mu   sync.Mutex // guards left and the caller's OnExecution
	left []int      // executions that a case still waits for
}

func newRun(spec MatrixSpec) *run {
	r := &run{
		spec: spec, executions: make([][]Execution, len(spec.Cases)), left: make([]int, len(spec.Cases)),
		records: make([]ExecutionRecord, len(spec.Cases)*len(spec.Columns)),
		cells:   make([]Cell, len(spec.Cases)*len(spec.Pairs)),
	}
	for i := range spec.Cases {
		r.executions[i] = make([]Execution, len(spec.Columns))
		r.left[i] = len(spec.Columns)
	}
	return r
}

func (r *run) execute(ctx context.Context, t task) {
	c, col := &r.spec.Cases[t.caseAt], r.spec.Columns[t.column]
	e := safeExecute(ctx, r.spec.Runner, c, col)
	r.executions[t.caseAt][t.column] = e
	r.records[t.caseAt*len(r.spec.Columns)+t.column] = ExecutionRecord{
		Case: c.Name, Column: col, State: e.State, Reason: e.Reason, Signal: e.Signal, Detail: e.Detail,
		Upload: e.Timing.Upload, Execute: e.Timing.Execute, Download: e.Timing.Download, Wall: e.Wall,
		HostBytes: e.Memory.Host, DevBytes: e.Memory.Device, Peak: e.Peak,
	}
	r.mu.Lock()
	if r.spec.OnExecution != nil {
		r.spec.OnExecution(c, col, &e)
	}
	r.left[t.caseAt]--
	last := r.left[t.caseAt] == 0
	r.mu.Unlock()
	if last {
		r.compareCase(t.caseAt)
		r.executions[t.caseAt] = nil // releases the outputs
	}
}

// safeExecute turns a panic of the runner, an ended context and an answer outside the contract into states.
func safeExecute(ctx context.Context, runner Runner, c *Case, col Column) (e Execution) {
	if err := ctx.Err(); err != nil {
		return Execution{State: NotRun, Reason: "cancelled", Detail: err.Error()}
	}
	defer func() {
		if p := recover(); p != nil {
			e = Execution{State: Crashed, Signal: "panic", Detail: fmt.Sprint(p)}
		}
	}()
	e = runner.Execute(ctx, c, col.Backend, col.Precision)
	switch {
	case e.State == Pass && e.Outputs == nil:
		return Execution{State: NotRun, Reason: "no_outputs", Detail: "the runner reported a finished run without outputs"}
	case !slices.Contains([]State{Pass, Unsupported, Crashed, Hung, NotRun}, e.State):
		return Execution{State: NotRun, Reason: "no_state", Detail: fmt.Sprintf("the runner answered with the state %q", e.State)}
	}
	return e
}

func (r *run) compareCase(at int) {
	for i, p := range r.spec.Pairs {
		r.cells[at*len(r.spec.Pairs)+i] = r.cell(at, p)
	}
}

// side returns the execution of a column; the golden one is made of the case's expectations.
func (r *run) side(at int, col Column) Execution {
	if col != golden {
		return r.executions[at][slices.Index(r.spec.Columns, col)]
	}
	if expected := r.spec.Cases[at].Golden; expected != nil {
		return Execution{State: Pass, Outputs: expected}
	}
	return Execution{State: NotRun, Reason: "no_expectations", Detail: "the case has no expected outputs"}
}

// severity orders the states of executions: the worse of two sides names the cell.
var severity = []State{Pass, NotRun, Unsupported, Hung, Crashed}

func (r *run) cell(at int, p Pair) Cell {
	c := &r.spec.Cases[at]
	ref, cand := r.side(at, p.Reference), r.side(at, p.Candidate)
	cell := Cell{Case: c.Name, Pair: p}
	worse, col := ref, p.Reference
	if slices.Index(severity, cand.State) > slices.Index(severity, ref.State) {
		worse, col = cand, p.Candidate
	}
	if worse.State != Pass {
		cell.State, cell.Reason, cell.Signal = worse.State, worse.Reason, worse.Signal
		cell.Detail = col.String() + ": " + worse.Detail
		return cell
	}
	opt := Options{Policy: r.spec.Policy, Class: PairClass(p.Reference.Precision, p.Candidate.Precision), Setting: c.Setting}
	outputs := cand.Outputs
	if p.Reference == golden {
		opt.Policy = GoldenPolicy()
		outputs = expectedOnly(ref.Outputs, outputs)
	}
	report := CompareOutputs(ref.Outputs, outputs, opt)
	report.CaseName, report.Seed = c.Name, c.Seed
	report.ReferenceBackend, report.CandidateBackend = p.Reference.String(), p.Candidate.String()
	cell.State, cell.Report = report.State, report
	cell.Detail = report.Summary()
	return cell
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
	return m
}
