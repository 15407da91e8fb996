package kernel

// MatMulScratchLen returns the number of elements of scratch that MatMul needs for the given sizes on a pool of the given number of
// threads.
func MatMulScratchLen[T Float](batch, m, k, n, threads int, isa ISA) int {
	e := engineFor[T](supported(isa))
	return batch*e.planRows(m).padded()*k + threads*e.panelLen(min(k, blockDepth))
}

// MatMul computes y[i] = a[i]·b[i] (+ bias) for i in [0, batch): a is [batch, m, k], b is [batch, k, n], or [batch, n, k] if transB is
// set, y is [batch, m, n] and must not overlap the others; bias is nil or [n] and is added to every row. scratch has at least
// MatMulScratchLen elements; MatMul allocates if it is shorter.
func MatMul[T Float](p *Pool, a, b, y []T, batch, m, k, n int, transB bool, bias []T, isa ISA, scratch []T) {
	if batch*m*n == 0 {
		return
	}
	if k == 0 {
		clear(y[:batch*m*n])
		addBias(y[:batch*m*n], bias, n, 0, n)
		return
	}
	if want := MatMulScratchLen[T](batch, m, k, n, p.threads, isa); len(scratch) < want {
		scratch = make([]T, want)
	}
	e := engineFor[T](supported(isa))
	j := matmulJob[T]{a: a, b: b, y: y, colBias: bias, m: m, k: k, n: n, transB: transB}
	j.product = product[T]{engine: e, plan: e.planRows(m)}
	packed := batch * j.plan.padded() * k
	j.packed, j.panels = scratch[:packed], scratch[packed:]
	j.columnBlocks = ceilDiv(n, statBlock)
	j.parts, j.partBlocks = splitRows(batch*j.columnBlocks, j.plan.blocks(), p.threads)
	for i := range batch {
		dst := j.packed[i*j.plan.padded()*k:]
		for k0 := 0; k0 < k; k0 += blockDepth {
			dst = packRows(dst, a[i*m*k:], j.plan, k, k0, min(k0+blockDepth, k))
		}
	}
	run(p, batch*j.columnBlocks*j.parts, j)
}

// addBias adds bias[j] to the columns [n0, n1) of every row of y.
func addBias[T Float](y, bias []T, n, n0, n1 int) {
	if len(bias) == 0 {
		return
	}
	for ; len(y) >= n; y = y[n:] {
		for j := n0; j < n1; j++ {
			y[j] += bias[j]
		}
	}
}

type matmulJob[T Float] struct {
	product[T]
	a, b, y, colBias  []T
	packed, panels    []T
	m, k, n           int
	transB            bool
	columnBlocks      int
	parts, partBlocks int
}

// do computes one (matrix, block of columns, part of the rows).
func (j *matmulJob[T]) do(worker, i int) {
	part, i := i%j.parts, i/j.parts
	colBlock, i := i%j.columnBlocks, i/j.columnBlocks
	blk0 := part * j.partBlocks
	blk1 := min(blk0+j.partBlocks, j.plan.blocks())
	n0, n1 := colBlock*statBlock, min((colBlock+1)*statBlock, j.n)

	b, y := j.b[i*j.k*j.n:][:j.k*j.n], j.y[i*j.m*j.n:][:j.m*j.n]
	a := j.packed[i*j.plan.padded()*j.k:]
	depth := min(j.k, blockDepth)
	scratch := j.panels[worker*j.panelLen(depth):]
	for k0 := 0; k0 < j.k; k0 += depth {
		k1 := min(k0+depth, j.k)
		panel, edge := scratch[:(k1-k0)*j.lanes], scratch[depth*j.lanes:]
		for c := n0; c < n1; c += j.lanes {
			valid := min(j.lanes, n1-c)
			j.packColumns(panel, b, k0, k1, c, valid)
			j.multiply(blk0, blk1, k1-k0, a, panel, y[c:], j.n, valid, k0 == 0, k1 == j.k, edge)
		}
		a = a[j.plan.padded()*(k1-k0):]
	}
	first, end := j.plan.start(blk0), min(j.plan.start(blk1), j.m)
	addBias(y[first*j.n:end*j.n], j.colBias, j.n, n0, n1)
}

// packColumns writes the panel [k0..k1][lanes] of the columns c to c+valid of b; other lanes are 0.
func (j *matmulJob[T]) packColumns(panel, b []T, k0, k1, c, valid int) {
	for k := k0; k < k1; k++ {
		dst := panel[(k-k0)*j.lanes:][:j.lanes]
		if !j.transB {
			clear(dst[copy(dst, b[k*j.n+c:][:valid]):])
			continue
		}
		for l := range valid {
			dst[l] = b[(c+l)*j.k+k]
		}
		clear(dst[valid:])
	}
}
