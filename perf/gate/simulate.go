package gate

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/apex-x/apexx/perf/env"
)

// Simulation asks how often the gate's rules err under a noise model.
type Simulation struct {
	Noise    Noise            // of the times
	Others   map[Metric]Noise // of the other metrics, which are drawn independently of the times
	Policy   Policy
	Kind     env.Kind // of the machine; processors where it is empty
	Cells    int      // that a run screens
	Slowdown float64  // of one of them, such as 0.2; 0 for runs of equal builds
	Runs     int
	Seed     uint64
}

// Rates counts the outcomes of simulated runs.
type Rates struct {
	Noise        Noise   `json:"noise"`
	Cells        int     `json:"cells"`
	Slowdown     float64 `json:"slowdown"`
	Runs         int     `json:"runs"`
	Alarms       int     `json:"alarms"`       // runs that ended as a regression
	Right        int     `json:"right"`        // … of the slowed cell and no other
	Inconclusive int     `json:"inconclusive"` // runs
}

// Run simulates. The same simulation gives the same rates on any number of processors.
func (s Simulation) Run() Rates {
	rates := Rates{Noise: s.Noise, Cells: s.Cells, Slowdown: s.Slowdown, Runs: s.Runs}
	const chunk = 500
	var mu sync.Mutex
	var workers sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for first := range next {
				r := rand.New(rand.NewPCG(s.Seed, uint64(first)))
				alarms, right, inconclusive := 0, 0, 0
				for range min(chunk, s.Runs-first) {
					switch alarm, exact, unsure := s.once(r); {
					case unsure:
						inconclusive++
					case alarm:
						alarms++
						if exact {
							right++
						}
					}
				}
				mu.Lock()
				rates.Alarms, rates.Right, rates.Inconclusive = rates.Alarms+alarms, rates.Right+right, rates.Inconclusive+inconclusive
				mu.Unlock()
			}
		})
	}
	for first := 0; first < s.Runs; first += chunk {
		next <- first
	}
	close(next)
	workers.Wait()
	return rates
}

// once decides one run by the rules of Judge. Cell 0 is the slow one.
func (s Simulation) once(r *rand.Rand) (alarm, exact, unsure bool) {
	p, t := s.Policy, s.Policy.target(s.Kind)
	delta := t.Limits.Time.Delta
	controls := p.controls(s.Cells) + 1                                  // the fixed workload is one more
	for _, values := range s.Noise.draw(r, controls, 2*p.ScreenBlocks) { // of one process on either side, where a block has two
		for i := range values {
			values[i] *= math.Sqrt2
		}
		if p.fires(values, delta) {
			return false, false, true
		}
	}
	screen := s.draw(r, t, s.Cells, p.ScreenBlocks)
	s.slow(screen[0])
	p.observe(screen)
	confirm, rest := p.worst(screen)
	exact = true
	for _, i := range confirm {
		fresh := s.draw(r, t, 1, p.ConfirmBlocks)[0]
		if i == 0 {
			s.slow(fresh)
		}
		for _, k := range screen[i].asked() {
			l, values := t.Limits.Of(k), fresh.values[k]
			if k == Time {
				screen[i].noisy = !p.finding(l, scatterOf(values, screen[i].others...))(t.MaxResolution)
			}
			switch {
			case l.exceeded(values, p.Alpha):
				alarm = true
				exact = exact && i == 0
			case l.reached(values):
				unsure = true
			}
		}
	}
	if alarm {
		return true, exact, false
	}
	for _, i := range rest {
		for _, k := range screen[i].candidates() {
			unsure = unsure || t.Limits.Of(k).reached(screen[i].values[k])
		}
	}
	return false, false, unsure || slices.ContainsFunc(screen, func(s screened) bool { return s.noisy })
}

// draw returns the block values of cells in every metric.
func (s Simulation) draw(r *rand.Rand, t Target, cells, blocks int) []screened {
	out := make([]screened, cells)
	times := s.Noise.draw(r, cells, blocks)
	for i := range out {
		out[i] = screened{target: t, values: map[Metric][]float64{Time: times[i]}}
	}
	for _, k := range Metrics { // not in the order of a map, which is another every time
		noise, known := s.Others[k]
		if !known {
			continue
		}
		for i, values := range noise.draw(r, cells, blocks) {
			out[i].values[k] = values
		}
	}
	return out
}

func (s Simulation) slow(c screened) {
	for i := range c.values[Time] {
		c.values[Time][i] += math.Log1p(s.Slowdown)
	}
}
