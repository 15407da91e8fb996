// Package parity decides whether two executions of one graph computed the same thing, and says with numbers why.
//
// Data flows through the package in this order:
//
//  1. Compare measures one pair of tensors: every error number, the worst element, the smallest tolerance that would pass.
//     It never stops early and never decides by an inverted comparison, so a NaN cannot pass.
//  2. A Policy names the tolerances by kind of output and class of the pair's precisions: the profiles quality, balanced and edge, Golden
//     for stored expectations. Those of low precisions end to end were measured (spread.go).
//  3. CompareOutputs compares two complete sets of outputs. It first settles the decisions (tile selection, detections and
//     their order, mask edges), which are discrete. Each execution is held to its own scores, boxes and predictions, and to what
//     is true of every input; that needs no tolerance. What both decided differently is then tied, explained by what the items
//     concerned moved, unproven, or a bug. Arithmetic is compared on what both sides decided alike, detections in matching rows.
//     Budgets, where a Budgeter derives them, are a second measure: how far rounding may carry every element (budgeted.go), and the gaps of
//     what was decided differently (margin.go).
//  4. Coverage says of every output how much was compared, and what was left out for which cause. A report passes, is explained,
//     fails, or is unverified: nothing wrong was found, and too much of an output was left out.
//  5. Run executes a Matrix of cases × executions through a Runner, compares every pair and gives every cell a state. A candidate
//     that decided otherwise runs again under the reference's decisions, through a Replayer, and everything after them is compared.
//     The detections of a pair of low precision are compared as sets over all cases (SetVerdict), since one image has too few.
//  6. Text and the sentences of Decision render the results; package reports builds documents from them.
//
// The engine (1 to 5) knows nothing of rendering; every message is reviewed in testdata/messages.txt.
package parity
