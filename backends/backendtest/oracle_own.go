package backendtest

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// evaluateOwn computes the operators of the domain "apexx" from their doc comments.
func evaluateOwn(op graph.Op, in, out []*tensor.Tensor) error {
	switch op := op.(type) {
	case graph.TileAggregate:
		aggregate(op, in[0], out[0])
	case graph.GreedySelect:
		k := in[0].Shape()[1]
		for b := range in[0].Shape()[0] {
			copy(ints(out[0])[b*op.Count:], ranked(f64(in[0])[b*k:(b+1)*k], nil)[:op.Count])
		}
	case graph.SplitSelect:
		splitSelect(op, in, out[0])
	case graph.TileOrder:
		return tileOrder(op, in[0], out[0])
	case graph.TilePack:
		forTiles(in[0].Shape(), in[1], op.Tile, func(b, k, c, i, j, at int) {
			n := in[1].Shape()[1]
			f64(out[0])[(((b*n+k)*in[0].Shape()[1]+c)*op.Tile+i)*op.Tile+j] = f64(in[0])[at]
		})
	case graph.TileSSMScan:
		scan(op, in, out)
	case graph.TileUnpackFusion:
		unpack(op, in, out[0])
	case graph.SelectDetections:
		selectDetections(op, in, out)
	case graph.DecodeBoxes:
		decodeBoxes(op, in, out)
	case graph.RoiMeanPool:
		roiMeanPool(op, in, out[0])
	case graph.BoxMask:
		boxMask(op, in, out)
	case graph.Round:
		if op.To.Scaled() {
			roundScaled(op, in[0], in[1], out[0])
			return nil
		}
		l, err := op.To.Layout()
		for i, x := range f64(in[0]) {
			f64(out[0])[i] = round(x, l)
		}
		return err
	default:
		return fmt.Errorf("no oracle for %T", op)
	}
	return nil
}

func window(tile, side, size, feature int) (low, high int) {
	low = min(max(tile*side*size/feature, 0), size-1)
	high = ((tile+1)*side*size + feature - 1) / feature
	return low, min(max(high, low+1), size)
}

func aggregate(op graph.TileAggregate, x, out *tensor.Tensor) {
	s, gw := x.Shape(), op.FeatureWidth/op.Tile
	k := op.FeatureHeight / op.Tile * gw
	for b := range s[0] {
		for m := range s[1] {
			for tile := range k {
				y0, y1 := window(tile/gw, op.Tile, s[2], op.FeatureHeight)
				x0, x1 := window(tile%gw, op.Tile, s[3], op.FeatureWidth)
				var cells []float64
				for y := y0; y < y1; y++ {
					row := ((b*s[1]+m)*s[2] + y) * s[3]
					cells = append(cells, f64(x)[row+x0:row+x1]...)
				}
				mean, top, variance := 0.0, math.Inf(-1), 0.0
				for _, v := range cells {
					mean += v / float64(len(cells))
					top = maxNaN(top, v)
				}
				for _, v := range cells {
					variance += (v - mean) * (v - mean) / float64(len(cells))
				}
				copy(f64(out)[(b*k+tile)*3*s[1]+3*m:], []float64{mean, top, variance})
			}
		}
	}
}

// ranked returns ids by descending score, ties by ascending id, NaN as -Inf; nil ids means all.
func ranked(scores []float64, ids []int64) []int64 {
	if ids == nil {
		for i := range scores {
			ids = append(ids, int64(i))
		}
	}
	ids = slices.Clone(ids)
	score := func(id int64) float64 {
		if math.IsNaN(scores[id]) {
			return math.Inf(-1)
		}
		return scores[id]
	}
	slices.SortFunc(ids, func(a, b int64) int {
		return cmp.Or(cmp.Compare(score(b), score(a)), cmp.Compare(a, b))
	})
	return ids
}

func splitSelect(op graph.SplitSelect, in []*tensor.Tensor, out *tensor.Tensor) {
	all, k := op.GridHeight*op.GridWidth, in[1].Shape()[1]
	for b := range in[0].Shape()[0] {
		parents := ranked(f64(in[0])[b*all:(b+1)*all], ints(in[1])[b*k:(b+1)*k])[:op.Count]
		for i, p := range parents {
			y, x, w := 2*(int(p)/op.GridWidth), 2*(int(p)%op.GridWidth), 2*op.GridWidth
			for j, child := range []int{y*w + x, y*w + x + 1, (y+1)*w + x, (y+1)*w + x + 1} {
				ints(out)[b*4*op.Count+4*i+j] = int64(child)
			}
		}
	}
}

// hilbert is the distance of cell (x, y) along the curve of an n×n square, by the recursive picture of the curve.
func hilbert(x, y, n int) int {
	if n <= 1 {
		return 0
	}
	m := n / 2
	switch {
	case x < m && y < m: // transposed
		return hilbert(y, x, m)
	case x < m:
		return m*m + hilbert(x, y-m, m)
	case y >= m:
		return 2*m*m + hilbert(x-m, y-m, m)
	default: // mirrored on the antidiagonal
		return 3*m*m + hilbert(m-1-y, n-1-x, m)
	}
}

func tileOrder(op graph.TileOrder, in, out *tensor.Tensor) error {
	h, w, side := op.GridHeight, op.GridWidth, 1
	for side < max(h, w) {
		side *= 2
	}
	key := func(id int64) int {
		y, x := int(id)/w, int(id)%w
		switch op.Mode {
		case "hilbert":
			return hilbert(x, y, side)
		case "l2r":
			return y*w + x
		case "r2l":
			return y*w + w - 1 - x
		case "u2d":
			return x*h + y
		case "d2u":
			return x*h + h - 1 - y
		}
		return y*w + x*h // multi_direction
	}
	k := in.Shape()[1]
	copy(ints(out), ints(in))
	for b := range in.Shape()[0] {
		slices.SortStableFunc(ints(out)[b*k:(b+1)*k], func(a, b int64) int { return cmp.Compare(key(a), key(b)) })
	}
	return nil
}

// forTiles visits every cell of every listed tile with its place in the map.
func forTiles(s []int, ids *tensor.Tensor, side int, visit func(b, k, c, i, j, at int)) {
	n, gw := ids.Shape()[1], s[3]/side
	for b := range s[0] {
		for k := range n {
			id := int(ints(ids)[b*n+k])
			for c := range s[1] {
				for i := range side {
					for j := range side {
						visit(b, k, c, i, j, ((b*s[1]+c)*s[2]+id/gw*side+i)*s[3]+id%gw*side+j)
					}
				}
			}
		}
	}
}

func scan(op graph.TileSSMScan, in, out []*tensor.Tensor) {
	s := in[0].Shape()
	for b := range s[0] {
		for c := range s[2] {
			d := clip(f64(in[1])[c], 1e-6, 1-1e-6)
			state := 0.0
			for step := range s[1] {
				k := step
				if op.Backward {
					k = s[1] - 1 - step
				}
				at := (b*s[1]+k)*s[2] + c
				x := clip(f64(in[0])[at], -op.Clamp, op.Clamp)
				if math.IsNaN(x) {
					x = 0
				}
				state = d*state + (1-d)*(f64(in[2])[c]*x+f64(in[4])[c])
				f64(out[0])[at] = f64(in[3])[c] * state
			}
			f64(out[1])[b*s[2]+c] = state
		}
	}
}

func unpack(op graph.TileUnpackFusion, in []*tensor.Tensor, out *tensor.Tensor) {
	s, side := in[0].Shape(), in[1].Shape()[4]
	copy(f64(out), f64(in[0]))
	n := in[2].Shape()[1]
	forTiles(s, in[2], side, func(b, k, c, i, j, at int) {
		v := f64(in[1])[(((b*n+k)*s[1]+c)*side+i)*side+j]
		if op.Blend {
			v = (1-op.BlendAlpha)*f64(out)[at] + op.BlendAlpha*v
		}
		f64(out)[at] = v
	})
	if len(in) < 4 || in[3] == nil {
		return
	}
	for i, base := range f64(in[0]) {
		alpha := f64(in[3])[i/(s[1]*s[2]*s[3])*s[2]*s[3]+i%(s[2]*s[3])]
		f64(out)[i] = base + alpha*(f64(out)[i]-base)
	}
}

// candidate is one (anchor, class) pair.
type candidate struct {
	box         [4]float64
	score       float64
	pair, class int64
}

// pairs lists the pairs of a sample with their scores and boxes, level by level, anchor-major.
func pairs(strides []int, imageH, imageW, b int, in []*tensor.Tensor) (byLevel [][]candidate) {
	next := int64(0)
	for l, stride := range strides {
		cls, box, quality := in[l], in[len(strides)+l], in[2*len(strides)+l]
		s := cls.Shape()
		cells := s[2] * s[3]
		var found []candidate
		for a := range cells {
			cx, cy := (float64(a%s[3])+0.5)*float64(stride), (float64(a/s[3])+0.5)*float64(stride)
			var d [4]float64
			for i := range d {
				d[i] = softplus(clip(f64(box)[(b*4+i)*cells+a], -20, 20)) * float64(stride)
			}
			w, h := float64(imageW), float64(imageH)
			at := [4]float64{clip(cx-d[0], 0, w), clip(cy-d[1], 0, h), clip(cx+d[2], 0, w), clip(cy+d[3], 0, h)}
			for c := range s[1] {
				score := sigmoid(f64(cls)[(b*s[1]+c)*cells+a]) * sigmoid(f64(quality)[b*cells+a])
				found = append(found, candidate{at, score, next, int64(c)})
				next++
			}
		}
		byLevel = append(byLevel, found)
	}
	return byLevel
}

func selectDetections(op graph.SelectDetections, in, out []*tensor.Tensor) {
	better := func(a, b candidate) int { return cmp.Compare(b.score, a.score) }
	for b := range in[0].Shape()[0] {
		var all []candidate
		for _, level := range pairs(op.Strides, op.ImageHeight, op.ImageWidth, b, in) {
			level = slices.DeleteFunc(level, func(c candidate) bool {
				return !(c.score >= float64(op.ScoreThreshold)) || slices.ContainsFunc(c.box[:], math.IsNaN)
			})
			slices.SortStableFunc(level, better)
			all = append(all, level[:min(len(level), op.PreNMSTopK)]...)
		}
		kept := suppress(all, float64(op.IoUThreshold))
		slices.SortStableFunc(kept, better)
		kept = kept[:min(len(kept), op.MaxDetections)]
		for i, c := range kept {
			ints(out[0])[b*op.MaxDetections+i] = c.pair
		}
		ints(out[1])[b] = int64(len(kept))
	}
}

func decodeBoxes(op graph.DecodeBoxes, in, out []*tensor.Tensor) {
	predictions := 3 * len(op.Strides)
	kept, count := in[predictions], ints(in[predictions+1])
	n := kept.Shape()[1]
	for b := range kept.Shape()[0] {
		all := slices.Concat(pairs(op.Strides, op.ImageHeight, op.ImageWidth, b, in)...)
		for i := range n {
			row := b*n + i
			ints(out[2])[row] = -1
			if i < int(count[b]) {
				c := all[ints(kept)[row]]
				copy(f64(out[0])[4*row:], c.box[:])
				f64(out[1])[row], ints(out[2])[row] = c.score, c.class
			}
		}
	}
}

// suppress returns the survivors in the order of the candidates.
func suppress(all []candidate, threshold float64) []candidate {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return cmp.Compare(all[j].score, all[i].score) })
	kept := map[int]bool{}
	for _, i := range order {
		free := true
		for j := range kept {
			free = free && (all[j].class != all[i].class || iou(all[i].box, all[j].box) <= threshold)
		}
		if free {
			kept[i] = true
		}
	}
	var out []candidate
	for i := range all {
		if kept[i] {
			out = append(out, all[i])
		}
	}
	return out
}

func iou(a, b [4]float64) float64 {
	side := func(x, y float64) float64 { return math.Max(0, y-x) }
	inter := side(math.Max(a[0], b[0]), math.Min(a[2], b[2])) * side(math.Max(a[1], b[1]), math.Min(a[3], b[3]))
	union := side(a[0], a[2])*side(a[1], a[3]) + side(b[0], b[2])*side(b[1], b[3]) - inter
	return inter / math.Max(union, 1e-9)
}

// cells projects a box to a grid and returns the ranges that it touches.
func cells(box []float64, imageH, imageW, h, w int) (x0, x1, y0, y1 int) {
	along := func(a, b float64, image, size int) (int, int) {
		scale := float64(float32(size) / float32(image))
		low, high := clip(math.Min(a, b)*scale, 0, float64(size)), clip(math.Max(a, b)*scale, 0, float64(size))
		return int(math.Floor(low)), int(math.Ceil(high))
	}
	x0, x1 = along(box[0], box[2], imageW, w)
	y0, y1 = along(box[1], box[3], imageH, h)
	return x0, x1, y0, y1
}

func roiMeanPool(op graph.RoiMeanPool, in []*tensor.Tensor, out *tensor.Tensor) {
	s, n := in[0].Shape(), in[1].Shape()[1]
	for r := range s[0] * n {
		x0, x1, y0, y1 := cells(f64(in[1])[4*r:4*r+4], op.ImageHeight, op.ImageWidth, s[2], s[3])
		if x1 <= x0 || y1 <= y0 {
			continue
		}
		for c := range s[1] {
			sum := 0.0
			for y := y0; y < y1; y++ {
				for x := x0; x < x1; x++ {
					sum += f64(in[0])[((r/n*s[1]+c)*s[2]+y)*s[3]+x]
				}
			}
			f64(out)[r*s[1]+c] = sum / float64((x1-x0)*(y1-y0))
		}
	}
}

func boxMask(op graph.BoxMask, in, out []*tensor.Tensor) {
	s := in[0].Shape()
	for r := range s[0] * s[1] {
		x0, x1, y0, y1 := cells(f64(in[1])[4*r:4*r+4], op.ImageHeight, op.ImageWidth, s[2], s[3])
		sum, count := 0.0, 0
		for i := range s[2] * s[3] {
			at := r*s[2]*s[3] + i
			y, x := i/s[3], i%s[3]
			if x < x0 || x >= x1 || y < y0 || y >= y1 {
				f64(out[0])[at] = op.Fill
				continue
			}
			f64(out[0])[at] = f64(in[0])[at]
			sum += sigmoid(f64(in[0])[at])
			count++
		}
		f64(out[1])[r] = sum / math.Max(float64(count), 1)
	}
}

func round(x float64, l graph.Layout) float64 {
	if x == 0 || math.IsNaN(x) || math.IsInf(x, 0) {
		return x
	}
	_, e := math.Frexp(x) // |x| = f·2^e with f in [0.5, 1)
	quantum := math.Ldexp(1, max(e-1, l.MinExponent)-l.Significand+1)
	y := math.RoundToEven(x/quantum) * quantum
	if math.Abs(y) > math.Ldexp(2-math.Ldexp(1, 1-l.Significand), l.MaxExponent) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return math.Copysign(y, x)
}

func roundScaled(op graph.Round, x, scale, out *tensor.Tensor) {
	inner, count := op.Slices(x.Shape(), scale.Shape())
	least, largest := op.To.Limits()
	for i, v := range f64(x) {
		s := f64(scale)[i/inner%count]
		q := math.Min(math.Max(v/s, least), largest)
		if op.To == graph.INT8 {
			q = math.RoundToEven(q) + 0 // no -0
		} else {
			q = round(q, graph.E4M3)
		}
		f64(out)[i] = q * s
	}
}
