package budget

import (
	"math"

	"github.com/apex-x/apexx/backends/graph"
)

// resize is the rule of a bilinear interpolation y = Σ w·p of four cells: σy² = Σ(w·σp)² + (4·u·max|p|)² + (u·n·(max p - min p))², where
// n is the longer side of the map: positions of that size are computed in float32, and their error moves the weights.
func resize(c *call) ([][]float64, error) {
	x, s, o := c.in[0], c.in[0].Shape(), c.out[0].Shape()
	long := float64(max(s[2], s[3]))
	return c.each(func(i int, _ float64) float64 {
		plane := i / (o[2] * o[3]) * s[2] * s[3]
		y0, y1, v := bilinear(i/o[3]%o[2], s[2], o[2])
		x0, x1, u := bilinear(i%o[3], s[3], o[3])
		low, high, spread := math.Inf(1), math.Inf(-1), 0.0
		for _, p := range [4]struct {
			y, x int
			w    float64
		}{{y0, x0, (1 - v) * (1 - u)}, {y0, x1, (1 - v) * u}, {y1, x0, v * (1 - u)}, {y1, x1, v * u}} {
			at := plane + p.y*s[3] + p.x
			low, high = min(low, x.floats()[at]), max(high, x.floats()[at])
			spread = root(spread, p.w*x.spread(at))
		}
		return root(spread, 4*Unit*max(math.Abs(low), math.Abs(high)), Unit*long*(high-low))
	})
}

// bilinear returns the sources of a position along an axis (graph.Resize).
func bilinear(dst, in, out int) (low, high int, weight float64) {
	src := math.Max(0, (float64(dst)+0.5)*float64(in)/float64(out)-0.5)
	low = min(int(src), in-1)
	return low, min(low+1, in-1), src - float64(low)
}

// scan is the rule of the recurrence s = d·s' + (1-d)·v, v = g·x + h, y = o·s:
//
//	σs² = (d·σs')² + ((1-d)·g·σx)² + (4·u·(|d·s'| + (1-d)·(|g·x| + |h|)))²      σy² = (o·σs)² + (o·e)² + (s·σo)² + (u·y)²
//
// What the parameters are off by is the same in every step and adds up: e = d·e' + σd·|s'-v| + (1-d)·(|x|·σg + σh).
func scan(c *call) ([][]float64, error) {
	op, tokens := c.node.Op.(graph.TileSSMScan), c.in[0]
	s := tokens.Shape()
	ys, last := make([]float64, c.out[0].Len()), make([]float64, c.out[1].Len())
	for row := range s[0] * s[2] {
		b, ch := row/s[2], row%s[2]
		parameter := func(i int) (v, spread float64) { return c.in[i].floats()[ch], c.in[i].spread(ch) }
		d, sd := parameter(1)
		g, sg := parameter(2)
		o, so := parameter(3)
		h, sh := parameter(4)
		if limited := min(max(d, 1e-6), 1-1e-6); limited != d {
			d, sd = limited, Unit*limited // which float32 rounds, so that 1-d is off by percents
		}
		state, spread, drift := 0.0, 0.0, 0.0
		for step := range s[1] {
			if op.Backward {
				step = s[1] - 1 - step
			}
			at := (b*s[1]+step)*s[2] + ch
			x := min(max(tokens.floats()[at], -op.Clamp), op.Clamp)
			v := g*x + h
			rounded := math.Abs(d*state) + (1-d)*(math.Abs(g*x)+math.Abs(h))
			spread = root(d*spread, (1-d)*g*tokens.spread(at), 4*Unit*rounded)
			drift = d*drift + sd*math.Abs(state-v) + (1-d)*(math.Abs(x)*sg+sh)
			state = d*state + (1-d)*v
			ys[at] = root(o*spread, o*drift, state*so, Unit*o*state)
		}
		last[row] = root(spread, drift, Unit*state)
	}
	return [][]float64{ys, last}, nil
}

// unpack is the rule of base + α·(copy - base), where copy holds what the tiles leave of the base, one after the other:
//
//	σ² = ((1-α)·σbase)² + (α·σcopy)² + ((copy-base)·σα)² + (2·u·(|base| + |α|·(|base| + |copy|)))²
func unpack(c *call) ([][]float64, error) {
	op, base, tiles := c.node.Op.(graph.TileUnpackFusion), c.in[0], c.in[1]
	s := base.Shape()
	value, spread := append([]float64(nil), base.floats()...), make([]float64, base.Len())
	for i := range spread {
		spread[i] = base.spread(i)
	}
	forTiles(s, c.in[2].Tensor, tiles.Shape()[4], func(packed, at int) {
		v, t := tiles.floats()[packed], tiles.spread(packed)
		if op.Blend {
			blended := (1-op.BlendAlpha)*value[at] + op.BlendAlpha*v
			t = root((1-op.BlendAlpha)*spread[at], op.BlendAlpha*t, 2*Unit*(math.Abs(value[at])+math.Abs(v)))
			v = blended
		}
		value[at], spread[at] = v, t
	})
	if len(c.in) < 4 || c.in[3].Tensor == nil {
		return [][]float64{spread}, nil
	}
	plane := s[2] * s[3]
	return c.each(func(i int, _ float64) float64 {
		at := i/(s[1]*plane)*plane + i%plane
		alpha, from := c.in[3].floats()[at], base.floats()[i]
		if value[i] == from && spread[i] == base.spread(i) {
			return base.spread(i) // no tile covers the cell: nothing is computed
		}
		return root((1-alpha)*base.spread(i), alpha*spread[i], (value[i]-from)*c.in[3].spread(at), 2*Unit*(math.Abs(from)+math.Abs(alpha)*(math.Abs(from)+math.Abs(value[i]))))
	})
}
