package locate

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDdmin finds sets from which nothing can be taken, whatever they are, and tries none twice.
func TestDdmin(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 1 + rng.IntN(40)
		var needed []int // all of which are needed
		for range 1 + rng.IntN(min(3, n)) {
			if i := rng.IntN(n); !slices.Contains(needed, i) {
				needed = append(needed, i)
			}
		}
		slices.Sort(needed)
		tried := map[string]bool{}
		passes := func(set []int) (bool, error) {
			if key := fmt.Sprint(set); tried[key] {
				t.Fatalf("%v is tried twice", set)
			} else {
				tried[key] = true
			}
			for _, i := range needed {
				if !slices.Contains(set, i) {
					return false, nil
				}
			}
			return true, nil
		}
		if got, err := ddmin(n, passes); err != nil || !slices.Equal(got, needed) {
			t.Fatalf("of %d: %v, %v; want %v", n, got, err, needed)
		}
		if most := 12 * len(needed) * 7; len(tried) > most { // O(k·log n) where k are needed
			t.Errorf("of %d, with %d needed: %d sets were tried", n, len(needed), len(tried))
		}
	}
}

// TestDdminOfChoices ends in a set without any one member of which nothing passes, where several would do and more is not always better.
func TestDdminOfChoices(t *testing.T) {
	passes := func(set []int) (bool, error) {
		has := func(i int) bool { return slices.Contains(set, i) }
		return has(3) && has(9) || has(14) && !has(2) || len(set) == 16, nil
	}
	got, err := ddmin(16, passes)
	if err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if ok, _ := passes(slices.Delete(slices.Clone(got), i, i+1)); ok && len(got) > 1 {
			t.Errorf("%v passes without %d", got, got[i])
		}
	}
	broken := errors.New("interrupted")
	if _, err := ddmin(4, func([]int) (bool, error) { return false, broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}
