package reports

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/trend"
)

// trendRuns is a history of two classes: on one, a metric becomes slower in the seventh week, together with a library, another
// disappears, the first run is a release, one was removed, one is marked and two are odd; on the other nothing is known yet.
func trendRuns() []trend.Run {
	var runs []trend.Run
	for week := range 14 {
		wobble := 1 + 0.004*float64(week*week%5-2)
		slow := 2.5 * wobble
		if week >= 7 {
			slow *= 1.22
		}
		r := trend.Run{RunRef: trend.RunRef{SHA256: fmt.Sprintf("%064x", week), Source: trend.FromSweep, When: time.Date(2026, 1, 5+7*week, 5, 0, 0, 0, time.UTC),
			Commit: fmt.Sprintf("%08xdeadbeef", 0xc0ffee+week*7919), Software: "onnxruntime 1.30.0"}, Class: "cpu-amd-epyc-2c", Kind: env.SharedCPU,
			Points: []trend.Point{
				{Metric: "ort/nano/fp32/256x256/b1/complete.p50_ms", Unit: trend.Milliseconds, Value: slow},
				{Metric: "reference/nano/fp32/512x512/b4/network.host_peak_mib", Unit: trend.Mebibytes, Value: 1200 * wobble},
				{Metric: "reference/nano/fp32/512x512/b4/network.p50_ms", Unit: trend.Milliseconds, Value: 140 * wobble},
			}}
		if week >= 7 {
			r.Software = "onnxruntime 1.31.0"
		}
		runs = append(runs, r)
	}
	runs[0].Release = "v0.3.0"
	runs[2].Removed, runs[9].Marked, runs[10].When = "a build ran beside it", "driver 580", time.Unix(0, 0).UTC()
	runs[11].LeftOut = []string{"ort/nano/fp32/256x256/b1/network is fail"}
	runs[13].Dirty = true
	runs[13].Points = runs[13].Points[:2]
	return append(runs, trend.Run{RunRef: trend.RunRef{SHA256: strings.Repeat("f", 64), Source: trend.FromArtifact, When: time.Date(2026, 2, 2, 5, 3, 11, 0, time.UTC)},
		Class: "gpu-nvidia-t4", Kind: env.UnlockedGPU, Points: []trend.Point{{Metric: "infer_p50_ms", Unit: trend.Milliseconds, Value: 0.249958}}})
}

func TestTrendTable(t *testing.T) {
	report, err := trend.Analyze(trendRuns(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, opt := range map[string]TableOptions{"trend.txt": {}, "trend-color.txt": {Color: true}} {
		var got bytes.Buffer
		if err := TrendTable(&got, report, opt); err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, name, got.Bytes())
	}
}

func TestTrendTableOfNothing(t *testing.T) {
	var got strings.Builder
	if err := TrendTable(&got, &trend.Report{}, TableOptions{}); err != nil || got.String() != "no run in the history fits\n" {
		t.Errorf("%q, %v", got.String(), err)
	}
}

// TestTrendTableOfHostileText shows what an artifact may name a metric, a commit or a release.
func TestTrendTableOfHostileText(t *testing.T) {
	runs := trendRuns()
	for i := range runs {
		runs[i].Release, runs[i].Software = "v1\n::error::x", "lib \x1b[2J\xff"
		for j := range runs[i].Points {
			runs[i].Points[j].Metric += "\n::warning::y"
		}
	}
	report, err := trend.Analyze(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	if err := TrendTable(&got, report, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := got.String(); printable.Text(text) != text || strings.Contains(text, "\n::") {
		t.Errorf("it writes\n%q", text)
	}
}
