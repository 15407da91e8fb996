package reports

import (
	_ "embed"
	"encoding/json"
	"io"

	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// SchemaID names the version of the JSON form; it is the value of the key "schema".
const SchemaID = "apexx.matrix/2"

// MatrixSchema is the JSON Schema (draft 2020-12) of what JSON writes.
//
//go:embed schema/matrix.json
var MatrixSchema []byte

// MatrixCellSchema is the JSON Schema (draft 2020-12) of a line of MatrixJSONL. It refers to MatrixSchema as matrix.json.
//
//go:embed schema/matrix-cell.json
var MatrixCellSchema []byte

// jsonMatrix holds the sweep keys of spec/runtime.md 6.8 first. CaseCount counts the cases, not their distinct names.
type jsonMatrix struct {
	SweepName   string           `json:"sweep_name"`
	ProfileName string           `json:"profile_name"`
	Passed      bool             `json:"passed"`
	CaseCount   int              `json:"case_count"`
	ReportCount int              `json:"report_count"`
	Reports     []*parity.Report `json:"reports"`

	Schema     string                   `json:"schema"`
	Verdict    string                   `json:"verdict"`
	ExitCode   int                      `json:"exit_code"`
	Missing    []string                 `json:"missing"`         // what was named and has no cell that could be compared
	Title      string                   `json:"title,omitempty"` // of a model that is not Apex-X
	When       string                   `json:"when,omitempty"`
	Version    string                   `json:"version,omitempty"`
	Build      Build                    `json:"build"`
	Model      *ModelDigests            `json:"model,omitempty"`
	Command    string                   `json:"command,omitempty"`
	Where      []jsonFact               `json:"where"`
	LeftOut    []source.LeftOut         `json:"left_out,omitempty"` // files of the folder of cases that are none
	Cases      []string                 `json:"cases"`
	Columns    []parity.Column          `json:"columns"`
	Pairs      []parity.Pair            `json:"pairs"`
	States     map[evidence.State]int   `json:"states"`
	Cells      []jsonCell               `json:"cells"`
	Sets       []parity.SetVerdict      `json:"sets,omitempty"` // of pairs of low precision
	Executions []parity.ExecutionRecord `json:"executions"`
	Quality    *MatrixQuality           `json:"quality,omitempty"`

	Certificate *MatrixCertificate `json:"certificate,omitempty"`
}

type jsonFact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// jsonCell refers to its report by index, so that reports appear once.
type jsonCell struct {
	Case      string         `json:"case"`
	Reference parity.Column  `json:"reference"`
	Candidate parity.Column  `json:"candidate"`
	Policy    string         `json:"profile_name"`
	State     evidence.State `json:"state"`
	Reason    string         `json:"reason,omitempty"`
	Signal    string         `json:"signal,omitempty"`
	Detail    string         `json:"detail,omitempty"`
	Report    *int           `json:"report"`           // index into reports; null where nothing was compared
	Replay    *int           `json:"replay,omitempty"` // index into reports of the run under the reference's decisions, where there was one

	Sets *parity.SetCount `json:"sets,omitempty"` // detections of the free runs as sets, in low precisions
}

// newJSONCell returns a cell without its reports.
func newJSONCell(c *parity.Cell) jsonCell {
	return jsonCell{Case: c.Case, Reference: c.Pair.Reference, Candidate: c.Pair.Candidate, Policy: c.Policy,
		State: c.State, Reason: c.Reason, Signal: c.Signal, Detail: c.Detail, Sets: c.Sets}
}

// refer adds a report to the list and returns its index, nil for none.
func (m *jsonMatrix) refer(r *parity.Report) *int {
	if r == nil {
		return nil
	}
	index := len(m.Reports)
	m.Reports = append(m.Reports, r)
	return &index
}

// JSON writes the document as one indented JSON object that MatrixSchema describes. Pictures are left out.
func JSON(w io.Writer, d *Document) error {
	m := d.Matrix
	out := jsonMatrix{
		SweepName: m.Name, ProfileName: judgedBy(m), Passed: d.Passed(), CaseCount: len(m.Cases), Reports: []*parity.Report{},
		Schema: SchemaID, Verdict: evidence.Verdict(d.ExitCode()), ExitCode: d.ExitCode(), Missing: append([]string{}, m.Missing()...),
		Title: d.Title, When: d.when(), Version: d.Version, Build: d.Build, Model: d.Model, Command: d.Command,
		Where: []jsonFact{}, LeftOut: d.LeftOut, Cases: m.Cases, Columns: m.Columns, Pairs: m.Pairs, States: map[evidence.State]int{},
		Cells: []jsonCell{}, Sets: m.Sets, Executions: m.Executions, Quality: d.Quality, Certificate: d.Certificate,
	}
	for _, f := range d.Where {
		out.Where = append(out.Where, jsonFact(f))
	}
	for _, s := range evidence.States {
		out.States[s] = m.Count(s)
	}
	for i := range m.Cells {
		c := newJSONCell(&m.Cells[i])
		c.Report, c.Replay = out.refer(m.Cells[i].Report), out.refer(m.Cells[i].Replay)
		out.Cells = append(out.Cells, c)
	}
	out.ReportCount = len(out.Reports)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", " ")
	return encoder.Encode(out)
}
