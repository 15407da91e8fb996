package locate_test

import (
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/parity/budget"
)

// BenchmarkWhole derives the budgets of a whole run of 512×512.
func BenchmarkWhole(b *testing.B) {
	g, inputs := largeScene(b)
	of := &budget.Budget{Products: reference.New(), Options: backends.Options{Extra: map[string]string{"winograd": "off"}}}
	for b.Loop() {
		if _, err := of.Whole(b.Context(), g, inputs, budget.Run{}, nil, nil); err != nil {
			b.Fatal(err)
		}
	}
}
