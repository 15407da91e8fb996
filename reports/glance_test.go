package reports

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// lackingRunner has no float64 but the reference's, and no cuda; of ONNX Runtime it says what runner says.
type lackingRunner struct{ runner }

func (r lackingRunner) Execute(ctx context.Context, c *parity.Case, backend string, p backends.Precision) evidence.Run {
	switch {
	case backend == "cuda":
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Unsupported, Reason: "worker_not_found", Detail: "no executable apexx-cuda"}}
	case backend == "ort" && p == backends.FP64:
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Unsupported, Reason: "precision_unsupported", Detail: "asked for fp64, this backend has fp32"}}
	}
	return r.runner.Execute(ctx, c, backend, p)
}

func lackingMatrix(t *testing.T, policies int, cases ...string) *parity.Matrix {
	t.Helper()
	spec := parity.MatrixSpec{Name: "lacking", Runner: lackingRunner{}, Replayer: runner{},
		Policies: []parity.Policy{parity.Quality.Policy(parity.EndToEnd), parity.Balanced.Policy(parity.EndToEnd)}[:policies]}
	for _, name := range []string{"reference", "ort", "cuda"} {
		for _, p := range []backends.Precision{backends.FP64, backends.FP32} {
			spec.Columns = append(spec.Columns, parity.Column{Backend: name, Precision: p})
		}
	}
	for _, n := range cases {
		spec.Cases = append(spec.Cases, parity.Case{Name: n, Setting: parity.Setting{GridHeight: 2, GridWidth: 4}})
	}
	m, err := parity.Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestColumnsThatCannotBeHadAreToldOnce: terminal, Markdown and page show the same pairs, and name the others with their reasons.
func TestColumnsThatCannotBeHadAreToldOnce(t *testing.T) {
	d := &Document{Matrix: lackingMatrix(t, 2, "plain", "absent|<b>*case*</b>")}
	var out bytes.Buffer
	if err := Table(&out, d, TableOptions{}); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "glance.txt", out.Bytes())
	out.Reset()
	if err := Markdown(&out, d); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "glance.md", out.Bytes())
	out.Reset()
	if err := HTML(&out, d); err != nil {
		t.Fatal(err)
	}
	page := out.String()
	if n := strings.Count(page, "<th scope=\"col\">"); n != 2+3 { // case, policy, and the pairs
		t.Errorf("%d columns", n)
	}
	if n := strings.Count(page, `href="cells/`); n != 2*2*3 {
		t.Errorf("%d links to cells", n)
	}
	for _, once := range []string{"worker_not_found", "precision_unsupported", "Not to be had in any case, for which 48 of the 60 cells are unsupported:"} {
		if n := strings.Count(page, once); n != 1 {
			t.Errorf("%q is there %d times", once, n)
		}
	}
	files, err := cellFiles(t.TempDir(), d)
	if err != nil || len(files) != 2*2*3 {
		t.Errorf("%d pages of cells, %v", len(files), err)
	}
}

// TestGlance: what is told once is what every case says alike. Whatever says more keeps its line.
func TestGlance(t *testing.T) {
	for name, tt := range map[string]struct {
		cases []string
		edit  func(m *parity.Matrix)
		told  string
		shown int // pairs of 15; 3 are of reference/fp64, reference/fp32 and ort/fp32
	}{
		"all alike":       {[]string{"plain", "wrong"}, nil, "[ort/fp64: precision_unsupported: asked for fp64, this backend has fp32 cuda/fp64, cuda/fp32: worker_not_found: no executable apexx-cuda]", 3},
		"one case":        {[]string{"plain"}, nil, "[ort/fp64: precision_unsupported: asked for fp64, this backend has fp32 cuda/fp64, cuda/fp32: worker_not_found: no executable apexx-cuda]", 3},
		"another reason":  {[]string{"plain", "wrong"}, reasonOf("wrong", "cuda/fp32"), "[ort/fp64: precision_unsupported: asked for fp64, this backend has fp32 cuda/fp64: worker_not_found: no executable apexx-cuda]", 6},
		"a crash is seen": {[]string{"plain", "crash"}, nil, "[ort/fp64: precision_unsupported: asked for fp64, this backend has fp32 cuda/fp64, cuda/fp32: worker_not_found: no executable apexx-cuda]", 6},
	} {
		m := lackingMatrix(t, 2, tt.cases...)
		if tt.edit != nil {
			tt.edit(m)
		}
		g := glanceOf(m)
		if got := fmt.Sprint(g.lacks); got != tt.told || len(g.pairs) != tt.shown || len(g.places) != 2*tt.shown {
			t.Errorf("%s: %d pairs and %d cells of a case are shown, told is %s", name, len(g.pairs), len(g.places), got)
		}
		for i := range m.Cells {
			if s := m.Cells[i].State; s != evidence.Unsupported && !g.shows(m, i) {
				t.Errorf("%s: %s, which is %s, is not shown", name, m.Key(&m.Cells[i]), s)
			}
		}
		if want := len(m.Cells) - len(m.Cases)*len(g.places); g.told != want {
			t.Errorf("%s: %d cells are told once, want %d", name, g.told, want)
		}
	}
}

// reasonOf changes why a column is unsupported in a case.
func reasonOf(name, column string) func(m *parity.Matrix) {
	return func(m *parity.Matrix) {
		at := slices.IndexFunc(m.Executions, func(e parity.ExecutionRecord) bool { return e.Case == name && e.Column.String() == column })
		m.Executions[at].Reason = "device_not_found"
	}
}

// A matrix of which nothing can be had is its reasons and its verdict.
func TestNothingCanBeHad(t *testing.T) {
	m := lackingMatrix(t, 2, "plain")
	only, cells := []parity.Pair{}, []parity.Cell{}
	for i := range m.Cells {
		if p := m.Cells[i].Pair; p.Candidate.Backend == "cuda" && p.Reference.Backend == "cuda" && m.Cells[i].Policy == m.Policies[0] {
			only, cells = append(only, p), append(cells, m.Cells[i])
		}
	}
	m.Pairs, m.Cells, m.Policies = only, cells, m.Policies[:1]
	d := &Document{Matrix: m}
	var table, text, page bytes.Buffer
	if err := Table(&table, d, TableOptions{Width: 100, Height: 24}); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "glance-nothing.txt", table.Bytes())
	if err := Markdown(&text, d); err != nil || strings.Contains(text.String(), "| case |") {
		t.Errorf("%v\n%s", err, text.String())
	}
	if err := HTML(&page, d); err != nil || strings.Contains(page.String(), `<table class="matrix">`) || !strings.Contains(page.String(), "worker_not_found") {
		t.Errorf("%v\n%s", err, page.String())
	}
}

// What cannot be had leaves room on a terminal of 24 lines of 80 columns, however much there is to say of it.
func TestLacksFitATerminal(t *testing.T) {
	m := lackingMatrix(t, 1, "plain", "wrong", "rerouted", "replayed", "replayed, wrong", "absent|<b>*case*</b>")
	for i := range m.Executions {
		if e := &m.Executions[i]; e.State == evidence.Unsupported && e.Column.Backend == "cuda" {
			e.Detail = e.Column.String() + strings.Repeat(" is a long story", 20)
		}
	}
	var out bytes.Buffer
	if err := Table(&out, &Document{Matrix: m}, TableOptions{Width: 80, Height: 24}); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "glance-terminal.txt", out.Bytes())
	if lines := strings.Count(out.String(), "\n"); lines > 23 {
		t.Errorf("%d lines", lines)
	}
}
