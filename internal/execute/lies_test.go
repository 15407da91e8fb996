package execute

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// told is what a candidate says it computed, to be falsified.
type told struct{ tensor.List }

func (o told) floats(name string) []float32 { return tensor.Data[float32](o.Get(name)) }
func (o told) ints(name string) []int64     { return tensor.Data[int64](o.Get(name)) }

// row returns the elements of row i of an output [1,N,...].
func (o told) row(name string, i int) []float32 {
	n := o.Get(name).Len() / o.Get(name).Shape()[1]
	return o.floats(name)[i*n : (i+1)*n]
}

// drop removes detection i as if it had never been found.
func (o told) drop(i int) {
	for _, name := range []string{"boxes", "scores", "mask_logits", "mask_scores", "embeddings"} {
		n := o.Get(name).Len() / o.Get(name).Shape()[1]
		data, last := o.floats(name), o.row(name, o.Get(name).Shape()[1]-1)
		padding := slices.Clone(last)
		copy(data[i*n:], data[(i+1)*n:])
		copy(last, padding)
	}
	ids := o.ints("class_ids")
	copy(ids[i:], ids[i+1:])
	ids[len(ids)-1] = -1
	o.ints("valid_counts")[0]--
}

// swap exchanges rows of outputs.
func (o told) swap(i, j int, names ...string) {
	for _, name := range names {
		a, b := o.row(name, i), o.row(name, j)
		for k := range a {
			a[k], b[k] = b[k], a[k]
		}
	}
}

func each(data []float32, change func(v float32) float32) {
	for i, v := range data {
		data[i] = change(v)
	}
}

var (
	nan32 = float32(math.NaN())
	inf32 = float32(math.Inf(1))
)

func set(v float32) func(float32) float32   { return func(float32) float32 { return v } }
func plus(d float32) func(float32) float32  { return func(v float32) float32 { return v + d } }
func times(f float32) func(float32) float32 { return func(v float32) float32 { return v * f } }

// outputLies are false outputs of a worker whose protocol is honest. Each is named after what it falsifies, which the report has to
// name.
var outputLies = []struct {
	output, how string
	tell        func(o told)
}{
	{"boxes", "one corner by a pixel", func(o told) { o.row("boxes", 0)[2]++ }},
	{"boxes", "one box by a pixel", func(o told) { each(o.row("boxes", 1), plus(1)) }},
	{"boxes", "one box by 100 pixels", func(o told) { o.row("boxes", 0)[2] += 100 }},
	{"boxes", "every box by half a pixel", func(o told) { each(o.floats("boxes"), func(v float32) float32 { return v + 0.5*min(1, v) }) }},
	{"boxes", "x and y exchanged", func(o told) {
		b := o.floats("boxes")
		for i := 0; i < len(b); i += 2 {
			b[i], b[i+1] = b[i+1], b[i]
		}
	}},
	{"boxes", "width for the right edge", func(o told) {
		b := o.floats("boxes")
		for i := 0; i < len(b); i += 4 {
			b[i+2], b[i+3] = b[i+2]-b[i], b[i+3]-b[i+1]
		}
	}},
	{"boxes", "NaN", func(o told) { o.row("boxes", 0)[0] = nan32 }},
	{"boxes", "infinite", func(o told) { o.row("boxes", 2)[3] = inf32 }},
	{"boxes", "two exchanged", func(o told) { o.swap(0, 1, "boxes") }},
	{"boxes", "beyond the image", func(o told) { o.row("boxes", 0)[2] = 4000 }},
	{"scores", "one higher", func(o told) { o.row("scores", 1)[0] += 0.003 }},
	{"scores", "all a thousandth higher", func(o told) { each(o.floats("scores"), times(1.001)) }},
	{"scores", "in ascending order", func(o told) { slices.Reverse(o.floats("scores")[:o.ints("valid_counts")[0]]) }},
	{"scores", "NaN", func(o told) { o.row("scores", 0)[0] = nan32 }},
	{"scores", "above one", func(o told) { o.row("scores", 0)[0] = 1.5 }},
	{"scores", "logits for probabilities", func(o told) {
		each(o.floats("scores")[:o.ints("valid_counts")[0]], func(v float32) float32 { return float32(math.Log(float64(v / (1 - v)))) })
	}},
	{"class_ids", "one other", func(o told) { o.ints("class_ids")[0] = (o.ints("class_ids")[0] + 1) % 3 }},
	{"class_ids", "padding for a class", func(o told) { o.ints("class_ids")[0] = -1 }},
	{"class_ids", "beyond the classes", func(o told) { o.ints("class_ids")[1] = 4711 }},
	{"valid_counts", "one less", func(o told) { o.ints("valid_counts")[0]-- }},
	{"valid_counts", "one more", func(o told) { o.ints("valid_counts")[0]++ }},
	{"valid_counts", "negative", func(o told) { o.ints("valid_counts")[0] = -1 }},
	{"valid_counts", "huge", func(o told) { o.ints("valid_counts")[0] = 1 << 62 }},
	{"scores", "the first detection dropped", func(o told) { o.drop(0) }},
	{"scores", "half of the detections dropped", func(o told) {
		for range o.ints("valid_counts")[0] / 2 {
			o.drop(0)
		}
	}},
	{"scores", "no detections", func(o told) {
		for range o.ints("valid_counts")[0] {
			o.drop(0)
		}
	}},
	{"mask_logits", "one inverted", func(o told) { each(o.row("mask_logits", 0), func(v float32) float32 { return -v }) }},
	{"mask_logits", "one empty", func(o told) { each(o.row("mask_logits", 0), set(-20)) }},
	{"mask_logits", "one NaN", func(o told) { each(o.row("mask_logits", 1), set(nan32)) }},
	{"mask_logits", "two exchanged", func(o told) { o.swap(0, 1, "mask_logits") }},
	{"mask_logits", "moved by a cell", func(o told) { m := o.floats("mask_logits"); copy(m[1:], m) }},
	{"mask_logits", "logits halved", func(o told) { each(o.floats("mask_logits"), times(0.5)) }},
	{"mask_scores", "one higher", func(o told) { o.row("mask_scores", 0)[0] += 0.01 }},
	{"mask_scores", "NaN", func(o told) { o.row("mask_scores", 0)[0] = nan32 }},
	{"embeddings", "one opposite", func(o told) { each(o.row("embeddings", 0), func(v float32) float32 { return -v }) }},
	{"embeddings", "two exchanged", func(o told) { o.swap(0, 1, "embeddings") }},
	{"embeddings", "not normalised", func(o told) { each(o.floats("embeddings"), times(2)) }},
	{"embeddings", "zeros", func(o told) { each(o.floats("embeddings"), set(0)) }},
	{"embeddings", "NaN", func(o told) { o.row("embeddings", 2)[5] = nan32 }},
	{"semantic_logits", "moved by a cell", func(o told) { s := o.floats("semantic_logits"); copy(s[1:], s) }},
	{"semantic_logits", "channels in another order", func(o told) {
		s := o.floats("semantic_logits")
		n := len(s) / o.Get("semantic_logits").Shape()[1]
		first := slices.Clone(s[:n])
		copy(s, s[n:])
		copy(s[len(s)-n:], first)
	}},
	{"semantic_logits", "a hundredth higher", func(o told) { each(o.floats("semantic_logits"), plus(0.01)) }},
	{"semantic_logits", "NaN", func(o told) { o.floats("semantic_logits")[77] = nan32 }},
	{"semantic_logits", "a tile of zeros", func(o told) { clear(o.floats("semantic_logits")[:256]) }},
	{"utilities", "one lower", func(o told) { o.floats("utilities")[0] -= 0.002 }},
	{"utilities", "NaN", func(o told) { o.floats("utilities")[1] = nan32 }},
	{"split_utilities", "one higher", func(o told) { o.floats("split_utilities")[0] += 0.02 }},
	{"tiles_l0", "another tile", func(o told) { o.ints("tiles_l0")[0] = unchosen(o) }},
	{"tiles_l0", "two exchanged", func(o told) { t := o.ints("tiles_l0"); t[0], t[1] = t[1], t[0] }},
	{"tiles_l0", "one twice", func(o told) { o.ints("tiles_l0")[1] = o.ints("tiles_l0")[0] }},
	{"tiles_l0", "padding inside", func(o told) { o.ints("tiles_l0")[0] = -1 }},
	{"tiles_l0", "outside the grid", func(o told) { o.ints("tiles_l0")[0] = 1 << 40 }},
	{"valid_l0", "one less", func(o told) { o.ints("valid_l0")[0]-- }},
	{"tiles_l1", "an incomplete family", func(o told) { o.ints("tiles_l1")[0]++ }},
	{"tiles_l1", "in another order", func(o told) { slices.Reverse(o.ints("tiles_l1")[:o.ints("valid_l1")[0]]) }},
	{"valid_l1", "none", func(o told) { o.ints("valid_l1")[0] = 0 }},
	{"masks after a flip", "NaN wherever a near tie could excuse it", func(o told) {
		nearTie(o)
		for _, name := range []string{"mask_logits", "semantic_logits", "embeddings", "mask_scores"} {
			each(o.floats(name), set(nan32))
		}
	}},
	{"utilities", "all a little higher, and a worse tile", func(o told) {
		each(o.floats("utilities"), plus(4e-5))
		o.ints("tiles_l0")[o.ints("valid_l0")[0]-1] = unchosen(o)
	}},
}

// saysOf is what a report names in the place of the output that was falsified: a false detection is told by its class and score.
var saysOf = map[string]string{
	"scores: one higher":              "score 0.910",
	"scores: all a thousandth higher": "score 0.95",
	"class_ids: one other":            "class 0",
	"class_ids: beyond the classes":   "class 4711",
	"valid_counts: one more":          "keeps detection 50",
	"valid_l0: one less":              "beyond its 3 tiles",
	"valid_l1: none":                  "beyond its 0 tiles",
}

// unchosen returns a tile of level 0 that is not selected.
func unchosen(o told) int64 {
	chosen := o.ints("tiles_l0")[:o.ints("valid_l0")[0]]
	for id := range int64(o.Get("utilities").Len()) {
		if !slices.Contains(chosen, id) {
			return id
		}
	}
	panic("every tile is chosen")
}

// nearTie gives an unchosen tile the place of the last one, with utilities that would allow it.
func nearTie(o told) {
	t, u := o.ints("tiles_l0"), o.floats("utilities")
	last, other := t[o.ints("valid_l0")[0]-1], unchosen(o)
	u[other], u[last] = u[last], u[other]
	t[o.ints("valid_l0")[0]-1] = other
}

// honest are differences that a correct backend may show.
var honest = []struct {
	how  string
	tell func(o told)
}{
	{"nothing", func(told) {}},
	{"the last bit of everything", func(o told) {
		for _, f := range o.List {
			if f.DType() == tensor.Float32 {
				each(tensor.Data[float32](f.Tensor), func(v float32) float32 {
					if v == 0 || v == -20 || v == 1 {
						return v
					}
					return math.Nextafter32(v, 0)
				})
			}
		}
	}},
	{"sums in another order", func(o told) {
		rng := rand.New(rand.NewPCG(3, 3))
		for _, name := range []string{"mask_logits", "semantic_logits", "mask_scores"} {
			each(o.floats(name), func(v float32) float32 {
				if v == -20 {
					return v
				}
				return v * float32(1+2e-6*(rng.Float64()-0.5))
			})
		}
	}},
	{"-0 for 0", func(o told) {
		each(o.floats("embeddings"), func(v float32) float32 {
			if v == 0 {
				return float32(math.Copysign(0, -1))
			}
			return v
		})
	}},
}

// TestLiesAboutOutputs falsifies the outputs of the trained model on a scene, one output at a time: no lie passes, and each is named by
// what it falsified. Rounding passes.
func TestLiesAboutOutputs(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: []string{"routing.budget_total=16", "routing.budget_b1=3.2", "routing.budget_b2=2"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.PictureCase("scene", fixtures.BuiltinScenes()[0].Data, model.DefaultDecode())
	if err != nil {
		t.Fatal(err)
	}
	run := func(p backends.Precision) tensor.List {
		g, err := c.Model.Graph(c.Options(c.Decode))
		if err != nil {
			t.Fatal(err)
		}
		r := evidence.Collect(context.Background(), reference.New(), g, c.Tensors(), backends.Options{Precision: p, Taps: parity.DecisionTaps(g)}, 1)
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		return r.Outputs
	}
	oracle, single := run(backends.FP64), run(backends.FP32)
	if n := tensor.Data[int64](single.Get("valid_counts"))[0]; n < 4 || int(n) == single.Get("scores").Shape()[1] {
		t.Fatalf("%d detections: the lies need a few, and padding", n)
	}
	judge := func(tell func(told)) *parity.Report {
		o := told{single.Clone()}
		tell(o)
		return parity.CompareOutputs(oracle, o.List, parity.Options{Setting: ParityCase(&c).Setting})
	}
	if len(outputLies) < 40 {
		t.Errorf("%d lies, want 40", len(outputLies))
	}
	for _, l := range outputLies {
		r := judge(l.tell)
		if r.State.Holds() || r.Passed {
			t.Errorf("%s: %s: %s", l.output, l.how, r.State)
			continue
		}
		if strings.Contains(l.output, " ") {
			continue // several at once
		}
		if said := fmt.Sprint(r.Problems, r.Decisions, failing(r)); !strings.Contains(said, cmp.Or(saysOf[l.output+": "+l.how], l.output)) {
			t.Errorf("%s: %s is %s, and it is not named:\n%s", l.output, l.how, r.State, said)
		}
	}
	for _, h := range honest {
		if r := judge(h.tell); !r.State.Holds() {
			t.Errorf("%s: %s: %s", h.how, r.State, r.Summary())
		}
	}
}
