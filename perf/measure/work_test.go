package measure

import (
	"fmt"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/perf"
)

func named32(name string, shape []int, values ...float32) tensor.Named {
	return tensor.Named{Name: name, Tensor: tensor.Must(tensor.Of(values, shape...))}
}

// TestCandidates counts by hand. With σ(0) = 1/2, σ(ln 3) = 3/4 and a threshold of 1/4, a score reaches the threshold by
// equality at the least.
func TestCandidates(t *testing.T) {
	const ln3, low, high = 1.0986123, -9, 9
	op := graph.SelectDetections{Strides: []int{8, 16}, ScoreThreshold: 0.25, PreNMSTopK: 3}
	out := tensor.List{
		// Two samples, two classes, two cells. Sample 0: class 0 has 1/2·1/2 in cell 0 and 3/4·3/4 in cell 1, class 1 has
		// nothing in cell 0 and 1/2·3/4 in cell 1: 3. Sample 1: all four, of which 3 enter suppression.
		named32("tap.det.cls.P3", []int{2, 2, 1, 2}, 0, ln3, low, 0, high, high, high, high),
		named32("tap.det.quality.P3", []int{2, 1, 1, 2}, 0, ln3, high, high),
		// One cell. Sample 0: a good class of no quality: 0. Sample 1: one of two classes: 1.
		named32("tap.det.cls.P4", []int{2, 2, 1, 1}, high, high, high, low),
		named32("tap.det.quality.P4", []int{2, 1, 1, 1}, low, high),
	}
	if got := candidates(out, op); !slices.Equal(got, []int{3, 4}) {
		t.Errorf("candidates %v, want [3 4]", got)
	}
	if got := candidates(out[:2], op); got != nil {
		t.Errorf("without the taps of a level: %v", got)
	}
}

func TestBudgets(t *testing.T) {
	costs := Costs{L0: 0.8, Split: 1, B1: 1.6, B2: 1, B3: 0}
	for _, c := range []struct {
		name       string
		l0, l1, l2 []float32
		costs      func(*Costs)
		want       string
	}{
		{"all of it", []float32{2, 2}, []float32{4, 4}, nil, nil, "b1 3.2/3.2 b2 2/2 b3 0/0"},
		{"less", []float32{1, 0}, []float32{4, 0}, nil, nil, "b1 0.8/3.2 b2 1/2 b3 0/0"},
		{"a sample too much, the other less", []float32{3, 0}, []float32{4, 0}, nil, nil, "b1 2.4/3.2 over b2 1/2 b3 0/0"},
		{"splits", []float32{2, 2}, []float32{8, 0}, nil, nil, "b1 3.2/3.2 b2 2/2 over b3 0/0"},
		{"level 2", []float32{2, 2}, []float32{4, 4}, []float32{4, 0}, nil, "b1 3.2/3.2 b2 2/2 b3 1/0 over"},
		{"rounding", []float32{2, 2}, nil, nil, func(c *Costs) { c.B1 -= 0.9e-9 }, "b1 3.2/3.2 b2 0/2 b3 0/0"},
		{"more than rounding", []float32{2, 2}, nil, nil, func(c *Costs) { c.B1 -= 1.1e-9 }, "b1 3.2/3.2 over b2 0/2 b3 0/0"},
		{"dense routing", []float32{9, 9}, nil, nil, func(c *Costs) { c.Dense = true }, "b1 14.4/3.2 b2 0/2 b3 0/0"},
	} {
		out := tensor.List{}
		for name, list := range map[string][]float32{"valid_l0": c.l0, "valid_l1": c.l1, "valid_l2": c.l2} {
			if list != nil {
				out = append(out, named32(name, []int{len(list)}, list...))
			}
		}
		m := &Complete{Graph: &graph.Graph{}, Costs: costs}
		if c.costs != nil {
			c.costs(&m.Costs)
		}
		got := ""
		w := workOf(out, m)
		for _, name := range []string{"b1", "b2", "b3"} {
			b := w.Budgets[name]
			got += fmt.Sprintf("%s %.4g/%.4g ", name, b.Spent, b.Limit)
			if b.Over {
				got += "over "
			}
		}
		if got != c.want+" " {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestOrder checks that an order is a permutation that the seed and the stream decide.
func TestOrder(t *testing.T) {
	var cells []perf.Cell
	for n := 1; n <= 20; n++ {
		cells = append(cells, perf.Cell{Backend: "reference", Precision: backends.FP32, Batch: n})
	}
	before := slices.Clone(cells)
	seen := map[string]bool{}
	for seed := range uint64(4) {
		for stream := range uint64(4) {
			got := Order(cells, seed, stream)
			if !slices.Equal(got, Order(cells, seed, stream)) {
				t.Errorf("seed %d, stream %d: two orders", seed, stream)
			}
			seen[fmt.Sprint(got)] = true
			slices.SortFunc(got, func(a, b perf.Cell) int { return a.Batch - b.Batch })
			if !slices.Equal(got, cells) {
				t.Errorf("seed %d, stream %d: not a permutation: %v", seed, stream, got)
			}
		}
	}
	if len(seen) != 16 || !slices.Equal(cells, before) {
		t.Errorf("%d orders of 16; the cells themselves moved: %v", len(seen), !slices.Equal(cells, before))
	}
	if got := Order(nil, 1, 2); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}
