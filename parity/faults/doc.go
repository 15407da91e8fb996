// Package faults is a catalogue of defects that a backend may have, and plants them: into an operator's parameters, its weights, in its
// place, into what it stores, into what it chooses.
//
// A Fault fits some operators. Planted is a fault at a node, in one of its sizes; In writes it into a graph in operators that do what they
// say, so that any backend executes it, fused or not. Backend executes everything with a fault, and Check (check.go) asks package locate
// whether it finds the fault and the step.
//
// What is done to whole outputs and decisions behind the graph, which no operator computes, is the catalogue of parity/faults_test.go:
// the comparison from end to end is held to that one.
package faults

// Catalogue lists every fault.
func Catalogue() []Fault {
	var all []Fault
	for _, group := range [][]Fault{parameterFaults, functionFaults, weightFaults, resultFaults, choiceFaults} {
		all = append(all, group...)
	}
	for i := range all {
		if all[i].Kind == "" {
			all[i].Kind = Result
		}
	}
	return all
}
