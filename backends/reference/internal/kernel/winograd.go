package kernel

import (
	"fmt"
	"math"
	"unsafe"
)

// Winograd's minimal filtering F(4×4, 3×3) computes 4×4 pixels of a 3×3 convolution with stride 1 from 36 products instead of 144 (Lavin
// and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016):
//
//	Y = Aᵀ·[ Σ_c (G·g_c·Gᵀ) ⊙ (Bᵀ·d_c·B) ]·A
//
// d is the 6×6 input of a tile, g a kernel. Here the interpolation points are 0, ±√2, ±√½ and ∞, whose error is less than half of that of
// the usual 0, ±1, ±2 and ∞. In one dimension, for a point p and q² = 1/p² the square of the others,
//
//	Bᵀd: d0 - 2.5·d2 + d4          p = 0       G: row (1, 0, 0)                 Aᵀ: column (1, 0, 0, 0)
//	     (d4 - q²·d2) ± p·(d3 - q²·d1)             (1, p, p²)/(2p²·(p² - q²))       (1, p, p², p³)
//	     d1 - 2.5·d3 + d5          ∞               (0, 0, 1)                        (0, 0, 0, 1)
//
// Kernels are transformed in float64 when they are packed. An input that is not finite makes all pixels of its tiles NaN.
const (
	winogradTile   = 4                             // output pixels of a tile per dimension
	winogradInput  = winogradTile + 2              // input pixels of a tile per dimension
	winogradPoints = winogradInput * winogradInput // products per tile
	winogradLanes  = 8                             // tiles that are transformed together
	winogradGroup  = 12                            // about as many output channels are multiplied and transformed together
	winogradDepth  = 24                            // length of a k block: the transforms enlarge rounding errors, so sums are shorter than blockDepth
)

// WinogradSuits tells whether Winograd's algorithm is faster for a shape than the direct sum. The answer depends on the size of a single
// image and on nothing else, so that a result does not depend on batch size, threads or instruction set. The products of whole panels,
// as wide as the widest, must outweigh the transforms, which cost as much as 8 channels.
func WinogradSuits(s ConvShape) bool {
	s = s.withDefaults()
	if !s.winograd() || s.Groups != 1 || min(s.InC, s.OutC) < 16 {
		return false
	}
	tiles := ceilDiv(s.OutH(), winogradTile) * ceilDiv(s.OutW(), winogradTile)
	filtered := ceilDiv(tiles, maxLanes) * maxLanes * winogradPoints * (s.InC + 8) * (s.OutC + 8)
	direct := s.OutH() * s.OutW() * s.KH * s.KW * s.InC * s.OutC
	return 4*filtered < 3*direct
}

// winograd tells whether F(4×4, 3×3) computes a shape's kernel and strides.
func (s ConvShape) winograd() bool { return s.KH == 3 && s.KW == 3 && s.StrideH == 1 && s.StrideW == 1 }

// WinogradWeights are the transformed weights and the biases of a 3×3 convolution with stride 1, packed for one instruction set. They
// serve inputs of any size.
type WinogradWeights[T Float] struct {
	engine[T]
	plan        rowPlan
	inC, outC   int
	blockC      int // input channels in a k block
	groupBlocks int // row blocks in a group
	weight      []T // [group][point][k block][row block][k][row]
	bias        []T // one value per output channel
}

// NewWinogradWeights transforms and packs a weight [OutC, InC, 3, 3] and a bias [OutC] (or nil). It returns an error if they do not fit.
func NewWinogradWeights[T Float](s ConvShape, weight, bias []T, isa ISA) (*WinogradWeights[T], error) {
	s = s.withDefaults()
	if err := s.check(len(weight), len(bias)); err != nil {
		return nil, err
	}
	if !s.winograd() || s.Groups != 1 {
		return nil, fmt.Errorf("kernel: convolution %+v: Winograd's algorithm takes kernels of 3×3, stride 1 and one group", s)
	}
	w := &WinogradWeights[T]{engine: engineFor[T](supported(isa)), inC: s.InC, outC: s.OutC, bias: make([]T, s.OutC)}
	w.plan = w.planRows(s.OutC)
	w.blockC = ceilDiv(s.InC, ceilDiv(s.InC, winogradDepth))
	w.groupBlocks = max(1, winogradGroup/w.tall)
	copy(w.bias, bias)
	w.pack(weight)
	return w, nil
}

func (w *WinogradWeights[T]) pack(weight []T) {
	size := w.outC * w.inC
	points := make([]T, winogradPoints*size)
	for i := range size {
		for p, v := range winogradKernel(weight[9*i : 9*i+9]) {
			points[p*size+i] = v
		}
	}
	w.weight = make([]T, winogradPoints*w.plan.padded()*w.inC)
	dst := w.weight
	for blk0 := 0; blk0 < w.plan.blocks(); blk0 += w.groupBlocks {
		blk1 := min(blk0+w.groupBlocks, w.plan.blocks())
		for p := range winogradPoints {
			for c0 := 0; c0 < w.inC; c0 += w.blockC {
				dst = packBlocks(dst, points[p*size:][:size], w.plan, blk0, blk1, w.inC, c0, min(c0+w.blockC, w.inC))
			}
		}
	}
}

// winogradKernel returns G·g·Gᵀ of a kernel g.
func winogradKernel[T Float](g []T) [winogradPoints]T {
	var rows [3][winogradInput]float64
	for i := range rows {
		rows[i] = kernelPoints(float64(g[3*i]), float64(g[3*i+1]), float64(g[3*i+2]))
	}
	var out [winogradPoints]T
	for j := range winogradInput {
		for i, v := range kernelPoints(rows[0][j], rows[1][j], rows[2][j]) {
			out[i*winogradInput+j] = T(v)
		}
	}
	return out
}

// kernelPoints is G·(a, b, c).
func kernelPoints(a, b, c float64) [winogradInput]float64 {
	p, q := math.Sqrt2, math.Sqrt2/2
	return [winogradInput]float64{
		a, (a + p*b + 2*c) / 6, (a - p*b + 2*c) / 6, (a + q*b + c/2) / -1.5, (a - q*b + c/2) / -1.5, c,
	}
}

// Bytes returns the size of the packed weights and biases.
func (w *WinogradWeights[T]) Bytes() int {
	return (len(w.weight) + len(w.bias)) * int(unsafe.Sizeof(T(0)))
}

// groups is the number of groups of row blocks.
func (w *WinogradWeights[T]) groups() int { return ceilDiv(w.plan.blocks(), w.groupBlocks) }

// Winograd is a convolution of inputs of one size by Winograd's algorithm. It may be used by several pools at once.
type Winograd[T Float] struct {
	*WinogradWeights[T]
	shape         ConvShape
	outH, outW    int
	tilesX, tiles int // of an image
	chunks        int // panels of tiles of an image
	chunksPerTask int
	ownsBlocks    bool // a task computes whole blocks of pixels, whose moments it takes
	whole         bool // every panel consists of whole tiles, which are written straight to the output
	pitch         int  // elements of a row of transformed pixels
}

// Conv returns the convolution of a shape, whose channels must be those that the weights were packed for.
func (w *WinogradWeights[T]) Conv(s ConvShape) (*Winograd[T], error) {
	s = s.withDefaults()
	if err := s.check(w.outC*w.inC*9, 0); err != nil {
		return nil, err
	}
	if s.InC != w.inC || s.OutC != w.outC || !s.winograd() || s.Groups != 1 {
		return nil, fmt.Errorf("kernel: convolution %+v: its weights were transformed for 3×3, stride 1 and %d input channels", s, w.inC)
	}
	c := &Winograd[T]{WinogradWeights: w, shape: s, outH: s.OutH(), outW: s.OutW(), chunksPerTask: 1}
	c.tilesX = ceilDiv(c.outW, winogradTile)
	c.tiles = c.tilesX * ceilDiv(c.outH, winogradTile)
	c.chunks = ceilDiv(c.tiles, c.lanes)
	c.whole = c.outH%winogradTile == 0 && c.outW%winogradTile == 0 && c.tiles%c.lanes == 0
	segments := c.lanes
	if c.tilesX > 0 {
		segments = min(c.lanes, ceilDiv(c.lanes-1, c.tilesX)+1)
	}
	c.pitch = c.lanes*winogradTile + 2*segments + 8
	c.alignTasks()
	return c, nil
}

// alignTasks makes the tasks whole blocks of pixels, if one or two panels are such.
func (c *Winograd[T]) alignTasks() {
	for n := 1; n <= 2 && c.whole; n++ {
		rows := n * c.lanes / max(1, c.tilesX)
		if rows*c.tilesX == n*c.lanes && rows*winogradTile*c.outW%statBlock == 0 && c.chunks%n == 0 {
			c.chunksPerTask, c.ownsBlocks = n, true
			return
		}
	}
}

// ScratchLen returns the number of elements of scratch that Run needs on a pool of the given number of threads.
func (c *Winograd[T]) ScratchLen(threads int) int { return threads * c.workerLen() }

// winogradScratch is the scratch of one worker.
type winogradScratch[T Float] struct {
	values   []T // [point][input channel][lane]
	products []T // [point][row of a group][lane]
	rows     []T // [6][pitch]: pixels transformed in one dimension
	zeros    []T // an input row outside the image
	pixels   []T // [4][lane][4]: output of a panel
}

func (c *Winograd[T]) workerLen() int {
	return winogradPoints*(c.inC+c.groupRows())*c.lanes + winogradInput*c.pitch + c.pitch + winogradTile*winogradTile*c.lanes
}

// groupRows is the largest number of rows in a group of row blocks.
func (c *Winograd[T]) groupRows() int { return c.groupBlocks * c.tall }

func (c *Winograd[T]) split(s []T) (out winogradScratch[T]) {
	take := func(n int) []T {
		part := s[:n:n]
		s = s[n:]
		return part
	}
	out.values, out.products = take(winogradPoints*c.inC*c.lanes), take(winogradPoints*c.groupRows()*c.lanes)
	out.rows, out.zeros, out.pixels = take(winogradInput*c.pitch), take(c.pitch), take(winogradTile*winogradTile*c.lanes)
	return out
}

// Run is what Conv.Run is, but for rounding.
func (c *Winograd[T]) Run(p *Pool, x, y, scratch []T, stats *Stats) {
	s := &c.shape
	j := winogradJob[T]{Winograd: c, stats: stats}
	j.x, j.y, j.scratch = x[:s.Batch*s.InC*s.InH*s.InW], y[:s.Batch*s.OutC*c.outH*c.outW], scratch[:c.ScratchLen(p.threads)]
	tasks := s.Batch * c.chunks / c.chunksPerTask
	j.parts, j.partGroups = splitRows(tasks, c.groups(), p.threads)
	if j.parts > 1 && s.Batch*c.chunks <= p.threads { // transform the input once for all parts
		j.transformed = true
		run(p, s.Batch*c.chunks*ceilDiv(c.inC, winogradChannels), inputJob[T]{j})
	}
	run(p, tasks*j.parts, j)
	if stats != nil && !c.ownsBlocks {
		Moments(p, j.y, stats)
	}
}

type winogradJob[T Float] struct {
	*Winograd[T]
	x, y, scratch     []T
	stats             *Stats
	parts, partGroups int
	transformed       bool // the values of each panel lie in the scratch of the worker with the panel's number
}

// inputJob transforms the input: a few channels of one panel in each task.
type inputJob[T Float] struct{ winogradJob[T] }

// winogradChannels is the number of input channels of such a task.
const winogradChannels = 8

func (j *inputJob[T]) do(worker, i int) {
	blocks := ceilDiv(j.inC, winogradChannels)
	panel, c0 := i/blocks, i%blocks*winogradChannels
	own, target := j.split(j.workerScratch(worker)), j.split(j.workerScratch(panel))
	own.values = target.values
	t := j.tilesOf(panel % j.chunks)
	j.transformInput(&t, c0, min(c0+winogradChannels, j.inC), j.sample(panel/j.chunks), &own)
}

func (j *winogradJob[T]) workerScratch(worker int) []T {
	return j.scratch[worker*j.workerLen():][:j.workerLen()]
}

// sample returns the input of sample b.
func (j *winogradJob[T]) sample(b int) []T {
	size := j.inC * j.shape.InH * j.shape.InW
	return j.x[b*size : (b+1)*size]
}

// do computes one (sample, run of panels, part of the rows).
func (j *winogradJob[T]) do(worker, i int) {
	part, i := i%j.parts, i/j.parts
	tasks := j.chunks / j.chunksPerTask
	task, b := i%tasks, i/tasks
	size := j.outH * j.outW
	y := j.y[b*j.outC*size:][:j.outC*size]
	scratch := j.split(j.workerScratch(worker))
	g0, g1 := part*j.partGroups, min((part+1)*j.partGroups, j.groups())
	for chunk := task * j.chunksPerTask; chunk < (task+1)*j.chunksPerTask; chunk++ {
		t := j.tilesOf(chunk)
		if j.transformed {
			scratch.values = j.split(j.workerScratch(b*j.chunks + chunk)).values
		} else {
			j.transformInput(&t, 0, j.inC, j.sample(b), &scratch)
		}
		j.panel(&t, g0, g1, y, &scratch)
	}
	if j.stats == nil || !j.ownsBlocks {
		return
	}
	pixels := j.chunksPerTask * j.lanes * winogradTile * winogradTile
	for row := j.plan.start(g0 * j.groupBlocks); row < min(j.plan.start(min(g1*j.groupBlocks, j.plan.blocks())), j.outC); row++ {
		for p := task * pixels; p < (task+1)*pixels; p += statBlock {
			record(j.stats, b, row, p/statBlock, y[row*size+p:][:statBlock])
		}
	}
}

// panel computes the groups [g0, g1) of row blocks for one panel of tiles, whose input is transformed.
func (j *winogradJob[T]) panel(t *panelTiles, g0, g1 int, y []T, s *winogradScratch[T]) {
	size := j.outH * j.outW
	weight := j.weight[winogradPoints*j.plan.start(g0*j.groupBlocks)*j.inC:]
	for g := g0; g < g1; g++ {
		blk0, blk1 := g*j.groupBlocks, min((g+1)*j.groupBlocks, j.plan.blocks())
		weight = j.multiply(blk0, blk1, weight, s)
		first, end := j.plan.start(blk0), j.plan.start(blk1)
		for row := first; row < min(end, j.outC); row++ {
			products := s.products[(row-first)*j.lanes:]
			j.transformOutput(t, y[row*size:(row+1)*size], products, (end-first)*j.lanes, j.bias[row], s.pixels)
		}
	}
}

// multiply computes the products of row blocks with all values of a panel, and returns the weights behind those of the blocks.
func (j *winogradJob[T]) multiply(blk0, blk1 int, weight []T, s *winogradScratch[T]) []T {
	first := j.plan.start(blk0)
	rows := j.plan.start(blk1) - first
	for p := range winogradPoints {
		products := s.products[p*rows*j.lanes:]
		for c0 := 0; c0 < j.inC; c0 += j.blockC {
			k := min(c0+j.blockC, j.inC) - c0
			values := &s.values[(p*j.inC+c0)*j.lanes]
			if tall := min(blk1, j.plan.nTall) - blk0; tall > 0 {
				j.mulTall(tall, k, &weight[0], values, &products[0], j.lanes, nil, c0 > 0)
			}
			if low := max(blk0, j.plan.nTall); low < blk1 {
				at := j.plan.start(low) - first
				j.mulLow(blk1-low, k, &weight[at*k], values, &products[at*j.lanes], j.lanes, nil, c0 > 0)
			}
			weight = weight[rows*k:]
		}
	}
	return weight
}
