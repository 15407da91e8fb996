package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// moments are the exact statistics of n numbers and their spreads: of the mean and of the population variance.
type moments struct {
	mean, variance             float64
	meanSpread, varianceSpread float64
	carried                    float64 // of meanSpread, what the spreads of the numbers leave where they are independent
}

// momentsOf follows from the rule of a product with b = 1/n. Terms of one sign make partial sums that grow: an execution that adds in two
// stages of √n terms rounds sums of the size of the mean there, n^¼ times as much as of the terms. The variance is a mean of squares,
// which have one sign, and may be formed as E[x²] - μ², from numbers of the size of v + μ²:
//
//	σμ² = u²·(E[x²] + μ²·√n) + E[σx²]/n      σv² = u²·(v + μ²)²·(4 + √n) + 4·E[(x-μ)²·σx²]/n
func momentsOf(n int, at func(i int) (v, spread float64)) moments {
	var m moments
	var inputs, weighted float64
	for i := range n {
		v, s := at(i)
		m.mean += v
		inputs += s * s
	}
	m.mean /= float64(n)
	for i := range n {
		v, s := at(i)
		d := v - m.mean
		m.variance += d * d
		weighted += d * d * s * s
	}
	count := float64(n)
	m.variance /= count
	second := m.variance + m.mean*m.mean
	m.carried = math.Sqrt(inputs) / count
	m.meanSpread = root(Unit*math.Sqrt(second+m.mean*m.mean*math.Sqrt(count)), m.carried)
	m.varianceSpread = root(Unit*second*math.Sqrt(4+math.Sqrt(count)), 2*math.Sqrt(weighted)/count)
	return m
}

// inBlocks is the spread of the mean of n cells of a map in which every block of cells has one error: E[σx²]·min(1, block/n) instead of
// E[σx²]/n.
func (m moments) inBlocks(n, block int) float64 {
	return math.Sqrt(m.meanSpread*m.meanSpread + m.carried*m.carried*float64(min(n, block)-1))
}

// pyramidBlock is the block of cells of the finest level of a pyramid that share the error of a cell of its coarsest: two levels above, which
// nearest-neighbour upsampling has copied to 4·4 cells.
const pyramidBlock = 16

// normalised is the rule of y = (x-μ)·r·γ + β with r = 1/√(v+ε), over groups of consecutive channels of a tensor [B, channels, rest]:
//
//	σy² = (γ·r)²·(σx² + σμ²) + (γ·r·(x-μ))²·(σv/(2(v+ε)))² + u²·((γ·r)²·(x² + μ²) + 4·(γ·r·(x-μ))² + y²)
//
// The last term is what the arithmetic rounds, as (x-μ)·r·γ + β or as x·(γ·r) + (β - μ·γ·r). Parameters are exact.
func normalised(c *call, channels, group, rest int, epsilon float64) ([][]float64, error) {
	x, gamma := c.in[0], c.in[1].floats()
	data, y, out := x.floats(), c.out[0].floats(), make([]float64, c.out[0].Len())
	for start := 0; start < len(data); start += group * rest {
		m := momentsOf(group*rest, func(i int) (float64, float64) { return data[start+i], x.spread(start + i) })
		r := 1 / math.Sqrt(m.variance+epsilon)
		relative := m.varianceSpread / (2 * (m.variance + epsilon))
		slope := relative*relative + 4*Unit*Unit // of (γ·r·(x-μ))²
		fixed := m.meanSpread*m.meanSpread + Unit*Unit*m.mean*m.mean
		pieces(group*rest, func(low, high int) {
			for i := start + low; i < start+high; i++ {
				g, v, s := gamma[i/rest%channels]*r, data[i], x.spread(i)
				d := g * (v - m.mean)
				out[i] = math.Sqrt(g*g*(s*s+fixed+Unit*Unit*v*v) + d*d*slope + Unit*Unit*y[i]*y[i])
			}
		})
	}
	return [][]float64{out}, nil
}

func groupNorm(c *call) ([][]float64, error) {
	op, s := c.node.Op.(graph.GroupNormalization), c.in[0].Shape()
	if c.in[0].Len() == 0 {
		return nil, nil
	}
	return normalised(c, s[1], s[1]/op.Groups, c.in[0].Len()/(s[0]*s[1]), op.Epsilon)
}

func layerNorm(c *call) ([][]float64, error) {
	d := c.in[1].Len()
	return normalised(c, d, d, 1, c.node.Op.(graph.LayerNormalization).Epsilon)
}

// reduceMean is the rule of a mean: see momentsOf.
func reduceMean(c *call) ([][]float64, error) {
	return c.reduced(func(count int, sums, spreads []float64) {
		n := float64(count)
		for i, y := range c.out[0].floats() { // Σx² and Σσ²
			spreads[i] = root(Unit*math.Sqrt(sums[i]/n+y*y*math.Sqrt(n)), math.Sqrt(spreads[i])/n)
		}
	})
}

// reduceL2 is the rule of y = √Σx²: σy² = Σ(x·σx/y)² + (3·u·y)², where σ of y below its own error is that of the operands.
func reduceL2(c *call) ([][]float64, error) {
	return c.reduced(func(_ int, _, spreads []float64) {
		for i, y := range c.out[0].floats() {
			spreads[i] = root(math.Sqrt(spreads[i]), 3*Unit*y) // |x/y| ≤ 1
		}
	})
}

// reduced sums squares of elements and of spreads over the axes of a reduction, and lets finish make spreads of them.
func (c *call) reduced(finish func(count int, sums, spreads []float64)) ([][]float64, error) {
	op, x := c.node.Op.(graph.Reduce), c.in[0]
	kept := append([]int(nil), x.Shape()...)
	for _, a := range op.Axes {
		kept[a] = 1
	}
	at := broadcast(x.Shape(), kept)
	sums, spreads := make([]float64, size(kept)), make([]float64, size(kept))
	for i, v := range x.floats() {
		s := x.spread(i)
		sums[at(i)] += v * v
		spreads[at(i)] += s * s
	}
	if len(sums) > 0 {
		finish(x.Len()/len(sums), sums, spreads)
	}
	return [][]float64{spreads}, nil
}

// aggregate is the rule of the mean, the largest and the variance of the windows of maps.
func aggregate(c *call) ([][]float64, error) {
	op, x := c.node.Op.(graph.TileAggregate), c.in[0]
	s, columns := x.Shape(), op.FeatureWidth/op.Tile
	tiles := op.FeatureHeight / op.Tile * columns
	out := make([]float64, c.out[0].Len())
	for b := range s[0] {
		for tile := range tiles {
			y0, y1 := window(tile/columns, op.Tile, s[2], op.FeatureHeight)
			x0, x1 := window(tile%columns, op.Tile, s[3], op.FeatureWidth)
			for m := range s[1] {
				plane, most := (b*s[1]+m)*s[2]*s[3], 0.0
				moments := momentsOf((y1-y0)*(x1-x0), func(i int) (float64, float64) {
					at := plane + (y0+i/(x1-x0))*s[3] + x0 + i%(x1-x0)
					most = max(most, x.spread(at))
					return x.floats()[at], x.spread(at)
				})
				copy(out[((b*tiles+tile)*s[1]+m)*3:], []float64{moments.meanSpread, most, moments.varianceSpread})
			}
		}
	}
	return [][]float64{out}, nil
}

// window returns the range of cells that a tile covers along an axis (graph.TileAggregate).
func window(tile, side, cells, feature int) (low, high int) {
	low = min(max(tile*side*cells/feature, 0), cells-1)
	high = ((tile+1)*side*cells + feature - 1) / feature
	return low, min(max(high, low+1), cells)
}
