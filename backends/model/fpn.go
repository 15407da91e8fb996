package model

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
)

// pyramid holds the fused maps by level, P3 first; all have the same number of channels.
type pyramid []value

// levelNames are the levels of the detection pyramid, at strides 8 to 128.
var levelNames = []string{"P3", "P4", "P5", "P6", "P7"}

// fpn adds DualPathFPN: the coarse maps flow down by nearest-neighbour upsampling, the heavy features join at P3
// (spec/model.md 3.15).
func (b *builder) fpn(f pvFeatures, heavy value) pyramid {
	lateral := func(name string, x value) value {
		return b.conv("fpn."+name+"_lateral", "fpn."+name+"_lateral", x, 1, 1)
	}
	t5 := lateral("p5", f.p5)
	t4 := b.binary("fpn.p4_sum", graph.Add, lateral("p4", f.p4), b.nearest("fpn.p5_up", t5, f.p4.Dim(2), f.p4.Dim(3)))
	t3 := b.binary("fpn.p3_sum", graph.Add, lateral("p3", f.p3), b.nearest("fpn.p4_up", t4, f.p3.Dim(2), f.p3.Dim(3)))
	aligned := b.resize("fpn.ff_aligned", lateral("ff", heavy), f.p3.Dim(2), f.p3.Dim(3))
	t3 = b.binary("fpn.p3_ff_sum", graph.Add, t3, aligned)

	var out pyramid
	for i, x := range []value{t3, t4, t5} {
		out = append(out, b.tap(b.cheapBlock("fpn."+levelNames[i], fmt.Sprintf("fpn.p%d_smooth", i+3), x)))
	}
	return out
}

// nearest adds the legacy nearest-neighbour resize as two gathers: source = floor of a float32 product (spec/model.md 0.2).
func (b *builder) nearest(node string, x value, h, w int) value {
	axis := func(name string, in, out int) value {
		scale := float32(in) / float32(out)
		index := make([]int, out)
		for i := range index {
			index[i] = min(int(float32(i)*scale), in-1)
		}
		return b.ids(fmt.Sprintf("%s.%s", node, name), index, out)
	}
	rows := b.Add1(node+".by_row", graph.Gather{Axis: 2}, x, axis("rows", x.Dim(2), h))
	return b.Add1(node, graph.Gather{Axis: 3}, rows, axis("columns", x.Dim(3), w))
}
