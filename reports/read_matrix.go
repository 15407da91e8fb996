package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// ReadMatrix reads what JSON wrote and derives everything in it anew that follows from the rest: parity.Matrix.Check, the counts, the
// exit code and the verdict. Pictures are not in the file. Its errors are one line, without the file's name.
func ReadMatrix(from io.Reader) (*Document, error) {
	data, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	var head struct{ Schema string }
	if json.Unmarshal(data, &head) == nil && head.Schema != SchemaID { // before keys that another schema has for something else
		return nil, fmt.Errorf("the schema is %q, want %q", head.Schema, SchemaID)
	}
	var in jsonMatrix
	decoder := json.NewDecoder(bytes.NewReader(data))
	if err := decoder.Decode(&in); err != nil {
		return nil, fmt.Errorf("not a parity matrix: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("not a parity matrix: something follows the object")
	}
	d := &Document{Title: in.Title, LeftOut: in.LeftOut, Version: in.Version, Quality: in.Quality, Certificate: in.Certificate, Build: in.Build, Model: in.Model, Command: in.Command, Matrix: &parity.Matrix{
		Name: in.SweepName, Policies: strings.Split(in.ProfileName, policySeparator), Cases: in.Cases, Columns: in.Columns, Pairs: in.Pairs, Sets: in.Sets, Executions: in.Executions}}
	for _, f := range in.Where {
		d.Where = append(d.Where, backends.Fact(f))
	}
	if in.When != "" {
		if d.When, err = time.Parse(timeFormat, in.When); err != nil {
			return nil, err
		}
	}
	if d.Matrix.Cells, err = in.cells(); err != nil {
		return nil, err
	}
	if err := d.Matrix.Check(); err != nil {
		return nil, err
	}
	d.AnyModel = parity.JudgesAnyModel(d.Matrix.Policies[0])
	if err := d.Quality.check(d.Matrix.Columns); err != nil {
		return nil, err
	}
	if err := d.Certificate.check(d.Matrix, d.Model); err != nil {
		return nil, err
	}
	return d, in.sumsUp(d)
}

// cells puts the reports back into their cells, each into one.
func (in *jsonMatrix) cells() ([]parity.Cell, error) {
	var cells []parity.Cell
	used := 0
	report := func(index *int) (*parity.Report, error) {
		switch {
		case index == nil:
			return nil, nil
		case *index != used || used >= len(in.Reports) || in.Reports[used] == nil:
			return nil, fmt.Errorf("a cell refers to report %d, the next is %d of %d", *index, used, len(in.Reports))
		}
		used++
		return in.Reports[*index], nil
	}
	for _, c := range in.Cells {
		cell := parity.Cell{Case: c.Case, Pair: parity.Pair{Reference: c.Reference, Candidate: c.Candidate}, Policy: c.Policy,
			Outcome: evidence.Outcome{State: c.State, Reason: c.Reason, Signal: c.Signal, Detail: c.Detail}, Sets: c.Sets}
		if cell.Policy == "" {
			cell.Policy = in.ProfileName // which is the only one, or none of several
		}
		if _, err := evidence.Parse(string(c.State)); err != nil {
			return nil, err
		}
		var err1, err2 error
		cell.Report, err1 = report(c.Report)
		cell.Replay, err2 = report(c.Replay)
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		cells = append(cells, cell)
	}
	if used != len(in.Reports) {
		return nil, fmt.Errorf("%d of %d reports belong to no cell", len(in.Reports)-used, len(in.Reports))
	}
	return cells, nil
}

// sumsUp compares what the file says of the whole with what its cells give.
func (in *jsonMatrix) sumsUp(d *Document) error {
	m, code := d.Matrix, d.ExitCode()
	states := map[evidence.State]int{}
	for _, s := range evidence.States {
		states[s] = m.Count(s)
	}
	switch {
	case in.ExitCode != code || in.Verdict != evidence.Verdict(code) || in.Passed != d.Passed():
		return fmt.Errorf("the stored verdict %s (exit code %d) is not that of its cells, %s (%d): the file was edited, or judged by other rules",
			in.Verdict, in.ExitCode, evidence.Verdict(code), code)
	case in.CaseCount != len(m.Cases) || in.ReportCount != len(in.Reports) || !maps.Equal(in.States, states):
		return errors.New("its counts are not those of its cells: the file was edited")
	}
	return nil
}
