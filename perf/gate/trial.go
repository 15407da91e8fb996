package gate

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/perf"
)

// Trial is one run of the gate on builds whose difference is known: none, or an injected slowdown of one cell.
type Trial struct {
	Index    int         `json:"index"`
	Slowdown float64     `json:"slowdown"`       // such as 0.2; 0 for equal builds
	Cell     string      `json:"cell,omitempty"` // that was slowed
	Step     string      `json:"step,omitempty"` // … this step of it alone
	BaseMS   float64     `json:"base_ms,omitempty"`
	Outcome  Outcome     `json:"outcome"`
	Named    []string    `json:"named"` // cells that were found to have regressed, and in a trial of steps "CELL: step NAME"
	Reasons  []string    `json:"reasons"`
	Blocks   [][]float64 `json:"blocks"` // block values of the screen's times, by cell
	// Others are the block values of the other metrics, likewise.
	Others  map[Metric][][]float64 `json:"others,omitempty"`
	Steps   [][][]float64          `json:"steps,omitempty"` // those of the steps, by cell and step
	Seconds float64                `json:"seconds"`
	Version string                 `json:"version"`
}

// Slowdowns are the injected ones that a self-check tries.
var Slowdowns = []float64{0.02, 0.05, 0.1, 0.2}

// trialOrder is the cycle of a self-check's slowdowns: two of three trials have none, and the one that matters most comes most
// often, so that a self-check that stops anywhere has tried everything in proportion.
var trialOrder = []float64{0, 0, 0.2, 0, 0, 0.1, 0, 0, 0.2, 0, 0, 0.05, 0, 0, 0.2, 0, 0, 0.02}

// trialStream seeds the choice of the slowed cells.
const trialStream = 20

// PlanTrial returns the slowdown of a trial and the cell that it slows.
func PlanTrial(index int, cells []perf.Cell) (slowdown float64, slowed perf.Cell) {
	slowdown = trialOrder[index%len(trialOrder)]
	return slowdown, cells[rand.New(rand.NewPCG(trialStream, uint64(index))).IntN(len(cells))]
}

// stepStream seeds the choice of the slowed steps.
const stepStream = 21

// stepOf returns which step a trial of steps slows: at which share of the plan.
func stepOf(index int) float64 {
	return rand.New(rand.NewPCG(stepStream, uint64(index))).Float64()
}

// Check says what keeps a trial that was read from being the one with an index in a self-check of these cells.
func (t Trial) Check(index int, cells []perf.Cell) error {
	slowdown, slowed := PlanTrial(index, cells)
	name := ""
	if slowdown > 0 {
		name = slowed.String()
	}
	switch outcomes := []Outcome{Pass, Regression, ParityFailed, Inconclusive, NoBaseline, Unavailable, Broken}; {
	case t.Index != index:
		return fmt.Errorf("it is trial %d, want trial %d", t.Index, index)
	case t.Slowdown != slowdown || t.Cell != name:
		return fmt.Errorf("trial %d slows %q by %g, want %q by %g", index, t.Cell, t.Slowdown, name, slowdown)
	case !slices.Contains(outcomes, t.Outcome):
		return fmt.Errorf("trial %d has the unknown outcome %q", index, t.Outcome)
	case len(t.Blocks) > len(cells):
		return fmt.Errorf("trial %d has the blocks of %d cells, want at most %d", index, len(t.Blocks), len(cells))
	}
	return nil
}

// FalseAlarm tells whether equal builds were called a regression.
func (t Trial) FalseAlarm() bool { return t.Slowdown == 0 && t.Outcome == Regression }

// Found tells whether a slowdown was found, whatever was named.
func (t Trial) Found() bool {
	return t.Slowdown > 0 && t.Outcome == Regression && slices.Contains(t.Named, t.slowed())
}

// slowed names what was slowed.
func (t Trial) slowed() string {
	if t.Step == "" {
		return t.Cell
	}
	return namedStep(t.Cell, t.Step)
}

func namedStep(cell, step string) string { return cell + ": step " + step }

// Right tells whether the slowed cell, or step, was named and no other.
func (t Trial) Right() bool { return t.Found() && len(t.Named) == 1 }

// TrialOf sums a judged record up.
func TrialOf(rec *Record, index int, slowdown float64, slowed perf.Cell) Trial {
	t := Trial{Index: index, Slowdown: slowdown, Outcome: rec.Verdict.Outcome, Reasons: rec.Verdict.Reasons, Named: []string{}, Version: rec.Version, Others: map[Metric][][]float64{}}
	if slowdown > 0 {
		t.Cell = slowed.String()
	}
	for _, c := range rec.Verdict.Cells {
		if c.regressed() {
			t.Named = append(t.Named, c.Name)
		}
		if c.Steps != nil {
			t.addSteps(rec, c)
		}
		for _, s := range c.Series {
			switch {
			case s.Screen == nil:
			case s.Metric != Time:
				t.Others[s.Metric] = append(t.Others[s.Metric], s.Screen.Values)
			default:
				t.Blocks = append(t.Blocks, s.Screen.Values)
				if c.Name == t.Cell {
					t.BaseMS = s.Screen.Base
				}
			}
		}
	}
	return t
}

// addSteps adds what the blocks say of the steps of a cell.
func (t *Trial) addSteps(rec *Record, c Cell) {
	for _, s := range c.Steps.Series {
		if s.State == CellRegressed {
			t.Named = append(t.Named, namedStep(c.Name, s.Step))
		}
	}
	blocks := stepsOf(rec.Screen, c.Cell, rec.Policy.ScreenBlocks, rec.target(c.Cell).Limits)
	var all [][]float64
	for _, k := range blocks.keys {
		values := slices.Clone(blocks.series[k].values)
		for i := range values {
			values[i] = rounded(values[i])
		}
		all = append(all, values)
	}
	t.Steps = append(t.Steps, all)
}

// Tally sums trials of one slowdown up.
type Tally struct {
	Slowdown     float64 `json:"slowdown"`
	Trials       int     `json:"trials"`
	Alarms       int     `json:"alarms"` // ended as a regression
	Right        int     `json:"right"`  // … and named the slowed cell alone
	Inconclusive int     `json:"inconclusive"`
	Other        int     `json:"other"` // ended in another way, such as a crash
}

// Tallies counts trials by their slowdown, equal builds first.
func Tallies(trials []Trial) []Tally {
	var out []Tally
	for _, s := range append([]float64{0}, Slowdowns...) {
		t := Tally{Slowdown: s}
		for _, trial := range trials {
			if trial.Slowdown != s {
				continue
			}
			t.Trials++
			switch {
			case trial.Outcome == Regression:
				t.Alarms++
			case trial.Outcome == Inconclusive:
				t.Inconclusive++
			case trial.Outcome != Pass:
				t.Other++
			}
			if trial.Right() {
				t.Right++
			}
		}
		out = append(out, t)
	}
	return out
}

// TrialNoise fits the noise of the machine to the trials: of the times, and of every other metric. Slowed cells count, too: only
// how values scatter about their own estimate enters.
func TrialNoise(trials []Trial) (times Noise, others map[Metric]Noise) {
	runs := make([][][]float64, len(trials))
	other := map[Metric][][][]float64{}
	for i, t := range trials {
		runs[i] = t.Blocks
		for k, cells := range t.Others {
			other[k] = append(other[k], cells)
		}
	}
	for k, runs := range other {
		if others == nil {
			others = map[Metric]Noise{}
		}
		others[k] = FitNoise(runs)
	}
	return FitNoise(runs), others
}
