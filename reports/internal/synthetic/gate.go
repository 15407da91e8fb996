package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/evaluate"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/stat"
)

// fault is what happens to one cell.
type fault struct {
	cell   string // its name
	state  gate.CellState
	factor float64 // of the head's time
	noise  float64 // 0: as usual
	note   string
}

var faults = []fault{
	{"ort/nano/fp32/512x512/b1/complete", gate.CellRegressed, 1.22, 0, ""},
	{"ort/nano/fp32/512x512/b4/complete", gate.CellRegressed, 1.17, 0, ""},
	{"reference/nano/fp32/384x640/b1/network", gate.CellParityFailed, 0.71, 0, "det.cls.2: max abs 0.31 at [0 3 17 9], allowed 0.002"},
	{"ort/nano/fp32/384x640/b1/complete", gate.CellQualityLost, 0.8, 0, "on scenes: AP of boxes against the base: -4.20 (-6.10 to -2.60) points, and 0.1 may be lost"},
	{"ort/nano/fp32/512x512/b1/tile-pack", gate.CellUnsupported, 0, 0, "op-unsupported: ort has no scope tile-pack"},
	{"reference/nano/fp32/512x512/b1/decode-nms", gate.CellBroken, 0, 0, "the head's worker died: signal: segmentation fault (core dumped)"},
	{"ort/nano/fp32/256x256/b1/network", gate.CellNoisy, 1.13, 0.2, ""},
	{"reference/nano/fp32/512x512/b1/ssm-scan", gate.CellUnconfirmed, 1.075, 0, "the five worst candidates were confirmed; this was not among them"},
	{"ort/nano/fp32/512x512/b1/ssm-scan", gate.CellCleared, 1.01, 0, "a candidate on the screen, not slower in 20 fresh blocks"},
	{"reference/nano/fp32/512x512/b1/tile-unpack", gate.CellFaster, 0.84, 0, ""},
	{"reference/nano/fp32/512x512/b1/greedy-select", gate.CellUnverified, 0, 0, "of the head: mask_logits was not compared"},
}

// harmless are the states that a passing run may have.
var harmless = []gate.CellState{gate.CellUnsupported, gate.CellCleared, gate.CellFaster, gate.CellClear}

// belongs lists the worse states of each outcome.
var belongs = map[gate.Outcome][]gate.CellState{
	gate.Regression: {gate.CellRegressed, gate.CellUnconfirmed, gate.CellNoisy}, gate.ParityFailed: {gate.CellParityFailed, gate.CellQualityLost, gate.CellRegressed, gate.CellBroken, gate.CellUnverified, gate.CellNoisy, gate.CellUnconfirmed},
	gate.QualityLost: {gate.CellQualityLost}, gate.Inconclusive: {gate.CellNoisy}, gate.Broken: {gate.CellBroken},
}

var exitCodes = map[gate.Outcome]int{gate.Pass: 0, gate.Regression: 1, gate.ParityFailed: 1, gate.QualityLost: 1, gate.Inconclusive: 3, gate.NoBaseline: 4, gate.Unavailable: 5, gate.Broken: 6}

// Outcomes lists every outcome of a gate.
var Outcomes = []gate.Outcome{gate.Pass, gate.Regression, gate.ParityFailed, gate.QualityLost, gate.Inconclusive, gate.NoBaseline, gate.Unavailable, gate.Broken}

// Gate makes the record of a run with 40 cells that ends with the outcome. ParityFailed has a cell in every state.
func Gate(seed uint64, outcome gate.Outcome) *gate.Record {
	e, class := environment()
	r := &gate.Record{Schema: gate.SchemaID, When: start, Version: "0.3.0", Command: "apexx gate --base base/apexx --head head/apexx", Environment: e, Class: class,
		Base:    gate.Build{Path: "base/apexx", Version: "0.3.0", Revision: "a41f00c2be", Protocol: "2.0"},
		Head:    gate.Build{Path: "head/apexx", Version: "0.3.0", Revision: "3f9a1c07d2", Modified: true, Protocol: "2.1"},
		Policy:  gate.DefaultPolicy(),
		Verdict: &gate.Verdict{Outcome: outcome, ExitCode: exitCodes[outcome], Resolution: 0.13}}
	rng := newRand(seed)
	if outcome != gate.NoBaseline && outcome != gate.Unavailable {
		r.Cells = cells([][2]int{{256, 256}, {384, 640}, {512, 512}}, []int{1, 4}, true)
		for len(r.Cells) < 40 {
			c := r.Cells[len(r.Cells)-1]
			c.Batch++
			r.Cells = append(r.Cells, c)
		}
	}
	for _, c := range r.Cells {
		addCell(rng, r, c)
	}
	controls(rng, r)
	explain(r)
	return r
}

// faultOf returns what happens to a cell in a run with the outcome.
func faultOf(c perf.Cell, outcome gate.Outcome) fault {
	for _, f := range faults {
		if f.cell == c.String() && (slices.Contains(harmless, f.state) || slices.Contains(belongs[outcome], f.state)) {
			return f
		}
	}
	return fault{state: gate.CellClear, factor: 1}
}

func addCell(rng *rand.Rand, r *gate.Record, c perf.Cell) {
	f := faultOf(c, r.Verdict.Outcome)
	p := perf.Parity{State: "pass", MaxAbs: 3.1e-6}
	switch f.state {
	case gate.CellParityFailed:
		p = perf.Parity{State: "fail", MaxAbs: 0.31, Detail: f.note}
	case gate.CellUnsupported:
		p = perf.Parity{State: "unsupported", Detail: f.note}
	case gate.CellBroken:
		p = perf.Parity{State: "crashed", Detail: f.note}
	case gate.CellUnverified:
		p = perf.Parity{State: "unverified", Detail: f.note}
	}
	of := gate.CellParity{Cell: c, Parity: p, Base: perf.Parity{State: "pass", MaxAbs: 3.1e-6}, Work: work(c)}
	if p.State.Compared() {
		of.Change = &perf.Parity{State: "pass"}
	}
	r.Parity = append(r.Parity, of)
	cell := gate.Cell{Cell: c, Name: c.String(), State: f.state, Note: f.note, Series: []gate.Series{}, Parity: p, Change: of.Change}
	if f.state == gate.CellQualityLost {
		cell.Quality = lost()
	}
	if f.factor != 0 {
		first := f.factor
		if f.state == gate.CellCleared {
			first = 1.09
		}
		s := gate.Series{Metric: gate.Time, State: f.state, Screen: stage(rng, &r.Screen, c, r.Policy.ScreenBlocks, 30, first, f.noise)}
		switch f.state {
		case gate.CellRegressed, gate.CellCleared, gate.CellNoisy:
			s.Confirm = stage(rng, &r.Confirm, c, r.Policy.ConfirmBlocks, 30, f.factor, f.noise)
		}
		switch f.state {
		case gate.CellNoisy:
			cell.Note = fmt.Sprintf("greater by the estimate, but p %.2g is above %g", s.Confirm.P, r.Policy.Alpha)
		case gate.CellRegressed:
			cell.Note = fmt.Sprintf("%.1f %% slower than base, p %.1g", 100*(s.Confirm.Ratio-1), s.Confirm.P)
			cell.Steps = steps()
		}
		cell.Series, cell.Resolution = append(cell.Series, s, memory(f)), 0.09+0.02*float64(len(r.Verdict.Cells)%3)
	} else {
		state := evidence.Unsupported
		if f.state == gate.CellBroken {
			state = evidence.Crashed
		}
		r.Screen = append(r.Screen, perf.Measurement{Cell: c, Arm: perf.Head, State: state, Detail: f.note, Started: start})
	}
	r.Verdict.Cells = append(r.Verdict.Cells, cell)
}

// lost is the quality of a cell that does not find small objects.
func lost() *accuracy.Result {
	base, head := evaluate.Summary{AP: 0.82, APSmall: 0.71, APMedium: 0.84, APLarge: 0.88}, evaluate.Summary{AP: 0.778, APSmall: 0.13, APMedium: 0.84, APLarge: 0.88}
	d := func(m accuracy.Metric, base, delta, low, high float64) accuracy.Difference {
		return accuracy.Difference{Metric: m, Difference: evaluate.Difference{Base: base, Candidate: base + delta, Delta: delta, Low: low, High: high}}
	}
	return &accuracy.Result{Against: "the base", Numbers: accuracy.Numbers{Boxes: head}, Base: accuracy.Numbers{Boxes: base},
		Differences: []accuracy.Difference{d(accuracy.BoxAP, 0.82, -0.042, -0.061, -0.026), d(accuracy.MaskAP, 0.41, -0.02, -0.03, -0.012), d(accuracy.MIoU, 0.77, -0.001, -0.002, 0), d(accuracy.PQ, 0.66, -0.03, -0.05, -0.01)}}
}

// steps is the verdict on the steps of a cell, one of which has regressed.
func steps() *gate.Steps {
	e := func(ratio, p float64, blocks int) *gate.Estimate {
		return &gate.Estimate{Blocks: blocks, Ratio: ratio, Low: ratio - 0.02, High: ratio + 0.02, P: p, Base: 0.0125, Head: 0.0125 * ratio, Values: make([]float64, blocks)}
	}
	return &gate.Steps{Compared: 174, Changed: []string{"fpn.fuse"}, Resolution: 0.16, Noisiest: 0.4, Series: []gate.StepSeries{
		{Step: "det_head.cls.2", State: gate.CellCleared, Note: "slower on the screen, not when confirmed", Screen: e(1.17, 0.03, 5), Confirm: e(1.01, 0.4, 20)},
		{Step: "fpn.p4.conv", State: gate.CellRegressed, Note: "slower by 21 %, from 0.0125 ms to 0.01513 ms", Screen: e(1.2, 0.03, 5), Confirm: e(1.21, 2e-6, 20)},
	}}
}

// memory is the series of a cell's host memory, which grew where the cell has regressed.
func memory(f fault) gate.Series {
	s := gate.Series{Metric: gate.HostMemory, State: gate.CellClear, Screen: &gate.Estimate{Blocks: 5, Ratio: 1.01, Low: 0.99, High: 1.02, P: 0.2, Base: 90 << 20, Head: 91 << 20,
		Values: []float64{0.01, 0.01, 0, 0.02, 0.01}}}
	if f.state == gate.CellRegressed {
		s.State, s.Screen.Ratio, s.Screen.Low, s.Screen.High, s.Screen.Head = gate.CellUnconfirmed, 1.6, 1.58, 1.62, 144<<20
	}
	return s
}

// stage measures a cell in ABBA blocks and estimates the ratio as a gate does.
func stage(rng *rand.Rand, to *[]perf.Measurement, c perf.Cell, blocks, samples int, factor, noise float64) *gate.Estimate {
	if noise == 0 {
		noise = 0.02
	}
	e := &gate.Estimate{Blocks: blocks}
	medians := map[perf.Arm][]float64{}
	for b := range blocks {
		value := 0.0
		for i, arm := range []perf.Arm{perf.Base, perf.Head, perf.Head, perf.Base} {
			mean, sign := meanMS(c), -0.5
			if arm == perf.Head {
				mean, sign = mean*factor, 0.5
			}
			m := measurement(rng, c, samples, mean, noise)
			m.Arm, m.Block, m.Replicate = arm, b, 4*b+i
			median := stat.Median(m.Samples) / 1e6
			medians[arm] = append(medians[arm], median)
			value += sign * math.Log(median)
			*to = append(*to, m)
		}
		e.Values = append(e.Values, value)
	}
	low, high, _ := stat.HodgesLehmannInterval(e.Values, 0.9)
	e.Ratio, e.Low, e.High = math.Exp(stat.HodgesLehmann(e.Values)), math.Exp(low), math.Exp(high)
	e.P = stat.SignedRank(e.Values)
	e.Base, e.Head = stat.Median(medians[perf.Base]), stat.Median(medians[perf.Head])
	return e
}

func controls(rng *rand.Rand, r *gate.Record) {
	v := r.Verdict
	for i := 0; i < len(r.Cells); i += 10 {
		var measured []perf.Measurement
		factor := 1.0
		if v.Outcome == gate.Inconclusive && i == 0 {
			factor = 1.16
		}
		e := stage(rng, &measured, r.Cells[i], r.Policy.ScreenBlocks, 30, factor, 0)
		for j := range measured {
			measured[j].Control = true
		}
		r.Screen = append(r.Screen, measured...)
		v.Controls = append(v.Controls, gate.Control{Name: "A/A " + r.Cells[i].String(), Fired: factor > 1, Estimate: e})
	}
	if len(r.Cells) > 0 {
		var measured []perf.Measurement
		e := stage(rng, &measured, perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: 256, Width: 256, Batch: 1, Scope: perf.Complete}, 5, 30, 1, 0)
		v.Controls = append(v.Controls, gate.Control{Name: "fixed reference workload", Estimate: e})
	}
}

// explain gives the verdict its sentences.
func explain(r *gate.Record) {
	v := r.Verdict
	switch v.Outcome {
	case gate.Pass:
		v.Reasons = []string{"39 cells are not slower than base by 8 % or more; a slowdown of 12 % would have been found with 95 % power"}
	case gate.Regression, gate.ParityFailed:
		if v.Outcome == gate.ParityFailed {
			v.Reasons = []string{"reference/nano/fp32/384x640/b1/network fails parity: det.cls.2 differs by 0.31", "reference/nano/fp32/512x512/b1/decode-nms crashed on the head"}
		}
		v.Reasons = append(v.Reasons, "ort/nano/fp32/512x512/b1/complete is 22 % slower than base", "ort/nano/fp32/512x512/b4/complete is 17 % slower than base")
		v.Attribution = "One backend moved: both slower cells run on ort; no cell of reference did, and no control fired."
		v.Warnings = []string{"1 block of ort/nano/fp32/256x256/b1/network was dropped: the load average was 2.9 on 2 cores"}
	case gate.QualityLost:
		v.Reasons = []string{"ort/nano/fp32/384x640/b1/complete: finds less than the base (on scenes: AP of boxes against the base: -4.20 (-6.10 to -2.60) points, and 0.1 may be lost)"}
	case gate.Inconclusive:
		v.Reasons = []string{"the control A/A reference/nano/fp32/256x256/b1/network fired: base against itself moved by 16 %, so the machine is too noisy to judge"}
		v.Attribution = "The control moved: the machine changed, not the code."
	case gate.NoBaseline:
		v.Reasons = []string{"no baseline for the class cpu-amd-epyc-9b14-2c; a proposal was written to cpu-amd-epyc-9b14-2c.proposed.json"}
	case gate.Unavailable:
		v.Reasons = []string{"nothing was measured: the backend cuda is not built into this program"}
	case gate.Broken:
		v.Reasons = []string{"reference/nano/fp32/512x512/b1/decode-nms crashed on the head"}
	}
}

// HostileGate is Gate with hostile strings for every name and sentence.
func HostileGate(seed uint64) *gate.Record {
	r := Gate(seed, gate.ParityFailed)
	h := func(i int) string { return Hostile[i%len(Hostile)] }
	for i := range r.Verdict.Cells {
		r.Verdict.Cells[i].Name, r.Verdict.Cells[i].Note = h(i), h(i+1)
		r.Verdict.Cells[i].Parity.Detail = h(i + 2)
		if i%3 == 0 { // the others keep their samples, which are found by cell
			r.Verdict.Cells[i].Cell.Backend = h(i + 3)
		}
	}
	for i := range r.Verdict.Controls {
		r.Verdict.Controls[i].Name = h(i)
	}
	r.Verdict.Reasons, r.Verdict.Warnings, r.Verdict.Attribution = Hostile, Hostile, h(0)
	r.Command, r.Version, r.Base.Path, r.Head.Path, r.Class.ID = h(0), h(1), h(2), h(3), h(4)
	r.Environment.Host, r.Environment.CPU.Model, r.Environment.Commit = h(5), h(6), h(7)
	r.Environment.Libraries[0].Key, r.Environment.Libraries[0].Value = h(8), h(0)
	r.Environment.Variables = []env.Software{{Key: h(1), Value: h(2)}}
	r.Head.Variables = []env.Software{{Key: h(3), Value: h(4)}}
	return r
}
