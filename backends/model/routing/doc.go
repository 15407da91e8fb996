// Package routing holds the choice of tiles under budgets as plain functions on slices: it runs on the host, where it tells the
// model builder how many tiles a level takes, checks and explains what backends chose, and holds tiles from frame to frame. It knows
// neither graph nor backend; what the model computes of tiles is in its graph.
//
// greedy.go picks L0 tiles by utility per cost under a budget, and staged.go splits picked tiles into finer ones. Each of the levels L0, L1 and
// L2 halves the tile edge of the one before; grid.go has the children of a tile, and the order of tiles on the Hilbert curve. hysteresis.go
// damps flicker between frames, and stability.go measures it.
//
// Tile ids are linear, row-major and zero-based: id = ty*gridW + tx. Utilities, costs and budgets are float64, summed left to right from 0.
//
// What only training needs, gates with gradients and the price of compute, is in internal/training.
//
// The rules are those of the routing specification ("spec" in comments, with its section). Functions return errors and
// never panic on bad input.
package routing
