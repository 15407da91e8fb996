package gate

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
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

	StepNoise Noise // of the times of steps, which are drawn independently of the whole's
	Steps     int   // of each cell; 0: they are not judged. The slowdown is then that of one step of cell 0, and the cell as a whole is not slower
}

// Rates counts the outcomes of simulated runs.
type Rates struct {
	Noise        Noise   `json:"noise"`
	Cells        int     `json:"cells"`
	Steps        int     `json:"steps,omitempty"` // of each cell, one of which was slower
	Slowdown     float64 `json:"slowdown"`
	Runs         int     `json:"runs"`
	Alarms       int     `json:"alarms"`       // runs that ended as a regression
	Right        int     `json:"right"`        // … of the slowed cell and no other
	Inconclusive int     `json:"inconclusive"` // runs
}

// Run simulates. The same simulation gives the same rates on any number of processors.
func (s Simulation) Run() Rates {
	rates := Rates{Noise: s.Noise, Cells: s.Cells, Steps: s.Steps, Slowdown: s.Slowdown, Runs: s.Runs}
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
	for i := range screen {
		if s.Steps > 0 {
			screen[i].steps = newStepScreen(t.Limits.Step, screen[i].steps.values)
		}
	}
	p.observe(screen)
	confirm, rest := p.worst(screen)
	exact = true
	var steps stepTrial
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
		steps.add(i, screen[i], fresh)
	}
	stepAlarm, stepExact, stepUnsure := steps.judged(t.Limits.Step, p)
	alarm, exact, unsure = alarm || stepAlarm, exact && stepExact, unsure || stepUnsure
	if alarm {
		return true, exact, false
	}
	for _, i := range rest {
		for _, k := range screen[i].candidates() {
			unsure = unsure || t.Limits.Of(k).reached(screen[i].values[k])
		}
		for _, k := range screen[i].steps.candidates {
			unsure = unsure || t.Limits.Step.reached(screen[i].steps.values[k])
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
	for i := range out {
		if s.Steps > 0 {
			out[i].steps.values = s.StepNoise.draw(r, s.Steps, blocks)
		}
	}
	return out
}

// stepTrial collects the steps that a simulated confirmation tests.
type stepTrial struct {
	slow   []bool      // step 0 of cell 0
	values [][]float64 // fresh ones
}

func (t *stepTrial) add(cell int, seen, fresh screened) {
	for _, k := range seen.steps.candidates {
		t.slow, t.values = append(t.slow, cell == 0 && k == 0), append(t.values, fresh.steps.values[k])
	}
}

// judged tests them by the rules of judge.test.
func (t *stepTrial) judged(l Limit, p Policy) (alarm, exact, unsure bool) {
	n := min(len(t.values), mostSteps(p.Alpha, p.ConfirmBlocks))
	ps := make([]float64, n)
	for i := range ps {
		ps[i] = stat.SignedRank(t.values[i])
	}
	exact = true
	for i, rejected := range holm(ps, p.Alpha) {
		switch {
		case !l.reached(t.values[i]):
		case rejected:
			alarm, exact = true, exact && t.slow[i]
		default:
			unsure = true
		}
	}
	return alarm, exact, unsure
}

func (s Simulation) slow(c screened) {
	if s.Steps > 0 {
		for i := range c.steps.values[0] {
			c.steps.values[0][i] += math.Log1p(s.Slowdown)
		}
		return
	}
	for i := range c.values[Time] {
		c.values[Time][i] += math.Log1p(s.Slowdown)
	}
}
