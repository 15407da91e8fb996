package gate

import (
	"slices"
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// SchemaID names the version of the JSON form of a Record.
const SchemaID = "apexx.gate/3"

// olderLacks tells for which reason records of earlier versions cannot be judged.
var olderLacks = map[string]string{
	"apexx.gate/1": "nobody compared what its sessions computed while they were timed, nor head with base, and " + SchemaID + " asks for both",
	"apexx.gate/2": "its samples are of whole runs, and " + SchemaID + " judges executions alone, and runs with their transfers beside them",
}

// Record is everything that a gate run measured and the verdict on it. The verdict is a function of the rest alone (Judge), so
// that replaying a record gives the same verdict, byte for byte.
type Record struct {
	Schema      string                     `json:"schema"` // SchemaID
	When        time.Time                  `json:"when"`   // start of the run, UTC
	Version     string                     `json:"version"`
	Command     string                     `json:"command"`
	Environment env.Environment            `json:"environment"`
	Class       env.Class                  `json:"class"` // of the machine, by its GPU where a cell computes there
	Base        Build                      `json:"base"`
	Head        Build                      `json:"head"`
	Policy      Policy                     `json:"policy"`
	Models      map[string]measure.Digests `json:"models,omitempty"`        // of the head, by profile
	Named       []string                   `json:"named,omitempty"`         // backends and precisions that were asked for by name: each has to have a cell that could be compared
	Accepted    string                     `json:"accept_change,omitempty"` // why the head may compute something else than the base; "" where it may not
	Cells       []perf.Cell                `json:"cells"`                   // what was to be measured, in order
	Parity      []CellParity               `json:"parity"`
	Screen      []perf.Measurement         `json:"screen"`
	Confirm     []perf.Measurement         `json:"confirm"`
	Workload    []WorkloadSample           `json:"workload"`              // of the fixed reference workload
	Quality     *accuracy.Plan             `json:"quality,omitempty"`     // on what complete cells are evaluated, and what they may lose; nil where nobody asked
	Evaluations []accuracy.Run             `json:"evaluations,omitempty"` // of these cells on either side
	Verdict     *Verdict                   `json:"verdict"`

	Again string `json:"-"` // apexx's version that judged a record again; "" for what was measured just now
}

// Build is one side of a gate.
type Build struct {
	Path     string `json:"path"` // as given
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"`
	Protocol string `json:"protocol"` // of its workers
	// Variables are those of the environment in which its workers differ from the gate, as BACKEND:NAME (env.VariablesOf): a script that is a build sets them.
	Variables []env.Software `json:"variables,omitempty"`
}

// Stage is a part of a gate run.
type Stage string

// The stages.
const (
	Screen  Stage = "screen"
	Confirm Stage = "confirm"
)

// WorkloadSample is one timing of the fixed reference workload, which neither build can change. It runs in the gate's own
// process before every turn of a replicate; NS is the median over its turns.
type WorkloadSample struct {
	Stage   Stage    `json:"stage"`
	Block   int      `json:"block"`
	Backend string   `json:"backend"` // whose process it ran before
	Slot    int      `json:"slot"`    // position of the replicate in its block
	Arm     perf.Arm `json:"arm"`     // of that replicate
	NS      float64  `json:"ns"`
}

// CellParity is what one untimed run of a cell on either side showed.
type CellParity struct {
	Cell   perf.Cell    `json:"cell"`
	Parity perf.Parity  `json:"parity"`           // of the head, by its own graph
	Base   perf.Parity  `json:"base"`             // of the base, likewise
	Change *perf.Parity `json:"change,omitempty"` // what the head computes against what the base does; nil where one of them gave nothing
	Work   *perf.Work   `json:"work,omitempty"`   // of the head
}

// Outcome is a gate's overall verdict.
type Outcome string

// The outcomes and, by Verdict.ExitCode, their exit codes.
const (
	Pass         Outcome = "pass"         // 0
	Regression   Outcome = "regression"   // 1
	ParityFailed Outcome = "parity"       // 1
	QualityLost  Outcome = "quality"      // 1
	Inconclusive Outcome = "inconclusive" // 3
	NoBaseline   Outcome = "no-baseline"  // 4
	Unavailable  Outcome = "unavailable"  // 5: nothing could be measured
	Broken       Outcome = "broken"       // 6: a worker crashed or hung
)

// Verdict is what a gate concluded and why.
type Verdict struct {
	Outcome     Outcome   `json:"outcome"`
	ExitCode    int       `json:"exit_code"`
	Reasons     []string  `json:"reasons"`               // sentences, the most important first
	Attribution string    `json:"attribution,omitempty"` // a sentence: one backend moved, all backends moved, or the control moved
	Cells       []Cell    `json:"cells"`                 // in the order of the record
	Controls    []Control `json:"controls"`
	Resolution  float64   `json:"resolution"` // the greatest of the cells': a slowdown up to this could have been missed; 0 where no cell was compared
	Warnings    []string  `json:"warnings"`
}

// CellState is the verdict on one cell, or on one metric of it.
type CellState string

// The states of cells, worst first. Those of a metric are among regression, inconclusive, unconfirmed, cleared, faster (of the time
// alone) and clear; the cell's is the worst.
const (
	CellParityFailed CellState = "parity"       // computes something else: its speed does not count
	CellQualityLost  CellState = "quality"      // finds less in the data set than it may
	CellRegressed    CellState = "regression"   // confirmed
	CellBroken       CellState = "broken"       // crashed, hung or failed on the head
	CellUnverified   CellState = "unverified"   // nothing wrong was found, and not everything was compared: its speed does not count
	CellNoisy        CellState = "inconclusive" // greater by the estimate, not beyond doubt; or too noisy to tell
	CellUnconfirmed  CellState = "unconfirmed"  // a candidate that was not among the worst
	CellUnsupported  CellState = "unsupported"  // cannot be measured here
	CellCleared      CellState = "cleared"      // a candidate that confirmation did not bear out
	CellFaster       CellState = "faster"       // by δ and more on the screen
	CellClear        CellState = "clear"
)

// Cell is the verdict on one cell.
type Cell struct {
	Cell       perf.Cell    `json:"cell"`
	Name       string       `json:"name"`
	State      CellState    `json:"state"`
	Note       string       `json:"note,omitempty"`       // why, for people
	Series     []Series     `json:"series"`               // by metric, Time first; empty where nothing was compared
	Steps      *Steps       `json:"steps,omitempty"`      // nil where they were not asked for
	Resolution float64      `json:"resolution,omitempty"` // a slowdown of the time up to this could have been missed: less is found with a power below 95 %
	Parity     perf.Parity  `json:"parity"`               // the worst of the head's sessions, the timed ones included
	Change     *perf.Parity `json:"change,omitempty"`     // the head against the base; nil where one of them gave nothing

	Quality *accuracy.Result `json:"quality,omitempty"` // the head's findings in the data set against the base's; nil where they were not compared
}

// Of returns the verdict on a metric, nil where there is none.
func (c Cell) Of(k Metric) *Series {
	for i := range c.Series {
		if c.Series[i].Metric == k {
			return &c.Series[i]
		}
	}
	return nil
}

// faster tells whether the whole cell became faster by δ and more.
func (c Cell) faster() bool {
	s := c.Of(Time)
	return s != nil && s.State == CellFaster
}

// regressed tells whether a metric did: of the steps each is told by itself.
func (c Cell) regressed() bool {
	return slices.ContainsFunc(c.Series, func(s Series) bool { return s.State == CellRegressed })
}

// Final returns the estimate of the time that the state rests on, nil where there is none.
func (c Cell) Final() *Estimate {
	if s := c.Of(Time); s != nil {
		return s.Final()
	}
	return nil
}

// Because names what gives a cell its state where that is not the time of the whole: another metric, or a step; "" where it is, or neither is.
func (c Cell) Because() string {
	if s := c.Of(Time); s == nil || s.State == c.State {
		return ""
	}
	for _, s := range c.Series {
		if s.State == c.State {
			return s.Metric.Words()
		}
	}
	if c.Steps != nil {
		for _, s := range c.Steps.Series {
			if s.State == c.State {
				return "step " + s.Step
			}
		}
	}
	return ""
}

// Series is the verdict on one metric of a cell.
type Series struct {
	Metric  Metric    `json:"metric"`
	State   CellState `json:"state"`
	Note    string    `json:"note,omitempty"`
	Screen  *Estimate `json:"screen"`            // null where too few blocks remained
	Confirm *Estimate `json:"confirm,omitempty"` // where the cell was confirmed because this metric grew, or its time was too noisy
}

// Final returns the estimate that the state rests on, nil where there is none.
func (s Series) Final() *Estimate {
	if s.Confirm != nil {
		return s.Confirm
	}
	return s.Screen
}

// Control is an A/A arm (base against base) or the fixed reference workload. Without an estimate it is missing, and nothing shows
// that the machine was quiet.
type Control struct {
	Name     string    `json:"name"`
	Fired    bool      `json:"fired"`
	Estimate *Estimate `json:"estimate"`
}

// Estimate is what a number of blocks say of head against base in one metric.
type Estimate struct {
	Blocks  int       `json:"blocks"`
	Dropped int       `json:"dropped"` // blocks that could not be used, with the reasons in the verdict's warnings
	Ratio   float64   `json:"ratio"`   // exp of the Hodges-Lehmann estimate of the block values: head over base, each with the limit's offset
	Low     float64   `json:"low"`     // distribution-free confidence interval of the ratio, 90 % and more where the blocks allow it
	High    float64   `json:"high"`
	P       float64   `json:"p"`    // exact one-sided signed-rank probability of the values if head were no greater
	Base    float64   `json:"base"` // medians of the replicates' figures, in the metric's unit: milliseconds, bytes or objects
	Head    float64   `json:"head"`
	Values  []float64 `json:"values"` // log ratio of each block, in order
}
