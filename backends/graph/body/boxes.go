package body

import "github.com/apex-x/apexx/backends/graph"

// roiMeanPool: Σ over rows y and columns x of row(n,y)·column(n,x)·F(c,y,x), one product of matrices, over the number of
// cells. A feature that is not finite spoils its channel for every box of the sample, covered or not: 0·NaN is NaN.
func roiMeanPool(b *builder, o graph.RoiMeanPool, in []graph.Type) *Function {
	s, n := in[0].Shape, in[1].Shape[1]
	batch, channels, h, w := s[0], s[1], s[2], s[3]
	rows, columns := cells(b, b.in(1), h, w, o.ImageHeight, o.ImageWidth)
	rows, columns = b.cast(rows, onnxFloat), b.cast(columns, onnxFloat)

	mask := b.do("Mul", b.reshape(b.transpose(rows, 0, 2, 1), batch, h, 1, n), b.reshape(b.transpose(columns, 0, 2, 1), batch, 1, w, n))
	sum := b.do("MatMul", b.reshape(b.in(0), batch, channels, h*w), b.reshape(mask, batch, h*w, n))
	return b.finish(b.do("Div", b.transpose(sum, 0, 2, 1), area(b, rows, columns)))
}

// boxMask scores with products of matrices too: row · σ(masked logits) · column per box. Outside the box Fill stands in for
// logits, so that a NaN there does not reach the score.
func boxMask(b *builder, o graph.BoxMask, in []graph.Type) *Function {
	s := in[0].Shape
	batch, n, h, w := s[0], s[1], s[2], s[3]
	rows, columns := cells(b, b.in(1), h, w, o.ImageHeight, o.ImageWidth)
	inside := b.do("And", b.reshape(rows, batch, n, h, 1), b.reshape(columns, batch, n, 1, w))
	masked := b.do("Where", inside, b.in(0), b.float(o.Fill))

	rows, columns = b.cast(rows, onnxFloat), b.cast(columns, onnxFloat)
	perRow := b.do("MatMul", b.do("Sigmoid", masked), b.reshape(columns, batch, n, w, 1))
	sum := b.do("MatMul", b.reshape(rows, batch, n, 1, h), perRow)
	scores := b.do("Div", b.reshape(sum, batch, n, 1), area(b, rows, columns))
	return b.finish(masked, b.reshape(scores, batch, n))
}

// cells marks the rows [B,N,h] and the columns [B,N,w] of a map that boxes [B,N,4] in pixels of an image cover. A range
// that is empty after rounding marks nothing.
func cells(b *builder, boxes value, h, w, imageH, imageW int) (rows, columns value) {
	corner := b.split(boxes, 2, 1, 1, 1, 1) // x1, y1, x2, y2, [B,N,1] each
	return covered(b, corner[1], corner[3], h, imageH), covered(b, corner[0], corner[2], w, imageW)
}

// covered marks the cells [floor(low), ceil(high)) of an axis of the given size, of a range between the corners p and q.
func covered(b *builder, p, q value, size, image int) value {
	scale := b.float(float64(float32(size) / float32(image)))
	project := func(v value) value { return b.do("Clip", b.do("Mul", v, scale), b.float(0), b.float(float64(size))) }
	low := b.do("Floor", project(b.do("Min", p, q)))
	high := b.do("Ceil", project(b.do("Max", p, q)))
	cell := make([]float32, size)
	for i := range cell {
		cell[i] = float32(i)
	}
	i := constant(b, cell, size)
	return b.do("And", b.do("GreaterOrEqual", i, low), b.do("Less", i, high))
}

// area counts the cells of boxes, at least 1: [B,N,1].
func area(b *builder, rows, columns value) value {
	product := b.do("Mul", b.reduce("ReduceSum", rows, 2), b.reduce("ReduceSum", columns, 2))
	return b.do("Max", product, b.float(1))
}
