package trend

import (
	"fmt"
	"math"
	"testing"

	"github.com/apex-x/apexx/perf/env"
)

// history is a run per value of one metric, a day apart, on one class.
func history(class string, kind env.Kind, values ...float64) []Run {
	var runs []Run
	for i, v := range values {
		runs = append(runs, Run{RunRef: RunRef{SHA256: fmt.Sprintf("%x%060x", class[:2], i), Source: FromSweep, When: epoch.AddDate(0, 0, i),
			Commit: fmt.Sprintf("%s%02d", class[:3], i), Software: "go 1.26"}, Class: class, Kind: kind,
			Points: []Point{{Metric: "m.p50_ms", Unit: Milliseconds, Value: v}}})
	}
	return runs
}

func TestAnalyze(t *testing.T) {
	runs := history("cpu-x", env.SharedCPU, noisy(33, 12, 10, 12)...)
	runs[12].Software = "go 1.27"
	runs[12].Dirty = true
	// Another class in the same weeks, much faster: were they mixed, every other run would be a step.
	runs = append(runs, history("gpu-y", env.UnlockedGPU, noisy(35, 24, 1)...)...)
	report, err := Analyze(runs, nil)
	if err != nil || len(report.Classes) != 2 || report.Classes[0].ID != "cpu-x" || report.Classes[1].ID != "gpu-y" {
		t.Fatalf("%+v, %v", report, err)
	}
	s := report.Classes[0].Series[0]
	if len(s.Changes) != 1 || len(s.Segments) != 2 || len(s.Values) != 24 || len(s.Runs) != 24 {
		t.Fatalf("series %+v", s)
	}
	c := s.Changes[0]
	if c.Index != 12 || c.Before != "cpu11" || c.After != "cpu12+dirty" || math.Abs(c.Ratio-1.2) > 0.02 ||
		c.Software != "go 1.26 → go 1.27" {
		t.Errorf("change %+v", c)
	}
	if left := s.Segments[0]; c.SDBefore != left.SD || left.SD < 0.1 || left.SD > 0.4 || !(left.Low < left.Mean && left.Mean < left.High) || left.End != 12 {
		t.Errorf("segment %+v", left)
	}
	if gpu := report.Classes[1].Series[0]; len(gpu.Changes) != 0 || len(gpu.Segments) != 1 {
		t.Errorf("series of the other class %+v", gpu)
	}
}

func TestAnalyzeOneRun(t *testing.T) {
	report, err := Analyze(history("cpu-x", env.SharedCPU, 5), nil)
	if err != nil {
		t.Fatal(err)
	}
	if g := report.Classes[0].Series[0].Segments[0]; g.Mean != 5 || g.SD != 0 || g.Low != 5 || g.High != 5 {
		t.Errorf("segment of one value %+v", g)
	}
	if report, err = Analyze(nil, nil); err != nil || report.Classes == nil {
		t.Errorf("of nothing: %+v, %v", report, err)
	}
}
