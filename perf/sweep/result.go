// Package sweep measures many cells over several replicates into a store that survives interruptions.
package sweep

import (
	"fmt"
	"time"

	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/env"
)

// SchemaID names the version of the JSON form of a Result.
const SchemaID = "apexx.sweep/3"

// olderLacks tells for which reason a result of an earlier version, and a sweep that one began, are of no use now.
var olderLacks = map[string]string{
	"apexx.sweep/1": notCompared, "apexx.sweep-log/1": notCompared,
	"apexx.sweep/2": notApart, "apexx.sweep-log/2": notApart,
}

const (
	notCompared = "nobody compared what its sessions computed while they were timed"
	notApart    = "its samples are of whole runs, with the transfer of inputs and outputs, and executions alone were not timed"
)

// Result is a finished sweep: everything that was measured and the summary of every cell.
type Result struct {
	Schema       string             `json:"schema"` // SchemaID
	When         time.Time          `json:"when"`   // start of the sweep, UTC
	Version      string             `json:"version"`
	Command      string             `json:"command"`
	Environment  env.Environment    `json:"environment"`
	Class        env.Class          `json:"class"`
	Plan         Plan               `json:"plan"`
	Cells        []CellResult       `json:"cells"` // in the order of the plan
	Measurements []perf.Measurement `json:"measurements"`
	Quality      []accuracy.Run     `json:"quality,omitempty"` // of the complete cells and of what they are compared with, where the plan asks for it

	Again string `json:"-"` // apexx's version that judged a record again; "" for what was measured just now
}

// RecordLine tells a terminal what the table above it is of: a record, and when and where it was measured.
func (r *Result) RecordLine() string {
	return fmt.Sprintf("record: measured %s on %s; judged again %s", r.When.UTC().Format("2006-01-02 15:04:05 UTC"), printable.Line(r.Class.ID), r.JudgedAgain())
}

// JudgedAgain says what is shown of a record; "" for what was measured just now.
func (r *Result) JudgedAgain() string {
	if r.Again == "" {
		return ""
	}
	return fmt.Sprintf("from its record, by apexx %s: nothing was measured for it, and gpu_report.json and cpu_report.json are not made of a record", r.Again)
}

// Plan is what a sweep set out to measure. A sweep resumes only under an equal plan.
type Plan struct {
	Cells        []perf.Cell                  `json:"cells"`
	Replicates   int                          `json:"replicates"`
	Iterations   int                          `json:"iterations"`        // most samples of a cell in a replicate
	BoundNS      int64                        `json:"bound_ns"`          // most time of a cell's samples in a replicate
	Seed         uint64                       `json:"seed"`              // of the order of cells
	Threads      int                          `json:"threads"`           // 0: the worker's GOMAXPROCS
	Weights      map[string]string            `json:"weights"`           // by profile: SHA-256 of the weights, of a model that is not Apex-X that of its file
	Inputs       string                       `json:"inputs,omitempty"`  // of a model that is not Apex-X: SHA-256 of what it is fed
	ConfigSHA256 map[string]string            `json:"config_sha256"`     // by profile
	Options      map[string]map[string]string `json:"options,omitempty"` // of a backend, such as ort's provider
	Decode       map[string]string            `json:"decode,omitempty"`  // how detections are chosen, by flag, such as score-threshold
	Quality      *accuracy.Plan               `json:"quality,omitempty"` // what complete cells are evaluated on; nil for nothing
}

// CellResult is one cell over all replicates.
type CellResult struct {
	Cell            perf.Cell      `json:"cell"`
	Name            string         `json:"name"`  // Cell.String()
	State           evidence.State `json:"state"` // the worst of its replicates
	Reason          string         `json:"reason,omitempty"`
	Detail          string         `json:"detail,omitempty"`
	Summary         *perf.Summary  `json:"summary"`              // of executions, by the host's clock; null where nothing was measured
	Device          *perf.Summary  `json:"device,omitempty"`     // of the same, by the backend's own events
	EndToEnd        *perf.Summary  `json:"end_to_end,omitempty"` // of runs with upload and download, by the host's clock
	FirstRunMS      float64        `json:"first_run_ms"`         // medians over the replicates
	CompileMS       float64        `json:"compile_ms"`
	HostPeakBytes   int64          `json:"host_peak_bytes"` // greatest over the replicates
	DevicePeakBytes int64          `json:"device_peak_bytes"`
	AllocsPerRun    float64        `json:"allocs_per_run"`
	BytesPerRun     float64        `json:"alloc_bytes_per_run"`
	Work            *perf.Work     `json:"work,omitempty"` // of the whole-model scopes
	Parity          perf.Parity    `json:"parity"`
	Quality         *CellQuality   `json:"quality,omitempty"` // of a complete cell, where the plan asks for it
}
