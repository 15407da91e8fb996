package main

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
)

const committedEvidence = "../../baselines/evidence/gpu-h100/conv-512.json"

func TestTheCommittedBudgetIsWhatTheGraphSays(t *testing.T) {
	want, err := os.ReadFile("../BUDGET.md")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run(&got, []string{committedEvidence}); err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("kernels/BUDGET.md is out of date: run make budget. The program writes:\n%s", got.String())
	}
}

// What makes the table true: every node is in a launch, in an order that can run.
func TestBudgetRefusesAPlanThatCannotRun(t *testing.T) {
	g, err := nano(512)
	if err != nil {
		t.Fatal(err)
	}
	without := func(name string) []launch {
		return slices.DeleteFunc(slices.Clone(plan), func(l launch) bool { return l.name == name })
	}
	swapped := slices.Clone(plan)
	swapped[0], swapped[1] = swapped[1], swapped[0]
	tests := map[string]struct {
		plan []launch
		want string
	}{
		"a node is left out":         {without("detections"), "no launch covers node detections.select (SelectDetections)"},
		"a launch comes too early":   {swapped, `launch "down_s4" reads pv.backbone.stem.0, which the later launch "stem" computes`},
		"a launch has nothing to do": {append(slices.Clone(plan), launch{name: "idle", nodes: []string{"no.such.node"}}), `launch "idle" covers no node`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if _, err := budget(g, test.plan); err == nil || err.Error() != test.want {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

// The totals do not depend on how the nodes are distributed: operations are those of the graph, and one launch for everything reads the
// image and writes the outputs.
func TestOneLaunchMovesInputsAndOutputsOnly(t *testing.T) {
	g, err := nano(512)
	if err != nil {
		t.Fatal(err)
	}
	one, err := budget(g, []launch{{name: "all", nodes: []string{"*"}, stages: 1}})
	if err != nil {
		t.Fatal(err)
	}
	written := 0
	for _, p := range g.Outputs {
		written += p.Value.Len() * p.Value.DType.Size()
	}
	if want := 3 * 512 * 512 * 2; one[0].read != want {
		t.Errorf("reads %d bytes, want %d", one[0].read, want)
	}
	if one[0].write != written {
		t.Errorf("writes %d bytes, want %d", one[0].write, written)
	}
	many, err := budget(g, plan)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, c := range many {
		sum += c.flop
	}
	if sum != one[0].flop {
		t.Errorf("the launches compute %g FLOP, the graph %g", sum, one[0].flop)
	}
}

func TestFlopOfAConvolution(t *testing.T) {
	g, err := nano(512)
	if err != nil {
		t.Fatal(err)
	}
	stem := g.Nodes[slices.IndexFunc(g.Nodes, func(n *graph.Node) bool { return n.Name == "pv.backbone.stem.0" })]
	if got, want := flop(stem), 2.0*256*256*64*27; got != want {
		t.Errorf("the stem computes %g FLOP, want %g", got, want)
	}
}

func TestCriticalPathFollowsTheSlowerBranch(t *testing.T) {
	costs := []cost{
		{launch: launch{name: "a", stages: 1}},
		{launch: launch{name: "slow", stages: 3}, after: []string{"a"}},
		{launch: launch{name: "fast", stages: 1}, after: []string{"a"}},
		{launch: launch{name: "end", stages: 1}, after: []string{"fast", "slow"}},
	}
	names, micros := criticalPath(costs)
	if got, want := strings.Join(names, " "), "a slow end"; got != want || micros != 5*stageMicros {
		t.Errorf("path %q of %g µs, want %q of %g", got, micros, want, 5*stageMicros)
	}
}

func TestRunWantsOneArgumentAtMost(t *testing.T) {
	if err := run(&bytes.Buffer{}, []string{"a", "b"}); err == nil || err.Error() != "got 2 arguments, want at most one: the evidence" {
		t.Errorf("error %v", err)
	}
}
