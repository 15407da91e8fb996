package parity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// Column is one way of executing a case. The backend GoldenBackend stands for the expectations stored with a case.
type Column struct {
	Backend   string
	Precision backends.Precision
}

// GoldenBackend is the backend name of the column of stored expectations; its precision is "".
const GoldenBackend = "golden"

var golden = Column{Backend: GoldenBackend}

// String returns "backend/precision", or "golden".
func (c Column) String() string {
	if c == golden {
		return GoldenBackend
	}
	return c.Backend + "/" + string(c.Precision)
}

// MarshalText implements encoding.TextMarshaler with String.
func (c Column) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler: it reads what String writes.
func (c *Column) UnmarshalText(text []byte) error {
	backend, precision, ok := strings.Cut(string(text), "/")
	if !ok && backend == GoldenBackend {
		*c = golden
		return nil
	}
	p, err := backends.ParsePrecision(precision)
	if !ok || backend == "" || err != nil {
		return fmt.Errorf("the column %q: want BACKEND/PRECISION or %s", text, GoldenBackend)
	}
	*c = Column{backend, p}
	return nil
}

// Case is one input. The Runner knows it by its name, which is unique in a matrix.
type Case struct {
	Name    string
	Setting Setting
	Golden  tensor.List // expected outputs, nil for none; a subset of the outputs is enough
	Seed    int64       // recorded in the reports
}

// Pair is a comparison that a matrix makes for every case.
type Pair struct {
	Reference Column `json:"reference"`
	Candidate Column `json:"candidate"`
}

// String returns "candidate vs reference".
func (p Pair) String() string { return p.Candidate.String() + " vs " + p.Reference.String() }

// class returns the class by which the pair is judged.
func (p Pair) class() Class { return PairClass(p.Reference, p.Candidate) }

// Runner executes cases. Run calls it from as many goroutines as it has jobs, once for each case and column. A runner answers
// every failure with a state; a panic becomes Crashed.
type Runner interface {
	Execute(ctx context.Context, c *Case, backend string, precision backends.Precision) evidence.Run
}

// Replayer executes a case as a Runner does, under decisions that another execution recorded (evidence.Run.Decisions). Run calls it
// from as many goroutines as it has jobs.
type Replayer interface {
	Replay(ctx context.Context, c *Case, backend string, precision backends.Precision, decisions tensor.List) evidence.Run
}

// MatrixSpec describes a matrix. Cases, Columns and Runner are required.
type MatrixSpec struct {
	Name    string
	Cases   []Case
	Columns []Column
	Runner  Runner
	// Replayer runs a candidate again under the reference's decisions where some of its own are others; nil leaves it at what the
	// free runs tell.
	Replayer Replayer
	// Budgets derives what rounding may leave of every case: a second measure beside the policy. nil leaves it out.
	Budgets Budgeter
	Pairs   []Pair // nil means DefaultPairs
	// Policies judge what was executed once, each in cells of its own; nil means balanced, end to end. Pairs with golden expectations are
	// judged by GoldenPolicy under each.
	Policies []Policy
	Jobs     int // executions at a time, and as many comparisons beside them; 0 means 1

	// OnExecution, when set, is told of every execution as it ends: for progress, and for pictures of the outputs, which are
	// released once the case is compared. Calls do not overlap; their order depends on the runner.
	OnExecution func(c *Case, col Column, e *evidence.Run)

	// Finished are cases that an earlier run of the same matrix has compared, by name: they are not executed again.
	Finished map[string]FinishedCase
	// OnCase, when set, is told of every case that was executed and compared, for Finished of a later run. Calls do not overlap.
	OnCase func(FinishedCase)
}

// FinishedCase is what a matrix keeps of a case, in the order of its policies and pairs, and of its columns.
type FinishedCase struct {
	Case       string            `json:"case"`
	Cells      []Cell            `json:"cells"`
	Executions []ExecutionRecord `json:"executions"`
}

// Cell is the comparison of one pair for one case under one policy. It always has a state.
type Cell struct {
	Case   string `json:"case"`
	Pair   Pair   `json:"pair"`
	Policy string `json:"policy"` // by name
	evidence.Outcome
	Report *Report `json:"report,omitempty"` // of the free runs; nil unless both sides ran
	Replay *Report `json:"replay,omitempty"` // of the candidate under the reference's decisions; nil unless it ran again

	Sets *SetCount `json:"sets,omitempty"` // detections of the free runs as sets; nil unless the pair is judged by them
}

// ExecutionRecord is the run of a case in a column as it is reported, without its outputs.
type ExecutionRecord struct {
	Case   string `json:"case"`
	Column Column `json:"column"`
	evidence.Outcome
	Upload    time.Duration `json:"upload_ns"`
	Execute   time.Duration `json:"execute_ns"`
	Download  time.Duration `json:"download_ns"`
	Wall      time.Duration `json:"wall_ns"`
	HostBytes int64         `json:"host_bytes"`
	DevBytes  int64         `json:"device_bytes"`
	Peak      int64         `json:"peak_bytes"`

	Plan          *backends.PlanSummary `json:"plan"`          // null where no session was compiled
	Deterministic *bool                 `json:"deterministic"` // null where the session ran once
}

// Matrix is the result of Run: cells in the order of cases, then policies, then pairs, executions in the order of cases and then columns,
// whatever the number of jobs.
type Matrix struct {
	Name       string
	Policies   []string
	Cases      []string
	Columns    []Column
	Pairs      []Pair
	Cells      []Cell
	Sets       []SetVerdict // in the order of the pairs, of those that are judged by sets and were compared
	Executions []ExecutionRecord
}

// DefaultPairs compares every column with the oracle, which is reference/fp64 or else the first column, then the remaining
// columns with each other in their order, and with expected set every column with the golden one first.
func DefaultPairs(columns []Column, expected bool) []Pair {
	if len(columns) == 0 {
		return nil
	}
	oracle := columns[0]
	if best := (Column{"reference", backends.FP64}); slices.Contains(columns, best) {
		oracle = best
	}
	var pairs []Pair
	rest := slices.DeleteFunc(slices.Clone(columns), func(c Column) bool { return c == oracle })
	if expected {
		for _, c := range columns {
			pairs = append(pairs, Pair{golden, c})
		}
	}
	for _, c := range rest {
		pairs = append(pairs, Pair{oracle, c})
	}
	for i, a := range rest {
		for _, b := range rest[i+1:] {
			pairs = append(pairs, Pair{a, b})
		}
	}
	return pairs
}

// check refuses a specification that could not give every cell a meaning.
func (s *MatrixSpec) check() error {
	if len(s.Cases) == 0 || len(s.Columns) == 0 || s.Runner == nil {
		return fmt.Errorf("a matrix needs cases, columns and a runner; got %d, %d and runner=%t", len(s.Cases), len(s.Columns), s.Runner != nil)
	}
	names := map[string]bool{}
	for _, c := range s.Cases {
		if c.Name == "" || names[c.Name] {
			return fmt.Errorf("the case name %q is empty or used twice", c.Name)
		}
		names[c.Name] = true
	}
	for i, c := range s.Columns {
		if slices.Contains(s.Columns[:i], c) || c.Backend == "" || c.Backend == GoldenBackend {
			return fmt.Errorf("the column %q is empty, repeated or reserved", c)
		}
	}
	for _, p := range s.Pairs {
		for _, c := range []Column{p.Reference, p.Candidate} {
			if c != golden && !slices.Contains(s.Columns, c) {
				return fmt.Errorf("the pair %q names %s, which is not a column of the matrix", p, c)
			}
		}
		if p.Reference == p.Candidate || p.Candidate == golden {
			return fmt.Errorf("the pair %q needs two different columns, golden only as the reference", p)
		}
	}
	for i, p := range s.Policies {
		if p.Name == "" || slices.ContainsFunc(s.Policies[:i], func(o Policy) bool { return o.Name == p.Name }) {
			return fmt.Errorf("the policy %q has no name, or one that is used twice", p.Name)
		}
	}
	for _, f := range s.Finished {
		if err := s.checkFinished(f); err != nil {
			return fmt.Errorf("the finished case %q: %w", f.Case, err)
		}
	}
	if s.Jobs < 0 {
		return fmt.Errorf("%d jobs; want at least 1, or 0 for 1", s.Jobs)
	}
	return nil
}

// checkFinished finds a cell for every pair under every policy, and an execution for every column.
func (s *MatrixSpec) checkFinished(f FinishedCase) error {
	if !slices.EqualFunc(f.Cells, s.cellsOf(f.Case), Cell.keyed) {
		return fmt.Errorf("it has %d cells, which are not those of the pairs and policies of the matrix", len(f.Cells))
	}
	if !slices.EqualFunc(f.Executions, s.Columns, func(e ExecutionRecord, c Column) bool { return e.Case == f.Case && e.Column == c }) {
		return fmt.Errorf("it has %d executions, which are not those of the columns of the matrix", len(f.Executions))
	}
	return nil
}

// cellsOf lists the cells of a case, without states, in their order.
func (s *MatrixSpec) cellsOf(name string) []Cell {
	cells := make([]Cell, 0, len(s.Policies)*len(s.Pairs))
	for _, policy := range s.Policies {
		for _, p := range s.Pairs {
			cells = append(cells, Cell{Case: name, Pair: p, Policy: policy.Name})
		}
	}
	return cells
}

// keyed tells whether two cells are of the same case, pair and policy.
func (c Cell) keyed(o Cell) bool { return c.Case == o.Case && c.Pair == o.Pair && c.Policy == o.Policy }

// Count returns how many cells ended in the state.
func (m *Matrix) Count(state evidence.State) int {
	n := 0
	for i := range m.Cells {
		if m.Cells[i].State == state {
			n++
		}
	}
	return n
}

// Key names a cell of the matrix for people: case and pair, and the policy where there are several.
func (m *Matrix) Key(c *Cell) string {
	key := c.Case + ", " + c.Pair.String()
	if len(m.Policies) > 1 {
		key += ", " + c.Policy
	}
	return key
}

// Passed reports whether the exit code is 0.
func (m *Matrix) Passed() bool { return m.ExitCode() == 0 }

// ExitCode applies evidence.ExitCode: every backend, every precision and every case of the matrix was named, and has to be in a cell
// that could be compared. The sets of detections of a pair count as a cell of their own, and so does what was done beside the matrix.
func (m *Matrix) ExitCode(beside ...evidence.State) int {
	states := slices.Clone(beside)
	for i := range m.Cells {
		states = append(states, m.Cells[i].State)
	}
	for i := range m.Sets {
		states = append(states, m.Sets[i].State)
	}
	return evidence.ExitCode(states, len(m.Missing()) > 0)
}

// Missing lists what has no cell that could be compared, for people: "backend ort", "precision fp16", "case rocket".
func (m *Matrix) Missing() []string {
	compared := map[string]bool{}
	for i := range m.Cells {
		c := &m.Cells[i]
		if !c.State.Compared() {
			continue
		}
		compared["case "+c.Case] = true
		for _, col := range []Column{c.Pair.Reference, c.Pair.Candidate} {
			compared["backend "+col.Backend], compared["precision "+string(col.Precision)] = true, true
		}
	}
	var named, missing []string
	for _, col := range m.Columns {
		named = append(named, "backend "+col.Backend, "precision "+string(col.Precision))
	}
	for _, c := range m.Cases {
		named = append(named, "case "+c)
	}
	for _, n := range named {
		if !compared[n] && !slices.Contains(missing, n) {
			missing = append(missing, n)
		}
	}
	return missing
}
