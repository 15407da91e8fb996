package kernel

// channelBlock is the number of channels that a depthwise task computes.
const channelBlock = 16

// depthwiseJob is a depthwise convolution with stride 1 and vector code: one task computes all pixels of a few channels of a sample.
type depthwiseJob[T Float] struct {
	*Conv[T]
	x, y   []T
	stats  *Stats
	blocks int // of channels
}

func (c *Conv[T]) runDepthwise(p *Pool, x, y []T, stats *Stats) {
	j := depthwiseJob[T]{Conv: c, x: x, y: y, stats: stats, blocks: ceilDiv(c.shape.InC, channelBlock)}
	run(p, c.shape.Batch*j.blocks, j)
}

func (j *depthwiseJob[T]) do(_, i int) {
	channels, size := j.shape.InC, j.outH*j.outW
	b, c0 := i/j.blocks, i%j.blocks*channelBlock
	c1 := min(c0+channelBlock, channels)
	x, y := j.x[b*channels*j.shape.InH*j.shape.InW:], j.y[b*channels*size:][:channels*size]
	for p := 0; p < size; p += j.lanes {
		j.depthwisePixels(y, x, c0, c1, p, min(j.lanes, size-p))
	}
	if j.stats == nil {
		return
	}
	for c := c0; c < c1; c++ {
		for blk := range j.pixelBlocks {
			record(j.stats, b, c, blk, y[c*size+blk*statBlock:c*size+min((blk+1)*statBlock, size)])
		}
	}
}
