package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

type scanOf struct{ decay, inputGain, outputGain, bias Address }

type heavyArgs struct {
	base, alpha, ids, y                                                   Address
	tokens, film, refined, moments                                        Address
	forward, backward                                                     scanOf
	gate, rest                                                            Address
	rowScale, rowShift, weight0, bias0, weight2, bias2                    Address
	depthwise, depthwiseBias, pointwise, pointwiseBias, groupScale, shift Address
	pixelShare, channelShare                                              float64
	plane                                                                 int64
	channels, k, hidden, pieces                                           int32
	tiling                                                                tiling
	rowEpsilon, groupEpsilon                                              float32
	limit, low, high                                                      float32
	written, strips, together, halves, stretches                          int32
	product, stored                                                       rounding
	fault                                                                 fault
}

const (
	heavyThreads = 256
	heavyWarps   = heavyThreads / 32 // also the channels of a block of heavy_tokens
	heavyPixels  = 32                // of a strip
	heavyBlocks  = 3                 // of heavy_refine that a multiprocessor holds: where there would be more, a block takes several strips
	writeThreads = 256               // of four pixels each
	writeBlocks  = 5                 // of heavy_write that a multiprocessor holds: where there would be more, a block takes several stretches of channels
)

// multipliesHalves tells whether the matrix unit has the weights and the operands of a convolution as fp16 numbers.
func (c *compiler) multipliesHalves(conv *lower.Node) bool {
	return c.rounded == graph.FP16 && c.multiplies(conv.In[1])
}

func lowerHeavyPath(c *compiler, s *step) error {
	part := s.Node.Part
	pack, unpack := part("pack"), part("unpack")
	dense, ids := pack.In[0], pack.In[1]
	s.Allow(dense)
	if err := c.lowerAside(s); err != nil {
		return err
	}
	channels, tiles, batch := dense.Shape[1], ids.Len(), dense.Shape[0]
	area := pack.Out[0].Shape[3] * pack.Out[0].Shape[4]
	strips, written := ceilDiv(area, heavyPixels), max(4*writeThreads/area, 1)
	together := min(ceilDiv(strips*tiles, heavyBlocks*c.properties.Multiprocessors), strips)
	tiling := newTiling(dense.Shape, pack.Op.(graph.TilePack).Tile)
	of := ceilDiv(channels, written) // stretches of a cell
	stretches := min(ceilDiv(int(tiling.tiles)*of*batch, writeBlocks*c.properties.Multiprocessors), of)
	tokens, film := s.AddScratch(tensor.Float32, tiles*channels), s.AddScratch(tensor.Float32, tiles*2*channels)
	refined, moments := s.AddScratch(tensor.Float32, tiles*2*channels*area), s.AddScratch(tensor.Float32, tiles*strips*heavyWarps*kernels.PieceBytes/4)
	clip := part("clip").Op.(graph.Clip)
	args := heavyArgs{
		pixelShare: 1 / float64(area), channelShare: 1 / float64(channels),
		rowEpsilon: float32(part("row").Op.(graph.LayerNormalization).Epsilon), groupEpsilon: float32(part("norm").Op.(graph.GroupNormalization).Epsilon),
		plane: int64(dense.Shape[2] * dense.Shape[3]), channels: int32(channels), k: int32(ids.Shape[1]), hidden: int32(part("first").Out[0].Shape[1]),
		pieces: int32(strips * heavyWarps), written: int32(written), strips: int32(strips), together: int32(together), halves: flag(c.multipliesHalves(part("pointwise"))),
		stretches: int32(stretches), tiling: tiling,
		limit: float32(part("forward").Op.(graph.TileSSMScan).Clamp), low: float32(clip.Low), high: float32(clip.High),
		product: roundingOf(part("depthwise round")), stored: roundingOf(part("result")),
	}
	s.launches = func(m *memory) []Launch {
		args.base, args.alpha, args.ids, args.y = m.at(dense), m.at(unpack.Input(3)), m.at(ids), m.at(s.Node.Out[0])
		args.tokens, args.film, args.refined, args.moments = m.at(tokens), m.at(film), m.at(refined), m.at(moments)
		args.mixing(m, part)
		args.weights(m, part)
		args.fault = m.faultOf(s.number)
		return []Launch{
			launch("heavy_tokens", [3]int{ids.Shape[1], ceilDiv(channels, heavyWarps), batch}, heavyThreads, args),
			launch("heavy_refine", [3]int{ceilDiv(strips, together), ids.Shape[1], batch}, heavyThreads, args),
			launch("heavy_write", [3]int{int(tiling.tiles), ceilDiv(of, stretches), batch}, writeThreads, args),
		}
	}
	return nil
}

// mixing sets what the recurrence reads.
func (a *heavyArgs) mixing(m *memory, part func(string) *lower.Node) {
	scan := func(n *lower.Node) scanOf { return scanOf{m.at(n.In[1]), m.at(n.In[2]), m.at(n.In[3]), m.at(n.In[4])} }
	a.forward = scan(part("forward"))
	if backward := part("backward"); backward != nil {
		a.backward = scan(backward)
		a.gate, a.rest = m.at(regions.Factor(part("gated forward"), part("forward"))), m.at(regions.Factor(part("gated backward"), backward))
	}
}

// weights sets the other parameters.
func (a *heavyArgs) weights(m *memory, part func(string) *lower.Node) {
	at := func(role string, i int) Address { return m.at(part(role).Input(i)) }
	a.rowScale, a.rowShift = at("row", 1), at("row", 2)
	a.weight0, a.bias0, a.weight2, a.bias2 = at("first", 1), at("first", 2), at("last", 1), at("last", 2)
	a.depthwise, a.depthwiseBias, a.pointwise, a.pointwiseBias = at("depthwise", 1), at("depthwise", 2), at("pointwise", 1), at("pointwise", 2)
	a.groupScale, a.shift = at("norm", 1), at("norm", 2)
}
