// Package locate finds where two executions of a graph part: the step, and in it the node.
//
// Data flows in this order:
//
//  1. unitsOf divides the graph by the plan of the candidate's session: a step is what is compared as a whole (unit.go).
//  2. The reference runs once, freely, with every value between units tapped. What it computed is the teacher: every unit is fed its values.
//  3. The forced pass (forced.go): the candidate's backend computes every unit from the teacher's values, in one session of parts
//     (graph.Apart). The steps of which both sides are farthest apart are judged at once, so that an answer comes early (screen.go), and then
//     all: float64 computes every unit exactly, and package budget says how far rounding may carry each element. The reference's own values
//     are held to the same. What is beyond its budget here is wrong here, whatever came before: the local error.
//  4. The free pass (free.go): the candidate runs the whole graph under the reference's decisions, with the same taps, and beside it
//     without them, so that a tap that changes what is executed is told. Accumulated error over local error is the amplification.
//  5. refine.go takes the first unit beyond its budget apart: its values between nodes tapped, and every node by itself.
//  6. minimize.go looks for the smallest set of switches that removes the difference, by delta debugging (ddmin.go).
//  7. A Trace holds the numbers; reproduce.go writes the unit as an ONNX file with inputs and both outputs.
//
// The oracle is the reference backend in float64. An error that it shares with a candidate does not show here: the compliance suite,
// whose oracle shares no code with any backend, and the golden results stand against that.
package locate
