package budget

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// moved is the rule of operators that give a value another shape or name.
func moved(c *call) ([][]float64, error) { return [][]float64{c.in[0].Spread}, nil }

// movedAs is the rule of operators that copy elements. It lets the operator move the spreads as it moves the elements.
func (c *call) carried(move func(spread func(operand, i int) float64) [][]float64) ([][]float64, error) {
	for _, v := range c.in {
		if v.Tensor != nil && !v.exact() {
			return move(func(operand, i int) float64 { return c.in[operand].spread(i) }), nil
		}
	}
	return nil, nil
}

// along returns an axis counted from 0, and the products of the dimensions before and behind it.
func along(shape []int, axis int) (at, before, behind int) {
	if axis < 0 {
		axis += len(shape)
	}
	return axis, size(shape[:axis]), size(shape[axis+1:])
}

func concat(c *call) ([][]float64, error) {
	return c.carried(func(spread func(operand, i int) float64) [][]float64 {
		axis, before, behind := along(c.out[0].Shape(), c.node.Op.(graph.Concat).Axis)
		out := make([]float64, 0, c.out[0].Len())
		for b := range before {
			for j, v := range c.in {
				row := v.Shape()[axis] * behind
				for i := range row {
					out = append(out, spread(j, b*row+i))
				}
			}
		}
		return [][]float64{out}
	})
}

func split(c *call) ([][]float64, error) {
	return c.carried(func(spread func(operand, i int) float64) [][]float64 {
		axis, before, behind := along(c.in[0].Shape(), c.node.Op.(graph.Split).Axis)
		out, from := make([][]float64, len(c.out)), 0
		for range before {
			for j, v := range c.out {
				for range v.Shape()[axis] * behind {
					out[j] = append(out[j], spread(0, from))
					from++
				}
			}
		}
		return out
	})
}

func gather(c *call) ([][]float64, error) {
	return c.carried(func(spread func(operand, i int) float64) [][]float64 {
		axis, before, behind := along(c.in[0].Shape(), c.node.Op.(graph.Gather).Axis)
		length := c.in[0].Shape()[axis]
		out := make([]float64, 0, c.out[0].Len())
		for b := range before {
			for _, id := range tensor.Data[int64](c.in[1].Tensor) {
				for i := range behind {
					out = append(out, spread(0, (b*length+int(id))*behind+i))
				}
			}
		}
		return [][]float64{out}
	})
}

func tilePack(c *call) ([][]float64, error) {
	return c.carried(func(spread func(operand, i int) float64) [][]float64 {
		out := make([]float64, c.out[0].Len())
		forTiles(c.in[0].Shape(), c.in[1].Tensor, c.node.Op.(graph.TilePack).Tile, func(packed, at int) { out[packed] = spread(0, at) })
		return [][]float64{out}
	})
}

// forTiles visits the cells of the listed tiles in the order in which they are packed, with their place in the map.
func forTiles(s []int, ids *tensor.Tensor, side int, visit func(packed, at int)) {
	list, columns, packed := tensor.Data[int64](ids), s[3]/side, 0
	for i, id := range list {
		b := i / ids.Shape()[1]
		for ch := range s[1] {
			for cell := range side * side {
				y, x := int(id)/columns*side+cell/side, int(id)%columns*side+cell%side
				visit(packed, ((b*s[1]+ch)*s[2]+y)*s[3]+x)
				packed++
			}
		}
	}
}
