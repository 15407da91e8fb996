// Package sweeptest makes results of sweeps that look like measured ones, for tests of what reads results: a seed and a Spec give
// the same result everywhere.
package sweeptest

import (
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/coco"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/accuracy/accuracytest"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/sweep"
)

// Spec says what a result is of. The zero value is reference and ort at fp32 on 256² and 512², batch 1, for the scopes that the
// original measured, in 5 replicates of 40 samples, on a class of two shared processors.
type Spec struct {
	Backends   []string
	Precisions []backends.Precision
	Sides      []int // of square images, in pixels
	Batches    []int
	Scopes     []perf.Scope
	Replicates int
	Samples    int // of a cell in a replicate
	GPU        bool
	Quality    bool // evaluate the complete cells on a synthetic data set: the coarser a precision, the less is found
	// Scale multiplies the times of a cell; nil leaves them.
	Scale func(perf.Cell) float64
	// Absent names cells that could not be had; nil means cuda and tensorrt without a GPU.
	Absent func(perf.Cell) bool
}

func (s Spec) filled() Spec {
	orElse(&s.Backends, "reference", "ort")
	orElse(&s.Precisions, backends.FP32)
	orElse(&s.Sides, 256, 512)
	orElse(&s.Batches, 1)
	orElse(&s.Scopes, perf.Complete, perf.TilePack, perf.SSMScan, perf.FusionGate, perf.TileUnpack)
	if s.Replicates == 0 {
		s.Replicates = 5
	}
	if s.Samples == 0 {
		s.Samples = 40
	}
	if s.Scale == nil {
		s.Scale = func(perf.Cell) float64 { return 1 }
	}
	if s.Absent == nil {
		gpu := s.GPU
		s.Absent = func(c perf.Cell) bool { return !gpu && onGPU(c.Backend) }
	}
	return s
}

func orElse[T any](list *[]T, values ...T) {
	if *list == nil {
		*list = values
	}
}

func onGPU(backend string) bool { return backend == "cuda" || backend == "tensorrt" }

// When is the start of every result.
var When = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// New returns a sound result (sweep.Result.Validate) of the spec. A sample is the cell's time, times a log-normal factor of its
// process (sd 2 %), times one of its own (sd 3 %), and one sample in fifty is disturbed to up to three times that.
func New(seed uint64, spec Spec) *sweep.Result {
	spec = spec.filled()
	r := &sweep.Result{Schema: sweep.SchemaID, When: When, Version: "v0.3.0", Command: "apexx sweep --out out/sweep",
		Environment: environment(spec.GPU),
		Plan: sweep.Plan{Replicates: spec.Replicates, Iterations: spec.Samples, BoundNS: time.Hour.Nanoseconds(), Seed: seed,
			Weights:      map[string]string{"nano": strings.Repeat("5a", 32)},
			ConfigSHA256: map[string]string{"nano": strings.Repeat("c3", 32)}}}
	for _, b := range spec.Backends {
		for _, p := range spec.Precisions {
			for _, side := range spec.Sides {
				for _, n := range spec.Batches {
					for _, scope := range spec.Scopes {
						r.Plan.Cells = append(r.Plan.Cells, perf.Cell{Backend: b, Profile: "nano", Precision: p, Height: side, Width: side, Batch: n, Scope: scope})
					}
				}
			}
		}
	}
	r.Class = env.ClassesOf(r.Environment, r.Plan.Threads, r.Plan.Cells)[0]
	rng := rand.New(rand.NewPCG(seed, 0xa9e))
	for i, c := range r.Plan.Cells {
		if spec.Absent(c) {
			r.Cells = append(r.Cells, missCell(r, spec, i, c))
			continue
		}
		r.Cells = append(r.Cells, measureCell(r, rng, spec, i, c))
	}
	if spec.Quality {
		Evaluate(r)
	}
	return r
}

// Evaluate adds evaluations of the complete cells to a result.
func Evaluate(r *sweep.Result) {
	set := accuracytest.New(30)
	r.Plan.Quality = set.Plan()
	lost := map[backends.Precision]int{backends.FP16: 400, backends.BF16: 120, backends.INT8: 40}
	run := func(c perf.Cell, arm perf.Arm) {
		r.Quality = append(r.Quality, set.Run(c, arm, func(i int, _ coco.Detection) bool { return lost[c.Precision] == 0 || i%lost[c.Precision] > 0 }))
	}
	cells := accuracy.Of(r.Plan.Cells)
	for _, c := range cells {
		run(c, perf.Head)
	}
	for _, c := range cells {
		if base := accuracy.BaseOf(c); accuracy.Find(r.Quality, base, perf.Head) == nil && accuracy.Find(r.Quality, base, perf.Base) == nil {
			run(base, perf.Base)
		}
	}
	for i := range r.Cells {
		r.Cells[i].Quality = r.QualityOf(r.Cells[i].Cell)
	}
}

// missCell adds measurements of a cell that could not be had to r and returns their sum.
func missCell(r *sweep.Result, spec Spec, order int, c perf.Cell) sweep.CellResult {
	for replicate := range spec.Replicates {
		m := perf.Measurement{Cell: c, Replicate: replicate, Order: order, Started: When.Add(time.Duration(replicate) * time.Minute)}
		m.End(evidence.Outcome{State: evidence.Unsupported, Reason: string(backends.WorkerNotFound), Detail: "no apexx-" + c.Backend + " beside apexx or in PATH"})
		r.Measurements = append(r.Measurements, m)
	}
	out := sweep.Sum(c, r.Measurements)
	out.Parity = perf.Parity{State: evidence.Unsupported}
	return out
}

// measureCell adds the cell's measurements to r and returns their sum.
func measureCell(r *sweep.Result, rng *rand.Rand, spec Spec, order int, c perf.Cell) sweep.CellResult {
	ns := 1e6 * milliseconds(c) * spec.Scale(c)
	parity := perf.Parity{State: evidence.Pass, MaxAbs: 3.1e-5}
	for replicate := range spec.Replicates {
		m := perf.Measurement{Cell: c, Replicate: replicate, Order: order, State: evidence.Measured, CallsPerSample: 1,
			TimerShare: min(1, 40/ns), CompileNS: 30e6, FirstRunNS: int64(1.4 * ns), HostPeakBytes: int64(60+10*rng.Float64())<<20 + int64(c.Height*c.Width*c.Batch*40),
			AllocsPerRun: 12, BytesPerRun: 4096, Outputs: Outputs(parity), Started: When.Add(time.Duration(replicate) * time.Minute)}
		level := ns * math.Exp(0.02*rng.NormFloat64())
		for i := range spec.Samples {
			sample := level * math.Exp(0.03*rng.NormFloat64())
			if rng.Float64() < 0.02 {
				sample *= 1 + 2*rng.Float64()
			}
			m.Samples = append(m.Samples, math.Round(sample))
			if i%4 == 0 {
				m.EndToEnd = append(m.EndToEnd, math.Round(1.02*sample))
			}
			if onGPU(c.Backend) {
				m.DeviceSamples = append(m.DeviceSamples, math.Round(0.9*level*math.Exp(0.005*rng.NormFloat64())))
			}
		}
		if onGPU(c.Backend) {
			m.DevicePeakBytes = 300 << 20
			m.Devices = []perf.DeviceSample{{At: m.Started, SMClockMHz: 1980, MemClockMHz: 3201, TemperatureC: 41, PowerW: 312.5}}
		}
		r.Measurements = append(r.Measurements, m)
	}
	out := sweep.Sum(c, r.Measurements[len(r.Measurements)-spec.Replicates:])
	out.Parity = parity
	if !c.Scope.Operator() {
		out.Work = work(c)
	}
	return out
}

// Outputs is what a session gave that computes the same from its first run to its last.
func Outputs(p perf.Parity) *perf.Outputs {
	digest := strings.Repeat("0a", 32)
	return &perf.Outputs{FirstSHA256: digest, LastSHA256: digest, Parity: p}
}

// milliseconds is roughly what two processors, or a GPU, take for a cell of nano.
func milliseconds(c perf.Cell) float64 {
	per := map[perf.Scope]float64{perf.Complete: 131, perf.Network: 118, perf.Aggregate: 0.9, perf.GreedySelect: 0.02, perf.TilePack: 0.41,
		perf.TileUnpack: 0.63, perf.FusionGate: 2.2, perf.SSMScan: 0.13, perf.DecodeNMS: 4.1, perf.RoiMeanPool: 2.6, perf.BoxMask: 3.3}[c.Scope]
	speed := map[string]float64{"ort": 0.92, "cuda": 0.02, "tensorrt": 0.015}[c.Backend]
	if speed == 0 {
		speed = 1
	}
	return per * speed * float64(c.Height*c.Width*c.Batch) / (512 * 512)
}

// Sum sums every cell up again, after a test changed measurements. Parity and work stay.
func Sum(r *sweep.Result) {
	for i, c := range r.Cells {
		r.Cells[i] = sweep.Sum(c.Cell, r.Measurements)
		r.Cells[i].Parity, r.Cells[i].Work, r.Cells[i].Quality = c.Parity, c.Work, c.Quality
	}
}

func work(c perf.Cell) *perf.Work {
	w := &perf.Work{Budgets: map[string]perf.Budget{"b1": {Spent: 3.2 * float64(c.Batch), Limit: 16 * float64(c.Batch)},
		"b2": {Spent: 4 * float64(c.Batch), Limit: 8 * float64(c.Batch)}, "b3": {Limit: 4 * float64(c.Batch)}}}
	for i := range c.Batch {
		w.TilesL0 = append(w.TilesL0, c.Height*c.Width/128/128)
		w.TilesL1 = append(w.TilesL1, 16)
		w.Candidates = append(w.Candidates, 212+i)
	}
	return w
}

func environment(gpu bool) env.Environment {
	e := env.Environment{Host: "sha256:9f86d081", OS: "linux", Arch: "amd64", Kernel: "6.1.0", Container: "none",
		CPU: env.CPU{Model: "AMD EPYC", Cores: 2, Total: 2, SMT: "on", Virtual: true}, MemoryBytes: 8 << 30, LoadAverage: [3]float64{0.4, 0.3, 0.2},
		Go: "go1.26.8", Libraries: []env.Software{{Key: "onnxruntime", Value: "1.30.0"}}, Commit: "e4e89af0c0ffee0123456789abcdef0123456789",
		GPUs: []env.GPU{}, GPUReason: string(backends.CudaUnavailable)}
	if gpu {
		e.CPU = env.CPU{Model: "Intel(R) Xeon(R) Platinum 8480C", Cores: 16, Total: 16}
		e.GPUs = []env.GPU{{Name: "NVIDIA H200", UUID: "sha256:11aa22bb", Driver: "580.95.05", SMs: 132, MemoryBytes: 139 << 30, PowerLimitW: 700,
			ECC: "on", MIG: "off", MaxSMClockMHz: 1980}}
		e.GPUReason = ""
		e.Libraries = append(e.Libraries, env.Software{Key: "driver", Value: "580.95.05"})
	}
	return e
}
