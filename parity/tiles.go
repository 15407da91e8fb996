package parity

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/tensor"
)

// settled is the outcome of comparing the decisions of one pair of executions.
type settled struct {
	decisions []Decision
	compared  int             // decisions that were looked at
	rerouted  []bool          // per image: the executions computed different tiles, so what follows differs honestly
	decided   map[string]bool // outputs that the decisions judge instead of an element-wise comparison
	rows      map[string]alignment
}

func (s *settled) add(d ...Decision) { s.decisions = append(s.decisions, d...) }

func (s *settled) inconsistent(output string, image int, format string, args ...any) {
	s.add(Decision{Kind: Inconsistency, Verdict: Bug, Output: output, Image: image, Items: fmt.Sprintf(format, args...)})
}

// selection is the tile list of one level in both executions.
type selection struct{ ref, cand []int }

// compareTiles settles the selected tiles of every level, image by image.
func (s *settled) compareTiles(ref, cand tensor.List, set Setting) {
	for image := range s.rerouted {
		l0, ok := s.readSelection(ref, cand, "l0", image)
		if !ok {
			continue
		}
		same := s.settleSelection(l0, ref, cand, "utilities", image)
		l1, ok := s.readSelection(ref, cand, "l1", image)
		if !ok {
			s.rerouted[image] = s.rerouted[image] || !same
			continue
		}
		same = s.settleSplit(l1, ref, cand, splitLevel{"l1", "split_utilities", set.GridHeight, set.GridWidth}, same, image)
		if l2, ok := s.readSelection(ref, cand, "l2", image); ok {
			same = s.settleSplit(l2, ref, cand, splitLevel{"l2", set.LevelOneScores, 2 * set.GridHeight, 2 * set.GridWidth}, same, image)
		}
		s.rerouted[image] = s.rerouted[image] || !same
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

// settleSelection compares the tiles of level 0, chosen in descending order of utility. It reports whether both executions
// chose the same set. Their order has no influence on what follows: the model sorts the tiles before it packs them.
func (s *settled) settleSelection(l0 selection, ref, cand tensor.List, scores string, image int) bool {
	s.compared++
	dropped, commonRef := difference(l0.ref, l0.cand)
	added, commonCand := difference(l0.cand, l0.ref)
	if slices.Equal(l0.ref, l0.cand) {
		return true
	}
	rank, ok := s.scoresOf(ref, cand, scores, "tiles_l0", "tile", image, slices.Concat(l0.ref, l0.cand))
	if !ok {
		return false
	}
	s.add(rank.membership(dropped, added)...)
	s.add(rank.order(commonRef, commonCand)...)
	return len(dropped) == 0 && len(added) == 0
}

// scoresOf builds the ranking by which ids were chosen; false, with a bug recorded, where the scores do not cover them.
func (s *settled) scoresOf(ref, cand tensor.List, scores, output, noun string, image int, ids []int) (ranking, bool) {
	if !comparable2D(ref, cand, scores) || kindOf(ref.Get(scores).DType()) != floats {
		s.inconsistent(output, image, "the lists differ and the scores that ranked them were not recorded")
		return ranking{}, false
	}
	width := ref.Get(scores).Shape()[1]
	if top := slices.Max(ids); top >= width {
		s.inconsistent(output, image, "tile %d is outside the grid of %d tiles", top, width)
		return ranking{}, false
	}
	measure := scores
	if scores == "split_utilities" {
		measure = "split utilities"
	}
	return ranking{output: output, noun: noun, measure: measure, image: image,
		ref:  ref.Get(scores).Float64s()[image*width : (image+1)*width],
		cand: cand.Get(scores).Float64s()[image*width : (image+1)*width]}, true
}

// splitLevel names a level of split tiles, the scores that rank its parents, and the parents' grid.
type splitLevel struct {
	level, scores string
	gridH, gridW  int
}

// settleSplit compares a level of children. Their order is a scan of the grid, so only the set of parents was decided by
// scores. parentsSame says whether both executions could choose from the same tiles: if not, the difference follows from
// that one and has no cause of its own to find.
func (s *settled) settleSplit(sel selection, ref, cand tensor.List, lv splitLevel, parentsSame bool, image int) bool {
	name := "tiles_" + lv.level
	s.compared++
	if slices.Equal(sel.ref, sel.cand) {
		return parentsSame
	}
	parentsRef, okRef := parentsOf(sel.ref, lv.gridH, lv.gridW)
	parentsCand, okCand := parentsOf(sel.cand, lv.gridH, lv.gridW)
	_, commonRef := difference(sel.ref, sel.cand)
	_, commonCand := difference(sel.cand, sel.ref)
	switch {
	case !okRef || !okCand:
		s.inconsistent(name, image, "the lists differ and are not complete families of four children in a grid of %d×%d parents", lv.gridH, lv.gridW)
		return false
	case !slices.Equal(commonRef, commonCand):
		s.inconsistent(name, image, "the tiles that both lists share are in another order, which no score decides")
	case !parentsSame:
		s.add(Decision{Kind: Membership, Verdict: Explained, Output: name, Image: image,
			Items: "the children differ", Where: "because the tiles that could be split already do"})
		return false
	}
	dropped, _ := difference(parentsRef, parentsCand)
	added, _ := difference(parentsCand, parentsRef)
	if len(dropped) == 0 && len(added) == 0 {
		return true
	}
	if rank, ok := s.scoresOf(ref, cand, lv.scores, name, "parent", image, slices.Concat(parentsRef, parentsCand)); ok {
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
