package cuda

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

const (
	roiThreads  = 256
	roiChannels = 8 // of a block
	maskThreads = 512
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

// What is computed of each box becomes one step:
//
//   - BoxVector: RoiMeanPool, two layers with SiLU between them.
//   - UnitBoxVector: the same, divided by its length or by the least length.
//   - MaskDetail: what the heavy features add to every mask, on the selected tiles alone (backends/model, maskDetail).
//   - PrototypeMasks: products of coefficients and prototypes, resized, plus a detail, and BoxMask of that.
const (
	opBoxVector      = "BoxVector"
	opUnitBoxVector  = "UnitBoxVector"
	opMaskDetail     = "MaskDetail"
	opPrototypeMasks = "PrototypeMasks"
)

func boxRules(r rounds) []lower.Rule {
	rows := of("Reshape", "rows", r.stored("mean round", of("RoiMeanPool", "pool", value("x"), value("boxes"))))
	if r.format == graph.TF32 {
		rows = r.product("mean round", rows)
	}
	hidden := of("Gemm", "first", rows)
	silu := r.product("hidden round", commuting("Mul", "silu", hidden, of("Sigmoid", "sigmoid", hidden)))
	vector := of("Gemm", "last", silu)
	raw := of("Reshape", "raw", vector)
	unit := of("Div", "unit", raw, commuting("Max", "floored", of("ReduceL2", "length", raw), value("floor")))
	low := of("Reshape", "low", of("MatMul", "products", value("coefficients"), value("prototypes")))
	resized := of("Resize", "resized", low)
	signal := of("Tanh", "tanh", of("Resize", "resized", of("ReduceMean", "mean", value("x"))))
	active := of("TileUnpackFusion", "unpack", value("zeros"), of("TilePack", "pack", signal, value("ids")), value("ids"))
	rules := []lower.Rule{
		{Name: opMaskDetail, Where: isMaskDetail, Pattern: of("Mul", "detail", value("strength"), active)},
		{Name: opUnitBoxVector, Where: isUnitBoxVector, Pattern: unit},
		{Name: opBoxVector, Where: isBoxVector, Pattern: r.stored("result", vector)},
		{Name: opPrototypeMasks, Where: isPrototypeMasks, Pattern: of("BoxMask", "mask", commuting("Add", "sum", resized, value("detail")), value("boxes"))},
		{Name: opPrototypeMasks, Where: isPrototypeMasks, Pattern: of("BoxMask", "mask", resized, value("boxes"))},
	}
	if r.format == graph.FP16 || r.format == graph.BF16 {
		rules = slices.Insert(rules, 3, lower.Rule{Name: opBoxVector, Where: isBoxVector, Pattern: vector})
	}
	return rules
}

// mostCells bounds the maps whose cells are counted by reciprocals.
const mostCells = 1 << 21

const (
	vectorThreads  = 512
	vectorChannels = 512 // the most of each layer
)

func isBoxVector(m lower.Match) bool {
	x, boxes := m.Value("x"), m.Value("boxes")
	hidden, outputs := m.Node("first").Out[0].Shape[1], m.Node("last").Out[0].Shape[1]
	return x.Shape[2]*x.Shape[3] < mostCells && x.Shape[1]%4 == 0 && hidden%4 == 0 && max(x.Shape[1], hidden, outputs) <= vectorChannels && boxes.Len() > 0 &&
		slices.Equal(m.Node("rows").Out[0].Shape, []int{boxes.Len() / 4, x.Shape[1]}) && isLinear(m.Node("first"), hidden) && isLinear(m.Node("last"), outputs)
}

func isUnitBoxVector(m lower.Match) bool {
	op, raw, floor := m.Node("length").Op.(graph.Reduce), m.Node("raw").Out[0], m.Value("floor")
	return isBoxVector(m) && len(raw.Shape) == 3 && raw.Shape[2] == m.Node("last").Out[0].Shape[1] && slices.Equal(op.Axes, []int{2}) && op.KeepDims &&
		isScalar(floor) && floor.Data != nil && tensor.Data[float32](floor.Data)[0] > 0
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
		args.floor = tensor.Data[float32](factor(floored, s.Node.Part("length")).Data)[0]
	}
	s.launches = func(m *memory) []Launch {
		args.x, args.boxes, args.y = m.at(x), m.at(boxes), m.at(s.Node.Out[0])
		args.weight0, args.bias0, args.weight2, args.bias2 = m.at(first.In[1]), m.at(first.Input(2)), m.at(last.In[1]), m.at(last.Input(2))
		return []Launch{launch("box_vector", [3]int{boxes.Shape[0] * boxes.Shape[1], 1, 1}, vectorThreads, args)}
	}
	return nil
}

func isMaskDetail(m lower.Match) bool {
	op, zeros := m.Node("mean").Op.(graph.Reduce), m.Value("zeros")
	return isScalar(m.Value("strength")) && slices.Equal(op.Axes, []int{1}) && op.KeepDims && m.Node("unpack").Input(3) == nil &&
		!m.Node("unpack").Op.(graph.TileUnpackFusion).Blend && zeros.Data != nil &&
		!slices.ContainsFunc(tensor.Data[float32](zeros.Data), func(v float32) bool { return v != 0 })
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

const (
	prototypeThreads = 512
	mostPrototypes   = 256
	lowColumns       = 2048 // the most of a map of products
)

func isPrototypeMasks(m lower.Match) bool {
	mask, detail := m.Node("resized").Out[0].Shape, m.Value("detail")
	low, coefficients := m.Node("low").Out[0].Shape, m.Value("coefficients").Shape
	return mask[2]*mask[3] < mostCells && coefficients[2] <= mostPrototypes && low[3] <= lowColumns && m.Node("mask").Out[0].Len() > 0 &&
		slices.Equal(low[:2], coefficients[:2]) && m.Value("prototypes").Shape[2] == low[2]*low[3] &&
		(detail == nil || slices.Equal(detail.Shape, []int{mask[0], 1, mask[2], mask[3]}))
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
		detail = factor(sum, s.Node.Part("resized"))
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
