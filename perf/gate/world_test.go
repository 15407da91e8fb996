package gate

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
)

// world makes records of runs whose truth is known: how much slower the head is, how blocks scatter, and what goes wrong.
type world struct {
	policy   Policy
	cells    []perf.Cell
	seed     uint64
	noise    float64             // standard deviation of a replicate's log time
	slow     map[int]float64     // factor of the head's time, by cell; 1 where absent
	fresh    map[int]float64     // … in the confirmation, where it differs
	parity   map[int]perf.Parity // of the head, by cell; pass where absent
	base     map[int]perf.Parity // of the base, likewise
	change   map[int]perf.Parity // of head against base, likewise
	named    []string
	accepted string
	drift    float64 // log ratio that the fixed workload shows before the head
	injected string  // faults of the workers of both sides

	variables [2][]env.Software // that workers of base and head tell
	device    bool              // samples of a device's clock beside the host's
	// evaluate gives the run of a cell on an arm; nil where nobody asks for quality.
	evaluate func(cell int, arm perf.Arm) accuracy.Run
	plan     *accuracy.Plan
	// touch changes a measurement after it was made.
	touch func(stage Stage, cell int, m *perf.Measurement)
}

// testMachine has no GPU.
var testMachine = env.Environment{CPU: env.CPU{Model: "Test", Cores: 2}}

// cellsNamed returns cells of two backends: n of each.
func cellsNamed(n int) []perf.Cell {
	var out []perf.Cell
	for _, b := range []string{"reference", "ort"} {
		for i := range n {
			out = append(out, perf.Cell{Backend: b, Profile: "nano", Precision: backends.FP32, Height: 128 * (i + 1), Width: 128, Batch: 1, Scope: perf.Complete})
		}
	}
	return out
}

// quiet is a world of equal builds with two cells of each of two backends.
func quiet() world {
	p := DefaultPolicy()
	p.Iterations = 3
	return world{policy: p, cells: cellsNamed(2), seed: 7, noise: 0.01, slow: map[int]float64{}, fresh: map[int]float64{},
		parity: map[int]perf.Parity{}, base: map[int]perf.Parity{}, change: map[int]perf.Parity{}}
}

// tell has the workers of base and head tell a variable, unless its value is "".
func (w *world) tell(key string, values ...string) {
	for i, value := range values {
		if value != "" {
			w.variables[i] = append(w.variables[i], env.Software{Key: key, Value: value})
		}
	}
}

// record measures the world, as Runner does, and judges.
func (w world) record() *Record {
	rng := rand.New(rand.NewPCG(w.seed, 1))
	rec := &Record{Environment: testMachine, Class: env.Classify(testMachine, w.policy.Threads, nil), Schema: SchemaID, When: time.Unix(1790000000, 0).UTC(), Version: "0.3.0", Command: "apexx gate", Policy: w.policy, Cells: w.cells, Named: w.named, Accepted: w.accepted}
	if w.injected != "" {
		rec.Environment.Variables = []env.Software{{Key: worker.InjectVariable, Value: w.injected}}
	}
	rec.Base.Variables, rec.Head.Variables = w.variables[0], w.variables[1]
	for i, c := range w.cells {
		of := func(parities map[int]perf.Parity) perf.Parity {
			if p, ok := parities[i]; ok {
				return p
			}
			return perf.Parity{State: evidence.Pass}
		}
		p := CellParity{Cell: c, Parity: of(w.parity), Base: of(w.base)}
		if change := of(w.change); p.Parity.State.Compared() && p.Base.State.Compared() {
			p.Change = &change
		}
		rec.Parity = append(rec.Parity, p)
	}
	if rec.Quality = w.plan; w.plan != nil {
		for _, c := range rec.evaluated() {
			for _, arm := range []perf.Arm{perf.Base, perf.Head} {
				rec.Evaluations = append(rec.Evaluations, w.evaluate(slices.Index(w.cells, c), arm))
			}
		}
	}
	held := holding(rec)
	w.stage(rng, rec, plan{stage: Screen, cells: held, control: w.policy.controlled(held), blocks: w.policy.ScreenBlocks}, &rec.Screen)
	w.stage(rng, rec, plan{stage: Confirm, cells: Candidates(rec), blocks: w.policy.ConfirmBlocks}, &rec.Confirm)
	rec.Verdict = Judge(rec)
	return rec
}

func (w world) stage(rng *rand.Rand, rec *Record, p plan, into *[]perf.Measurement) {
	for b := range p.blocks {
		for slot, s := range slots {
			cells := p.in(s)
			for _, backend := range perf.Backends(cells) {
				ns := 5e5 * math.Exp(0.001*rng.NormFloat64())
				if s.arm == perf.Head {
					ns *= math.Exp(w.drift)
				}
				rec.Workload = append(rec.Workload, WorkloadSample{Stage: p.stage, Block: b, Backend: backend, Slot: slot, Arm: s.arm, NS: ns})
			}
			for order, c := range cells {
				i := slices.Index(w.cells, c)
				m := perf.Measurement{Cell: c, Arm: s.arm, Block: b, Replicate: slot, Control: s.control, Order: order, State: evidence.Measured,
					CallsPerSample: 1, TimerShare: 2e-5, CompileNS: 9e7, FirstRunNS: 8e6, HostPeakBytes: 100 << 20, AllocsPerRun: 12, BytesPerRun: 900,
					Outputs: &perf.Outputs{FirstSHA256: digest, LastSHA256: digest, Parity: perf.Parity{State: evidence.Pass}}, Started: rec.When}
				ns := 3e6 * float64(i+1) * w.factor(p.stage, i, s.arm) * math.Exp(w.noise*rng.NormFloat64())
				m.Samples, m.EndToEnd = []float64{0.99 * ns, ns, 1.02 * ns}, []float64{1.1 * ns}
				if w.device {
					m.DeviceSamples = []float64{0.9 * ns, 0.9 * ns, 0.91 * ns}
					m.Device, m.DevicePeakBytes = new(int), 1<<30
					m.Devices = []perf.DeviceSample{{SMClockMHz: 1980, EventReasons: []string{"gpu_idle"}}, {SMClockMHz: 1980}}
				}
				if w.touch != nil {
					w.touch(p.stage, i, &m)
				}
				*into = append(*into, m)
			}
		}
	}
}

func (w world) factor(s Stage, cell int, arm perf.Arm) float64 {
	f, ok := w.slow[cell]
	if g, differs := w.fresh[cell]; differs && s == Confirm {
		f, ok = g, true
	}
	if arm != perf.Head || !ok {
		return 1
	}
	return f
}

// digest stands for the outputs of every session.
const digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// fails makes a measurement end in another state.
func fails(m *perf.Measurement, s evidence.State, reason string) {
	m.End(evidence.Outcome{State: s, Reason: reason})
}

// encoded writes a record as its file.
func encoded(t testing.TB, rec *Record) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteJSON(&b, rec); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
