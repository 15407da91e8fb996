package main

import (
	"bytes"
	"os"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

// syntheticSweep writes the result of a small sweep: sweep FILE [slow|gpu|threads|absent|dirty|negative|micros].
func syntheticSweep(ts *testscript.TestScript, _ bool, args []string) {
	kind := ""
	if len(args) > 1 {
		kind = args[1]
	}
	spec := sweeptest.Spec{Sides: []int{256}, Scopes: []perf.Scope{perf.Complete, perf.TilePack}, GPU: kind == "gpu"}
	switch kind {
	case "absent":
		spec.Backends = []string{"reference", "cuda"}
	case "gpu":
		spec.Backends = []string{"reference", "cuda"}
	case "slow":
		spec.Scale = func(c perf.Cell) float64 {
			if c.Backend == "ort" && c.Scope == perf.Complete {
				return 3
			}
			return 1
		}
	}
	r := sweeptest.New(11, spec)
	r.Environment.Dirty = kind == "dirty"
	if kind == "threads" {
		r.Plan.Threads = 2 // as many as the class has
	}
	if kind == "micros" {
		for _, c := range r.Cells {
			for _, ms := range []*float64{&c.Summary.P50, &c.Summary.P90, &c.Summary.P95} {
				*ms *= 1000
			}
		}
	}
	if kind == "negative" {
		r.Measurements[0].Samples[0] = -1
	}
	var out bytes.Buffer
	ts.Check(sweep.WriteJSON(&out, r))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), out.Bytes(), 0o644))
}
