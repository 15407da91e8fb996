package synthetic

import (
	"math/rand/v2"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
	"github.com/apex-x/apexx/perf/sweep"
)

// Sweep makes a result over two backends, four shapes, three batches and two scopes, with the operators at 512×512 and a cell in
// every state.
func Sweep(seed uint64) *sweep.Result {
	e, class := environment()
	r := &sweep.Result{Schema: sweep.SchemaID, When: start, Version: "0.3.0", Command: "apexx sweep --backends reference,ort --out sweep", Environment: e, Class: class}
	r.Plan = sweep.Plan{Cells: cells([][2]int{{256, 256}, {384, 640}, {512, 512}, {768, 768}}, []int{1, 2, 4}, true), Replicates: 3, Iterations: 200, BoundNS: 4e8, Seed: seed,
		Weights: map[string]string{"nano": "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"}, ConfigSHA256: map[string]string{"nano": "d4735e3a265e16eee03f59718b9b5d03019c07d8b6c51f90da3a666eec13ab35"}}
	rng := newRand(seed)
	for i, c := range r.Plan.Cells {
		cell := sweep.CellResult{Cell: c, Name: c.String(), State: evidence.Measured, Parity: perf.Parity{State: "pass", MaxAbs: 3.1e-6}, Work: work(c)}
		switch i {
		case 5:
			cell.Parity = perf.Parity{State: "fail", Detail: "semantic_logits: max abs 0.31, allowed 0.002", MaxAbs: 0.31}
		case 8:
			cell.Work.Budgets["b1"] = perf.Budget{Spent: 16.5, Limit: 16, Over: true}
		case 11:
			cell.Parity = perf.Parity{State: "explained", Detail: "two tied tiles swapped", MaxAbs: 2e-5}
		case 20:
			cell.State, cell.Reason, cell.Detail = evidence.Crashed, "", "signal: killed (out of memory)"
		case 30:
			cell.State, cell.Reason, cell.Detail = evidence.Unsupported, "op-unsupported", "ort has no scope tile-pack"
		case 40:
			cell.State, cell.Detail = evidence.Hung, "no answer within 120 s"
		case 45:
			cell.State, cell.Detail = evidence.Errored, "the output boxes has a NaN"
		}
		if cell.State != evidence.Measured {
			cell.Work, cell.Parity = nil, perf.Parity{State: "not-run"}
		} else {
			measureCell(rng, r, &cell)
		}
		r.Cells = append(r.Cells, cell)
	}
	return r
}

// measureCell adds the replicates of one cell and their summary. Short calls have the samples that p99 takes.
func measureCell(rng *rand.Rand, r *sweep.Result, cell *sweep.CellResult) {
	n := 40
	if meanMS(cell.Cell) < 2 {
		n = 250
	}
	var pooled []float64
	for replicate := range r.Plan.Replicates {
		m := measurement(rng, cell.Cell, n, meanMS(cell.Cell), 0.02)
		m.Replicate = replicate
		r.Measurements = append(r.Measurements, m)
		pooled = append(pooled, m.Samples...)
		cell.FirstRunMS, cell.CompileMS, cell.HostPeakBytes = float64(m.FirstRunNS)/1e6, float64(m.CompileNS)/1e6, m.HostPeakBytes
		cell.AllocsPerRun, cell.BytesPerRun = m.AllocsPerRun, m.BytesPerRun
	}
	s := &perf.Summary{Replicates: r.Plan.Replicates, Samples: len(pooled), Spread: 0.031}
	for q, to := range map[float64]*float64{0.5: &s.P50, 0.9: &s.P90, 0.95: &s.P95} {
		*to = stat.Quantile(pooled, q) / 1e6
	}
	if stat.QuantileHolds(len(pooled), 0.99) {
		p99 := stat.Quantile(pooled, 0.99) / 1e6
		s.P99 = &p99
	} else {
		s.P99Needs = stat.SamplesForQuantile(0.99, 0.99)
	}
	s.Throughput = 1000 * float64(cell.Cell.Batch) / s.P50
	cell.Summary, cell.EndToEnd = s, perf.Summarize(r.Measurements[len(r.Measurements)-r.Plan.Replicates:], perf.EndToEndSamples)
}

// HostileSweep is Sweep with hostile strings for names and sentences.
func HostileSweep(seed uint64) *sweep.Result {
	r := Sweep(seed)
	for i := range r.Cells {
		c := &r.Cells[i]
		c.Name, c.Reason, c.Detail, c.Parity.Detail = Hostile[i%len(Hostile)], Hostile[(i+1)%len(Hostile)], Hostile[(i+2)%len(Hostile)], Hostile[(i+3)%len(Hostile)]
		c.Cell.Backend, c.Cell.Profile = Hostile[i%len(Hostile)], Hostile[i%2]
	}
	r.Command, r.Version, r.Environment.CPU.Model = Hostile[0], Hostile[1], Hostile[2]
	r.Environment.Variables = []env.Software{{Key: Hostile[3], Value: Hostile[4]}}
	return r
}
