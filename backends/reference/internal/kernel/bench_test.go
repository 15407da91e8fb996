package kernel

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends/reference/internal/kernel/peak"
)

func conv3(c, hw, o, stride int) ConvShape {
	return ConvShape{Batch: 1, InC: c, InH: hw, InW: hw, OutC: o, KH: 3, KW: 3, StrideH: stride, StrideW: stride, PadT: 1, PadL: 1, PadB: 1, PadR: 1}
}

func conv1(c, hw, o int) ConvShape {
	return ConvShape{Batch: 1, InC: c, InH: hw, InW: hw, OutC: o, KH: 1, KW: 1}
}

func tiles(s ConvShape, n, groups int) ConvShape {
	s.Batch, s.Groups = n, groups
	return s
}

// layers are the convolutions of the nano model at 512×512, one of each kind.
var layers = []ConvShape{
	conv3(3, 512, 64, 2), conv3(64, 256, 64, 2), conv3(64, 128, 64, 2), conv1(64, 64, 128), conv3(64, 64, 128, 2), conv1(128, 32, 256),
	conv3(128, 32, 128, 1), conv3(128, 32, 192, 2), conv1(192, 16, 384), conv1(64, 64, 96), conv1(96, 64, 192), conv3(96, 64, 96, 1),
	conv3(96, 32, 96, 1), conv3(96, 16, 96, 1), conv3(96, 8, 96, 1), conv3(96, 4, 96, 1), conv1(96, 64, 8), conv1(96, 64, 1), conv1(96, 64, 32),
	tiles(conv1(64, 16, 128), 8, 1), tiles(conv1(64, 8, 128), 16, 1), tiles(conv3(64, 16, 64, 1), 8, 64), tiles(conv3(64, 8, 64, 1), 16, 64),
}

// BenchmarkConv reports GFLOP/s of the best run of each kind of layer, with statistics, and its share of the peak that a loop of
// register-only multiply-adds reaches on as many threads. APEXX_BENCH_THREADS sets the threads.
func BenchmarkConv(b *testing.B) {
	b.Run("float32", benchConv[float32])
	b.Run("float64", benchConv[float64])
}

func benchConv[T Float](b *testing.B) {
	threads, _ := strconv.Atoi(os.Getenv("APEXX_BENCH_THREADS"))
	p := NewPool(max(1, threads))
	defer p.Close()
	isa := chosen()
	for _, s := range layers {
		b.Run(s.label(), func(b *testing.B) {
			d := s.withDefaults()
			depth := s.InC / d.Groups * s.KH * s.KW
			c, err := newConv(s, make([]T, s.OutC*depth), make([]T, s.OutC), isa)
			if err != nil {
				b.Fatal(err)
			}
			x, y := make([]T, s.Batch*s.InC*s.InH*s.InW), make([]T, s.Batch*s.OutC*s.OutH()*s.OutW())
			scratch := make([]T, c.ScratchLen(p.Threads()))
			st := NewStats(s.Batch, 1, s.OutC, s.OutH()*s.OutW())
			c.Run(p, x, y, scratch, st)
			limit := peakGFLOPS[T](p, isa)
			b.ReportAllocs()
			b.ResetTimer()
			best := time.Duration(math.MaxInt64)
			for range b.N {
				start := time.Now()
				c.Run(p, x, y, scratch, st)
				best = min(best, time.Since(start))
			}
			gflops := 2 * float64(len(y)*depth) / best.Seconds() / 1e9
			b.ReportMetric(gflops, "GFLOP/s")
			b.ReportMetric(100*gflops/limit, "%peak")
		})
	}
}

// peakGFLOPS measures multiply-adds on registers alone with all threads busy: the best of a few rounds, as the machine may be shared.
func peakGFLOPS[T Float](p *Pool, isa ISA) float64 {
	const steps = 100_000
	best := 0.0
	for range 10 {
		start := time.Now()
		var flops [64]float64
		p.Run(p.Threads(), func(i int) { flops[i] = peak.Run[T](steps, int(isa)) })
		best = max(best, flops[0]*float64(p.Threads())/time.Since(start).Seconds()/1e9)
	}
	return best
}

func BenchmarkElementwise(b *testing.B) {
	p := NewPool(1)
	defer p.Close()
	x, y := make([]float32, 1<<14), make([]float32, 1<<14)
	for _, f := range elementFns {
		for isa := Portable; isa <= chosen(); isa++ {
			b.Run(fmt.Sprintf("%s/%v", f.name, isa), func(b *testing.B) {
				for range b.N {
					f.run(p, x, y, isa)
				}
				b.ReportMetric(b.Elapsed().Seconds()/float64(b.N)/float64(len(x))*1e9, "ns/element")
			})
		}
	}
}

func seconds(f func()) float64 {
	start := time.Now()
	f()
	return time.Since(start).Seconds()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
