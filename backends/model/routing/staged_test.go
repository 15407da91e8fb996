package routing

import (
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

// The letters are those of spec 9 and 10. All run on a 2x2 L0 grid.
func caseA() TwoStageParams {
	return TwoStageParams{Utilities: []float64{5, 4, 3, 2}, Costs: repeat(1, 4), SplitUtilities: []float64{1, 1, 0, 0},
		SplitOverheads: repeat(1, 4), B1: 2, B2: 1, KMaxL0: 2, KMaxL1: 8, GridH: 2, GridW: 2}
}

func caseD() TwoStageParams {
	return TwoStageParams{Utilities: []float64{1.5, 1.4, .9, .7}, Costs: []float64{.9, 1.1, 1, 1.2}, SplitUtilities: []float64{.2, .8, .6, .1},
		SplitOverheads: []float64{.6, .7, .5, .9}, B1: 2.1, B2: 1.4, KMaxL0: 3, KMaxL1: 8, GridH: 2, GridW: 2}
}

type stagedWant struct {
	l0                                string
	parentOrder, parents              string
	spent                             float64
	indices, ordered                  string
	padding                           int
	order2, parents2, indices2, ordd2 string
	spent2                            float64
	padding2                          int
}

func checkStage(t *testing.T, name string, s SplitStage, grid int, order, parents string, spent float64, indices, ordered string, padding int) {
	t.Helper()
	for _, c := range []struct {
		what string
		got  []int
		want string
	}{{"parent order", s.ParentOrder, order}, {"parents", s.Parents, parents}, {"tiles", s.Indices, indices}, {"ordered tiles", s.Ordered, ordered}} {
		if !slices.Equal(c.got, parseInts(t, c.want)) {
			t.Errorf("%s: %s %v, want %s", name, c.what, c.got, c.want)
		}
	}
	buffer := append(parseInts(t, ordered), slices.Repeat([]int{Pad}, padding)...)
	if s.Spent != spent || s.GridH != grid || s.GridW != grid || !slices.Equal(s.Buffer, buffer) || s.ValidCount != len(s.Ordered) {
		t.Errorf("%s: spent %v (want %v), grid %dx%d, buffer %v (want %v), %d valid", name, s.Spent, spent, s.GridH, s.GridW, s.Buffer, buffer, s.ValidCount)
	}
}

func TestTwoStage(t *testing.T) {
	b := TwoStageParams{Utilities: []float64{0, 1, 1, 0}, Costs: repeat(1, 4), SplitUtilities: []float64{0, 2, 2, 0},
		SplitOverheads: repeat(1, 4), B1: 2, B2: 1, KMaxL0: 2, KMaxL1: 8, GridH: 2, GridW: 2}
	c := TwoStageParams{Utilities: []float64{4, 3, 2, 1}, Costs: repeat(1, 4), SplitUtilities: []float64{3, 2, 1, 0},
		SplitOverheads: repeat(.8, 4), B1: 3, B2: 5, KMaxL0: 3, KMaxL1: 6, GridH: 2, GridW: 2}
	i := TwoStageParams{Utilities: []float64{4, 3, 2, 1}, Costs: repeat(1, 4), SplitUtilities: []float64{9, 3, 2, 1},
		SplitOverheads: []float64{3, 1, 1, 1}, B1: 4, B2: 2, KMaxL0: 4, KMaxL1: 16, GridH: 2, GridW: 2}
	for _, tc := range []struct {
		name string
		p    TwoStageParams
		w    stagedWant
	}{
		{"A", caseA(), stagedWant{l0: "0 1", parentOrder: "0 1", parents: "0", spent: 1, indices: "0 1 4 5", ordered: "0 1 5 4", padding: 4}},
		{"B", b, stagedWant{l0: "1 2", parentOrder: "1 2", parents: "1", spent: 1, indices: "2 3 6 7", ordered: "7 6 2 3", padding: 4}},
		{"C", c, stagedWant{l0: "0 1 2", parentOrder: "0 1 2", parents: "0", spent: .8, indices: "0 1 4 5", ordered: "0 1 5 4", padding: 2}},
		{"D", caseD(), stagedWant{l0: "0 1", parentOrder: "1 0", parents: "1 0", spent: 1.2999999999999998, indices: "2 3 6 7 0 1 4 5", ordered: "0 1 5 4 7 6 2 3"}},
		{"I", i, stagedWant{l0: "0 1 2 3", parentOrder: "0 1 2 3", parents: "1 2", spent: 2, indices: "2 3 6 7 8 9 12 13", ordered: "8 12 13 9 7 6 2 3", padding: 8}},
	} {
		r, err := TwoStage(tc.p)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if !slices.Equal(r.L0.Selected, parseInts(t, tc.w.l0)) {
			t.Errorf("%s: L0 %v, want %s", tc.name, r.L0.Selected, tc.w.l0)
		}
		checkStage(t, tc.name, r.L1, 4, tc.w.parentOrder, tc.w.parents, tc.w.spent, tc.w.indices, tc.w.ordered, tc.w.padding)
	}
	d := must.Get(TwoStage(caseD()))(t)
	if want := []float64{1.6666666666666665, 1.2727272727272725, .9, .5833333333333334}; !slices.Equal(d.L0.Scores, want) || d.L0.Spent != 2 {
		t.Errorf("D: scores %v for %v, want %v for 2", d.L0.Scores, d.L0.Spent, want)
	}
}

// With nothing to split, split values are not examined, as spec 9.2 and trap 10 say.
func TestTwoStageShortCircuit(t *testing.T) {
	for name, change := range map[string]func(*TwoStageParams){
		"no L0 tile": func(p *TwoStageParams) { p.KMaxL0 = 0 },
		"capacity 0": func(p *TwoStageParams) { p.KMaxL1 = 0 },
		"budget 0":   func(p *TwoStageParams) { p.B2 = 0 },
	} {
		p := caseA()
		p.SplitUtilities = repeat(math.NaN(), 4)
		change(&p)
		checkStage(t, name, must.Get(TwoStage(p))(t).L1, 4, "", "", 0, "", "", p.KMaxL1)
	}
	p := caseA()
	p.SplitOverheads, p.B2 = repeat(0, 4), 1e-300
	if got := must.Get(TwoStage(p))(t).L1.Parents; !slices.Equal(got, []int{0, 1}) {
		t.Errorf("a tiny B2 splits free tiles %v, want [0 1]", got)
	}
	p = caseA() // 0.1+0.1+0.1 passes 0.3 by a rounding, which the slack allows
	p.KMaxL0, p.B1, p.KMaxL1, p.SplitOverheads, p.B2 = 3, 3, 16, repeat(.1, 4), .3
	if got := must.Get(TwoStage(p))(t).L1.Parents; !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("B2 of 0.3 splits %v, want [0 1 2]", got)
	}
	p = caseA()
	p.SplitUtilities = []float64{1, 1, math.NaN(), 1} // tile 2 is not selected
	if _, err := TwoStage(p); err != nil {
		t.Errorf("NaN at an unselected tile: %v", err)
	}
}

func TestTwoStageErrors(t *testing.T) {
	for _, c := range []struct {
		change func(*TwoStageParams)
		sub    string
	}{
		{func(p *TwoStageParams) { p.B2 = math.NaN() }, "budget_b2"},
		{func(p *TwoStageParams) { p.B1 = -1 }, "must be finite and >= 0"},
		{func(p *TwoStageParams) { p.KMaxL1 = -1 }, "kmax_l1"},
		{func(p *TwoStageParams) { p.Costs = p.Costs[1:] }, "same length"},
		{func(p *TwoStageParams) { p.SplitUtilities = p.SplitUtilities[1:] }, "same length"},
		{func(p *TwoStageParams) { p.SplitOverheads = nil }, "same length"},
		{func(p *TwoStageParams) { p.GridW = 3 }, "full L0 grid size"},
		{func(p *TwoStageParams) { p.GridH = 0 }, "must be > 0"},
		{func(p *TwoStageParams) { p.SplitUtilities[0] = math.NaN() }, "finite"},
	} {
		p := caseA()
		c.change(&p)
		_, err := TwoStage(p)
		must.Fail(t, err, c.sub)
	}
}

func l1Values(base float64, set map[int]float64) []float64 {
	out := repeat(base, 16)
	for id, v := range set {
		out[id] = v
	}
	return out
}

func TestThreeStage(t *testing.T) {
	e := ThreeStageParams{TwoStageParams: caseA(), SplitUtilitiesL1: l1Values(0, map[int]float64{0: .5, 1: 1, 4: .9, 5: .1}),
		SplitOverheadsL1: repeat(1, 16), B3: 1, KMaxL2: 8}
	f := e
	f.SplitUtilitiesL1 = l1Values(0, map[int]float64{1: 2, 4: 2})
	g := ThreeStageParams{TwoStageParams: TwoStageParams{Utilities: []float64{4, 3, 2, 1}, Costs: repeat(1, 4), SplitUtilities: []float64{3, 2, 0, 0},
		SplitOverheads: repeat(1, 4), B1: 2, B2: 2, KMaxL0: 2, KMaxL1: 12, GridH: 2, GridW: 2},
		SplitUtilitiesL1: append(repeat(1, 8), repeat(0, 8)...), SplitOverheadsL1: repeat(.8, 16), B3: 5, KMaxL2: 6}
	h := ThreeStageParams{TwoStageParams: caseD(), SplitUtilitiesL1: l1Values(0, map[int]float64{0: .4, 1: .9, 4: .8, 5: .3}),
		SplitOverheadsL1: repeat(.6, 16), B3: 1.2, KMaxL2: 8}
	for _, tc := range []struct {
		name string
		p    ThreeStageParams
		w    stagedWant
	}{
		{"E", e, stagedWant{order2: "1 4 0 5", parents2: "1", spent2: 1, indices2: "2 3 10 11", ordd2: "2 3 11 10", padding2: 4}},
		{"F", f, stagedWant{order2: "1 4 0 5", parents2: "1", spent2: 1, indices2: "2 3 10 11", ordd2: "2 3 11 10", padding2: 4}},
		{"G", g, stagedWant{order2: "0 1 2 3 4 5 6 7", parents2: "0", spent2: .8, indices2: "0 1 8 9", ordd2: "0 8 9 1", padding2: 2}},
		{"H", h, stagedWant{order2: "1 4 0 5 2 3 6 7", parents2: "1 4", spent2: 1.2, indices2: "2 3 10 11 16 17 24 25", ordd2: "2 3 11 10 25 17 16 24"}},
	} {
		r, err := ThreeStage(tc.p)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		checkStage(t, tc.name, r.L2, 8, tc.w.order2, tc.w.parents2, tc.w.spent2, tc.w.indices2, tc.w.ordd2, tc.w.padding2)
	}
	if r := must.Get(ThreeStage(g))(t); !slices.Equal(r.L1.Indices, []int{0, 1, 4, 5, 2, 3, 6, 7}) || !slices.Equal(r.L1.Parents, []int{0, 1}) {
		t.Errorf("G: L1 %v from %v", r.L1.Indices, r.L1.Parents)
	}
	for _, c := range []struct {
		change func(*ThreeStageParams)
		sub    string
	}{
		{func(p *ThreeStageParams) { p.B3 = math.Inf(1) }, "budget_b3"},
		{func(p *ThreeStageParams) { p.KMaxL2 = -1 }, "kmax_l2"},
		{func(p *ThreeStageParams) { p.SplitUtilitiesL1 = repeat(1, 15) }, "same length"},
		{func(p *ThreeStageParams) { p.SplitUtilitiesL1, p.SplitOverheadsL1 = repeat(1, 4), repeat(1, 4) }, "full L1 grid size"},
		{func(p *ThreeStageParams) { p.SplitOverheadsL1 = repeat(math.NaN(), 16) }, "finite"},
		{func(p *ThreeStageParams) { p.B1 = -1 }, "budget"},
	} {
		p := e
		c.change(&p)
		_, err := ThreeStage(p)
		must.Fail(t, err, c.sub)
	}
	e.B3 = 0
	checkStage(t, "no B3", must.Get(ThreeStage(e))(t).L2, 8, "", "", 0, "", "", 8)
}
