package reports

import (
	"bytes"
	"context"
	"encoding/csv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// replayCounter counts the runs under a reference's decisions.
type replayCounter struct {
	runner
	replays atomic.Int64
}

func (r *replayCounter) Replay(ctx context.Context, c *parity.Case, backend string, p backends.Precision, decisions tensor.List) evidence.Run {
	r.replays.Add(1)
	return r.runner.Replay(ctx, c, backend, p, decisions)
}

// severalPolicies is a document of a matrix that two profiles judge.
func severalPolicies(t *testing.T) (*Document, *replayCounter) {
	t.Helper()
	r := &replayCounter{}
	m, err := parity.Run(context.Background(), parity.MatrixSpec{Name: "sample", Runner: r, Replayer: r, Budgets: r,
		Columns:  []parity.Column{{Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}},
		Policies: []parity.Policy{parity.Quality.Policy(parity.EndToEnd), parity.Balanced.Policy(parity.EndToEnd)},
		Cases: []parity.Case{{Name: "plain"}, {Name: "wrong", Setting: parity.Setting{GridHeight: 2, GridWidth: 4}},
			{Name: "replayed", Setting: parity.Setting{GridHeight: 2, GridWidth: 4}}}})
	if err != nil {
		t.Fatal(err)
	}
	return &Document{Matrix: m}, r
}

// Every form says under which policy a cell was judged, and what is read is what was written.
func TestSeveralPolicies(t *testing.T) {
	d, r := severalPolicies(t)
	if n := r.replays.Load(); n != 1 {
		t.Errorf("a candidate ran %d times under the reference's decisions, want once for both policies", n)
	}
	var text, markdown, junit, jsonText, again, lines, page, table bytes.Buffer
	for _, err := range []error{Table(&text, d, TableOptions{}), Markdown(&markdown, d), MatrixJUnit(&junit, d), JSON(&jsonText, d), MatrixJSONL(&lines, d),
		HTML(&page, d), MatrixCSV(&table, d)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	goldenfile.Check(t, "policies.txt", text.String()+"\n"+markdown.String()[:strings.Index(markdown.String(), "\nNumbers")])
	for name, form := range map[string]string{"JUnit": junit.String(), "JSONL": lines.String(), "HTML": page.String()} {
		if q, b := strings.Count(form, "quality e2e"), strings.Count(form, "balanced e2e"); q < 3 || q != b {
			t.Errorf("%s names one policy %d times and the other %d times", name, q, b)
		}
	}
	rows, err := csv.NewReader(&table).ReadAll()
	if err != nil || rows[0][3] != "policy" {
		t.Fatalf("%v, %v", rows[0], err)
	}
	cells := map[string]bool{}
	for _, row := range rows[1:] {
		cells[row[0]+" "+row[3]] = true
	}
	if len(cells) != 6 {
		t.Errorf("the rows are of %v", cells)
	}
	read, err := ReadMatrix(bytes.NewReader(jsonText.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := JSON(&again, read); err != nil || again.String() != jsonText.String() {
		t.Errorf("read and written again it differs: %v", err)
	}
}
