package sweep

import (
	"encoding/json"
	"io"
	"time"
)

// CellSchemaID names the version of the JSON form of a CellLine.
const CellSchemaID = "apexx.sweep-cell/3"

// CellLine is one line of WriteJSONL: a cell with what a reader needs to tell it from the same cell of another sweep.
type CellLine struct {
	Schema  string    `json:"schema"` // CellSchemaID
	When    time.Time `json:"when"`   // start of the sweep, UTC
	Commit  string    `json:"commit"`
	Dirty   bool      `json:"dirty"`
	ClassID string    `json:"class_id"`
	Threads int       `json:"threads"` // 0: the worker's GOMAXPROCS
	CellResult
}

// WriteJSONL writes one cell per line, measured or not, with its summary and without samples, in the order of the plan. The
// raw samples are in WriteJSON's form alone: a line per cell is for loading many sweeps into a table, and a file whose lines
// are of two kinds, or a second file of samples, would have to be joined again there.
func WriteJSONL(w io.Writer, r *Result) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, c := range r.Cells {
		line := CellLine{CellSchemaID, r.When, r.Environment.Commit, r.Environment.Dirty, r.Class.ID, r.Plan.Threads, c}
		if err := e.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
