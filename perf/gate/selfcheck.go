package gate

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/stat"
)

// SelfcheckSchemaID names the version of the JSON form of a Selfcheck.
const SelfcheckSchemaID = "apexx.selfcheck/4"

// SelfcheckHeader says what trials are run on. Trials add up only under an equal header.
type SelfcheckHeader struct {
	Schema string      `json:"schema"` // SelfcheckSchemaID
	Class  env.Class   `json:"class"`
	Policy Policy      `json:"policy"`
	Cells  []perf.Cell `json:"cells"`
}

// Selfcheck is what the trials of a machine say of the gate's error rates there.
type Selfcheck struct {
	SelfcheckHeader
	Until    time.Time `json:"until"` // when the trials were summed up, UTC
	Versions []string  `json:"versions"`
	Tallies  []Tally   `json:"tallies"`
	Noise    Noise     `json:"noise"` // of the times
	// OtherNoise is that of the other metrics, empty where the trials are of a version that did not judge them.
	OtherNoise map[Metric]Noise `json:"other_noise,omitempty"`
	// StepNoise is that of the times of steps; nil where none were judged.
	StepNoise *StepScatter `json:"step_noise,omitempty"`
	Simulated []Rates      `json:"simulated"`
}

// NewSelfcheck sums trials up and simulates the rates that are too rare to measure: simulated runs of each slowdown of a cell, with as
// many cells as the trials have, and with 40, or where the trials tell of steps, with those, one of which is slowed.
func NewSelfcheck(h SelfcheckHeader, trials []Trial, until time.Time, simulated int) *Selfcheck {
	s := &Selfcheck{SelfcheckHeader: h, Until: until.UTC().Truncate(time.Second), Tallies: Tallies(trials)}
	s.Noise, s.OtherNoise = TrialNoise(trials)
	for _, t := range trials {
		if len(s.Versions) == 0 || s.Versions[len(s.Versions)-1] != t.Version {
			s.Versions = append(s.Versions, t.Version)
		}
	}
	if s.Noise.SD == 0 {
		return s // too few trials to simulate
	}
	sim := Simulation{Noise: s.Noise, Others: s.OtherNoise, Policy: h.Policy, Kind: h.Class.Kind, Cells: len(h.Cells), Runs: simulated}
	s.simulate(sim)
	if sim.Steps = StepNoiseOf(trials); len(sim.Steps) > 0 {
		scatter := scatterOfSteps(sim.Steps)
		s.StepNoise, sim.Runs = &scatter, max(simulated/stepRuns, 1)
		s.simulate(sim)
		sim.Noisiest = true
		s.simulate(sim)
		return s
	}
	sim.Cells = wideScreen
	s.simulate(sim)
	return s
}

// simulate adds runs of each slowdown; those of equal builds have no noisiest step.
func (s *Selfcheck) simulate(sim Simulation) {
	for i, slowdown := range append([]float64{0}, Slowdowns...) {
		if sim.Slowdown, sim.Seed = slowdown, uint64(i+1); slowdown > 0 || !sim.Noisiest {
			s.Simulated = append(s.Simulated, sim.Run())
		}
	}
}

// wideScreen is the number of cells of a large run.
const wideScreen = 40

// stepRuns says how many times fewer runs are simulated where a cell has a hundred series more.
const stepRuns = 50

// WriteMarkdown writes the table of rates.
func (s *Selfcheck) WriteMarkdown(w io.Writer) error {
	p := func(format string, args ...any) { fmt.Fprintf(w, format, args...) }
	p("# How often the gate errs on %s\n\n", s.Class.ID)
	p("Trials of `apexx gate` on this machine with equal builds, and with one cell slowed by an injected fault. δ = %.3g %%, %d screening and\n"+
		"%d confirming blocks, α = %g, %d cells, samples for %v of each.\n\n", 100*s.Policy.target(s.Class.Kind).Limits.Time.Delta, s.Policy.ScreenBlocks, s.Policy.ConfirmBlocks, s.Policy.Alpha,
		len(s.Cells), time.Duration(s.Policy.BoundNS))
	if s.StepNoise != nil {
		p("What is slowed is one step of that cell: δ of a step = %s.\n\n", s.Policy.target(s.Class.Kind).Limits.Step.Text(Step))
	}
	p("| injected slowdown | live runs | called a regression (95 %% interval) | right cell, and no other | inconclusive | crashed or other |\n|---|---|---|---|---|---|\n")
	for _, t := range s.Tallies {
		name := "none"
		if t.Slowdown > 0 {
			name = fmt.Sprintf("%.3g %%", 100*t.Slowdown)
		}
		if t.Trials == 0 {
			p("| %s | 0 | – | – | – | – |\n", name)
			continue
		}
		low, high := stat.ClopperPearson(t.Alarms, t.Trials, 0.95)
		p("| %s | %d | %d (%.3g–%.3g %%) | %d | %d | %d |\n", name, t.Trials, t.Alarms, 100*low, 100*high, t.Right, t.Inconclusive, t.Other)
	}
	n := s.Noise
	p("\nNoise fitted to %d blocks: a cell's own part has a standard deviation of %.3g %% and %.3g %% outliers of %.3g times that; all cells of\n"+
		"a block share %.3g %%.\n", n.Blocks, 100*n.SD, 100*n.OutlierShare, n.OutlierScale, 100*n.SharedSD)
	if n := s.StepNoise; n != nil {
		p("Noise of the %d steps, seen in %d blocks, which the simulation draws from: half of them scatter by up to %.3g %%, the noisiest by %.3g %%.\n",
			n.Steps, n.Blocks, 100*n.Median, 100*n.Noisiest)
	}
	if len(s.Simulated) == 0 {
		return nil
	}
	p("\n| simulated with that noise | cells | runs | called a regression | right cell, and no other | inconclusive |\n|---|---|---|---|---|---|\n")
	for _, r := range s.Simulated {
		name := "equal builds"
		switch {
		case r.Slowdown > 0 && r.Steps > 0:
			name = fmt.Sprintf("%s of %d steps slower by %.3g %%", map[bool]string{false: "one", true: "the noisiest"}[r.Noisiest], r.Steps, 100*r.Slowdown)
		case r.Slowdown > 0:
			name = fmt.Sprintf("one cell slower by %.3g %%", 100*r.Slowdown)
		case r.Steps > 0:
			name = fmt.Sprintf("equal builds, %d steps judged too", r.Steps)
		}
		share := func(k int) string { return fmt.Sprintf("%d (%s %%)", k, perCent(k, r.Runs)) }
		p("| %s | %d | %d | %s | %s | %s |\n", name, r.Cells, r.Runs, share(r.Alarms), share(r.Right), share(r.Inconclusive))
	}
	_, err := fmt.Fprintf(w, "\nVersions: %s. Summed up: %s.\n", strings.Join(s.Versions, ", "), s.Until.Format(time.RFC3339))
	return err
}

// perCent writes k of n, and rounds what is not all of it never to 100.
func perCent(k, n int) string {
	if k < n && k > n-n/100 {
		return fmt.Sprintf("%.6g", 100*float64(k)/float64(n))
	}
	return fmt.Sprintf("%.3g", 100*float64(k)/float64(n))
}
