package gate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
)

// TestResolution checks that what a run prints is true 19 times in 20: that a slowdown as large as printed is found by another run
// of the same noise, also in a cell which is noisier or quieter than the others. Of δ itself, a pass must not say that it was ruled out.
func TestResolution(t *testing.T) {
	const runs = 600
	for name, noise := range map[string]Noise{
		"normal":                   {SD: 0.05},
		"the EPYC's":               {SD: 0.051, OutlierShare: 0.033, OutlierScale: 4.9},
		"the Xeon's for operators": {SD: 0.032, OutlierShare: 0.085, OutlierScale: 4.2},
	} {
		for _, cells := range []int{1, 3, 8} {
			for _, scale := range []float64{0.5, 1, 2} {
				p, r := DefaultPolicy(), rand.New(rand.NewPCG(3, uint64(cells)))
				missed := 0
				for range runs {
					_, seen := p.oneCell(r, noise, cells, scale, 0)
					printed := least(p.finding(p.target(env.SharedCPU).Limits.Time, seen))
					if found, _ := p.oneCell(r, noise, cells, scale, printed); !found {
						missed++
					}
				}
				most := 0.05
				if scale > 1 && noise.OutlierShare > 0 {
					most = 0.13 // outliers of 40 % and more weaken the test of 20 blocks more than normal noise does
				}
				if share := float64(missed) / runs; share > most+3*math.Sqrt(most*(1-most)/runs) {
					t.Errorf("noise %s, %d cells, the first scattering %g times as far: %.3g %% of slowdowns as large as printed are missed", name, cells, scale, 100*share)
				}
			}
		}
	}
	s := Simulation{Noise: Noise{SD: 0.05}, Policy: DefaultPolicy(), Cells: 1, Slowdown: 0.08, Runs: 2000, Seed: 1}
	if r := s.Run(); r.Alarms > s.Runs*6/10 || r.Alarms < s.Runs/20 {
		t.Errorf("of δ, %+v", r)
	}
}

// oneCell runs the first of some cells, which scatters by scale times the noise, through a gate. It returns whether its slowdown is
// found, and the noise by which the resolution is printed.
func (p Policy) oneCell(r *rand.Rand, n Noise, cells int, scale, slowdown float64) (found bool, seen scatter) {
	t := p.target(env.SharedCPU)
	limit, s := t.Limits.Time, Simulation{Noise: n, Policy: p, Slowdown: slowdown}
	draw := func(cells, blocks int) []screened {
		list := s.draw(r, t, cells, blocks)
		for i := range list[0].values[Time] {
			list[0].values[Time][i] *= scale
		}
		s.slow(slowed{0, -1}, list[0])
		return list
	}
	screen := draw(cells, p.ScreenBlocks)
	p.observe(screen)
	if len(screen[0].asked()) == 0 {
		return false, screen[0].scatter
	}
	fresh := draw(1, p.ConfirmBlocks)[0].values[Time]
	return limit.exceeded(fresh, p.Alpha), scatterOf(fresh, screen[0].others...)
}

// TestResolutionLimits checks where the resolution goes without noise and with few blocks.
func TestResolutionLimits(t *testing.T) {
	p, limit := DefaultPolicy(), Limit{Delta: 0.08}
	if got := least(p.finding(limit, scatterOf(make([]float64, 5)))); math.Abs(got-0.08) > 1e-9 {
		t.Errorf("without noise: %g, want δ", got)
	}
	few := p
	few.ConfirmBlocks = 12 // few enough that the test asks for more than the estimate
	noise := scatter{sd: 0.2, freedom: 16}
	if a, b := least(few.finding(limit, noise)), least(p.finding(limit, noise)); a <= b {
		t.Errorf("12 blocks find %g, 20 find %g", a, b)
	}
	if got := least(p.finding(limit, scatter{sd: 30, freedom: 1.2})); math.IsInf(got, 0) || got < 1e9 {
		t.Errorf("of noise beyond all measure: %g", got)
	}
}

// TestScatterOf draws a cell's noise a little towards that of the others, and not at all where there are none.
func TestScatterOf(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	quiet := Noise{SD: 0.02}.draw(r, 30, 5)
	var alone, among []float64
	for range 500 {
		own := Noise{SD: 0.1}.draw(r, 1, 5)[0]
		a, b := scatterOf(own), scatterOf(own, quiet...)
		if b.freedom != a.freedom+priorFreedom {
			t.Fatalf("freedom %g alone and %g among others", a.freedom, b.freedom)
		}
		alone, among = append(alone, a.sd), append(among, b.sd)
	}
	if a, b := stat.Median(alone), stat.Median(among); !(0.08 < a && a < 0.1 && 0.05 < b && b < a) {
		t.Errorf("noise of 0.1: %.3g alone, %.3g beside noise of 0.02", a, b)
	}
	if got := scatterOf([]float64{-0.3, 0.3, -0.3, 0.3, -0.3}).sd; got < 0.3 {
		t.Errorf("two values in turn scatter by %g", got)
	}
}

// TestObserve moderates a cell by those of its kind alone: a quiet GPU beside busy processors stays quiet.
func TestObserve(t *testing.T) {
	r, p := rand.New(rand.NewPCG(5, 6)), DefaultPolicy()
	s := Simulation{Noise: Noise{SD: 0.08}}
	screen := s.draw(r, p.target(env.SharedCPU), 6, p.ScreenBlocks)
	for i := range screen {
		screen[i].kind = env.SharedCPU
	}
	s.Noise.SD = 0.003
	for _, c := range s.draw(r, p.target(env.LockedGPU), 3, p.ScreenBlocks) {
		c.kind = env.LockedGPU
		screen = append(screen, c)
	}
	p.observe(screen)
	for i, c := range screen[6:] {
		if c.noisy || c.scatter.sd > 0.006 || len(c.others) != 2 {
			t.Errorf("cell %d of the GPU: %+v of %d others", i, c.scatter, len(c.others))
		}
	}
}
