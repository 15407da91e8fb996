package reference

import (
	"fmt"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
)

// detHead is DetHead(10, 3 classes, hidden 8, depth 2) on three maps.
func (m module) detHead(levels ...*graph.Value) (cls, box, quality []*graph.Value) {
	p6 := m.conv("p6", "p6_from_p5", levels[2], 10, 3, 2, 1, false)
	levels = append(levels, p6, m.conv("p7", "p7_from_p6", p6, 10, 3, 2, 1, false))
	head := func(name, pred string, channels int) (out []*graph.Value) {
		for l, x := range levels {
			for i := 0; i < 6; i += 3 {
				node := fmt.Sprintf("%s.%d.%d", name, i, l)
				x = m.conv(node+".conv", fmt.Sprintf("%s.%d", name, i), x, 8, 3, 1, 1, false)
				x = m.silu(node, m.norm(node+".norm", fmt.Sprintf("%s.%d", name, i+1), x, 1))
			}
			out = append(out, m.conv(fmt.Sprintf("%s.%d", pred, l), pred, x, channels, 1, 1, 1, true))
		}
		return out
	}
	return head("cls_tower", "cls_pred", 3), head("box_tower", "box_pred", 4), head("quality_tower", "quality_pred", 1)
}

func TestGoldenDetection(t *testing.T) { // G12 and G13
	m := newModule()
	cls, box, quality := m.detHead(m.value("P3", inputX(0, 1, 10, 9, 13)), m.value("P4", inputX(0.7, 1, 10, 5, 7)), m.value("P5", inputX(1.4, 1, 10, 3, 4)))
	in := append(append(append([]*graph.Value{}, cls...), box...), quality...)
	out := detect(m.Builder, graph.SelectDetections{Strides: []int{8, 16, 32, 64, 128}, ImageHeight: 72, ImageWidth: 104,
		ScoreThreshold: 0.2, PreNMSTopK: 50, IoUThreshold: 0.5, MaxDetections: 8}, in)
	m.Output("cls", m.unary("cls.out", graph.Identity, cls[0]))
	m.Output("box", m.unary("box.out", graph.Identity, box[3]))
	m.Output("quality", m.unary("quality.out", graph.Identity, quality[4]))
	for i, name := range []string{"boxes", "scores", "classes", "count"} {
		m.Output(name, out[i])
	}
	requireGold(t, m, gold{"cls", 7.970558, 182.7289, 0.3134626, 0.1971146}, gold{"box", 1.903527, 9.824413, 0.639358, -0.4120504},
		gold{"quality", 0.1102134, 0.1102134, 0.1102134, 0.1102134})
	got := outputs(t, built(t, m.Builder), *m.inputs, fp32())
	requireNear(t, "count", got.Get("count"), []float64{8}, 0)
	requireNear(t, "classes", got.Get("classes"), []float64{0, 0, 0, 2, 2, 0, 2, 2}, 0)
	requireNear(t, "scores", got.Get("scores"), []float64{0.546098, 0.543323, 0.534603, 0.531863, 0.531135, 0.526636, 0.524676, 0.517893}, 1e-6)
	first, second, third, fourth := []float64{7.04402, 18.261, 34.1889, 22.2789}, []float64{23.5484, 18.1437, 49.7658, 22.3864},
		[]float64{40.2039, 17.9689, 65.1508, 22.5661}, []float64{48.5817, 17.8554, 72.7669, 22.6913}
	var want []float64
	for _, b := range [][]float64{first, second, third, first, second, fourth, third, fourth} {
		want = append(want, b...)
	}
	requireNear(t, "boxes", got.Get("boxes"), want, 1e-5)
}

var goldenBoxes = []float32{3, 5, 17.5, 29, 20, 2, 8, 11, 4, 4, 4, 4}

func TestGoldenMasks(t *testing.T) { // G14
	m := newModule()
	x, boxes := m.value("features", inputX(0, 1, 8, 8, 8)), m.value("boxes", f32s([]int{1, 3, 4}, goldenBoxes...))
	h := x
	for _, i := range []int{0, 3} {
		node := fmt.Sprintf("trunk%d", i)
		h = m.conv(node+".conv", fmt.Sprintf("proto_trunk.%d", i), h, 8, 3, 1, 1, false)
		h = m.silu(node, m.norm(node+".norm", fmt.Sprintf("proto_trunk.%d", i+1), h, 1))
	}
	prototypes := m.conv("pred", "proto_pred", h, 4, 1, 1, 1, true)
	pooled := m.Add1("pool", graph.RoiMeanPool{ImageHeight: 32, ImageWidth: 32}, m.conv("source", "coeff_source", x, 8, 1, 1, 1, false), boxes)
	rows := m.linear("coeff_mlp.2", m.silu("act", m.linear("coeff_mlp.0", m.reshape("rows", pooled, 3, 8), 8)), 4)
	coefficients := m.reshape("coefficients3", rows, 1, 3, 4)
	flat := m.Add1("combine", graph.MatMul{}, coefficients, m.reshape("flat", prototypes, 1, 4, 64))
	lowres := m.reshape("lowres4", flat, 1, 3, 8, 8)
	logits := m.Add1("large", graph.Resize{Height: 16, Width: 16}, lowres)
	masks := m.Add("masks", graph.BoxMask{ImageHeight: 32, ImageWidth: 32, Fill: -20}, m.refineMasks(logits), boxes)
	m.Output("prototypes", prototypes)
	m.Output("coefficients", coefficients)
	m.Output("lowres", lowres)
	m.Output("logits", masks[0])
	m.Output("scores", masks[1])
	requireGold(t, m, gold{"prototypes", 59.2383, 107.1488, 0.3582705, -0.5141362}, gold{"coefficients", 3.138527, 3.138527, 0.4439705, 0.02351244},
		gold{"lowres", 105.8513, 105.8513, 0.3947346, 0.8714609}, gold{"logits", -12617.34, 12742.66, -20, -20}, gold{"scores", 1.227729, 1.227729, 0.6153551, 0})
}

// refineMasks is the refinement hook of spec/model.md 3.20 with tiles of 4.
func (m module) refineMasks(logits *graph.Value) *graph.Value {
	signal := m.Add1("signal", graph.Resize{Height: 16, Width: 16}, m.value("ff", inputX(0.4, 1, 6, 8, 8)))
	signal = m.unary("signal.tanh", graph.Tanh, m.Add1("signal.mean", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{1}, KeepDims: true}, signal))
	ids := m.value("ids", i64s([]int{1, 3}, 0, 5, 15))
	strength := m.unary("strength", graph.Softplus, m.param("ff_refine_hook.log_strength"))
	detail := m.binary("detail", graph.Mul, strength, m.Add1("detail.pack", graph.TilePack{Tile: 4}, signal, ids))
	tiles := m.binary("refined", graph.Add, m.Add1("mask.pack", graph.TilePack{Tile: 4}, logits, ids), detail)
	return m.Add1("mask.unpack", graph.TileUnpackFusion{}, logits, tiles, ids)
}

func TestGoldenEmbeddings(t *testing.T) { // G15
	m := newModule()
	x, boxes := m.value("features", inputX(0, 1, 8, 8, 8)), m.value("boxes", f32s([]int{1, 3, 4}, goldenBoxes...))
	f := m.silu("f", m.norm("f.norm", "feature_proj.1", m.conv("f.conv", "feature_proj.0", x, 8, 1, 1, 1, false), 1))
	pooled := m.Add1("pool", graph.RoiMeanPool{ImageHeight: 32, ImageWidth: 32}, f, boxes)
	raw := m.linear("embedding_mlp.2", m.silu("act", m.linear("embedding_mlp.0", m.reshape("rows", pooled, 3, 8), 10)), 6)
	norm := m.Add1("norm", graph.Reduce{Fn: graph.ReduceL2, Axes: []int{1}, KeepDims: true}, raw)
	m.Output("embeddings", m.binary("unit", graph.Div, raw, m.binary("floor", graph.Max, norm, m.Scalar(1e-6))))
	m.Output("pooled", pooled)
	m.Output("raw", raw)
	requireGold(t, m, gold{"pooled", 5.026045, 8.978425, 1.626474, 0}, gold{"raw", -1.15716, 3.074504, 0.1729072, -0.1100227},
		gold{"embeddings", -2.378329, 6.232034, 0.3739835, -0.1980468})
}
