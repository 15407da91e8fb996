package backends

// Plan tells how a compiled session executes its graph. Every node of the graph that an output or a tap needs is in one step, or is
// folded or a view.
type Plan struct {
	Steps  []Step   // in the order of execution
	Folded []string // nodes that were computed when the session was compiled
	Views  []string // nodes that nothing is executed for: what they compute lies in an operand, or is empty
	Split  []Split  // chains that would have been one step, but for a tap
	Arena  int64    // bytes that the values and the steps' workspaces share
}

// Step is what a session executes as a whole.
type Step struct {
	Name            string       // of the last node that it covers
	Op              string       // operator type; that of a fused step is the backend's own
	Nodes           []string     // the nodes that it covers, in the order of the graph
	Inputs, Outputs []string     // values that it reads, constants among them, and writes
	Aside           []string     // those of its outputs that lie between the nodes of a fused step and are stored for a tap or an output
	Level           SupportLevel // how it is executed
	Precision       Precision    // in which it computes
	Workspace       int64        // bytes that it needs beside its inputs and outputs
}

// Split says that a tapped value lies where the backend's fused step could not store it, so that its session with this tap does not
// execute what one without it does.
type Split struct {
	Node  string // the last node of the chain
	Step  string // operator type of the step that it would have been
	Value string // the tapped value
}
