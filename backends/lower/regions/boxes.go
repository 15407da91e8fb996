package regions

import (
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// What is computed of each box becomes one step:
//
//   - BoxVector: RoiMeanPool, two layers with SiLU between them.
//   - UnitBoxVector: the same, divided by its length or by the least length.
//   - MaskDetail: what the heavy features add to every mask, on the selected tiles alone (backends/model, maskDetail).
//   - PrototypeMasks: products of coefficients and prototypes, resized, plus a detail, and BoxMask of that.
const (
	BoxVector      = "BoxVector"
	UnitBoxVector  = "UnitBoxVector"
	MaskDetail     = "MaskDetail"
	PrototypeMasks = "PrototypeMasks"
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
		{Name: MaskDetail, Where: isMaskDetail, Pattern: of("Mul", "detail", value("strength"), active)},
		{Name: UnitBoxVector, Where: isUnitBoxVector, Pattern: unit},
		{Name: BoxVector, Where: isBoxVector, Pattern: r.stored("result", vector)},
		{Name: PrototypeMasks, Where: isPrototypeMasks, Pattern: of("BoxMask", "mask", commuting("Add", "sum", resized, value("detail")), value("boxes"))},
		{Name: PrototypeMasks, Where: isPrototypeMasks, Pattern: of("BoxMask", "mask", resized, value("boxes"))},
	}
	if r.format == graph.FP16 || r.format == graph.BF16 {
		rules = slices.Insert(rules, 3, lower.Rule{Name: BoxVector, Where: isBoxVector, Pattern: vector})
	}
	return rules
}

// mostCells bounds the maps whose cells are counted by reciprocals.
const mostCells = 1 << 21

const vectorChannels = 512 // the most of each layer

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

func isMaskDetail(m lower.Match) bool {
	op, zeros := m.Node("mean").Op.(graph.Reduce), m.Value("zeros")
	return isScalar(m.Value("strength")) && slices.Equal(op.Axes, []int{1}) && op.KeepDims && m.Node("unpack").Input(3) == nil &&
		!m.Node("unpack").Op.(graph.TileUnpackFusion).Blend && zeros.Data != nil &&
		!slices.ContainsFunc(tensor.Data[float32](zeros.Data), func(v float32) bool { return v != 0 })
}

const (
	mostPrototypes = 256
	lowColumns     = 2048 // the most of a map of products
)

func isPrototypeMasks(m lower.Match) bool {
	mask, detail := m.Node("resized").Out[0].Shape, m.Value("detail")
	low, coefficients := m.Node("low").Out[0].Shape, m.Value("coefficients").Shape
	return mask[2]*mask[3] < mostCells && coefficients[2] <= mostPrototypes && low[3] <= lowColumns && m.Node("mask").Out[0].Len() > 0 &&
		slices.Equal(low[:2], coefficients[:2]) && m.Value("prototypes").Shape[2] == low[2]*low[3] &&
		(detail == nil || slices.Equal(detail.Shape, []int{mask[0], 1, mask[2], mask[3]}))
}
