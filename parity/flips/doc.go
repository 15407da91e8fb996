// Package flips asks of many router inputs whether executions that choose other tiles say why in their own numbers.
//
// What a router decides by is a few numbers of each tile. They are computed from pictures, once in every execution, and then varied many times
// over, alike in all of them: by noise from the last digit up to a tenth, and by tiles that are made equal, or nearly so, on purpose. So a
// picture gives hundreds of router inputs at the cost of one, and what the precisions lose on the way to the router is in all of them.
//
//  1. Run cuts the graph before the router and behind the choice of tiles, computes the statistics of every picture in every execution, varies
//     them (vary.go) and routes them in one batch.
//  2. Every pair of executions is compared by package parity. Each input is the same, tied, explained, unproven or a bug.
//  3. Where the tiles of the first level differ, the candidate routes once more with the reference's, and its choice of what to split is
//     compared too: an explained flip is verified.
//  4. Selections that are wrong in a plausible way are planted into every execution (plant.go). All of them have to be called bugs.
package flips
