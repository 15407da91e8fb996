package plots

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// textOf returns what a figure says.
func textOf(t *testing.T, f *Figure) string {
	t.Helper()
	if f == nil {
		t.Fatal("no figure")
	}
	return parseXML(t, f.svg())
}

func TestDistributions(t *testing.T) {
	r := synthetic.Gate(1, gate.ParityFailed)
	f := Distributions(r, 12)
	look(t, "distributions", f)
	text := textOf(t, f)
	for _, want := range []string{"% of the median of the cell's base", "ort/nano/fp32/512x512/b1/complete", "regression", "off scale", "The 12 worst cells are shown, and 25 more are not.",
		"+" + strings.TrimPrefix(change(r.Verdict.Worst()[2].Final().Ratio), "+"), " ms"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q", want)
		}
	}
	if strings.Index(text, "384x640/b1/network") > strings.Index(text, "512x512/b1/complete") {
		t.Error("the cell that fails parity is not the first")
	}
	if all := textOf(t, Distributions(r, 100)); strings.Contains(all, "more are not") {
		t.Error("cells are counted as missing where all are shown")
	}
}

func TestCumulative(t *testing.T) {
	f := Cumulative(synthetic.Gate(1, gate.ParityFailed), 5)
	look(t, "cumulative", f)
	text := textOf(t, f)
	for _, want := range []string{"time of one call (ms)", "samples (%)", "ort/nano/fp32/256x256/b1/network", "The 5 worst cells are shown"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q", want)
		}
	}
	if len(f.Panels) != 2 || f.Panels[1][1] == nil || f.Panels[1][2] != nil {
		t.Errorf("five cells are in %v", f.Panels)
	}
}

// TestConfirmationIsShownWhereItDecided checks which stage's samples are drawn, and that controls are not.
func TestConfirmationIsShownWhereItDecided(t *testing.T) {
	m := func(arm perf.Arm, control bool, ns ...float64) perf.Measurement {
		return perf.Measurement{Cell: perf.Cell{Backend: "ort"}, Arm: arm, Control: control, Samples: ns}
	}
	r := &gate.Record{Screen: []perf.Measurement{m(perf.Base, false, 1e6), m(perf.Head, false, 9e6, math.NaN(), -1), m(perf.Head, true, 5e6)},
		Confirm: []perf.Measurement{m(perf.Base, false, 4e6), m(perf.Base, false, 2e6, 3e6)}, Verdict: &gate.Verdict{Cells: []gate.Cell{{Cell: perf.Cell{Backend: "ort"}}}}}
	got := worstWithSamples(r)[0]
	if head := got.arms[perf.Head]; got.stage != "screen" || len(head.pooled) != 1 || head.medians[0] != 9 {
		t.Errorf("%s: %+v", got.stage, got.arms)
	}
	r.Screen[1].DeviceSamples = []float64{7e6} // by which it is judged
	if head := worstWithSamples(r)[0].arms[perf.Head]; len(head.pooled) != 1 || head.medians[0] != 7 {
		t.Errorf("of a device: %+v", head)
	}
	r.Verdict.Cells[0].Series = []gate.Series{{Metric: gate.Time, Confirm: &gate.Estimate{}}}
	got = worstWithSamples(r)[0]
	base := got.arms[perf.Base]
	if got.stage != "confirmation" || len(got.arms[perf.Head].pooled) != 0 || base.pooled[0] != 2 || base.medians[0] != 4 || base.medians[1] != 2.5 {
		t.Errorf("%s: %+v", got.stage, got.arms)
	}
	if Distributions(r, 5) != nil {
		t.Error("strips without one side")
	}
	if Cumulative(r, 5) == nil {
		t.Error("one side alone has a distribution too")
	}
}

func TestNothingToDraw(t *testing.T) {
	for name, r := range map[string]*gate.Record{"nil": nil, "empty": {}, "no cells": synthetic.Gate(1, gate.Unavailable), "no verdict": {Screen: synthetic.Gate(1, gate.Pass).Screen}} {
		if Distributions(r, 5) != nil || Cumulative(r, 5) != nil {
			t.Errorf("%s: there is a figure", name)
		}
	}
}

func TestThinnedKeepsTheEnds(t *testing.T) {
	a := armSamples{}
	for i := range 1000 {
		a.pooled = append(a.pooled, float64(i))
	}
	if got := a.thinned(7); len(got) != 7 || got[0] != 0 || got[6] != 999 || got[3] != 499 {
		t.Errorf("%v", got)
	}
	xys := steps(a, 0, 999)
	if last := xys[len(xys)-1]; last.X != 999 || last.Y < 99 || last.Y > 100 {
		t.Errorf("the distribution function ends at %v", last)
	}
	for i := 1; i < len(xys); i++ {
		if xys[i].X < xys[i-1].X || xys[i].Y < xys[i-1].Y {
			t.Fatalf("it falls at %v", xys[i])
		}
	}
}

func TestNumbers(t *testing.T) {
	for v, want := range map[float64]string{0.00012: "1.20e-04", 0.00123: "0.00123", 0.5: "0.500", 8.5: "8.50", 23: "23.0", 188.4: "188", 31415: "31415", 1e9: "1.00e+09"} {
		if got := digits(v); got != want {
			t.Errorf("digits(%v) = %s, want %s", v, got, want)
		}
	}
	if got := change(0.705); got != "−29.5 %" {
		t.Error(got)
	}
	for s, want := range map[string]string{"short": "short", "0123456789": "012…6789"} {
		if got := Shorten(s, 8); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
