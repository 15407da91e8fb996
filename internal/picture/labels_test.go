package picture

import (
	"slices"
	"testing"
)

func TestLabels(t *testing.T) {
	// Three classes on a 2×2 grid: 0 everywhere 0, 1 rises to the right from -1 to 1, 2 ties with 0 in the bottom row.
	logits := []float32{0, 0, 0, 0, -1, 1, -1, 1, -2, -2, 0, 0}
	f, err := NewFit(4, 2, 4, 4) // a border row above and one below
	if err != nil {
		t.Fatal(err)
	}
	// Columns lie at 0, 0.25, 0.75 and 1 of the grid, so class 1 has -1, -0.5, 0.5, 1.
	if got, want := f.Labels(logits, 3, 2, 2), []int32{0, 0, 1, 1, 0, 0, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	f, err = NewFit(2, 2, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := f.Labels([]float32{5, 1, 2, 2, 1, 5, 2, 3}, 2, 2, 2), []int32{0, 1, 0, 1}; !slices.Equal(got, want) { // the third ties
		t.Errorf("%v, want %v", got, want)
	}
	if got := f.Labels([]float32{-3, -3, -3, -3}, 1, 2, 2); !slices.Equal(got, make([]int32, 4)) {
		t.Errorf("one class of negative logits: %v", got)
	}
}
