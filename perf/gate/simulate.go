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

	// Steps is the noise of the steps of the first cells, which is drawn independently of the whole's; empty where no steps are judged. The slowdown
	// is then that of one step, another one in every run, and its cell as a whole is not slower.
	Steps    []StepNoise
	Noisiest bool // it is always the noisiest step of its cell
}

// Rates counts the outcomes of simulated runs.
type Rates struct {
	Noise        Noise   `json:"noise"`
	Cells        int     `json:"cells"`
	Steps        int     `json:"steps,omitempty"`    // of all cells, one of which was slower
	Noisiest     bool    `json:"noisiest,omitempty"` // … the noisiest of its cell
	Slowdown     float64 `json:"slowdown"`
	Runs         int     `json:"runs"`
	Alarms       int     `json:"alarms"`       // runs that ended as a regression
	Right        int     `json:"right"`        // … of the slowed cell or step and no other
	Inconclusive int     `json:"inconclusive"` // runs
}

// Run simulates. The same simulation gives the same rates on any number of processors.
func (s Simulation) Run() Rates {
	rates := Rates{Noise: s.Noise, Cells: s.Cells, Noisiest: s.Noisiest, Slowdown: s.Slowdown, Runs: s.Runs}
	for _, n := range s.Steps {
		rates.Steps += n.steps()
	}
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

// slowed says what is slower in a simulated run.
type slowed struct {
	cell int
	step int // of it; -1 for all of it
}

// choose picks what is slower: cell 0, or a step.
func (s Simulation) choose(r *rand.Rand) slowed {
	if len(s.Steps) == 0 {
		return slowed{0, -1}
	}
	cell := r.IntN(len(s.Steps))
	if s.Noisiest {
		return slowed{cell, s.Steps[cell].noisiest()}
	}
	return slowed{cell, r.IntN(s.Steps[cell].steps())}
}

// once decides one run by the rules of Judge.
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
	slow := s.choose(r)
	screen := s.draw(r, t, s.Cells, p.ScreenBlocks)
	for i := range screen {
		screen[i].steps.values = s.drawSteps(r, i, p.ScreenBlocks)
	}
	s.slow(slow, screen[slow.cell])
	for i := range screen {
		if len(screen[i].steps.values) > 0 {
			screen[i].steps = newStepScreen(t.Limits.Step, screen[i].steps.values)
		}
	}
	p.observe(screen)
	confirm, rest := p.worst(screen)
	exact = true
	var steps stepTrial
	for _, i := range confirm {
		fresh := s.draw(r, t, 1, p.ConfirmBlocks)[0]
		fresh.steps.values = s.drawSteps(r, i, p.ConfirmBlocks)
		if i == slow.cell {
			s.slow(slow, fresh)
		}
		for _, k := range screen[i].asked() {
			l, values := t.Limits.Of(k), fresh.values[k]
			if k == Time {
				screen[i].noisy = !p.finding(l, scatterOf(values, screen[i].others...))(t.MaxResolution)
			}
			switch {
			case l.exceeded(values, p.Alpha):
				alarm = true
				exact = exact && slow == slowed{i, -1}
			case l.reached(values):
				unsure = true
			}
		}
		steps.add(slow, i, screen[i], fresh)
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
	return out
}

// drawSteps returns the block values of the steps of a cell, if it has any.
func (s Simulation) drawSteps(r *rand.Rand, cell, blocks int) [][]float64 {
	if cell >= len(s.Steps) {
		return nil
	}
	return s.Steps[cell].draw(r, blocks)
}

// stepTrial collects the steps that a simulated confirmation tests.
type stepTrial struct {
	slow   []bool      // whether it is the one that is slower
	values [][]float64 // fresh ones
}

func (t *stepTrial) add(slow slowed, cell int, seen, fresh screened) {
	for _, k := range seen.steps.candidates {
		t.slow, t.values = append(t.slow, slow == slowed{cell, k}), append(t.values, fresh.steps.values[k])
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

// slow makes block values of a cell those of a slower one, or of one with a slower step.
func (s Simulation) slow(what slowed, c screened) {
	values := c.values[Time]
	if what.step >= 0 {
		values = c.steps.values[what.step]
	}
	for i := range values {
		values[i] += math.Log1p(s.Slowdown)
	}
}
