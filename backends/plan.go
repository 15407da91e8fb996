package backends

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

// Plan tells how a compiled session executes its graph. Every node of the graph that an output or a tap needs is in one step, or is
// folded or a view.
type Plan struct {
	Steps  []Step   `json:"steps"`            // in the order of execution
	Folded []string `json:"folded,omitempty"` // nodes that were computed when the session was compiled
	Views  []string `json:"views,omitempty"`  // nodes that nothing is executed for: what they compute lies in an operand, or is empty
	Split  []Split  `json:"split,omitempty"`  // chains that would have been one step, or executed once, but for a tap
	Arena  int64    `json:"arena_bytes"`      // bytes that the values and the steps' workspaces share

	// Library names what executes the steps as it sees fit: it may fuse and reorder them, and does not tell. "" where the session itself
	// executes them, as they stand here.
	Library string `json:"library,omitempty"`

	Autotune *Autotune `json:"autotune,omitempty"` // launch configurations that were chosen by measurement; nil where a rule chose all of them
}

// Step is what a session executes as a whole.
type Step struct {
	Name      string       `json:"name"`                // of the last node that it covers
	Op        string       `json:"op"`                  // operator type; that of a fused step is the backend's own
	Nodes     []string     `json:"nodes"`               // the nodes that it covers, in the order of the graph
	Inputs    []string     `json:"inputs,omitempty"`    // values that it reads, constants among them
	Outputs   []string     `json:"outputs,omitempty"`   // values that it writes
	Aside     []string     `json:"aside,omitempty"`     // those of its outputs that lie between the nodes of a fused step and are stored for a tap or an output
	Level     SupportLevel `json:"level"`               // how it is executed
	Reason    Reason       `json:"reason,omitempty"`    // why not natively; "" if it is
	Precision Precision    `json:"precision"`           // in which it computes
	Workspace int64        `json:"workspace,omitempty"` // bytes that it needs beside its inputs and outputs
}

// Split says that a tapped value lies where the backend's fused step could not store it: the chain is in pieces, or the value is computed once
// more beside the step. A session with this tap does not execute what one without it does.
type Split struct {
	Node  string `json:"node"`  // the last node of the chain
	Step  string `json:"step"`  // operator type of the step that it would have been
	Value string `json:"value"` // the tapped value
}

// PlanSummary counts what a plan consists of.
type PlanSummary struct {
	Steps   int                  `json:"steps"`
	Nodes   map[SupportLevel]int `json:"nodes"`  // that the steps cover, by how they are executed
	Folded  int                  `json:"folded"` // nodes
	Views   int                  `json:"views"`  // nodes
	Split   []Split              `json:"split"`
	Library string               `json:"library,omitempty"`
}

// Summary counts.
func (p Plan) Summary() PlanSummary {
	s := PlanSummary{Steps: len(p.Steps), Nodes: map[SupportLevel]int{}, Folded: len(p.Folded), Views: len(p.Views), Split: p.Split, Library: p.Library}
	for _, step := range p.Steps {
		s.Nodes[step.Level] += len(step.Nodes)
	}
	if s.Split == nil {
		s.Split = []Split{}
	}
	return s
}

// Check holds a plan against the graph that the session was compiled for, its taps among the outputs and its replayed decisions among the
// inputs: every node that an output needs is there once, nothing is there twice, and every step covers something, at a level and in a
// precision that exist. Nodes that the precision added to the graph (graph.Lower) may be there too.
func (p Plan) Check(g *graph.Graph) error {
	seen := map[string]bool{}
	add := func(kind string, nodes []string) error {
		for _, n := range nodes {
			if seen[n] {
				return fmt.Errorf("plan: node %q is there twice (%s)", n, kind)
			}
			seen[n] = true
		}
		return nil
	}
	for _, s := range p.Steps {
		switch {
		case len(s.Nodes) == 0:
			return fmt.Errorf("plan: step %q covers no node", s.Name)
		case s.Level < Fallback || s.Level > Native:
			return fmt.Errorf("plan: step %q is executed at the level %v", s.Name, s.Level)
		case !slices.Contains(Precisions, s.Precision):
			return fmt.Errorf("plan: step %q computes in the precision %q", s.Name, s.Precision)
		}
		if err := add("step "+s.Name, s.Nodes); err != nil {
			return err
		}
	}
	if err := add("folded", p.Folded); err != nil {
		return err
	}
	if err := add("view", p.Views); err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if !seen[n.Name] {
			return fmt.Errorf("plan: node %q is in no step", n.Name)
		}
	}
	return nil
}

// SupportLevel says how a step is executed.
type SupportLevel uint8

// The levels, worst first.
const (
	Unsupported SupportLevel = iota // cannot be executed; never in a plan
	Fallback                        // executed elsewhere, such as on the host
	Emulated                        // executed from other operators, such as an ONNX function body, or in float32 and rounded
	Native                          // executed by code made for it
)

var levelNames = [...]string{"unsupported", "fallback", "emulated", "native"}

// String returns the lower-case name of the level.
func (l SupportLevel) String() string {
	if int(l) < len(levelNames) {
		return levelNames[l]
	}
	return fmt.Sprintf("SupportLevel(%d)", uint8(l))
}

// MarshalText returns the name of the level.
func (l SupportLevel) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the name of a level.
func (l *SupportLevel) UnmarshalText(text []byte) error {
	i := slices.Index(levelNames[:], string(text))
	if i < 0 {
		return fmt.Errorf("unknown level %.40q (want one of %v)", text, levelNames)
	}
	*l = SupportLevel(i)
	return nil
}
