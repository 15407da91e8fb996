package gate

import (
	"fmt"
	"math"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/stat"
)

// DefaultPolicy returns the policy of a kind of machine: its δ, 5 blocks to screen, 20 to confirm the worst 5 candidates, p of
// at most 5e-4, an A/A arm on a tenth of the cells, a run that could miss a slowdown of 2.5·δ is inconclusive, and the
// confirmation takes 5 minutes.
func DefaultPolicy(k env.Kind) Policy {
	return Policy{
		Delta: k.Delta(), ScreenBlocks: 5, ConfirmBlocks: 20, MaxConfirm: 5, Alpha: 5e-4, ControlShare: 0.1, MaxResolution: 2.5 * k.Delta(),
		Iterations: measure.DefaultIterations, BoundNS: measure.DefaultBound.Nanoseconds(), ConfirmNS: (5 * time.Minute).Nanoseconds(), Seed: 1,
	}
}

// minScreenBlocks is the least that an estimate with an interval can come from.
const minScreenBlocks = 3

// Validate refuses what could not decide anything, before anything is measured. Above all, the smallest p that the blocks of a
// confirmation can attain, 2^-n, has to be at most α.
func (p Policy) Validate() error {
	switch {
	case !(p.Delta > 0 && p.Delta < 1):
		return fmt.Errorf("delta %g is outside (0, 1)", p.Delta)
	case !(p.Alpha >= minAlpha && p.Alpha < 0.5):
		return fmt.Errorf("alpha %g is outside [%g, 0.5)", p.Alpha, minAlpha)
	case p.ScreenBlocks < minScreenBlocks || p.ScreenBlocks > maxBlocks:
		return fmt.Errorf("%d screening blocks: want %d to %d", p.ScreenBlocks, minScreenBlocks, maxBlocks)
	case p.ConfirmBlocks > maxBlocks:
		return fmt.Errorf("%d confirming blocks: want at most %d", p.ConfirmBlocks, maxBlocks)
	case stat.SmallestP(p.ConfirmBlocks) > p.Alpha:
		return fmt.Errorf("%d confirming blocks cannot give a p below %.2g, and alpha is %g: no slowdown could be confirmed; want %d blocks or more",
			p.ConfirmBlocks, stat.SmallestP(p.ConfirmBlocks), p.Alpha, int(math.Ceil(-math.Log2(p.Alpha))))
	case p.MaxConfirm < 1:
		return fmt.Errorf("%d candidates to confirm: want at least 1", p.MaxConfirm)
	case p.ConfirmNS < 0:
		return fmt.Errorf("the confirmation should take %v: want a time, or 0 for no limit", time.Duration(p.ConfirmNS))
	case !(p.ControlShare >= 0 && p.ControlShare <= 1):
		return fmt.Errorf("control share %g is outside [0, 1]", p.ControlShare)
	case !(p.MaxResolution > p.Delta && p.MaxResolution <= maxResolution):
		return fmt.Errorf("the resolution %g that a run must reach has to be above delta %g, and at most %d", p.MaxResolution, p.Delta, maxResolution)
	}
	return nil
}

const (
	maxBlocks     = 200
	minAlpha      = 1e-12 // the normal quantile of 1-α is taken in float64
	maxResolution = 100
)

// controls returns how many of n cells have an A/A arm: the share, rounded up.
func (p Policy) controls(n int) int {
	return min(n, int(math.Ceil(p.ControlShare*float64(n))))
}

// controlStream numbers the random stream that picks the cells with an A/A arm.
const controlStream = 1 << 40

// controlled picks the cells with an A/A arm among those that are screened.
func (p Policy) controlled(cells []perf.Cell) []perf.Cell {
	return measure.Order(cells, p.Seed, controlStream)[:p.controls(len(cells))]
}

// options returns how a cell is measured under the policy.
func (p Policy) options() measure.Options {
	return measure.Options{Iterations: p.Iterations, Bound: time.Duration(p.BoundNS), Threads: p.Threads}
}

// bound is what the samples of a cell take together in a process, where nothing cuts it.
func (p Policy) bound() time.Duration { return p.options().Filled().Bound }
