package plots

import (
	"math"
	"strings"
	"testing"
)

var powerPoints = []PowerPoint{{0.2, 60, 60, 59, 0}, {0, 120, 0, 0, 3}, {0.02, 40, 1, 1, 2}, {0.05, 40, 9, 8, 3}, {0.1, 40, 33, 33, 2}}

func TestPower(t *testing.T) {
	f, err := Power("AMD EPYC 9B14, 2 cores, cells of 2 to 90 ms", powerPoints)
	if err != nil {
		t.Fatal(err)
	}
	look(t, "power", f)
	text := textOf(t, f)
	for _, want := range []string{"AMD EPYC 9B14, 2 cores, cells of 2 to 90 ms. ", "slowdown injected into one cell (%)", "share of the gate's runs (%)", "n = 120", "Clopper-Pearson",
		"False alarms: 0 of 120 A/A runs, so the rate is at most 3.03 %.", "right cell named", "inconclusive"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q in %q", want, text)
		}
	}
	if powerPoints[0].Slowdown != 0.2 {
		t.Error("the points were reordered")
	}
	f, err = Power("", powerPoints[:1])
	if err != nil || !strings.Contains(textOf(t, f), "There were no A/A runs") {
		t.Errorf("%v", err)
	}
}

func TestPowerRefusesContradictions(t *testing.T) {
	for name, p := range map[string]PowerPoint{
		"no runs": {0.1, 0, 0, 0, 0}, "more detected than run": {0.1, 5, 6, 0, 0}, "more named than detected": {0.1, 5, 2, 3, 0}, "negative": {0.1, 5, -1, -1, 0},
		"inconclusive and detected": {0.1, 5, 3, 3, 3}, "NaN": {math.NaN(), 5, 1, 1, 0}, "faster": {-0.1, 5, 1, 1, 0}, "twice": {0.2, 5, 1, 1, 0},
	} {
		if f, err := Power("", append([]PowerPoint{p}, powerPoints...)); err == nil || f != nil || !strings.Contains(err.Error(), "draw the power of the gate") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f, err := Power("", nil); f != nil || err != nil {
		t.Errorf("no points: %v, %v", f, err)
	}
}
