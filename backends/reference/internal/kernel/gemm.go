package kernel

// tile is the micro-kernel of one block height: for each of `blocks` consecutive blocks of R rows, it computes
// c[r][l] = Σ_k a[k][r]·b[k][l] (+ c[r][l] if accumulate is set) (+ bias[r]), the sum over k from zero. a holds the blocks one
// after the other, each [k][R]; b is a panel [k][lanes]; rows of c are ldc elements apart; bias is nil or has one value per row.
type tile[T Float] func(blocks, k int, a, b, c *T, ldc int, bias *T, accumulate bool)

// blockDepth is the length of a k block. Sums are taken block by block, so that no chain of roundings is longer than a block and then
// the number of blocks: at k = 864 this has a third of the error of one chain, for 5 % of the time. It is the same for every engine,
// because the order of additions is part of the result.
const blockDepth = 64

// An engine is what the drivers need to know of an instruction set.
type engine[T Float] struct {
	isa       ISA
	lanes     int // width of a panel
	tall, low int // rows of the two kinds of blocks
	mulTall   tile[T]
	mulLow    tile[T]
}

// engineFor returns the engine of a supported instruction set.
func engineFor[T Float](isa ISA) engine[T] {
	for _, e := range engines {
		if e, ok := e.(engine[T]); ok && e.isa == isa {
			return e
		}
	}
	panic("kernel: no engine for " + isa.String())
}

// engines lists the engines of this build, each an engine[float32] or an engine[float64].
var engines = append([]any{portableEngine[float32](), portableEngine[float64]()}, vectorEngines...)

func portableEngine[T Float]() engine[T] {
	return engine[T]{
		isa: Portable, lanes: portableLanes, tall: portableRows, low: portableRows,
		mulTall: mulPortable[T], mulLow: mulPortable[T],
	}
}

// maxLanes is the width of the widest panel of any engine.
const maxLanes = 32

// rowPlan divides rows into blocks: first those of height tall, then those of height low. The last one may reach past the rows; the
// weights there are zero.
type rowPlan struct{ rows, tall, low, nTall, nLow int }

// planRows chooses the division with the fewest surplus rows and, among those, the most tall blocks.
func (e *engine[T]) planRows(rows int) rowPlan {
	best := rowPlan{rows: rows, tall: e.tall, low: e.low, nTall: ceilDiv(rows, e.tall)}
	if e.low == e.tall {
		return best
	}
	for nLow := 1; nLow <= e.tall && (nLow-1)*e.low < rows; nLow++ {
		p := rowPlan{rows: rows, tall: e.tall, low: e.low, nTall: ceilDiv(max(0, rows-nLow*e.low), e.tall), nLow: nLow}
		if p.padded() < best.padded() {
			best = p
		}
	}
	return best
}

func (p rowPlan) blocks() int { return p.nTall + p.nLow }

// padded is the number of rows of all blocks together.
func (p rowPlan) padded() int { return p.nTall*p.tall + p.nLow*p.low }

// start is the first row of block i, and for i = blocks() the end of the last one.
func (p rowPlan) start(i int) int {
	if i <= p.nTall {
		return i * p.tall
	}
	return p.nTall*p.tall + (i-p.nTall)*p.low
}

// packRows writes the columns [k0, k1) of a row-major matrix with the given row length into dst, block after block, each
// [k][height], and returns what is left of dst.
func packRows[T Float](dst, a []T, p rowPlan, stride, k0, k1 int) []T {
	return packBlocks(dst, a, p, 0, p.blocks(), stride, k0, k1)
}

// packBlocks is packRows for the blocks [blk0, blk1).
func packBlocks[T Float](dst, a []T, p rowPlan, blk0, blk1, stride, k0, k1 int) []T {
	for blk := blk0; blk < blk1; blk++ {
		first, end := p.start(blk), p.start(blk+1)
		height := end - first
		for r := range height {
			if first+r >= p.rows {
				for k := range k1 - k0 {
					dst[k*height+r] = 0
				}
				continue
			}
			row := a[(first+r)*stride+k0 : (first+r)*stride+k1]
			for k, v := range row {
				dst[k*height+r] = v
			}
		}
		dst = dst[height*(k1-k0):]
	}
	return dst
}

// A product multiplies packed rows by panels.
type product[T Float] struct {
	engine[T]
	plan rowPlan
	bias []T // one value per padded row, or empty
}

// panelLen is the number of elements of scratch that a worker needs for a panel of the given depth and the tile at an edge.
func (e *engine[T]) panelLen(depth int) int { return (depth + e.tall) * e.lanes }

// multiply computes the blocks [blk0, blk1) of rows for one panel. a holds the packed rows of this k block, starting at block 0; c
// starts at the output of row 0 and of the panel's first lane, of which only `valid` lanes are written. The bias is added if last.
func (m *product[T]) multiply(blk0, blk1, k int, a, panel, c []T, ldc, valid int, first, last bool, edge []T) {
	whole := m.plan.blocks()
	if m.plan.padded() > m.plan.rows {
		whole-- // the last block reaches past the output
	}
	if valid < m.lanes {
		whole = 0
	}
	for blk := blk0; blk < blk1; {
		mul, run := m.mulTall, min(blk1, m.plan.nTall)-blk
		if blk >= m.plan.nTall {
			mul, run = m.mulLow, blk1-blk
		}
		row := m.plan.start(blk)
		var bias *T
		if last && len(m.bias) > 0 {
			bias = &m.bias[row]
		}
		if run = min(run, whole-blk); run > 0 {
			mul(run, k, &a[row*k], &panel[0], &c[row*ldc], ldc, bias, !first)
			blk += run
			continue
		}
		m.multiplyEdge(mul, row, m.plan.start(blk+1)-row, k, &a[row*k], &panel[0], c, ldc, valid, bias, first, edge)
		blk++
	}
}

// multiplyEdge computes one block through a buffer, because a whole tile would be written outside the output.
func (m *product[T]) multiplyEdge(mul tile[T], row, height, k int, a, panel *T, c []T, ldc, valid int, bias *T, first bool, edge []T) {
	rows := min(height, m.plan.rows-row)
	if !first {
		for r := range rows {
			copy(edge[r*m.lanes:], c[(row+r)*ldc:][:valid])
		}
	}
	mul(1, k, a, panel, &edge[0], m.lanes, bias, !first)
	for r := range rows {
		copy(c[(row+r)*ldc:][:valid], edge[r*m.lanes:])
	}
}
