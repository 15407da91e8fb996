package parity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/backends/tensor"
)

// settled is the outcome of comparing the decisions of one pair of executions.
type settled struct {
	decisions []Decision
	compared  int             // decisions that were looked at
	rerouted  []bool          // per image: the executions computed different tiles, so what follows differs honestly
	decided   map[string]bool // outputs that the decisions judge instead of an element-wise comparison
	rows      []imageRows     // per image, how detections correspond; nil without detections
	budgets   *Budgets        // of the reference, nil where nobody derived them
}

func (s *settled) add(d ...Decision) { s.decisions = append(s.decisions, d...) }

func (s *settled) inconsistent(output string, image int, format string, args ...any) {
	s.add(Decision{Kind: Inconsistency, Verdict: Bug, Output: output, Image: image, Items: fmt.Sprintf(format, args...)})
}

// selection is the tile list of one level in both executions.
type selection struct{ ref, cand []int }

// level names what a level of tiles is chosen by. Level 0 has no parents.
type level struct {
	name, scores string
	noun         string // of what the scores rank
	gridH, gridW int    // of what the scores rank
}

func (l level) measure() string {
	return strings.ReplaceAll(strings.TrimPrefix(l.scores, "tap."), "_", " ")
}

// levelsOf lists the levels of tiles, coarsest first.
func levelsOf(set Setting) []level {
	return []level{
		{"l0", "utilities", "tile", set.GridHeight, set.GridWidth},
		{"l1", "split_utilities", "parent", set.GridHeight, set.GridWidth},
		{"l2", set.LevelOneScores, "parent", 2 * set.GridHeight, 2 * set.GridWidth},
	}
}

// compareTiles settles the selected tiles of every level, image by image. Each execution is first held to its own scores, at each
// level by itself; a level whose tiles could be chosen from other parents has no further cause to find.
func (s *settled) compareTiles(ref, cand tensor.List, set Setting) {
	for image := range s.rerouted {
		same, from := true, selection{}
		for at, l := range levelsOf(set) {
			sel, ok := s.readSelection(ref, cand, l.name, image)
			if !ok {
				break
			}
			if at == 0 {
				s.obeysUtilities(l, set, "reference", ref, sel.ref, image)
				s.obeysUtilities(l, set, "candidate", cand, sel.cand, image)
				same = s.settleSelection(l, sel, ref, cand, image)
			} else {
				s.obeysSplits(l, "reference", ref, sel.ref, from.ref, image)
				s.obeysSplits(l, "candidate", cand, sel.cand, from.cand, image)
				same = s.settleSplit(l, sel, ref, cand, same, image)
			}
			from = sel
		}
		s.rerouted[image] = !same
	}
}

// readSelection reads tiles_LEVEL and valid_LEVEL of one image and checks both lists for their own sake: a count in range,
// distinct ids, padding of -1. It reports false where an output is absent, misshapen or contradicts itself.
func (s *settled) readSelection(ref, cand tensor.List, level string, image int) (selection, bool) {
	name := "tiles_" + level
	if !comparable2D(ref, cand, name) || !comparableCounts(ref, cand, "valid_"+level) {
		return selection{}, false
	}
	s.decided[name], s.decided["valid_"+level] = true, true
	r, okRef := s.readTiles(ref, level, image, "reference")
	c, okCand := s.readTiles(cand, level, image, "candidate")
	return selection{r, c}, okRef && okCand
}

func comparable2D(ref, cand tensor.List, name string) bool {
	r, c := ref.Get(name), cand.Get(name)
	return r != nil && c != nil && r.Rank() == 2 && slices.Equal(r.Shape(), c.Shape()) && kindOf(r.DType()) == kindOf(c.DType())
}

func comparableCounts(ref, cand tensor.List, name string) bool {
	r, c := ref.Get(name), cand.Get(name)
	return r != nil && c != nil && r.Rank() == 1 && slices.Equal(r.Shape(), c.Shape()) &&
		kindOf(r.DType()) == integers && kindOf(c.DType()) == integers
}

func (s *settled) readTiles(outputs tensor.List, level string, image int, side string) ([]int, bool) {
	name := "tiles_" + level
	ids := integersOf(outputs.Get(name))
	width := outputs.Get(name).Shape()[1]
	ids = ids[image*width : (image+1)*width]
	valid := integersOf(outputs.Get("valid_" + level))[image]
	if valid < 0 || valid > int64(width) {
		s.inconsistent("valid_"+level, image, "the %s counts %d tiles in a list of %d", side, valid, width)
		return nil, false
	}
	seen := make(map[int64]bool, valid)
	out := make([]int, valid)
	for i, id := range ids {
		switch {
		case i >= int(valid) && id != -1:
			s.inconsistent(name, image, "the %s holds %d at place %d, beyond its %d tiles", side, id, i, valid)
			return nil, false
		case i >= int(valid):
			continue
		case id < 0 || seen[id]:
			s.inconsistent(name, image, "the %s holds %d at place %d, which is padding or a repetition", side, id, i)
			return nil, false
		}
		seen[id] = true
		out[i] = int(id)
	}
	return out, true
}

// obeysUtilities holds the tiles of level 0 to the utilities of their own execution: they are its best, in order; or all of them in
// ascending order where the routing is dense.
func (s *settled) obeysUtilities(l level, set Setting, side string, outputs tensor.List, chosen []int, image int) {
	scores, ok := scoreRow(outputs, l.scores, image)
	if !ok {
		return
	}
	want := make([]int, len(scores))
	for i := range want {
		want[i] = i
	}
	if !set.Dense {
		want = best(want, scores, len(chosen))
	}
	for i, id := range chosen {
		switch {
		case id >= len(scores):
			s.inconsistent("tiles_l0", image, "the %s chose tile %d, outside the grid of %d tiles", side, id, len(scores))
			return
		case i >= len(want) || set.Dense && id != want[i]:
			s.inconsistent("tiles_l0", image, "the %s lists tile %d at place %d, where dense routing takes all in ascending order", side, id, i)
			return
		case id != want[i]:
			s.inconsistent("tiles_l0", image, "the %s lists tile %d (%.9g) at place %d, where by its own %s tile %d (%.9g) belongs",
				side, id, scores[id], i, l.measure(), want[i], scores[want[i]])
			return
		}
	}
	if set.Dense && len(chosen) < len(want) {
		s.inconsistent("tiles_l0", image, "the %s lists %d tiles, where dense routing takes all %d", side, len(chosen), len(want))
	}
}

// obeysSplits holds the children of a level to their own execution: complete families along the Hilbert curve, of the best of the
// tiles from by its own scores.
func (s *settled) obeysSplits(l level, side string, outputs tensor.List, children, from []int, image int) {
	if l.gridH < 1 || l.gridW < 1 || len(children) == 0 {
		return
	}
	name := "tiles_" + l.name
	parents, ok := parentsOf(children, l.gridH, l.gridW)
	if !ok {
		s.inconsistent(name, image, "the list of the %s is not of complete families of four children in a grid of %d×%d parents", side, l.gridH, l.gridW)
		return
	}
	if ordered, err := routing.OrderTiles(children, 2*l.gridH, 2*l.gridW); err != nil || !slices.Equal(ordered, children) {
		s.inconsistent(name, image, "the list of the %s is not in the order of the Hilbert curve", side)
	}
	if strangers, _ := difference(parents, from); len(strangers) > 0 {
		s.inconsistent(name, image, "the %s splits %s, which it did not choose", side, joined(strangers))
		return
	}
	scores, ok := scoreRow(outputs, l.scores, image)
	if !ok || slices.Max(from) >= len(scores) {
		return
	}
	want := best(from, scores, len(parents))
	if worse, _ := difference(parents, want); len(worse) > 0 {
		better, _ := difference(want, parents)
		s.inconsistent(name, image, "the %s splits %s %d (%.9g), where by its own %s %d (%.9g) comes first",
			side, l.noun, worse[0], scores[worse[0]], l.measure(), better[0], scores[better[0]])
	}
}

// scoreRow returns the scores [B,K] of an image, false where they were not recorded.
func scoreRow(outputs tensor.List, name string, image int) ([]float64, bool) {
	t := outputs.Get(name)
	if t == nil || t.Rank() != 2 || !t.DType().IsFloat() || image >= t.Shape()[0] {
		return nil, false
	}
	width := t.Shape()[1]
	return t.Float64s()[image*width : (image+1)*width], true
}

// sameCount checks that both executions chose as many tiles: their number is a constant of the graph.
func (s *settled) sameCount(l level, sel selection, image int) bool {
	if len(sel.ref) == len(sel.cand) {
		return true
	}
	s.inconsistent("valid_"+l.name, image, "the candidate chose %d tiles, the reference %d", len(sel.cand), len(sel.ref))
	return false
}

// settleSelection compares the tiles of level 0, chosen in descending order of utility. It reports whether both executions
// chose the same set. Their order has no influence on what follows: the model sorts the tiles before it packs them.
func (s *settled) settleSelection(l level, sel selection, ref, cand tensor.List, image int) bool {
	s.compared++
	if slices.Equal(sel.ref, sel.cand) {
		return true
	}
	if !s.sameCount(l, sel, image) {
		return false
	}
	rank, ok := s.rankingOf(l, ref, cand, image, slices.Concat(sel.ref, sel.cand))
	if !ok {
		return false
	}
	dropped, commonRef := difference(sel.ref, sel.cand)
	added, commonCand := difference(sel.cand, sel.ref)
	s.add(rank.membership(dropped, added)...)
	s.add(rank.order(commonRef, commonCand)...)
	return len(dropped) == 0
}

// rankingOf builds the ranking by which ids were chosen; false, with a bug recorded, where the scores do not cover them.
func (s *settled) rankingOf(l level, ref, cand tensor.List, image int, ids []int) (ranking, bool) {
	output := "tiles_" + l.name
	refScores, okRef := scoreRow(ref, l.scores, image)
	candScores, okCand := scoreRow(cand, l.scores, image)
	if !okRef || !okCand {
		s.inconsistent(output, image, "the lists differ and the scores that ranked them were not recorded")
		return ranking{}, false
	}
	if top := slices.Max(ids); top >= min(len(refScores), len(candScores)) {
		s.inconsistent(output, image, "tile %d is outside the grid of %d tiles", top, min(len(refScores), len(candScores)))
		return ranking{}, false
	}
	return ranking{output: output, noun: l.noun, measure: l.measure(), image: image, ref: refScores, cand: candScores,
		allowed: s.budgets.row(l.scores, ref.Get(l.scores), image)}, true
}

// settleSplit compares a level of children. Their order is a scan of the grid, so only the set of parents was decided by
// scores. parentsSame says whether both executions could choose from the same tiles: if not, the difference follows from
// that one.
func (s *settled) settleSplit(l level, sel selection, ref, cand tensor.List, parentsSame bool, image int) bool {
	name := "tiles_" + l.name
	s.compared++
	if slices.Equal(sel.ref, sel.cand) {
		return parentsSame
	}
	if !s.sameCount(l, sel, image) {
		return false
	}
	parentsRef, okRef := parentsOf(sel.ref, l.gridH, l.gridW)
	parentsCand, okCand := parentsOf(sel.cand, l.gridH, l.gridW)
	switch {
	case l.gridH < 1 || l.gridW < 1:
		s.inconsistent(name, image, "the lists differ, and the grid of their parents is not known")
		return false
	case !okRef || !okCand:
		return false // obeysSplits has said so
	case !parentsSame:
		s.add(Decision{Kind: Membership, Verdict: Explained, Output: name, Image: image,
			Items: "the children differ", Where: "because the tiles that could be split already do"})
		return false
	}
	dropped, _ := difference(parentsRef, parentsCand)
	added, _ := difference(parentsCand, parentsRef)
	if len(dropped) == 0 {
		return true
	}
	if rank, ok := s.rankingOf(l, ref, cand, image, slices.Concat(parentsRef, parentsCand)); ok {
		s.add(rank.membership(dropped, added)...)
	}
	return false
}

// parentsOf maps children in the grid of twice the resolution to their parents, each once in ascending order. It reports
// false unless every parent has all four children.
func parentsOf(children []int, gridH, gridW int) ([]int, bool) {
	if gridH < 1 || gridW < 1 {
		return nil, false
	}
	count := map[int]int{}
	for _, id := range children {
		row, col := id/(2*gridW), id%(2*gridW)
		if row >= 2*gridH {
			return nil, false
		}
		count[row/2*gridW+col/2]++
	}
	parents := make([]int, 0, len(count))
	for id, n := range count {
		if n != 4 {
			return nil, false
		}
		parents = append(parents, id)
	}
	slices.Sort(parents)
	return parents, true
}
