// Package parity decides whether two executions of one graph computed the same thing, and says with numbers why.
//
// Data flows through the package in this order:
//
//  1. Compare measures one pair of tensors: every error number, the worst element, the smallest tolerance that would pass.
//     It never stops early and never decides by an inverted comparison, so a NaN cannot pass.
//  2. A Policy names the tolerances: the profiles quality, balanced and edge, Golden for stored expectations, and tolerances
//     derived from a float64 run.
//  3. CompareOutputs compares two complete sets of outputs. It first settles the decisions (tile selection, detections and
//     their order, mask edges), which are discrete: each difference is tied, explained by how far the scores moved, or a
//     bug. Then it compares arithmetic on what both sides decided alike, with detections in matching rows.
//  4. Run executes a Matrix of cases × executions through a Runner, compares every pair and gives every cell a state.
//  5. Text and the sentences of Decision render the results; package reports builds documents from them.
//
// The engine (1 to 4) knows nothing of rendering; every message is reviewed in testdata/messages.txt.
package parity
