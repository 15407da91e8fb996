// Package gate decides whether one build is slower than another.
package gate

import (
	"time"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
)

// SchemaID names the version of the JSON form of a Record.
const SchemaID = "apexx.gate/1"

// Record is everything that a gate run measured and the verdict on it. The verdict is a function of the rest alone (Judge), so
// that replaying a record gives the same verdict, byte for byte.
type Record struct {
	Schema      string             `json:"schema"` // SchemaID
	When        time.Time          `json:"when"`   // start of the run, UTC
	Version     string             `json:"version"`
	Command     string             `json:"command"`
	Environment env.Environment    `json:"environment"`
	Class       env.Class          `json:"class"`
	Base        Build              `json:"base"`
	Head        Build              `json:"head"`
	Policy      Policy             `json:"policy"`
	Cells       []perf.Cell        `json:"cells"` // what was to be measured, in order
	Parity      []CellParity       `json:"parity"`
	Screen      []perf.Measurement `json:"screen"`
	Confirm     []perf.Measurement `json:"confirm"`
	Workload    []WorkloadSample   `json:"workload"` // of the fixed reference workload
	Verdict     *Verdict           `json:"verdict"`
}

// Build is one side of a gate.
type Build struct {
	Path     string `json:"path"` // as given
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"`
	Modified bool   `json:"modified"`
	Protocol string `json:"protocol"` // of its workers
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
	Base   perf.Parity  `json:"base,omitzero"`    // of the base, likewise
	Change *perf.Parity `json:"change,omitempty"` // what the head computes against what the base does; nil where one of them gave nothing
	Work   *perf.Work   `json:"work,omitempty"`   // of the head
}

// Policy is how a gate decides. All ratios are head over base.
type Policy struct {
	Delta         float64 `json:"delta"`          // least relative slowdown that is a regression
	ScreenBlocks  int     `json:"screen_blocks"`  // ABBA blocks of every cell
	ConfirmBlocks int     `json:"confirm_blocks"` // fresh ABBA blocks of a candidate
	MaxConfirm    int     `json:"max_confirm"`    // candidates that are confirmed, the worst first
	Alpha         float64 `json:"alpha"`          // greatest p of a regression
	ControlShare  float64 `json:"control_share"`  // of the cells that have an A/A arm
	MaxResolution float64 `json:"max_resolution"` // the run is inconclusive when even a slowdown of this size could be missed
	Iterations    int     `json:"iterations"`
	BoundNS       int64   `json:"bound_ns"`
	ConfirmNS     int64   `json:"confirm_ns,omitempty"` // what the confirmation should take; to keep to it, blocks cut bound_ns down, to a quarter at most, and runs longer than that lose the warm-up after the first. 0: no limit
	Seed          uint64  `json:"seed"`
	Threads       int     `json:"threads"`
}

// Outcome is a gate's overall verdict.
type Outcome string

// The outcomes and, by Verdict.ExitCode, their exit codes.
const (
	Pass         Outcome = "pass"         // 0
	Regression   Outcome = "regression"   // 1
	ParityFailed Outcome = "parity"       // 1
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
	Resolution  float64   `json:"resolution"` // the slowdown that confirmation would have found with 95 % power, from the noise seen
	Warnings    []string  `json:"warnings"`
}

// CellState is the verdict on one cell.
type CellState string

// The states of cells, worst first.
const (
	CellParityFailed CellState = "parity"       // computes something else: its speed does not count
	CellRegressed    CellState = "regression"   // confirmed
	CellBroken       CellState = "broken"       // crashed, hung or failed on the head
	CellNoisy        CellState = "inconclusive" // slower by the estimate, not beyond doubt
	CellUnconfirmed  CellState = "unconfirmed"  // a candidate that was not among the worst
	CellUnsupported  CellState = "unsupported"  // cannot be measured here
	CellCleared      CellState = "cleared"      // a candidate that confirmation did not bear out
	CellFaster       CellState = "faster"       // by δ and more on the screen
	CellClear        CellState = "clear"
)

// Cell is the verdict on one cell.
type Cell struct {
	Cell    perf.Cell   `json:"cell"`
	Name    string      `json:"name"`
	State   CellState   `json:"state"`
	Note    string      `json:"note,omitempty"` // why, for people
	Screen  *Estimate   `json:"screen"`         // null where too few blocks remained
	Confirm *Estimate   `json:"confirm,omitempty"`
	Parity  perf.Parity `json:"parity"`
}

// Final returns the estimate that the state rests on, nil where there is none.
func (c Cell) Final() *Estimate {
	if c.Confirm != nil {
		return c.Confirm
	}
	return c.Screen
}

// Control is an A/A arm (base against base) or the fixed reference workload.
type Control struct {
	Name     string    `json:"name"`
	Fired    bool      `json:"fired"`
	Estimate *Estimate `json:"estimate"`
}

// Estimate is what a number of blocks say of head against base.
type Estimate struct {
	Blocks  int       `json:"blocks"`
	Dropped int       `json:"dropped"` // blocks that could not be used, with the reasons in the verdict's warnings
	Ratio   float64   `json:"ratio"`   // exp of the Hodges-Lehmann estimate of the block values: time of head over time of base
	Low     float64   `json:"low"`     // distribution-free confidence interval of the ratio, 90 % and more where the blocks allow it
	High    float64   `json:"high"`
	P       float64   `json:"p"`       // exact one-sided signed-rank probability of the values if head were no slower
	BaseMS  float64   `json:"base_ms"` // medians of the replicates' medians
	HeadMS  float64   `json:"head_ms"`
	Values  []float64 `json:"values"` // log ratio of each block, in order
}
