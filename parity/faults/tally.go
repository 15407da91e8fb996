package faults

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Tally counts the trials of a fault.
type Tally struct {
	Fault   string `json:"fault"`
	Kind    Kind   `json:"kind"`
	Trials  int    `json:"trials"`
	Silent  int    `json:"silent"`  // that change nothing on these inputs
	Hidden  int    `json:"hidden"`  // below the budget: undetectable
	Visible int    `json:"visible"` // the rest
	Caught  int    `json:"caught"`  // of the visible ones
	Exact   int    `json:"exact"`   // of the visible ones, located to the exact step
	Refused int    `json:"refused"` // of those that were caught, with which the backend itself refused to compute on
}

func (t *Tally) add(x *Trial) {
	t.Trials++
	switch {
	case x.Silent():
		t.Silent++
	case x.Hidden():
		t.Hidden++
	default:
		t.Visible++
		if x.Caught {
			t.Caught++
		}
		if x.Exact {
			t.Exact++
		}
		if x.Refused != "" {
			t.Refused++
		}
	}
}

// SchemaID names the version of the JSON form of a Selfcheck.
const SchemaID = "apexx.selfcheck-parity/1"

// Selfcheck is what the comparer finds of what is planted, and what it says of clean runs.
type Selfcheck struct {
	Schema  string     `json:"schema"`
	Backend string     `json:"backend"` // and its precision
	Profile string     `json:"profile"`
	Factor  float64    `json:"factor"`
	Faults  []Tally    `json:"faults"` // in the order of the catalogue; kinds that fit no operator of the graph have no trials
	Total   Tally      `json:"total"`
	Below   []LowTrial `json:"below_budget"` // undetectable, with what they do of the budget
	Missed  []LowTrial `json:"missed"`
	Cells   int        `json:"clean_cells"` // steps of clean runs
	False   []string   `json:"false_failures"`
	Largest float64    `json:"largest_clean_ratio"`
}

// LowTrial is a trial that did not fail where it should or could not.
type LowTrial struct {
	Fault  string  `json:"fault"`
	Effect float64 `json:"effect"` // of the budget
}

// Add takes a trial.
func (s *Selfcheck) Add(x *Trial) {
	at := slices.IndexFunc(s.Faults, func(t Tally) bool { return t.Fault == x.Fault.Name })
	s.Faults[at].add(x)
	s.Total.add(x)
	low := LowTrial{x.Planted.String(), x.Effect}
	switch {
	case x.Hidden():
		s.Below = append(s.Below, low)
	case x.Visible() && !x.Exact:
		s.Missed = append(s.Missed, low)
	}
}

// NewSelfcheck returns one without trials.
func NewSelfcheck(backend, profile string, factor float64) *Selfcheck {
	s := &Selfcheck{Schema: SchemaID, Backend: backend, Profile: profile, Factor: factor, Total: Tally{Fault: "all faults"}, Below: []LowTrial{}, Missed: []LowTrial{}, False: []string{}}
	for _, f := range Catalogue() {
		s.Faults = append(s.Faults, Tally{Fault: f.Name, Kind: f.Kind})
	}
	return s
}

// The shares that the comparer promises, of visible faults and of clean cells.
const (
	leastCaught = 0.99
	leastExact  = 0.95
	mostFalse   = 1e-4
)

// Holds tells whether the comparer keeps its promises: 99 % of the visible faults are caught, 95 % are located to the exact step, and at most
// one clean cell in 10,000 fails.
func (s *Selfcheck) Holds() bool {
	n := float64(s.Total.Visible)
	return s.Total.Visible > 0 && float64(s.Total.Caught) >= leastCaught*n && float64(s.Total.Exact) >= leastExact*n && float64(len(s.False)) <= mostFalse*float64(s.Cells)
}

// Text writes the table, what is undetectable, and the verdict.
func (s *Selfcheck) Text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "What the comparer finds of faults planted into %s, profile %s (λ = %g)\n\n", s.Backend, s.Profile, s.Factor)
	fmt.Fprintf(&b, "%-52s %-9s %6s %6s %6s %7s %7s\n", "fault", "kind", "trials", "silent", "hidden", "caught", "exact")
	for _, t := range append(slices.Clone(s.Faults), s.Total) {
		if t.Trials == 0 {
			fmt.Fprintf(&b, "%-52s %-9s fits no operator of this graph\n", t.Fault, t.Kind)
			continue
		}
		fmt.Fprintf(&b, "%-52s %-9s %6d %6d %6d %7s %7s\n", t.Fault, t.Kind, t.Trials, t.Silent, t.Hidden, share(t.Caught, t.Visible), share(t.Exact, t.Visible))
	}
	if len(s.Below) > 0 {
		b.WriteString("\nBelow the error budget, and so undetectable:\n")
		for _, x := range s.Below {
			fmt.Fprintf(&b, "  %-90s %.2f of the budget\n", x.Fault, x.Effect)
		}
	}
	if len(s.Missed) > 0 {
		b.WriteString("\nMissed, or not located to the exact step:\n")
		for _, x := range s.Missed {
			fmt.Fprintf(&b, "  %-90s %.2f of the budget\n", x.Fault, x.Effect)
		}
	}
	if n := s.Total.Refused; n > 0 {
		fmt.Fprintf(&b, "\n%d of those that are caught ended the execution: the backend refuses such numbers itself\n", n)
	}
	fmt.Fprintf(&b, "\nclean steps: %d, failures: %d\n", s.Cells, len(s.False))
	for _, f := range s.False {
		fmt.Fprintf(&b, "  %s\n", f)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// share is a percentage, of which every fault less than all shows.
func share(n, of int) string {
	switch {
	case of == 0:
		return "-"
	case n == of:
		return "100%"
	}
	return fmt.Sprintf("%.1f%%", min(99.9, 100*float64(n)/float64(of)))
}
