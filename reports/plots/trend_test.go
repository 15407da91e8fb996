package plots

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/trend"
)

// trendOf is the history of one metric: as many weekly runs around each level, with a release in the third and the last week.
func trendOf(t *testing.T, metric string, noise float64, each int, levels ...float64) *trend.Class {
	t.Helper()
	r := rand.New(rand.NewPCG(7, uint64(each)))
	var runs []trend.Run
	for i := range each * len(levels) {
		runs = append(runs, trend.Run{RunRef: trend.RunRef{SHA256: fmt.Sprintf("%064x", i), Source: trend.FromSweep, When: time.Date(2026, 1, 5+7*i, 5, 0, 0, 0, time.UTC),
			Commit: fmt.Sprintf("%08xfeedbeef", 0xabcdef+104729*i)}, Class: "cpu-amd-epyc-2c", Kind: env.SharedCPU,
			Points: []trend.Point{{Metric: metric, Unit: trend.Milliseconds, Value: levels[i/each] * (1 + noise*r.NormFloat64())}}})
	}
	if len(runs) > 2 {
		runs[2].Release, runs[len(runs)-1].Release = "v0.3.0", "v0.4.0-rc.1+long-name-of-a-release"
		runs[4].Removed, runs[6].Marked = "a build ran beside it", "driver 580"
	}
	report, err := trend.Analyze(runs, nil)
	if err != nil {
		t.Fatal(err)
	}
	return &report.Classes[0]
}

func TestTrend(t *testing.T) {
	metric := "reference/nano/fp32/512x512/b1/complete.p50_ms"
	for name, c := range map[string]*trend.Class{
		"trend-two-steps": trendOf(t, metric, 0.015, 14, 88, 99, 81),
		"trend-five":      trendOf(t, metric, 0.01, 8, 10, 12, 14, 12, 10, 13),
		"trend-none":      trendOf(t, metric, 0.02, 40, 88),
		"trend-constant":  trendOf(t, metric, 0, 12, 88),
		"trend-one":       trendOf(t, metric, 0, 1, 88),
		"trend-long":      trendOf(t, metric, 0.02, 150, 0.0004, 0.00046),
	} {
		f := Trend(c, &c.Series[0])
		look(t, name, f)
		said := textOf(t, f)
		for _, want := range []string{metric, "p50 (ms)", "2026-01-05", "date of its measurement (UTC)", "95 % confidence interval", "cpu-amd-epyc-2c, "} {
			if !strings.Contains(said, want) {
				t.Errorf("%s: the figure does not say %q in %q", name, want, said)
			}
		}
		for _, change := range c.Series[0].Changes {
			if want := change.Before + ".." + change.After; !strings.Contains(said, want) {
				t.Errorf("%s: the figure does not name the range %s", name, want)
			}
		}
		for _, want := range []string{"v0.3.0", "driver 580", "marked by hand", "1 run removed: see apexx trend show."} {
			if strings.Contains(said, want) != (len(c.Runs) > 2) {
				t.Errorf("%s: %q in %q", name, want, said)
			}
		}
	}
}

func TestTrendIsReproducible(t *testing.T) {
	c := trendOf(t, "m.p50_ms", 0.02, 10, 5, 6)
	var a, b bytes.Buffer
	if err := WritePNG(&a, Trend(c, &c.Series[0])); err != nil {
		t.Fatal(err)
	}
	if err := WritePNG(&b, Trend(c, &c.Series[0])); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Errorf("the same history gives other bytes (%v)", err)
	}
}

func TestTrendOfBadValues(t *testing.T) {
	c := trendOf(t, "m.p50_ms", 0.02, 10, 5, 6)
	s := c.Series[0]
	s.Values = append([]float64{math.NaN(), math.Inf(1), 1e300}, s.Values[3:]...)
	textOf(t, Trend(c, &s)) // draws
	s.Values = []float64{math.NaN()}
	s.Runs = s.Runs[:1]
	if f := Trend(c, &s); f != nil {
		t.Error("a figure of nothing")
	}
}
