package reference

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference/internal/kernel"
	"github.com/apex-x/apexx/backends/tensor"
)

func boxOf[T tensor.Float](v ...T) [4]T { return [4]T(v) }

// suppressAll runs the suppressor on one list of boxes given by falling score.
func suppressAll[T tensor.Float](boxes [][4]T, scores []T, classes []int, threshold T, most int) []int {
	var list topK[T]
	for i := range boxes {
		list.items = append(list.items, candidate[T]{score: scores[i], pair: i, class: classes[i], box: boxes[i]})
	}
	list.sort()
	s := newSuppressor(most, 1, threshold)
	var kept []int
	for _, c := range s.run([]topK[T]{list}) {
		kept = append(kept, c.pair)
	}
	return kept
}

// The pins of spec/model.md 3.18.
func TestSuppressionPins(t *testing.T) {
	testSuppressionPins[float32](t)
	testSuppressionPins[float64](t)
}

func testSuppressionPins[T tensor.Float](t *testing.T) {
	for _, c := range []struct {
		name      string
		boxes     [][4]T
		scores    []T
		classes   []int
		threshold float32
		most      int
		want      []int
	}{
		{"equal scores keep their order", [][4]T{{0, 0, 1, 1}, {2, 0, 3, 1}, {4, 0, 5, 1}}, []T{0.9, 0.9, 0.9}, []int{0, 0, 0}, 0.5, 9, []int{0, 1, 2}},
		{"one box in two classes", [][4]T{{0, 0, 1, 1}, {0, 0, 1, 1}}, []T{0.8, 0.9}, []int{0, 1}, 0.5, 9, []int{1, 0}},
		{"overlap equal to the threshold", [][4]T{{0, 0, 2, 2}, {0, 0, 2, 1}}, []T{0.9, 0.8}, []int{0, 0}, 0.5, 9, []int{0, 1}},
		{"0.6 as float32", [][4]T{{0, 0, 10, 1}, {0, 0, 6, 1}}, []T{0.9, 0.8}, []int{0, 0}, 0.6, 9, []int{0, 1}},
		{"overlap above the threshold", [][4]T{{0, 0, 10, 1}, {0, 0, 7, 1}}, []T{0.8, 0.9}, []int{0, 0}, 0.6, 9, []int{1}},
		{"boxes without area", [][4]T{{1, 1, 1, 1}, {1, 1, 1, 1}}, []T{0.9, 0.8}, []int{0, 0}, 0.5, 9, []int{0, 1}},
		{"a dropped box suppresses nothing", [][4]T{{0, 0, 4, 1}, {1, 0, 5, 1}, {3, 0, 7, 1}}, []T{0.9, 0.8, 0.7}, []int{0, 0, 0}, 0.1, 9, []int{0}},
		{"chain", [][4]T{{0, 0, 4, 1}, {2, 0, 6, 1}, {4, 0, 8, 1}}, []T{0.9, 0.8, 0.7}, []int{0, 0, 0}, 0.3, 9, []int{0, 2}},
		{"most", [][4]T{{0, 0, 1, 1}, {2, 0, 3, 1}}, []T{0.8, 0.9}, []int{0, 0}, 0.5, 1, []int{1}},
		{"none asked", [][4]T{{0, 0, 1, 1}}, []T{0.8}, []int{0}, 0.5, 0, nil},
	} {
		if got := suppressAll(c.boxes, c.scores, c.classes, T(c.threshold), c.most); !slices.Equal(got, c.want) {
			t.Errorf("%s: kept %v, want %v", c.name, got, c.want)
		}
	}
}

// suppressByClass is the rule as the specification words it: class by class, then merged and cut.
func suppressByClass(boxes [][4]float64, scores []float64, classes []int, threshold float64, most int) []int {
	better := func(a, b int) int { return cmp.Or(cmp.Compare(scores[b], scores[a]), cmp.Compare(a, b)) }
	var kept []int
	for class := range 10 {
		var rest []int
		for i, c := range classes {
			if c == class {
				rest = append(rest, i)
			}
		}
		slices.SortStableFunc(rest, better)
		for len(rest) > 0 {
			head := rest[0]
			kept = append(kept, head)
			rest = slices.DeleteFunc(rest[1:], func(i int) bool { return !(overlap(boxes[head], boxes[i]) <= threshold) })
		}
	}
	slices.SortStableFunc(kept, better)
	return kept[:min(most, len(kept))]
}

func TestSuppressionAgainstTheRule(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 200 {
		n := r.IntN(60)
		boxes, scores, classes := make([][4]float64, n), make([]float64, n), make([]int, n)
		for i := range n {
			x, y := float64(r.IntN(8)), float64(r.IntN(8))
			boxes[i] = boxOf(x, y, x+float64(r.IntN(6)), y+float64(r.IntN(6)))
			scores[i], classes[i] = float64(r.IntN(6))/5, r.IntN(3) // many ties
		}
		want := suppressByClass(boxes, scores, classes, 0.4, 12)
		if got := suppressAll(boxes, scores, classes, 0.4, 12); !slices.Equal(got, want) {
			t.Fatalf("kept %v, want %v", got, want)
		}
	}
}

func TestTopKKeepsTheBest(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 200 {
		n, k := r.IntN(50), r.IntN(20)
		h := topK[float32]{make([]candidate[float32], 0, k)}
		var all []candidate[float32]
		for i := range n {
			c := candidate[float32]{score: float32(r.IntN(5)), pair: i}
			all = append(all, c)
			h.push(c)
		}
		h.sort()
		slices.SortFunc(all, compareCandidates[float32])
		if want := all[:min(k, n)]; !slices.Equal(h.items, want) {
			t.Fatalf("best %d of %d: %v, want %v", k, n, h.items, want)
		}
	}
}

// detect adds both operators of detection: boxes, scores, classes and count.
func detect(b *graph.Builder, op graph.SelectDetections, predictions []*graph.Value) []*graph.Value {
	kept := b.Add("detections.select", op, predictions...)
	decode := graph.DecodeBoxes{Strides: op.Strides, ImageHeight: op.ImageHeight, ImageWidth: op.ImageWidth}
	return append(b.Add("detections", decode, append(predictions, kept...)...), kept[1])
}

// detector builds a graph of both operators, with outputs y0 to y3.
func detector(t testing.TB, op graph.SelectDetections, args ...arg) (*graph.Graph, tensor.List) {
	t.Helper()
	b := graph.NewBuilder("detector")
	predictions, list := operandsOf(b, args)
	for i, v := range detect(b, op, predictions) {
		b.Output(fmt.Sprintf("y%d", i), v)
	}
	return built(t, b), list
}

// decodeOp decodes two levels, 2×2 and 1×1 cells, of an image of 16×16 pixels.
func decodeOp(threshold float32, topk, most int) graph.SelectDetections {
	return graph.SelectDetections{Strides: []int{8, 16}, ImageHeight: 16, ImageWidth: 16, ScoreThreshold: threshold, PreNMSTopK: topk, IoUThreshold: 0.6, MaxDetections: most}
}

// decodeArgs are logits of 0 for the two classes of the first level, as edit changes them, and none for the second.
func decodeArgs(edit func(cls, box, quality []float32)) []arg {
	cls, box, quality := f32s([]int{1, 2, 2, 2}, make([]float32, 8)...), f32s([]int{1, 4, 2, 2}, make([]float32, 16)...), f32s([]int{1, 1, 2, 2}, make([]float32, 4)...)
	edit(tensor.Data[float32](cls), tensor.Data[float32](box), tensor.Data[float32](quality))
	low := func(c int) arg {
		d := make([]float32, c)
		setAll(d, -50)
		return in(f32s([]int{1, c, 1, 1}, d...))
	}
	return []arg{in(cls), low(2), in(box), low(4), in(quality), low(1)}
}

func TestDecode(t *testing.T) {
	const d = 8 * math.Ln2 // the distance of a logit of 0 at stride 8
	for _, c := range []struct {
		name    string
		op      graph.SelectDetections
		edit    func(cls, box, quality []float32)
		boxes   []float64
		scores  []float64
		classes []float64
		count   float64
	}{
		{"zero logits (spec/model.md 3.17), the box clamped to the image", decodeOp(0.25, 1, 2), func(_, _, _ []float32) {},
			[]float64{0, 0, 4 + d, 4 + d, 0, 0, 0, 0}, []float64{0.25, 0}, []float64{0, -1}, 1},
		{"one candidate of the second class", decodeOp(0.3, 9, 1), func(cls, box, _ []float32) { cls[4+3] = 20; setAll(box, -20) },
			[]float64{12, 12, 12, 12}, []float64{0.5}, []float64{1}, 1},
		{"ties by anchor, then class", decodeOp(0.25, 3, 3), func(_, box, _ []float32) { setAll(box, -20) },
			[]float64{4, 4, 4, 4, 4, 4, 4, 4, 12, 4, 12, 4}, []float64{0.25, 0.25, 0.25}, []float64{0, 1, 0}, 3},
		{"NaN and infinities are no candidates or count as large", decodeOp(0.2, 9, 3), func(cls, box, quality []float32) {
			setAll(cls, -50)
			cls[0], cls[1], cls[2], cls[3] = nan, inf, 1, 1
			box[2] = nan
			quality[3] = nan
			setAll(box[0:2], -inf)
		}, []float64{12, 4 - d, 12 + d, 4 + d, 0, 0, 0, 0, 0, 0, 0, 0}, []float64{0.5, 0, 0}, []float64{0, -1, -1}, 1},
		{"nothing reaches the threshold", decodeOp(1, 9, 1), func(_, _, _ []float32) {}, make([]float64, 4), []float64{0}, []float64{-1}, 0},
		{"a saturated score reaches 1", decodeOp(1, 9, 1), func(cls, _, quality []float32) { setAll(cls[:1], 200); setAll(quality, 200) },
			[]float64{0, 0, 4 + d, 4 + d}, []float64{1}, []float64{0}, 1},
		{"no rows", decodeOp(0, 9, 0), func(_, _, _ []float32) {}, nil, nil, nil, 0},
	} {
		g, inputs := detector(t, c.op, decodeArgs(c.edit)...)
		for _, set := range []settings{fp32(), fp64()} {
			got := outputs(t, g, inputs, set)
			for i := range c.boxes {
				c.boxes[i] = min(max(c.boxes[i], 0), 16)
			}
			requireNear(t, c.name+" boxes", got[0].Tensor, c.boxes, 1e-6)
			requireNear(t, c.name+" scores", got[1].Tensor, c.scores, 1e-6)
			requireNear(t, c.name+" classes", got[2].Tensor, c.classes, 0)
			requireNear(t, c.name+" count", got[3].Tensor, []float64{c.count}, 0)
		}
	}
}

// The vector of spec/runtime.md 16: centre (10,10) does not exist on a grid of stride 8, so the box is shifted by 2.
func TestDecodeVector(t *testing.T) {
	zero := func(c int) arg { return in(f32s([]int{1, c, 2, 2}, make([]float32, 4*c)...)) }
	g, inputs := detector(t, graph.SelectDetections{Strides: []int{8}, ImageHeight: 100, ImageWidth: 100, ScoreThreshold: 0.25, PreNMSTopK: 4, IoUThreshold: 1, MaxDetections: 4},
		zero(1), zero(4), zero(1))
	got := outputs(t, g, inputs, fp32())[0].Float64s()
	for i, want := range []float64{4.454823, 4.454823, 15.545177, 15.545177} {
		if !near(got[3*4+i], want+2, 1e-6) {
			t.Errorf("corner %d at %v, want %v", i, got[3*4+i], want+2)
		}
	}
}

// The filter on logits must never drop what the threshold keeps.
func TestLogitFloorIsBelowTheThreshold(t *testing.T) {
	for _, least := range []float32{0, 1e-30, 0.001, 0.05, 0.5, 0.9, 0.99, 0.999, 1} {
		for _, q := range []float32{0, 1e-20, 0.05, 0.5, 0.999, 1} {
			floor := logitFloor(least, q)
			for x := float32(-80); x < 80; x += 0.0137 {
				if score := float32(kernel.Logistic(float64(x))) * q; x < floor && score >= least {
					t.Fatalf("σ(%v)·%v reaches %v and is below the floor %v", x, q, least, floor)
				}
			}
		}
	}
}

// decodeAll is the rule as the specification words it, without any filter: all scores, sorted, cut per level.
func decodeAll(op graph.SelectDetections, in []*array) (boxes [][4]float64, scores []float64, classes []int) {
	levels := len(op.Strides)
	for l, stride := range op.Strides {
		cls, box, quality := in[l], in[levels+l], in[2*levels+l]
		var list []candidate[float64]
		each([]int{cls.shape[2], cls.shape[3], cls.shape[1]}, func(i []int) float64 {
			score := naiveUnary(graph.Sigmoid, cls.at(0, i[2], i[0], i[1])) * naiveUnary(graph.Sigmoid, quality.at(0, 0, i[0], i[1]))
			if score >= float64(op.ScoreThreshold) {
				c := candidate[float64]{score: score, pair: len(list), class: i[2]}
				for j := range c.box {
					c.box[j] = naiveUnary(graph.Softplus, box.at(0, j, i[0], i[1])) * float64(stride)
				}
				cx, cy := (float64(i[1])+0.5)*float64(stride), (float64(i[0])+0.5)*float64(stride)
				w, h := float64(op.ImageWidth), float64(op.ImageHeight)
				c.box = [4]float64{max(cx-c.box[0], 0), max(cy-c.box[1], 0), min(cx+c.box[2], w), min(cy+c.box[3], h)}
				list = append(list, c)
			}
			return 0
		})
		slices.SortFunc(list, compareCandidates[float64])
		for _, c := range list[:min(op.PreNMSTopK, len(list))] {
			boxes, scores, classes = append(boxes, c.box), append(scores, c.score), append(classes, c.class)
		}
	}
	return boxes, scores, classes
}

func TestDecodeAgainstTheRule(t *testing.T) {
	for _, threshold := range []float32{0, 0.05, 0.3} {
		for _, topk := range []int{1, 7, 40, 1000} {
			op := graph.SelectDetections{Strides: []int{4, 8}, ImageHeight: 32, ImageWidth: 40, ScoreThreshold: threshold, PreNMSTopK: topk, IoUThreshold: 0.5, MaxDetections: 30}
			args := randomArgs([][]int{{1, 5, 8, 10}, {1, 5, 4, 5}, {1, 4, 8, 10}, {1, 4, 4, 5}, {1, 1, 8, 10}, {1, 1, 4, 5}})
			boxes, scores, classes := decodeAll(op, arraysOf(args))
			kept := suppressByClass(boxes, scores, classes, float64(op.IoUThreshold), op.MaxDetections)
			wantBoxes, wantScores := make([]float64, 4*op.MaxDetections), make([]float64, op.MaxDetections)
			for i, k := range kept {
				copy(wantBoxes[4*i:], boxes[k][:])
				wantScores[i] = scores[k]
			}
			g, inputs := detector(t, op, args...)
			got := outputs(t, g, inputs, fp64())
			requireNear(t, "boxes", got[0].Tensor, wantBoxes, 1e-12)
			requireNear(t, "scores", got[1].Tensor, wantScores, 1e-12)
			requireNear(t, "count", got[3].Tensor, []float64{float64(len(kept))}, 0)
		}
	}
}
