package routing

import (
	"cmp"
	"fmt"
	"slices"
)

// Thresholds switch a tile on above On and off at or below Off. Off < On, both finite.
type Thresholds struct{ On, Off float64 }

func (h Thresholds) check() error {
	if !finite(h.On) || !finite(h.Off) || h.On <= h.Off {
		return fmt.Errorf("theta_on is %v and theta_off is %v: theta_on must be > theta_off, both finite", h.On, h.Off)
	}
	return nil
}

// Hysteresis returns the new mask of tiles: 1 where the utility is > On, or > Off and the tile was on (its previous value is
// exactly 1), else 0. A NaN utility gives 0. Unlike the original it rejects NaN thresholds. Source: spec 12.1.
func Hysteresis(utilities []float64, previous []int, h Thresholds) ([]int, error) {
	if err := h.check(); err != nil {
		return nil, err
	}
	if len(utilities) != len(previous) {
		return nil, fmt.Errorf("%d utilities and a previous mask of %d: must have the same length", len(utilities), len(previous))
	}
	mask := make([]int, len(utilities))
	for i, u := range utilities {
		if u > h.On || u > h.Off && previous[i] == 1 {
			mask[i] = 1
		}
	}
	return mask, nil
}

// HysteresisWithBudget is [Hysteresis] with at most maxActive tiles on: those on before come first, then those of higher
// utility, then those of lower id. Source: spec 12.2.
func HysteresisWithBudget(utilities []float64, previous []int, h Thresholds, maxActive int) ([]int, error) {
	if maxActive < 0 {
		return nil, fmt.Errorf("max_active is %d: max_active must be >= 0", maxActive)
	}
	mask, err := Hysteresis(utilities, previous, h)
	if err != nil {
		return nil, err
	}
	active := []int{}
	for id, on := range mask {
		if on == 1 {
			active = append(active, id)
		}
	}
	if len(active) <= maxActive {
		return mask, nil
	}
	wasOff := func(id int) int {
		if previous[id] == 1 {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(active, func(a, b int) int {
		return cmp.Or(cmp.Compare(wasOff(a), wasOff(b)), cmp.Compare(utilities[b], utilities[a]))
	})
	for _, id := range active[maxActive:] {
		mask[id] = 0
	}
	return mask, nil
}

// HeldSelection returns count tiles to process in a frame whose selection must have that size, in descending order of
// utility, equal ones by id. Those that [HysteresisWithBudget] keeps on come first; what room they leave goes to tiles with a
// utility above Off, then to others that were on, then to the rest, each time the higher utility first. previous tells the tiles
// of the frame before, 1 for each; without any this is the choice of the count highest utilities.
//
// The original computes hysteresis and lets nothing follow from it (spec 26).
func HeldSelection(utilities []float64, previous []int, h Thresholds, count int) ([]int, error) {
	if count < 0 || count > len(utilities) {
		return nil, fmt.Errorf("%d tiles to select of %d", count, len(utilities))
	}
	mask, err := HysteresisWithBudget(utilities, previous, h, count)
	if err != nil {
		return nil, err
	}
	band := func(id int) int {
		switch {
		case mask[id] == 1:
			return 0
		case utilities[id] > h.Off:
			return 1
		case previous[id] == 1:
			return 2
		}
		return 3
	}
	ids := make([]int, len(utilities))
	for id := range ids {
		ids[id] = id
	}
	better := func(a, b int) int { return cmp.Compare(utilities[b], utilities[a]) }
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Or(cmp.Compare(band(a), band(b)), better(a, b)) })
	selected := ids[:count]
	slices.Sort(selected)
	slices.SortStableFunc(selected, better)
	return selected, nil
}
