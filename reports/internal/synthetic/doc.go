// Package synthetic makes gate records and sweep results for the tests of what is drawn and written of them: realistic, from a
// seed, with every state that a cell can have. Nothing in them was measured.
package synthetic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

var start = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15)) }

// environment is a small shared machine without a GPU.
func environment() (env.Environment, env.Class) {
	return env.Environment{Host: "h-5f2c9a71", OS: "linux", Arch: "amd64", Kernel: "6.8.0-52", Container: "docker",
			CPU:         env.CPU{Model: "AMD EPYC 9B14", Cores: 2, Total: 2, SMT: "on", Virtual: true},
			MemoryBytes: 16 << 30, LoadAverage: [3]float64{0.42, 0.6, 0.71}, Go: "go1.26.0",
			Libraries: []env.Software{{Key: "onnxruntime", Value: "1.30.0"}}, Commit: "3f9a1c07d2", Dirty: true, GPUReason: string(backends.LibraryNotFound)},
		env.Class{Kind: env.SharedCPU, ID: "cpu-amd-epyc-9b14-2c", CPU: "AMD EPYC 9B14", Cores: 2}
}

// scopeShare is the part of a whole call that a scope takes.
var scopeShare = map[perf.Scope]float64{perf.Network: 0.9, perf.Complete: 1, perf.Aggregate: 0.01, perf.GreedySelect: 0.002, perf.TilePack: 0.02,
	perf.SSMScan: 0.12, perf.FusionGate: 0.03, perf.TileUnpack: 0.03, perf.DecodeNMS: 0.04}

// meanMS is the time of one call in milliseconds: a constant part and one that grows with the pixels.
func meanMS(c perf.Cell) float64 {
	pixels := float64(c.Height*c.Width*c.Batch) / (512 * 512)
	whole := map[string]float64{"reference": 210, "ort": 68}[c.Backend]
	return scopeShare[c.Scope] * (0.04*whole + whole*math.Pow(pixels, 0.94))
}

// samplesOf draws n samples in nanoseconds about mean milliseconds: a log-normal body, and now and then a call that something
// else on the machine held up.
func samplesOf(r *rand.Rand, n int, meanMS, noise float64) []float64 {
	level := meanMS * math.Exp(noise*r.NormFloat64())
	samples := make([]float64, n)
	for i := range samples {
		v := level * math.Exp(0.6*noise*math.Abs(r.NormFloat64()))
		if r.Float64() < 0.02 {
			v *= 1 + 0.8*r.ExpFloat64()
		}
		samples[i] = math.Round(1e6 * v)
	}
	return samples
}

// measurement is one cell in one process.
func measurement(r *rand.Rand, c perf.Cell, n int, mean, noise float64) perf.Measurement {
	samples := samplesOf(r, n, mean, noise)
	var whole []float64
	for i := 0; i < len(samples); i += 4 {
		whole = append(whole, 1.02*samples[i])
	}
	return perf.Measurement{Cell: c, State: evidence.Measured, Samples: samples, EndToEnd: whole, CallsPerSample: 1, TimerShare: 2e-5,
		CompileNS: int64(4e8 + 1e8*r.Float64()), FirstRunNS: int64(1.4e6 * mean), HostPeakBytes: int64(180e6 + 700*float64(c.Height*c.Width*c.Batch)),
		AllocsPerRun: 1810, BytesPerRun: 3.1e6, Started: start}
}

func work(c perf.Cell) *perf.Work {
	if c.Scope.Operator() {
		return nil
	}
	w := &perf.Work{Budgets: map[string]perf.Budget{"b1": {Spent: 15.5, Limit: 16}, "b2": {Spent: 7, Limit: 8}}}
	for i := range c.Batch {
		w.TilesL0 = append(w.TilesL0, 11+i%3)
		w.TilesL1 = append(w.TilesL1, 20)
		w.Candidates = append(w.Candidates, 143+9*i)
	}
	return w
}

// cells is the grid of two backends over shapes, batches and scopes of the whole model, then the operators at 512×512.
func cells(shapes [][2]int, batches []int, operators bool) []perf.Cell {
	var list []perf.Cell
	for _, backend := range []string{"reference", "ort"} {
		for _, s := range shapes {
			for _, b := range batches {
				for _, scope := range []perf.Scope{perf.Network, perf.Complete} {
					list = append(list, perf.Cell{Backend: backend, Profile: "nano", Precision: backends.FP32, Height: s[0], Width: s[1], Batch: b, Scope: scope})
				}
			}
		}
		if !operators {
			continue
		}
		for _, scope := range perf.Scopes {
			if _, known := scopeShare[scope]; known && scope.Operator() {
				list = append(list, perf.Cell{Backend: backend, Profile: "nano", Precision: backends.FP32, Height: 512, Width: 512, Batch: 1, Scope: scope})
			}
		}
	}
	return list
}

// Hostile are strings that try to leave the place they are put in.
var Hostile = []string{
	`<script>alert("1")</script>`, `"><img src=x onerror=alert(1)>`, "a\n::error title=forged::forged", "%0A::warning::x", "a|b|c", "`code` *bold* _x_ [l](http://example.com)",
	"]]><!--", "\x00\x1b[31mred\x07", "ünïcödé 測試 🚀 \u202egnirts", string([]byte{0xff, 0xfe, 'x'}), "{{.Name}} ${{ github.token }}", longName(),
}

func longName() string {
	return fmt.Sprint(slices.Repeat([]string{"ort/nano/fp32/512x512/b1/complete"}, 40))
}
