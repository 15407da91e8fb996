package reports

import (
	"encoding/json"
	"io"

	"github.com/apex-x/apexx/parity"
)

// MatrixCellSchemaID names the version of a line of MatrixJSONL.
const MatrixCellSchemaID = "apexx.matrix-cell/1"

// jsonLine is a cell with its reports in it.
type jsonLine struct {
	Schema string `json:"schema"`
	jsonCell
	Report *parity.Report `json:"report"`           // of the free runs; null where nothing was compared
	Replay *parity.Report `json:"replay,omitempty"` // of the run under the reference's decisions
}

// MatrixJSONL writes a JSON object a line, one for each cell, with every number of it: lines can be searched and read one at a time, however
// many cells there are.
func MatrixJSONL(w io.Writer, d *Document) error {
	encoder := json.NewEncoder(w)
	for i := range d.Matrix.Cells {
		c := &d.Matrix.Cells[i]
		line := jsonLine{Schema: MatrixCellSchemaID, jsonCell: newJSONCell(c), Report: c.Report, Replay: c.Replay}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
