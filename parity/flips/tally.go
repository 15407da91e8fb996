package flips

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apex-x/apexx/parity"
)

// Result is what Run found.
type Result struct {
	Images  int     `json:"images"`
	Inputs  int     `json:"inputs"` // router inputs, of which every pair of executions was given all
	Pairs   []Tally `json:"pairs"`
	Planted []Plant `json:"planted"`
}

// Tally counts the inputs of a pair of executions by the worst that was decided otherwise.
type Tally struct {
	Pair      parity.Pair `json:"pair"`
	Same      int         `json:"same"`
	Tied      int         `json:"tied"`
	Explained int         `json:"explained"`
	Rerouted  int         `json:"rerouted"` // of these, inputs for which other tiles of level 0 were chosen
	Verified  int         `json:"verified"` // of these, inputs on which the candidate then splits what it should of the reference's tiles
	Unproven  int         `json:"unproven"`
	Bugs      int         `json:"bugs"`
	First     string      `json:"first,omitempty"` // bug, in words
}

// Plant is a wrong selection that was planted.
type Plant struct {
	Name    string `json:"name"`
	Planted int    `json:"planted"` // into how many inputs, over all executions
	Called  int    `json:"called"`  // a bug
}

// Holds tells whether no flip of honest executions is without an explanation, every one that sends other tiles on was verified, and every wrong
// selection was called a bug.
func (r *Result) Holds() bool {
	return r.Inputs > 0 && !slices.ContainsFunc(r.Pairs, func(t Tally) bool { return t.Unproven+t.Bugs > 0 || t.Verified < t.Rerouted }) &&
		!slices.ContainsFunc(r.Planted, func(p Plant) bool { return p.Planted == 0 || p.Called < p.Planted })
}

// Text writes the result as a table.
func (r *Result) Text(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%d router inputs, varied from the statistics of %d pictures\n\n", r.Inputs, r.Images)
	width := 4
	for _, t := range r.Pairs {
		width = max(width, len(t.Pair.String()))
	}
	fmt.Fprintf(&s, "%-*s %7s %6s %9s %9s %9s %6s\n", width, "pair", "same", "tied", "explained", "verified", "unproven", "bugs")
	for _, t := range r.Pairs {
		fmt.Fprintf(&s, "%-*s %7d %6d %9d %9s %9d %6d\n", width, t.Pair, t.Same, t.Tied, t.Explained, fmt.Sprintf("%d/%d", t.Verified, t.Rerouted), t.Unproven, t.Bugs)
	}
	for _, t := range r.Pairs {
		if t.First != "" {
			fmt.Fprintf(&s, "\n%s: %s\n", t.Pair, t.First)
		}
	}
	s.WriteString("\nplanted, and called a bug\n")
	for _, p := range r.Planted {
		fmt.Fprintf(&s, "%d of %d  %s\n", p.Called, p.Planted, p.Name)
	}
	s.WriteString("\nverified: with the reference's tiles the candidate splits the same ones, or says why not (of those that chose other tiles)\n")
	_, err := io.WriteString(w, s.String())
	return err
}

// worst returns for every input the worst verdict of its decisions, "" where both executions decided alike, and whether other tiles of
// level 0 were chosen.
func worst(decisions []parity.Decision, inputs int) (verdicts []parity.Verdict, rerouted []bool) {
	order := []parity.Verdict{"", parity.Tied, parity.Explained, parity.Unproven, parity.Bug}
	verdicts, rerouted = make([]parity.Verdict, inputs), make([]bool, inputs)
	for _, d := range decisions {
		if slices.Index(order, d.Verdict) > slices.Index(order, verdicts[d.Image]) {
			verdicts[d.Image] = d.Verdict
		}
		rerouted[d.Image] = rerouted[d.Image] || d.Kind == parity.Membership && d.Output == "tiles_l0"
	}
	return verdicts, rerouted
}

// count adds the inputs of one picture.
func (t *Tally) count(verdicts []parity.Verdict) {
	for _, v := range verdicts {
		switch v {
		case "":
			t.Same++
		case parity.Tied:
			t.Tied++
		case parity.Explained:
			t.Explained++
		case parity.Unproven:
			t.Unproven++
		default:
			t.Bugs++
		}
	}
}

// tell keeps the first bug in words.
func (t *Tally) tell(decisions []parity.Decision) {
	for _, d := range decisions {
		if d.Verdict == parity.Bug && t.First == "" {
			t.First = d.String()
		}
	}
}
