package kernel

// panelTiles are the tiles of a panel, in the order of the image: one lane each.
type panelTiles struct {
	runs [maxLanes]tileRun
	n    int             // runs
	in   [maxLanes]int64 // where each lane's tile begins in a row of transformed pixels
	out  [maxLanes]int64 // where it begins in the output, or in the buffer of a panel
}

// A tileRun is a run of neighbouring tiles of a panel that lie in one row of tiles.
type tileRun struct {
	lane, n int // its lanes
	oy, ox  int // its first output pixel
}

// tilesOf returns the tiles of a panel. In a row of transformed pixels each run has two more pixels than its tiles are wide.
func (c *Winograd[T]) tilesOf(chunk int) (p panelTiles) {
	first, end := chunk*c.lanes, min((chunk+1)*c.lanes, c.tiles)
	for t := first; t < end; p.n++ {
		row, col := t/c.tilesX, t%c.tilesX
		r := tileRun{lane: t - first, n: min(end-t, c.tilesX-col), oy: row * winogradTile, ox: col * winogradTile}
		for i := range r.n {
			lane := r.lane + i
			p.in[lane] = int64(lane*winogradTile + 2*p.n)
			p.out[lane] = int64(lane * winogradTile)
			if c.whole {
				p.out[lane] = int64(r.oy*c.outW + r.ox + i*winogradTile)
			}
		}
		p.runs[p.n] = r
		t += r.n
	}
	return p
}

// transformInput computes Bᵀ·d·B for the channels [c0, c1) and the tiles of a panel: first along columns, on rows of pixels with the padding
// around them, then along rows, tile by tile.
func (c *Winograd[T]) transformInput(t *panelTiles, c0, c1 int, x []T, s *winogradScratch[T]) {
	clear(s.rows)
	clear(s.zeros)
	plane := c.shape.InH * c.shape.InW
	for ch := c0; ch < c1; ch++ {
		image := x[ch*plane : (ch+1)*plane]
		for i, r := range t.runs[:t.n] {
			c.transformRun(r, s.rows[r.lane*winogradTile+2*i:], image, s.zeros)
		}
		for lane := 0; lane < c.lanes; lane += winogradLanes {
			winogradColumns(s.values[ch*c.lanes+lane:], c.inC*c.lanes, s.rows, c.pitch, t.in[lane:lane+winogradLanes], c.isa)
		}
	}
}

// transformRun transforms the pixels of a run along columns. Where the padding is, dst stays as it is.
func (c *Winograd[T]) transformRun(r tileRun, dst, image, zeros []T) {
	s := &c.shape
	left := r.ox - s.PadL
	lo, hi := max(0, left), min(s.InW, left+r.n*winogradTile+2)
	if lo >= hi {
		return
	}
	var rows [winogradInput][]T
	for i := range rows {
		rows[i] = zeros
		if iy := r.oy - s.PadT + i; iy >= 0 && iy < s.InH {
			rows[i] = image[iy*s.InW+lo:]
		}
	}
	winogradRows(dst[lo-left:], c.pitch, &rows, hi-lo, c.isa)
}

// transformOutput computes Aᵀ·m·A + bias of one output channel, whose products are step elements apart.
func (c *Winograd[T]) transformOutput(t *panelTiles, y, products []T, step int, bias T, pixels []T) {
	dst, pitch := y, c.outW
	if !c.whole {
		dst, pitch = pixels, c.lanes*winogradTile
	}
	for lane := 0; lane < c.lanes; lane += winogradLanes {
		winogradOutput(dst, pitch, t.out[lane:lane+winogradLanes], products[lane:], step, bias, c.isa)
	}
	if c.whole {
		return
	}
	for _, r := range t.runs[:t.n] {
		width := min(r.n*winogradTile, c.outW-r.ox)
		for i := range min(winogradTile, c.outH-r.oy) {
			copy(y[(r.oy+i)*c.outW+r.ox:][:width], pixels[i*pitch+r.lane*winogradTile:])
		}
	}
}

// winogradRowsPortable writes Σ Bᵀ[j][i]·rows[i] of n pixels to row j of dst; rows of dst are pitch apart.
func winogradRowsPortable[T Float](dst []T, pitch int, rows *[winogradInput][]T, n int) {
	for x := range n {
		var d [winogradInput]T
		for i, row := range rows {
			d[i] = row[x]
		}
		for j, t := range analyse(&d) {
			dst[j*pitch+x] = t
		}
	}
}

// winogradColumnsPortable writes the 36 values of each of 8 tiles, step apart. Tile l has its six rows at list[l] of src, pitch apart.
func winogradColumnsPortable[T Float](dst []T, step int, src []T, pitch int, list []int64) {
	for l, at := range list {
		for i := range winogradInput {
			for j, t := range analyse((*[winogradInput]T)(src[int(at)+i*pitch:])) {
				dst[(i*winogradInput+j)*step+l] = t
			}
		}
	}
}

// winogradOutputPortable writes the 4×4 pixels of each of 8 tiles: tile l to four rows at list[l] of y, pitch apart. The products of a
// tile are step apart.
func winogradOutputPortable[T Float](y []T, pitch int, list []int64, products []T, step int, bias T) {
	for l, at := range list {
		var between [winogradTile][winogradInput]T
		for j := range winogradInput {
			var m [winogradInput]T
			for i := range m {
				m[i] = products[(i*winogradInput+j)*step+l]
			}
			for i, v := range synthesise(&m) {
				between[i][j] = v
			}
		}
		for i := range between {
			for k, v := range synthesise(&between[i]) {
				y[int(at)+i*pitch+k] = v + bias
			}
		}
	}
}

// The points ±√2 and ±√½ and their cubes, in the precision of the constants of the assembly.
const (
	pointA, pointB = 1.41421356237309504880, 0.70710678118654752440
	cubeA, cubeB   = 2 * pointA, pointB / 2
)

// analyse is Bᵀ·d. The conversions forbid fused multiply-adds, so that every architecture rounds alike.
func analyse[T Float](d *[winogradInput]T) [winogradInput]T {
	evenA, oddA := d[4]-T(0.5*d[2]), d[3]-T(0.5*d[1])
	evenB, oddB := d[4]-T(2*d[2]), d[3]-T(2*d[1])
	oddA, oddB = T(pointA*oddA), T(pointB*oddB)
	return [winogradInput]T{d[0] + d[4] - T(2.5*d[2]), evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, d[1] + d[5] - T(2.5*d[3])}
}

// synthesise is Aᵀ·m.
func synthesise[T Float](m *[winogradInput]T) [winogradTile]T {
	sumA, diffA, sumB, diffB := m[1]+m[2], m[1]-m[2], m[3]+m[4], m[3]-m[4]
	return [winogradTile]T{
		m[0] + (sumA + sumB), T(pointA*diffA) + T(pointB*diffB), T(2*sumA) + T(0.5*sumB), m[5] + T(cubeA*diffA) + T(cubeB*diffB),
	}
}
