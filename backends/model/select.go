package model

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
)

const int64Type = tensor.Int64

// counts are how many tiles each level selects. They are constants of a session: all costs are equal within a level, so
// utilities decide which tiles are chosen and never how many.
type counts struct {
	l0                 int // tiles of level 0
	splits0, splits1   int // parents split at levels 0 and 1; each has four children
	gridH, gridW, all0 int // the level-0 grid and its number of tiles
}

func (c counts) l1() int { return 4 * c.splits0 }
func (c counts) l2() int { return 4 * c.splits1 }

// countTiles applies the budgets with equal utilities, by the same rules that select tiles on the host.
func (b *builder) countTiles() (counts, error) {
	m, r := b.cfg.Model, b.cfg.Routing
	side := m.TileSizeL0 * m.FFPrimaryStride
	c := counts{gridH: b.opts.Height / side, gridW: b.opts.Width / side}
	c.all0 = c.gridH * c.gridW
	every := func(cost float64, tiles int) []float64 { return slices.Repeat([]float64{cost}, tiles) }
	spec := routing.ThreeStageParams{
		TwoStageParams: routing.TwoStageParams{
			Utilities: make([]float64, c.all0), Costs: every(b.cfg.DeltaCost(), c.all0),
			SplitUtilities: make([]float64, c.all0), SplitOverheads: every(config.SplitCost, c.all0),
			B1: r.BudgetB1, KMaxL0: m.KmaxL0, GridH: c.gridH, GridW: c.gridW,
		},
		SplitUtilitiesL1: make([]float64, 4*c.all0), SplitOverheadsL1: every(config.SplitCost, 4*c.all0),
	}
	if m.ForceDenseRouting {
		spec.B1, spec.KMaxL0 = float64(c.all0)*b.cfg.DeltaCost()+1, c.all0
	}
	if depth := b.cfg.EffectiveDepth(); depth >= 1 {
		spec.B2, spec.KMaxL1 = r.BudgetB2, m.KmaxL1
		if depth == 2 {
			spec.B3, spec.KMaxL2 = r.BudgetB3, m.KmaxL2
		}
	}
	res, err := routing.ThreeStage(spec)
	if err != nil {
		return counts{}, fmt.Errorf("count the selected tiles: %w", err)
	}
	c.l0, c.splits0, c.splits1 = len(res.L0.Selected), len(res.L1.Parents), len(res.L2.Parents)
	return c, nil
}

// selection holds the chosen tiles of each level, nil where there are none: L0 in selection order, L1 and L2 along the
// Hilbert curve of their grids.
type selection struct {
	counts
	l0, l1, l2 value
}

// selectL0 adds the choice of L0 tiles and of their children.
func (b *builder) selectL0(u, s value, c counts) selection {
	sel := selection{counts: c}
	switch {
	case c.l0 == 0:
		return sel
	case b.cfg.Model.ForceDenseRouting:
		all := make([]int, b.opts.Batch*c.all0)
		for i := range all {
			all[i] = i % c.all0
		}
		sel.l0 = b.ids("ff.all_tiles", all, b.opts.Batch, c.all0)
	default:
		sel.l0 = b.Add1("ff.select_l0", graph.GreedySelect{Count: c.l0}, u)
		b.Decide(graph.Decision{Value: sel.l0, Limit: c.all0, Scores: []value{u}})
	}
	if c.splits0 > 0 {
		children := b.split("ff.split_l0", s, sel.l0, c.splits0, c.gridH, c.gridW)
		sel.l1 = b.order("ff.select_l1", children, 2*c.gridH, 2*c.gridW, "hilbert")
	}
	return sel
}

// selectL2 adds the choice of L2 tiles: the router's S head ranks the chosen L1 tiles by the statistics of their windows.
func (b *builder) selectL2(sel *selection, f pvFeatures, maps value) {
	if sel.l1 == nil || sel.splits1 == 0 {
		return
	}
	x := b.aggregate("router.l1.x", maps, f.p3, b.cfg.Model.TileSizeL1)
	_, s := b.route(x, ".l1", "router.l1.utilities", "router.l1.split_utilities")
	children := b.split("ff.split_l1", b.tap(s), sel.l1, sel.splits1, 2*sel.gridH, 2*sel.gridW)
	sel.l2 = b.order("ff.select_l2", children, 4*sel.gridH, 4*sel.gridW, "hilbert")
}

// split adds the choice of the parents that are split, on a grid of gridH×gridW tiles, and returns their children.
func (b *builder) split(node string, utilities, parents value, count, gridH, gridW int) value {
	children := b.Add1(node, graph.SplitSelect{Count: count, GridHeight: gridH, GridWidth: gridW}, utilities, parents)
	b.Decide(graph.Decision{Value: children, Limit: 4 * gridH * gridW, Scores: []value{utilities}})
	return children
}

func (b *builder) order(node string, ids value, gridH, gridW int, mode string) value {
	ordered := b.Add1(node, graph.TileOrder{GridHeight: gridH, GridWidth: gridW, Mode: mode}, ids)
	b.Decide(graph.Decision{Value: ordered, Limit: gridH * gridW})
	return ordered
}

// outputTiles names a level's buffer tiles_lN [B,width], padded with -1.
func (b *builder) outputTiles(level int, ids value, count, width int) {
	name := fmt.Sprintf("tiles_l%d", level)
	pad := b.ids(name+".pad", []int{-1}, b.opts.Batch, width-count)
	switch {
	case ids == nil:
		ids = b.unary(name, graph.Identity, pad)
	case width == count:
		ids = b.unary(name, graph.Identity, ids)
	default:
		ids = b.Add1(name, graph.Concat{Axis: 1}, ids, pad)
	}
	b.output(ids)
}

// outputCount names a level's valid_lN [B].
func (b *builder) outputCount(level, count int) {
	name := fmt.Sprintf("valid_l%d", level)
	b.output(b.unary(name, graph.Identity, b.ids(name+".count", []int{count}, b.opts.Batch)))
}
