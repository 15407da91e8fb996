package kernel

import (
	"fmt"
	"slices"
	"unsafe"
)

// Weights are the weights and biases of a convolution, packed for one instruction set. They serve inputs of any size.
type Weights[T Float] struct {
	product[T]
	inC, outC            int // per group
	groups               int
	kh, kw, taps         int // taps = kh·kw
	blockC               int // input channels in a k block
	weight               []T // [group][k block][row block][k][row]
	groupLen             int // elements of weight per group
	groupBias            []T // [group][padded rows], or empty
	flatWeight, flatBias []T // if a group has one channel: [channel][tap] and [channel], for vector code
}

// Conv is a convolution of inputs of one size. It may be used by several pools at once.
type Conv[T Float] struct {
	*Weights[T]
	shape       ConvShape
	outH, outW  int
	pixelBlocks int

	// gathered says that a task collects its output in scratch and copies it in runs of statBlock pixels. Tiles that are written straight
	// into distant rows cost a page and a cache set for each row.
	gathered bool

	spread    int      // distance of neighbouring lanes in the input for vector copies, or 0 if there are none
	masks     tapMasks // if spread > 0
	depthwise bool     // by vector code
}

// NewWeights packs a convolution's weight [OutC, InC/Groups, KH, KW] and bias [OutC] (or nil) for the given instruction set, or for the
// widest one that this machine supports. Of the shape only these five sizes count. It returns an error if they do not fit.
func NewWeights[T Float](s ConvShape, weight, bias []T, isa ISA) (*Weights[T], error) {
	s = s.withDefaults()
	if err := s.check(len(weight), len(bias)); err != nil {
		return nil, err
	}
	w := &Weights[T]{inC: s.InC / s.Groups, outC: s.OutC / s.Groups, groups: s.Groups, kh: s.KH, kw: s.KW, taps: s.KH * s.KW}
	w.engine = engineFor[T](supported(isa))
	w.plan = w.planRows(w.outC)
	depth := w.inC * w.taps
	w.blockC = ceilDiv(w.inC, max(1, min(w.inC, ceilDiv(depth, blockDepth))))
	w.pack(weight, bias)
	if w.inC == 1 && w.outC == 1 {
		w.flatWeight, w.flatBias = slices.Clone(weight), make([]T, s.OutC)
		copy(w.flatBias, bias)
	}
	return w, nil
}

func (w *Weights[T]) pack(weight, bias []T) {
	depth, padded := w.inC*w.taps, w.plan.padded()
	w.groupLen = padded * depth
	w.weight = make([]T, w.groups*w.groupLen)
	dst := w.weight
	for g := range w.groups {
		rows := weight[g*w.outC*depth:]
		for c0 := 0; c0 < w.inC; c0 += w.blockC {
			dst = packRows(dst, rows, w.plan, depth, c0*w.taps, min(c0+w.blockC, w.inC)*w.taps)
		}
	}
	if len(bias) == 0 {
		return
	}
	w.groupBias = make([]T, w.groups*padded)
	for g := range w.groups {
		copy(w.groupBias[g*padded:], bias[g*w.outC:(g+1)*w.outC])
	}
}

// Bytes returns the size of the packed weights and biases.
func (w *Weights[T]) Bytes() int {
	return (len(w.weight) + len(w.groupBias) + len(w.flatWeight) + len(w.flatBias)) * int(unsafe.Sizeof(T(0)))
}

// Conv returns the convolution of a shape, whose channels, kernel and groups must be those that the weights were packed for.
func (w *Weights[T]) Conv(s ConvShape) (*Conv[T], error) {
	s = s.withDefaults()
	if err := s.check(w.groups*w.outC*w.inC*w.taps, 0); err != nil {
		return nil, err
	}
	if s.Groups != w.groups || s.InC != w.inC*w.groups || s.KH != w.kh || s.KW != w.kw {
		return nil, fmt.Errorf("kernel: convolution %+v: its weights have %d groups of %d input channels and a kernel of %d×%d", s, w.groups, w.inC, w.kh, w.kw)
	}
	c := &Conv[T]{Weights: w, shape: s, outH: s.OutH(), outW: s.OutW()}
	c.pixelBlocks = ceilDiv(c.outH*c.outW, statBlock)
	c.gathered = c.pixelBlocks > 2
	if c.spread = c.vectorPanels(); c.spread > 0 {
		c.masks = newTapMasks(s, c.spread, int(unsafe.Sizeof(T(0))))
	}
	c.depthwise = c.depthwiseVector()
	return c, nil
}

// Shape returns the geometry, with strides and groups filled in.
func (c *Conv[T]) Shape() ConvShape { return c.shape }

// Bytes returns the size of the packed weights and biases.
func (c *Conv[T]) Bytes() int {
	return (len(c.weight) + len(c.groupBias) + len(c.flatWeight) + len(c.flatBias)) * int(unsafe.Sizeof(T(0)))
}

// ScratchLen returns the number of elements of scratch that Run needs on a pool of the given number of threads.
func (c *Conv[T]) ScratchLen(threads int) int { return threads * c.workerLen() }

// workerLen is the number of elements of scratch of one worker: a strip of panels, a tile, and perhaps the output of a task.
func (c *Conv[T]) workerLen() int {
	n := c.panelLen(stripPanels * c.blockC * c.taps)
	if c.gathered {
		n += c.outC * statBlock
	}
	return n
}

// Run computes y = conv(x) + bias. x is [Batch, InC, InH, InW], y is [Batch, OutC, OutH, OutW] and must not overlap x or scratch;
// scratch has at least ScratchLen(p.Threads()) elements. A padded input is zero and is multiplied like any other. If stats is not nil,
// it must have the output's size and receives the output's moments, the same as Moments computes. Run panics if a slice is too short.
func (c *Conv[T]) Run(p *Pool, x, y, scratch []T, stats *Stats) {
	s := &c.shape
	x, y, scratch = x[:s.Batch*s.InC*s.InH*s.InW], y[:s.Batch*s.OutC*c.outH*c.outW], scratch[:c.ScratchLen(p.threads)]
	if c.depthwise {
		c.runDepthwise(p, x, y, stats)
		return
	}
	j := convJob[T]{Conv: c, x: x, y: y, scratch: scratch, stats: stats}
	j.parts, j.partBlocks = splitRows(s.Batch*s.Groups*c.pixelBlocks, c.plan.blocks(), p.threads)
	run(p, s.Batch*s.Groups*c.pixelBlocks*j.parts, j)
}

// splitRows divides row blocks into the fewest parts that occupy all threads: until the tasks are a multiple of the threads, or so many
// that their remainder hardly matters. Every part packs its own panels.
func splitRows(tasks, blocks, threads int) (parts, partBlocks int) {
	const enough = 3 // tasks per thread
	parts = 1
	for parts < blocks && tasks*parts < enough*threads && tasks*parts%threads != 0 {
		parts++
	}
	partBlocks = ceilDiv(blocks, parts)
	return ceilDiv(blocks, partBlocks), partBlocks
}

type convJob[T Float] struct {
	*Conv[T]
	x, y, scratch     []T
	stats             *Stats
	parts, partBlocks int
}

// do computes one (sample, group, pixel block, part of the rows).
func (j *convJob[T]) do(worker, i int) {
	s := &j.shape
	part, i := i%j.parts, i/j.parts
	pixelBlock, i := i%j.pixelBlocks, i/j.pixelBlocks
	g, b := i%s.Groups, i/s.Groups
	blk0 := part * j.partBlocks
	blk1 := min(blk0+j.partBlocks, j.plan.blocks())

	size := j.outH * j.outW
	p0, p1 := pixelBlock*statBlock, min((pixelBlock+1)*statBlock, size)
	x := j.x[(b*s.InC+g*j.inC)*s.InH*s.InW:][:j.inC*s.InH*s.InW]
	y := j.y[(b*s.OutC+g*j.outC)*size:][:j.outC*size]
	scratch := j.scratch[worker*j.workerLen():][:j.workerLen()]
	out, pitch := y[p0:], size
	if j.gathered {
		out, pitch = scratch[j.workerLen()-j.outC*statBlock:], statBlock
	}
	j.pixels(g, blk0, blk1, p0, p1, x, out, pitch, scratch)

	for row := j.plan.start(blk0); row < min(j.plan.start(blk1), j.outC); row++ {
		pixels := out[row*pitch:][:p1-p0]
		if j.gathered {
			copy(y[row*size+p0:], pixels)
		}
		if j.stats != nil {
			record(j.stats, b, g*j.outC+row, pixelBlock, pixels)
		}
	}
}

// pixels computes the row blocks [blk0, blk1) of group g for the output pixels [p0, p1) of one sample. The output of row 0 and pixel p0
// is out[0], and rows are pitch apart.
func (j *convJob[T]) pixels(g, blk0, blk1, p0, p1 int, x, out []T, pitch int, scratch []T) {
	padded := j.plan.padded()
	m := product[T]{engine: j.engine, plan: j.plan}
	if len(j.groupBias) > 0 {
		m.bias = j.groupBias[g*padded:][:padded]
	}
	weight := j.weight[g*j.groupLen:]
	panels, edge := scratch[:stripPanels*j.blockC*j.taps*j.lanes], scratch[stripPanels*j.blockC*j.taps*j.lanes:]
	for c0 := 0; c0 < j.inC; c0 += j.blockC {
		c1 := min(c0+j.blockC, j.inC)
		k := (c1 - c0) * j.taps
		for strip := p0; strip < p1; strip += stripPanels * j.lanes {
			end := min(strip+stripPanels*j.lanes, p1)
			j.packPanels(panels, x, c0, c1, strip, end)
			for p := strip; p < end; p += j.lanes {
				panel := panels[(p-strip)*k:][:k*j.lanes]
				m.multiply(blk0, blk1, k, weight, panel, out[p-p0:], pitch, min(j.lanes, end-p), c0 == 0, c1 == j.inC, edge)
			}
		}
		weight = weight[padded*k:]
	}
}
