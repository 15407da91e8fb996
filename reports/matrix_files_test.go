package reports

import (
	"bytes"
	"database/sql"
	"encoding/csv"
	"encoding/xml"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// TestMatrixJSONL reads every line by its schema, and finds every cell with its reports.
func TestMatrixJSONL(t *testing.T) {
	compiler := jsonschema.NewCompiler()
	for name, text := range map[string][]byte{"matrix.json": MatrixSchema, "matrix-cell.json": MatrixCellSchema} {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err == nil {
			err = compiler.AddResource(name, doc)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	schema, err := compiler.Compile("matrix-cell.json")
	if err != nil {
		t.Fatal(err)
	}
	d := sample(t)
	var out bytes.Buffer
	if err := MatrixJSONL(&out, d); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != len(d.Matrix.Cells) {
		t.Fatalf("%d lines of %d cells", len(lines), len(d.Matrix.Cells))
	}
	for i, line := range lines {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(value); err != nil {
			t.Errorf("line %d: %v", i+1, err)
		}
		top, c := value.(map[string]any), &d.Matrix.Cells[i]
		if top["case"] != c.Case || (top["report"] == nil) != (c.Report == nil) || (top["replay"] == nil) != (c.Replay == nil) {
			t.Errorf("line %d is not of %s, %s", i+1, c.Case, c.Pair)
		}
		top["surprise"] = true
		if schema.Validate(value) == nil {
			t.Error("the schema accepts an unknown key")
		}
	}
}

// outputsOf counts the outputs of all comparisons of a matrix.
func outputsOf(m *parity.Matrix) (outputs, without int) {
	for i := range m.Cells {
		n := 0
		for _, r := range []*parity.Report{m.Cells[i].Report, m.Cells[i].Replay} {
			if r != nil {
				n += len(r.Outputs)
			}
		}
		outputs += n
		if n == 0 {
			without++
		}
	}
	return outputs, without
}

// TestMatrixCSV reads the rows back: one for each output, with the numbers as they were measured, and one for each cell without.
func TestMatrixCSV(t *testing.T) {
	d := sample(t)
	var out bytes.Buffer
	if err := MatrixCSV(&out, d); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&out).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	outputs, without := outputsOf(d.Matrix)
	if len(rows) != 1+outputs+without || without == 0 {
		t.Fatalf("%d rows of %d outputs and %d cells without", len(rows), outputs, without)
	}
	at := func(name string) int { return slices.Index(rows[0], name) }
	wrong := d.Matrix.Cells[slices.IndexFunc(d.Matrix.Cells, func(c parity.Cell) bool { return c.Case == "wrong" && c.State == evidence.Fail })]
	found := false
	for _, row := range rows[1:] {
		if row[at("case_name")] != "wrong" || row[at("candidate")] != wrong.Pair.Candidate.String() || row[at("output")] != "semantic_logits" {
			continue
		}
		found = true
		want := wrong.Report.Outputs[0]
		got, err := strconv.ParseFloat(row[at("max_abs")], 64)
		if err != nil || got != float64(want.MaxAbsErr) || row[at("passed")] != "false" || row[at("worst_candidate")] != "NaN" {
			t.Errorf("%v, %v; want %+v", row, err, want)
		}
		total := 0
		for i := at("equal"); i < len(rows[0]); i++ {
			n, _ := strconv.Atoi(row[i])
			total += n
		}
		if total+want.NonFiniteMismatches != want.TotalCount {
			t.Errorf("the histogram has %d of %d", total, want.TotalCount)
		}
		break
	}
	if !found {
		t.Error("the wrong output has no row")
	}
	if got := csvText("=1+1"); got != "'=1+1" || csvText(math.Inf(1)) != "Infinity" {
		t.Errorf("%q, %q", got, csvText(math.Inf(1)))
	}
}

// TestMatrixSQLite asks the database what the matrix says.
func TestMatrixSQLite(t *testing.T) {
	d := sample(t)
	path := filepath.Join(t.TempDir(), "m.sqlite")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := MatrixSQLite(f, d); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	outputs, _ := outputsOf(d.Matrix)
	for query, want := range map[string]string{
		"SELECT verdict FROM matrix":                              "FAIL",
		"SELECT count(*) FROM cells":                              strconv.Itoa(len(d.Matrix.Cells)),
		"SELECT count(*) FROM cells WHERE state = 'fail'":         strconv.Itoa(d.Matrix.Count(evidence.Fail)),
		"SELECT count(*) FROM outputs":                            strconv.Itoa(outputs),
		"SELECT count(*) FROM executions":                         strconv.Itoa(len(d.Matrix.Executions)),
		"SELECT count(*) > 0 FROM decisions WHERE verdict='tied'": "1",
		"SELECT DISTINCT c.case_name FROM outputs o JOIN cells c ON c.id = o.cell WHERE o.nonfinite_mismatches > 0": "wrong",
	} {
		var got string
		if err := db.QueryRow(query).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", query, got, err, want)
		}
	}
}

// TestMatrixJUnit finds every cell in the suite, and no matrix that did not pass without an error or a failure.
func TestMatrixJUnit(t *testing.T) {
	read := func(d *Document) junitSuites {
		var out bytes.Buffer
		if err := MatrixJUnit(&out, d); err != nil {
			t.Fatal(err)
		}
		var s junitSuites
		if err := xml.Unmarshal(out.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	d := sample(t)
	s := read(d)
	m := d.Matrix
	if s.Tests != 1+len(m.Cells)+len(m.Sets) || s.Failures != m.Count(evidence.Fail) {
		t.Errorf("%d tests, %d failures", s.Tests, s.Failures)
	}
	if want := m.Count(evidence.Crashed) + m.Count(evidence.Unverified) + 1; s.Errors != want { // and a verdict on sets
		t.Errorf("%d errors, want %d", s.Errors, want)
	}
	for state, broken := range map[evidence.State]bool{
		evidence.Pass: false, evidence.Explained: false, evidence.Unverified: true, evidence.Fail: true, evidence.Unsupported: true, evidence.NotRun: true,
		evidence.Errored: true, evidence.Crashed: true, evidence.Hung: true, evidence.Cancelled: true,
	} {
		s := read(&Document{Matrix: many(1, map[int]evidence.State{0: state})})
		if (s.Failures+s.Errors > 0) != broken {
			t.Errorf("a matrix that is %s has %d failures and %d errors", state, s.Failures, s.Errors)
		}
	}
}
