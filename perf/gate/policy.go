package gate

import (
	"cmp"
	"fmt"
	"math"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
	"github.com/apex-x/apexx/perf/stat"
)

// Policy is how a gate decides. All ratios are head over base.
type Policy struct {
	Targets       Targets `json:"targets"`        // what counts, by what executes a cell
	ScreenBlocks  int     `json:"screen_blocks"`  // ABBA blocks of every cell
	ConfirmBlocks int     `json:"confirm_blocks"` // fresh ABBA blocks of a candidate
	MaxConfirm    int     `json:"max_confirm"`    // candidates that are confirmed, the worst first; and up to twice as many cells whose screen is too noisy
	Alpha         float64 `json:"alpha"`          // greatest p of a regression
	ControlShare  float64 `json:"control_share"`  // of the cells that have an A/A arm
	Iterations    int     `json:"iterations"`
	BoundNS       int64   `json:"bound_ns"`
	// ConfirmNS is what the confirmation should take, 0 without a limit. To keep to it, blocks cut BoundNS down, to a quarter at most, and runs
	// longer than that lose the warm-up after the first.
	ConfirmNS int64  `json:"confirm_ns,omitempty"`
	Seed      uint64 `json:"seed"`
	Threads   int    `json:"threads"`

	Steps StepScope `json:"steps,omitempty"` // of which cells every step is a series too
}

// StepScope says of which cells the times of the steps are judged. To time them takes a session more in every process.
type StepScope string

// The scopes.
const (
	NoSteps     StepScope = ""       // of none
	DeviceSteps StepScope = "device" // of those that compute on a device
	AllSteps    StepScope = "all"    // of all whose backend tells them
)

// Of tells whether the steps of a cell are judged.
func (s StepScope) Of(c perf.Cell) bool {
	return s == AllSteps || s == DeviceSteps && perf.OnDevice(c.Backend)
}

// Targets holds what counts on each kind of machine: cells on a GPU and cells on processors can be in one run.
type Targets struct {
	CPU         Target `json:"cpu"`
	UnlockedGPU Target `json:"gpu_unlocked"`
	LockedGPU   Target `json:"gpu_locked"`
}

// Target is what counts for the cells that one kind of machine executes.
type Target struct {
	// MaxResolution is the slowdown that has to be found: a cell whose noise could hide more is inconclusive.
	MaxResolution float64 `json:"max_resolution"`
	Limits        Limits  `json:"limits"`
}

// target returns what counts on a kind of machine.
func (p Policy) target(k env.Kind) Target {
	switch k {
	case env.LockedGPU:
		return p.Targets.LockedGPU
	case env.UnlockedGPU:
		return p.Targets.UnlockedGPU
	}
	return p.Targets.CPU
}

// each calls do with every target.
func (t *Targets) each(do func(*Target)) {
	for _, target := range []*Target{&t.CPU, &t.UnlockedGPU, &t.LockedGPU} {
		do(target)
	}
}

// SetDelta sets δ of the time on every kind of machine, and the slowdown that has to be found to 2.5 times that. The times that hold
// that time as a part are allowed no less.
func (t *Targets) SetDelta(delta float64) {
	t.each(func(target *Target) {
		l := &target.Limits
		l.Time.Delta, target.MaxResolution = delta, resolutionRatio*delta
		l.HostTime.Delta, l.EndToEnd.Delta = max(l.HostTime.Delta, delta), max(l.EndToEnd.Delta, delta)
	})
}

// SetMaxResolution sets the slowdown that has to be found on every kind of machine.
func (t *Targets) SetMaxResolution(x float64) {
	t.each(func(target *Target) { target.MaxResolution = x })
}

// resolutionRatio is the slowdown that a run has to find by default, in units of δ.
const resolutionRatio = 2.5

// DefaultPolicy screens with 5 blocks, confirms the worst 5 candidates with 20, asks for p of at most 5e-4, has an A/A arm on a tenth
// of the cells, finds slowdowns of 2.5·δ, and confirms for 5 minutes.
func DefaultPolicy() Policy {
	return Policy{
		Targets:      Targets{CPU: defaultTarget(env.SharedCPU), UnlockedGPU: defaultTarget(env.UnlockedGPU), LockedGPU: defaultTarget(env.LockedGPU)},
		ScreenBlocks: 5, ConfirmBlocks: 20, MaxConfirm: 5, Alpha: 5e-4, ControlShare: 0.1,
		Iterations: measure.DefaultIterations, BoundNS: measure.DefaultBound.Nanoseconds(), ConfirmNS: (5 * time.Minute).Nanoseconds(), Seed: 1,
		Steps: DeviceSteps,
	}
}

// defaultTarget has δ of the kind for the time, and for everything else limits that the evidence of equal builds bears out
// (baselines/evidence): screens of 40 cells moved compilation by up to 9 %, first runs by 13 % (beside foreign load by half), peaks
// of host memory by 4 % and allocations by 0.6 %. Compilation and first runs are measured beside those of the block's other
// processes. The offsets keep microseconds of a small operator, or a few objects, from counting.
func defaultTarget(k env.Kind) Target {
	const us, ms, mib = 1e3, 1e6, 1 << 20
	step := Limit{Delta: k.Delta(), Offset: 0.1 * us}
	if k == env.SharedCPU {
		step = Limit{Delta: 0.12, Offset: 1 * us}
	}
	return Target{MaxResolution: resolutionRatio * k.Delta(), Limits: Limits{
		Time:       Limit{Delta: k.Delta()},
		HostTime:   Limit{Delta: 0.15, Offset: 0.02 * ms},
		EndToEnd:   Limit{Delta: 0.15, Offset: 0.05 * ms},
		Compile:    Limit{Delta: 0.5, Offset: 20 * ms},
		FirstRun:   Limit{Delta: 1, Offset: 5 * ms},
		HostMemory: Limit{Delta: 0.25, Offset: 8 * mib}, DeviceMemory: Limit{Delta: 0.05, Offset: 16 * mib},
		Allocs: Limit{Delta: 0.1, Offset: 1000}, AllocBytes: Limit{Delta: 0.1, Offset: 1 * mib}, Step: step,
	}}
}

// minScreenBlocks is the least that an estimate with an interval can come from.
const minScreenBlocks = 3

// Validate refuses what could not decide anything, before anything is measured. Above all, the smallest p that the blocks of a
// confirmation can attain, 2^-n, has to be at most α.
func (p Policy) Validate() error {
	switch {
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
	case p.Threads < 0:
		return fmt.Errorf("%d threads: want at least 1, or 0 for GOMAXPROCS", p.Threads)
	case p.Steps != NoSteps && p.Steps != DeviceSteps && p.Steps != AllSteps:
		return fmt.Errorf("steps of %q: want %s, %s or nothing", p.Steps, DeviceSteps, AllSteps)
	case !(p.ControlShare >= 0 && p.ControlShare <= 1):
		return fmt.Errorf("control share %g is outside [0, 1]", p.ControlShare)
	}
	var err error
	p.Targets.each(func(t *Target) { err = cmp.Or(err, t.validate(), p.validateStep(t.Limits.Step)) })
	return err
}

// validateStep refuses a limit that no step could be judged by. A step may take no time at all by a coarse clock, so that it needs an offset.
func (p Policy) validateStep(l Limit) error {
	if p.Steps == NoSteps || l.Delta > 0 && l.Delta <= maxResolution && l.Offset > 0 && l.Offset <= maxOffset {
		return nil
	}
	return fmt.Errorf("the limit of a step is %g with an offset of %g: want an increase in (0, %d] and an offset in (0, %g]", l.Delta, l.Offset, maxResolution, maxOffset)
}

func (t Target) validate() error {
	delta := t.Limits.Time.Delta
	switch {
	case !(delta > 0 && delta < 1):
		return fmt.Errorf("delta %g is outside (0, 1)", delta)
	case !(t.MaxResolution > delta && t.MaxResolution <= maxResolution):
		return fmt.Errorf("the resolution %g that a run must reach has to be above delta %g, and at most %d", t.MaxResolution, delta, maxResolution)
	}
	for _, k := range Metrics {
		if l := t.Limits.Of(k); !(l.Delta > 0 && l.Delta <= maxResolution && l.Offset >= 0 && l.Offset <= maxOffset) {
			return fmt.Errorf("the limit of the %s is %g with an offset of %g: want an increase in (0, %d] and an offset in [0, %g]", k.Words(), l.Delta, l.Offset, maxResolution, maxOffset)
		}
	}
	return nil
}

const (
	maxBlocks     = 200
	minAlpha      = 1e-12 // the normal quantile of 1-α is taken in float64
	maxResolution = 100
	maxOffset     = 1e12
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
