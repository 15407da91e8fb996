package measure

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/perf"
)

// budgetSlack is what rounding may add to the budget of a sample (spec/routing.md 8).
const budgetSlack = 1e-9

// workOf reads off the outputs of the complete model, taps included, what it selected, spent and considered.
func workOf(out tensor.List, m *Complete) *perf.Work {
	w := &perf.Work{TilesL0: counts(out, "valid_l0"), TilesL1: counts(out, "valid_l1"), TilesL2: counts(out, "valid_l2")}
	for _, n := range m.Graph.Nodes {
		if op, ok := n.Op.(graph.SelectDetections); ok && n.Name == selectNode {
			w.Candidates = candidates(out, op)
		}
	}
	c := m.Costs
	budget := func(tiles []int, cost, limit float64) perf.Budget {
		b := perf.Budget{Limit: limit * float64(len(w.TilesL0))}
		for _, n := range tiles { // a sample cannot spend what another leaves
			spent := float64(n) * cost
			b.Spent += spent
			b.Over = b.Over || spent > limit+budgetSlack
		}
		return b
	}
	w.Budgets = map[string]perf.Budget{
		"b1": budget(w.TilesL0, c.L0, c.B1), "b2": budget(w.TilesL1, c.Split/4, c.B2), "b3": budget(w.TilesL2, c.Split/4, c.B3),
	}
	if c.Dense {
		b := w.Budgets["b1"]
		b.Over = false
		w.Budgets["b1"] = b
	}
	return w
}

func counts(out tensor.List, name string) []int {
	t := out.Get(name)
	if t == nil {
		return nil
	}
	list := make([]int, t.Len())
	for i, v := range t.Float64s() {
		list[i] = int(v)
	}
	return list
}

// candidates counts, for each sample, the pairs of anchor and class whose score σ(class)·σ(quality) reaches the threshold, at
// most PreNMSTopK of each level: what suppression has to deal with.
func candidates(out tensor.List, op graph.SelectDetections) []int {
	var total []int
	for level := range op.Strides {
		suffix := levelSuffix(level)
		cls, quality := out.Get("tap.det.cls"+suffix), out.Get("tap.det.quality"+suffix)
		if cls == nil || quality == nil || cls.Rank() != 4 {
			return nil
		}
		s := cls.Shape()
		batch, classes, cells := s[0], s[1], s[2]*s[3]
		if total == nil {
			total = make([]int, batch)
		}
		logits, q := cls.Float64s(), quality.Float64s()
		for b := range batch {
			n := 0
			for i := range classes * cells {
				if routing.Sigmoid(logits[b*classes*cells+i])*routing.Sigmoid(q[b*cells+i%cells]) >= float64(op.ScoreThreshold) {
					n++
				}
			}
			total[b] += min(n, op.PreNMSTopK)
		}
	}
	return total
}

// levelSuffix names a level of the pyramid in taps; the first is P3.
func levelSuffix(level int) string { return fmt.Sprintf(".P%d", 3+level) }
