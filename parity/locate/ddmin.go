package locate

import (
	"fmt"
	"slices"
)

// ddmin returns a smallest subset of 0 … n-1 that passes, in the sense that without any one of its members it does not: delta debugging as of
// Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, IEEE Transactions on Software Engineering 28(2), 2002. The set
// of all has to pass. No set is tried twice.
func ddmin(n int, passes func(set []int) (bool, error)) ([]int, error) {
	known := map[string]bool{}
	try := func(set []int) (bool, error) {
		key := fmt.Sprint(set)
		if v, tried := known[key]; tried {
			return v, nil
		}
		v, err := passes(set)
		known[key] = v
		return v, err
	}
	set := make([]int, n)
	for i := range set {
		set[i] = i
	}
	for pieces := 2; len(set) > 1; {
		next, found, err := reduced(set, pieces, try)
		switch {
		case err != nil:
			return nil, err
		case found && len(next) <= (len(set)+pieces-1)/pieces: // a piece by itself
			set, pieces = next, 2
		case found:
			set, pieces = next, max(pieces-1, 2)
		case pieces >= len(set):
			return set, nil
		default:
			pieces = min(2*pieces, len(set))
		}
	}
	return set, nil
}

// reduced looks for a piece that passes, and then for what is left without a piece.
func reduced(set []int, pieces int, try func([]int) (bool, error)) (next []int, found bool, err error) {
	var parts, rests [][]int
	for p := range pieces {
		low, high := p*len(set)/pieces, (p+1)*len(set)/pieces
		parts = append(parts, slices.Clone(set[low:high]))
		rests = append(rests, append(slices.Clone(set[:low]), set[high:]...))
	}
	for _, s := range append(parts, rests...) {
		if len(s) == 0 {
			continue
		}
		if found, err = try(s); found || err != nil {
			return s, found, err
		}
	}
	return nil, false, nil
}
