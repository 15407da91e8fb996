// Package routing holds the tile and budget arithmetic of Apex-X as plain functions on slices: it runs on the host, where
// it checks what backends did, explains it, and gives the model builder its constant tables. It knows neither graph nor backend.
//
// Data flows through it in this order:
//
//  1. grid.go maps tile ids to coordinates; hilbert.go and order.go put ids in one of six orders; quadtree.go relates the
//     three tile levels L0, L1 and L2, each halving the tile edge of the one before.
//  2. aggregate.go turns the maps of the peripheral-vision (PV) branch into one vector per tile, and a Router (tinymlp.go,
//     kan.go) turns each vector into a utility, a split utility and optionally a temporal score.
//  3. greedy.go picks L0 tiles by utility per cost under a budget; staged.go splits picked tiles into finer ones. cost.go
//     says what a tile costs. hysteresis.go damps flicker between frames.
//  4. pack.go gathers the picked tiles and writes the processed ones back, finer levels over coarser ones.
//  5. selection.go, trace.go, diagnostics.go and overlay.go record and show what was picked; canonical.go and replay.go
//     hash it, so that a run can be proved equal to another.
//
// Tile ids are linear, row-major and zero-based: id = ty*gridW + tx. Coordinates are (ty, tx), row first, everywhere but in
// [HilbertDistance]. Utilities, costs and budgets are float64, summed left to right from 0. Where the last bit matters,
// products are wrapped in a conversion, which forbids fused multiply-add on every architecture.
//
// What only training needs, gates with gradients and the price of compute, is in internal/training.
//
// The rules are those of the routing specification ("spec" in comments, with its section). Functions return errors and
// never panic on bad input.
package routing
