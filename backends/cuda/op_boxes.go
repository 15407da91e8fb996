package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
)

const (
	roiThreads  = 256
	roiChannels = 8 // of a block
	maskThreads = 512

	vectorThreads    = 512
	prototypeThreads = 512
)

// projection maps pixels of an image to cells of a grid, with scales rounded to float32.
type projection struct {
	height, width  int32
	scaleY, scaleX float32
}

func newProjection(grid []int, imageH, imageW int) projection {
	h, w := grid[2], grid[3]
	return projection{int32(h), int32(w), float32(h) / float32(imageH), float32(w) / float32(imageW)}
}

type roiMeanArgs struct {
	x, boxes, y             Address
	channels, boxesPerImage int32
	projection              projection
}

func lowerRoiMean(_ *compiler, s *step) error {
	op, x, boxes := s.Node.Op.(graph.RoiMeanPool), s.Node.In[0], s.Node.In[1]
	s.launches = func(m *memory) []Launch {
		args := roiMeanArgs{m.at(x), m.at(boxes), m.at(s.Node.Out[0]), int32(x.Shape[1]), int32(boxes.Shape[1]), newProjection(x.Shape, op.ImageHeight, op.ImageWidth)}
		return []Launch{launch("roi_mean", [3]int{boxes.Shape[0] * boxes.Shape[1], ceilDiv(x.Shape[1], roiChannels), 1}, roiThreads, args)}
	}
	return nil
}

type boxMaskArgs struct {
	x, boxes, y, scores Address
	projection          projection
	fill                float32
	_                   int32
}

func lowerBoxMask(_ *compiler, s *step) error {
	op, x, boxes := s.Node.Op.(graph.BoxMask), s.Node.In[0], s.Node.In[1]
	s.Allow(x)
	s.launches = func(m *memory) []Launch {
		args := boxMaskArgs{m.at(x), m.at(boxes), m.at(s.Node.Out[0]), m.at(s.Node.Out[1]), newProjection(x.Shape, op.ImageHeight, op.ImageWidth), float32(op.Fill), 0}
		return []Launch{launch("box_mask", [3]int{x.Shape[0] * x.Shape[1], 1, 1}, maskThreads, args)}
	}
	return nil
}

type boxVectorArgs struct {
	x, boxes, weight0, bias0, weight2, bias2, y Address
	channels, hidden, outputs, boxesPerImage    int32
	projection                                  projection
	product, result                             rounding
	floor                                       float32
	_                                           int32
}

func lowerBoxVector(c *compiler, s *step) error {
	if err := c.lowerAside(s); err != nil {
		return err
	}
	pool, first, last := s.Node.Part("pool"), s.Node.Part("first"), s.Node.Part("last")
	op, x, boxes := pool.Op.(graph.RoiMeanPool), pool.In[0], pool.In[1]
	args := boxVectorArgs{
		channels: int32(x.Shape[1]), hidden: int32(first.Out[0].Shape[1]), outputs: int32(last.Out[0].Shape[1]), boxesPerImage: int32(boxes.Shape[1]),
		projection: newProjection(x.Shape, op.ImageHeight, op.ImageWidth),
		product:    roundingOf(s.Node.Part("hidden round")), result: roundingOf(s.Node.Part("result")),
	}
	if floored := s.Node.Part("floored"); floored != nil {
		args.floor = tensor.Data[float32](regions.Factor(floored, s.Node.Part("length")).Data)[0]
	}
	s.launches = func(m *memory) []Launch {
		args.x, args.boxes, args.y = m.at(x), m.at(boxes), m.at(s.Node.Out[0])
		args.weight0, args.bias0, args.weight2, args.bias2 = m.at(first.In[1]), m.at(first.Input(2)), m.at(last.In[1]), m.at(last.Input(2))
		return []Launch{launch("box_vector", [3]int{boxes.Shape[0] * boxes.Shape[1], 1, 1}, vectorThreads, args)}
	}
	return nil
}

type maskDetailArgs struct {
	x, strength, ids, y, rows, columns Address
	n                                  int64
	inH, inW, outH, k                  int32
	tiling                             tiling
	fault                              fault
}

func lowerMaskDetail(c *compiler, s *step) error {
	if err := c.lowerAside(s); err != nil {
		return err
	}
	mean, pack, y := s.Node.Part("mean"), s.Node.Part("pack"), s.Node.Out[0]
	strength, ids, x := s.Node.Part("detail").In[0], pack.In[1], mean.Out[0]
	if !s.Node.Stores(x) {
		s.AddBetween(x)
	}
	reduce := &step{Step: lower.Step{Node: mean}}
	if err := lowerReduce(c, reduce); err != nil {
		return err
	}
	rows, columns := s.samples(x.Shape[2], y.Shape[2]), s.samples(x.Shape[3], y.Shape[3])
	s.launches = func(m *memory) []Launch {
		args := maskDetailArgs{
			m.at(x), m.at(strength), m.at(ids), m.at(y), m.at(rows), m.at(columns), int64(y.Len()),
			int32(x.Shape[2]), int32(x.Shape[3]), int32(y.Shape[2]), int32(ids.Shape[1]), newTiling(y.Shape, pack.Op.(graph.TilePack).Tile), m.faultOf(s.number),
		}
		return append(reduce.launches(m), linear("mask_detail", y.Len(), elementThreads/2, args))
	}
	return nil
}

type prototypeMaskArgs struct {
	coefficients, prototypes, detail, boxes, y, scores, rows, columns Address
	count, boxesPerImage, inH, inW                                    int32
	projection                                                        projection
	fill                                                              float32
	_                                                                 int32
}

func lowerPrototypeMasks(c *compiler, s *step) error {
	if err := c.lowerAside(s); err != nil {
		return err
	}
	mask, products, sum := s.Node.Part("mask"), s.Node.Part("products"), s.Node.Part("sum")
	op, low, boxes, y := mask.Op.(graph.BoxMask), s.Node.Part("low").Out[0], mask.In[1], mask.Out[0]
	var detail *lower.Value
	if sum != nil {
		detail = regions.Factor(sum, s.Node.Part("resized"))
	}
	rows, columns := s.samples(low.Shape[2], y.Shape[2]), s.samples(low.Shape[3], y.Shape[3])
	s.launches = func(m *memory) []Launch {
		args := prototypeMaskArgs{
			coefficients: m.at(products.In[0]), prototypes: m.at(products.In[1]), detail: m.at(detail), boxes: m.at(boxes), y: m.at(y), scores: m.at(mask.Out[1]),
			rows: m.at(rows), columns: m.at(columns), count: int32(products.In[0].Shape[2]), boxesPerImage: int32(boxes.Shape[1]),
			inH: int32(low.Shape[2]), inW: int32(low.Shape[3]), projection: newProjection(y.Shape, op.ImageHeight, op.ImageWidth), fill: float32(op.Fill),
		}
		return []Launch{launch("prototype_masks", [3]int{y.Shape[0] * y.Shape[1], 1, 1}, prototypeThreads, args)}
	}
	return nil
}
