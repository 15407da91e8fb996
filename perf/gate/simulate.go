package gate

import (
	"math"
	"math/rand/v2"
	"runtime"
	"sync"
)

// Simulation asks how often the gate's rules err under a noise model.
type Simulation struct {
	Noise    Noise
	Policy   Policy
	Cells    int     // that a run screens
	Slowdown float64 // of one of them, such as 0.2; 0 for runs of equal builds
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
	p := s.Policy
	controls := p.controls(s.Cells) + 1                                  // the fixed workload is one more
	for _, values := range s.Noise.draw(r, controls, 2*p.ScreenBlocks) { // of one process on either side, where a block has two
		for i := range values {
			values[i] *= math.Sqrt2
		}
		if p.fires(values) {
			return false, false, true
		}
	}
	screen := s.Noise.draw(r, s.Cells, p.ScreenBlocks)
	s.slow(screen)
	confirm, _ := p.worst(screen)
	exact = true
	for _, i := range confirm {
		fresh := s.Noise.draw(r, 1, p.ConfirmBlocks)
		if i == 0 {
			s.slow(fresh)
		}
		beyondDoubt, byEstimate := p.slower(fresh[0])
		switch {
		case beyondDoubt:
			alarm = true
			exact = exact && i == 0
		case byEstimate:
			unsure = true
		}
	}
	if alarm {
		return true, exact, false
	}
	return false, false, unsure || p.resolution(spread(screen)) > p.MaxResolution
}

func (s Simulation) slow(cells [][]float64) {
	for i := range cells[0] {
		cells[0][i] += math.Log1p(s.Slowdown)
	}
}
