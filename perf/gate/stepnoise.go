package gate

import (
	"math/rand/v2"
	"slices"
)

// StepNoise is how the block values of a cell's steps scatter where nothing changed: the blocks themselves, each with the values of all steps, less
// the estimates of their series. There is no model of it, because steps differ too much for one. What a clock or a launch adds to every step is a
// large share of a short one and a small one of a long one, moves all steps of a process together, and is far off now and then: an H200 showed
// standard deviations of 1 to 5 % in one cell.
type StepNoise struct {
	blocks [][]float64 // [block][step]
}

// StepNoiseOf returns the noise of the steps of every cell whose steps were judged in trials. Slowed steps count, too: only how values scatter about
// their own estimate enters. A trial in which a cell or a step is missing is left out.
func StepNoiseOf(trials []Trial) []StepNoise {
	var out []StepNoise
	var like [][][]float64
	for _, t := range trials {
		if like == nil {
			like = t.Steps
			out = make([]StepNoise, len(like))
		}
		if !slices.EqualFunc(t.Steps, like, func(a, b [][]float64) bool { return len(a) == len(b) }) {
			continue
		}
		for cell, steps := range t.Steps {
			out[cell].add(steps)
		}
	}
	return slices.DeleteFunc(out, func(n StepNoise) bool { return len(n.blocks) == 0 })
}

// add adds the blocks that have a value of every step.
func (n *StepNoise) add(steps [][]float64) {
	var left [][]float64
	for _, values := range steps {
		left = append(left, residuals(values))
	}
	for block := range blocksIn(left) {
		if row := rowOf(left, block); len(row) == len(steps) {
			n.blocks = append(n.blocks, row)
		}
	}
}

// steps is how many there are.
func (n StepNoise) steps() int { return len(n.blocks[0]) }

// sds returns the standard deviation of every step.
func (n StepNoise) sds() []float64 {
	out := make([]float64, n.steps())
	for step := range out {
		out[step] = rootMeanSquare(rowOf(n.blocks, step))
	}
	return out
}

// noisiest is the step that scatters most.
func (n StepNoise) noisiest() int {
	sds := n.sds()
	return slices.Index(sds, slices.Max(sds))
}

// draw returns block values [step][block]. A block is one that was seen, all steps of it together, as it was or with base and head exchanged: where
// builds are equal, either could have been the other.
func (n StepNoise) draw(r *rand.Rand, blocks int) [][]float64 {
	out := make([][]float64, n.steps())
	for range blocks {
		seen, sign := n.blocks[r.IntN(len(n.blocks))], float64(1-2*r.IntN(2))
		for step, v := range seen {
			out[step] = append(out[step], sign*v)
		}
	}
	return out
}

// StepScatter sums up how the times of steps scatter.
type StepScatter struct {
	Steps    int     `json:"steps"`       // of all cells
	Blocks   int     `json:"blocks"`      // that they were seen in
	Median   float64 `json:"median_sd"`   // standard deviation of a block's log ratio, in the middle one of the steps
	Noisiest float64 `json:"noisiest_sd"` // … and in the noisiest
}

// scatterOfSteps sums the noise of the cells up, which there is.
func scatterOfSteps(cells []StepNoise) StepScatter {
	var s StepScatter
	var all []float64
	for _, n := range cells {
		s.Blocks += len(n.blocks)
		all = append(all, n.sds()...)
	}
	slices.Sort(all)
	s.Steps, s.Median, s.Noisiest = len(all), rounded(all[len(all)/2]), rounded(all[len(all)-1])
	return s
}
