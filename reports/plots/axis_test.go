package plots

import (
	"math"
	"strings"
	"testing"

	"gonum.org/v1/plot"
)

func labels(a plot.Axis) string {
	var list []string
	for _, t := range a.Tick.Marker.Ticks(a.Min, a.Max) {
		if t.Label != "" {
			list = append(list, t.Label)
		}
	}
	return strings.Join(list, " ")
}

func TestLinear(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		n         int
		want      string
	}{
		{0, 100, 5, "0 20 40 60 80 100"}, {-0.5, 0.5, 4, "-0.50 -0.25 0.00 0.25 0.50"}, {0.1, 0.5, 4, "0.1 0.2 0.3 0.4 0.5"}, {97, 161, 8, "100 110 120 130 140 150 160"},
		{3, 3, 2, "0.0 0.5 1.0"}, {math.NaN(), 1, 2, "0.0 0.5 1.0"}, {0, math.Inf(1), 2, "0.0 0.5 1.0"}, {1e-9, 4e-9, 3, "1e-09 2e-09 3e-09 4e-09"},
	} {
		a := newPanel("", "", "").X
		if linear(&a, c.low, c.high, c.n); labels(a) != c.want {
			t.Errorf("[%v, %v]: %s, want %s", c.low, c.high, labels(a), c.want)
		}
	}
	a := newPanel("", "", "").X
	linear(&a, 1e17, 1e17+32, 9) // must end: 1e17 + 1 is 1e17
}

func TestLogarithmic(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		want      string
	}{
		{1, 1000, "1 10 100 1000"}, {18, 520, "20 50 100 200 500"}, {13, 60, "15 20 30 50"}, {4.1, 4.9, "4.2 4.4 4.6 4.8"}, {0, 5, "1 2 5 10"}, {7, 7, "1 2 5 10"}, {1e-12, 1e15, "1e-12 1e-08 0.0001 1 10000 1e+08 1e+12"},
	} {
		a := newPanel("", "", "").X
		if logarithmic(&a, c.low, c.high); labels(a) != c.want {
			t.Errorf("[%v, %v]: %s, want %s", c.low, c.high, labels(a), c.want)
		}
	}
}

func TestDrawable(t *testing.T) {
	for x, want := range map[float64][2]bool{0: {true, false}, -1: {true, false}, 1: {true, true}, math.Inf(1): {}, math.Inf(-1): {}, 1e300: {}, 1e-300: {true, false}} {
		if got := [2]bool{finite(x), positive(x)}; got != want {
			t.Errorf("%v: %v, want %v", x, got, want)
		}
	}
	if finite(math.NaN()) || positive(math.NaN()) {
		t.Error("NaN is drawn")
	}
}
