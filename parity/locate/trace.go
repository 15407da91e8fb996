package locate

import (
	"fmt"
	"math"
	"time"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/evidence"
)

// Trace is the error of a candidate along a graph.
type Trace struct {
	Reference parity.Column  `json:"reference"`
	Candidate parity.Column  `json:"candidate"`
	Profile   string         `json:"profile"` // of tolerances, which gives λ
	Factor    float64        `json:"factor"`  // λ
	Library   string         `json:"library,omitempty"`
	State     evidence.State `json:"state"` // pass, fail or unverified
	Steps     []Step         `json:"steps"` // in an order of execution
	Changed   []string       `json:"changed"`
	Finding   *Finding       `json:"finding"`           // of the first step beyond its budget; null where there is none
	Strays    string         `json:"strays,omitempty"`  // where the whole run is off by more than its steps explain, and each of them is within its budget
	Minimal   *Minimal       `json:"minimal,omitempty"` // null where nobody asked, or nothing was found
	Passes    []Pass         `json:"passes"`
	First     Answer         `json:"first_answer"`

	reproducer *Reproducer
}

// Answer is when it was known which step is the first beyond its budget, or that none is. Steps that stand out are judged before all
// others (screen.go), so that it comes early; where the judgement of all of them finds one before it, that one's answer counts.
type Answer struct {
	Step int           `json:"step"` // its place in Steps; -1 where none is beyond
	Time time.Duration `json:"time_ns"`
}

// Pass is one run through the graph, and how long it took, compilation and transport included.
type Pass struct {
	Name string        `json:"name"`
	Time time.Duration `json:"time_ns"`
}

// Step is a unit with its errors. A number is null where nothing was compared.
type Step struct {
	Name    string   `json:"name"`
	Op      string   `json:"op"`
	Nodes   []string `json:"nodes"`
	Skipped string   `json:"skipped,omitempty"` // why it was not computed: a value that it reads is not finite

	Local       Error         `json:"local"`       // of the candidate, fed the reference's values, beside exact arithmetic
	Reference   Error         `json:"reference"`   // of the reference, in the same place
	Accumulated Error         `json:"accumulated"` // of the candidate's free run beside the reference's
	Amplified   parity.Number `json:"amplified"`   // accumulated noise over local noise; 0 where either is
}

// Error is how far off the outputs of a unit are.
type Error struct {
	Output   string        `json:"output,omitempty"` // whose element is the worst
	Elements int           `json:"elements"`
	Unknown  int           `json:"unknown"`            // elements for which nothing can be said
	Unjudged string        `json:"unjudged,omitempty"` // an output of which that is half of the elements or more
	Beyond   int           `json:"beyond"`             // elements that are off by more than the budget
	Ratio    parity.Number `json:"ratio"`              // of the worst element, over its budget
	Index    int           `json:"index"`              // flat, of the worst element; -1 where all are equal
	Got      parity.Number `json:"got"`
	Want     parity.Number `json:"want"`
	Allowed  parity.Number `json:"allowed"`
	MaxAbs   parity.Number `json:"max_abs"`
	Noise    parity.Number `json:"noise"`           // √(Σ error²/Σ reference²), of the noisiest output
	Wrong    string        `json:"wrong,omitempty"` // of what was chosen: why it cannot have been
}

// Within tells whether the error is within its budget, as far as there is one.
func (e *Error) Within() bool { return e.Beyond == 0 && e.Wrong == "" }

// clear tells whether the error is within its budget, and there is one for most of every output.
func (e *Error) clear() bool { return e.Within() && e.Unjudged == "" }

// add takes the judgement of one output.
func (e *Error) add(name string, j budget.Judgement) {
	if e.Elements == 0 && e.Unknown == 0 && e.Output == "" {
		e.Index = -1
	}
	e.Elements += j.Elements
	e.Unknown += j.Unknown
	e.Beyond += j.Beyond
	e.MaxAbs, e.Noise = max(e.MaxAbs, parity.Number(j.MaxAbs)), max(e.Noise, parity.Number(j.Noise))
	if j.Worst >= 0 && (e.Index < 0 || j.Ratio > float64(e.Ratio)) {
		e.Output, e.Index, e.Ratio = name, j.Worst, parity.Number(j.Ratio)
		e.Got, e.Want, e.Allowed = parity.Number(j.Got), parity.Number(j.Want), parity.Number(j.Allowed)
	}
}

// Finding is what is known of the first step beyond its budget.
type Finding struct {
	Step   int        `json:"step"`           // its place in Steps
	By     string     `json:"by"`             // whose values are beyond the budget: candidate, or reference
	Node   string     `json:"node,omitempty"` // which of its nodes is at fault; "" where only all of them together are
	Op     string     `json:"op,omitempty"`   // of that node
	How    string     `json:"how"`            // by which experiment the node was found
	Inside []NodeTest `json:"inside"`         // the experiments; none where the step is one node
}

// NodeTest is what a node of a step showed in two experiments.
type NodeTest struct {
	Node   string        `json:"node"`
	Op     string        `json:"op"`
	Tapped parity.Number `json:"tapped"` // ratio of its value, tapped inside the step; 0 where it was not to be had
	Alone  parity.Number `json:"alone"`  // ratio of its value when the node is executed by itself, on exact inputs
}

// stray says where the whole run is off by more than its steps explain: a backend that computes every step rightly when it is fed by
// itself, and something else in the whole.
func (t *Trace) stray() string {
	for i := range t.Steps {
		if s := &t.Steps[i]; s.Accumulated.Ratio > 1 {
			return fmt.Sprintf("from step %s on the whole run is off by %.3g times what the errors of its steps explain", s.Name, float64(s.Accumulated.Ratio))
		}
	}
	return ""
}

// state follows from the steps: one beyond its budget fails; one that was not computed or of which little is known, and
// a whole run that strays, is unverified.
func (t *Trace) state() evidence.State {
	state := evidence.Pass
	if t.Strays != "" {
		state = evidence.Unverified
	}
	for i := range t.Steps {
		s := &t.Steps[i]
		switch {
		case !s.Local.Within():
			return evidence.Fail
		case s.Skipped != "" || !s.Local.clear() || !s.Reference.clear():
			state = evidence.Unverified
		}
	}
	return state
}

// first returns the place of the first step beyond its local budget, and whose error that is; -1 where there is none.
func (t *Trace) first() (at int, by string) {
	for i := range t.Steps {
		switch s := &t.Steps[i]; {
		case !s.Local.Within():
			return i, "candidate"
		case !s.Reference.Within():
			return i, "reference"
		}
	}
	return -1, ""
}

// amplify compares the free pass with the forced one.
func (t *Trace) amplify() {
	for i := range t.Steps {
		s := &t.Steps[i]
		if s.Local.Noise > 0 && !math.IsInf(float64(s.Local.Noise), 0) {
			s.Amplified = s.Accumulated.Noise / s.Local.Noise
		}
	}
}
