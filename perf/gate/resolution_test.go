package gate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/apex-x/apexx/perf/stat"
)

// TestResolution slows a cell by what the rules say is found with a power of 95 %, and by δ itself, of which the pass must not say
// that it was ruled out.
func TestResolution(t *testing.T) {
	for _, sd := range []float64{0.01, 0.05, 0.1} {
		p := DefaultPolicy()
		p.Targets.SetMaxResolution(10)
		limit := p.Targets.CPU.Limits.Time
		s := Simulation{Noise: Noise{SD: sd}, Policy: p, Cells: 1, Slowdown: p.resolution(limit, sd), Runs: 2000, Seed: 1}
		found := s.Run()
		if passed := s.Runs - found.Alarms - found.Inconclusive; passed > s.Runs*6/100 {
			t.Errorf("noise of %g: of a slowdown of %.3g %%, %+v", sd, 100*s.Slowdown, found)
		}
		s.Slowdown = limit.Delta
		if missed := s.Run(); missed.Alarms > s.Runs*6/10 || missed.Alarms < s.Runs/20 {
			t.Errorf("noise of %g: of δ, %+v", sd, missed)
		}
	}
	if got := DefaultPolicy().resolution(Limit{Delta: 0.08}, 0); math.Abs(got-0.08) > 1e-9 {
		t.Errorf("without noise: %g, want δ", got)
	}
	p := DefaultPolicy()
	p.ConfirmBlocks = 12 // few enough that the test asks for more than the estimate
	if few, many := p.resolution(Limit{Delta: 0.08}, 0.2), DefaultPolicy().resolution(Limit{Delta: 0.08}, 0.2); few <= many {
		t.Errorf("12 blocks find %g, 20 find %g", few, many)
	}
}

// TestModerated draws a cell's noise towards that of all, and less so with more blocks.
func TestModerated(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var few, many []float64
	for range 500 {
		screen, confirm := Noise{SD: 0.1}.draw(r, 1, 5), Noise{SD: 0.1}.draw(r, 1, 20)
		few, many = append(few, moderated(0.02, screen[0])), append(many, moderated(0.02, screen[0], confirm[0]))
	}
	if a, b := stat.Median(few), stat.Median(many); !(0.03 < a && a < b && 0.07 < b && b < 0.09) {
		t.Errorf("noise of 0.1 beside 0.02: %.3g by 5 blocks, %.3g by 25", a, b)
	}
	if got := moderated(0.02); got != 0.02 {
		t.Errorf("without blocks: %g", got)
	}
	if got := spread([]float64{-0.3, 0.3, -0.3, 0.3, -0.3}); got < 0.3 {
		t.Errorf("two values in turn scatter by %g", got)
	}
}
