package execute

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity/faults"
)

// The table of the catalogue is what documentation points at: what is caught, what is located to the exact step, what is below the budget,
// fault by fault. Every kind of fault is at least at one place.
func TestParityCheck(t *testing.T) {
	check := ParityCheck{Backend: reference.New(), Profile: "quality", Places: 1, Clean: 2, Seed: 1, Options: backends.Options{Precision: backends.FP32, Extra: map[string]string{"winograd": "off"}}}
	s, err := CheckParity(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := s.Text(&text); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "selfcheck.txt", text.String())
	if !s.Holds() {
		t.Error("the comparer does not keep its promises")
	}
	tried := slices.DeleteFunc(slices.Clone(s.Faults), func(f faults.Tally) bool { return f.Trials == 0 })
	if len(tried) < 80 {
		t.Errorf("%d kinds of faults were tried, want at least 80", len(tried))
	}
}
