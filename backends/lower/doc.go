// Package lower turns a graph into the steps of an executor: what every executor of our own needs before its first kernel, whatever
// it computes on. It knows no operator of an executor and no memory but sizes and offsets; package reference is one of its users.
//
// Data flows in this order:
//
//  1. Import copies what the outputs and the taps of a graph need into a Program of nodes and values; values declared float32
//     take the session's precision (program.go).
//  2. Program.Fold computes the nodes that depend on constants alone, such as decays, gains and gates made from weights, once and
//     in the session's precision (fold.go).
//  3. Program.Fuse makes one node of each chain that matches a Rule of the executor (rule.go, fuse.go). A rule is data: a pattern
//     of operators. A fused node knows the nodes that it covers, and which of their values it must store aside because they are
//     tapped: a tap never decides what is fused, so that a tapped session computes what an untapped one does. Program.Join makes one
//     node of several that the executor has found itself, with as many results as others read (join.go).
//  4. The executor lowers every node to a Step: it asks for workspace (Step.AddScratch), lets results take the place of operands
//     (Step.Allow), makes a value a view of another one (Value.ViewOf), and packs weights (Step.Pack) (step.go).
//  5. OwnConstants copies what the steps still read of the constants and lets go of the rest (step.go).
//  6. Program.Place gives every value and workspace its place in one arena, from the lifetimes of the values (place.go, arena.go).
//     The executor makes the arena, binds the steps to it, says with Describe what they are (describe.go), and lets go of the rest with
//     Program.Discard.
package lower
