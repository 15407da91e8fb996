package sweeptest

import (
	"reflect"
	"testing"

	"github.com/apex-x/apexx/perf"
)

func TestNewIsSoundAndRepeats(t *testing.T) {
	for _, spec := range []Spec{{}, {Backends: []string{"reference", "cuda"}}, {GPU: true, Backends: []string{"reference", "cuda", "tensorrt"}},
		{Scopes: perf.Scopes, Batches: []int{1, 4}, Samples: 200, Replicates: 4}} {
		r := New(7, spec)
		if err := r.Validate(); err != nil {
			t.Errorf("%+v: %v", spec, err)
		}
		if !reflect.DeepEqual(r, New(7, spec)) {
			t.Error("the same seed gave another result")
		}
		if reflect.DeepEqual(r.Measurements, New(8, spec).Measurements) {
			t.Error("another seed gave the same samples")
		}
	}
}

func TestScale(t *testing.T) {
	plain := New(1, Spec{})
	slow := New(1, Spec{Scale: func(c perf.Cell) float64 {
		if c.Backend == "ort" {
			return 2
		}
		return 1
	}})
	for i, c := range plain.Cells {
		want := 1.0
		if c.Cell.Backend == "ort" {
			want = 2
		}
		if got := slow.Cells[i].Summary.P50 / c.Summary.P50; got < 0.999*want || got > 1.001*want {
			t.Errorf("%s: ratio %g, want %g", c.Name, got, want)
		}
	}
}
