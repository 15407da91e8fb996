package execute

import (
	"context"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/paritytest"
)

// posing is a backend of low precision that computes something else than it was asked for.
type posing struct {
	backends.Backend
	as func(g *graph.Graph, p backends.Precision) (*graph.Graph, backends.Precision, error)
}

func (b *posing) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if opts.Precision.Format() != "" {
		var err error
		if g, opts.Precision, err = b.as(g, opts.Precision); err != nil {
			return nil, err
		}
	}
	return b.Backend.Compile(ctx, g, opts)
}

// truncating rounds towards zero.
func truncating(g *graph.Graph, p backends.Precision) (*graph.Graph, backends.Precision, error) {
	g, err := paritytest.Truncating(g, p.Format())
	return g, backends.FP32, err
}

// inBF16 computes in bf16 whatever it is asked for.
func inBF16(g *graph.Graph, _ backends.Precision) (*graph.Graph, backends.Precision, error) {
	return g, backends.BF16, nil
}

// TestLowPrecisions compares honest backends and such that pose as one with the oracle in fp64 and with the emulated oracle. A wrong
// rounding costs about what the right one does, and shows beside the latter: by the tolerances, and by what rounding may leave of two runs that round alike.
func TestLowPrecisions(t *testing.T) {
	honest := backends.Backend(ort.New())
	backendtest.SkipWithout(t, honest)
	for _, c := range []struct {
		name          string
		candidate     backends.Backend
		precision     backends.Precision
		oracle, twins bool // whether the candidate holds beside fp64, and beside the emulated oracle
	}{
		{"honest", honest, backends.FP16, true, true},
		{"honest", honest, backends.BF16, true, true},
		{"truncating", &posing{reference.New(), truncating}, backends.FP16, true, false},
		{"in bf16", &posing{reference.New(), inBF16}, backends.FP16, false, false},
	} {
		m := lowMatrix(t, c.candidate, c.precision)
		for i, want := range []bool{true, c.oracle, c.twins} {
			cell := m.Cells[i]
			if cell.State.Holds() != want || !want && cell.State != evidence.Fail {
				t.Errorf("%s, %s, %s: %s: %s", c.name, c.precision, cell.Pair, cell.State, cell.Detail)
			}
			if b := cell.Report.Budget; b == nil || b.Output == "" || i < 2 && want && c.candidate == honest && b.Beyond() || i == 2 && b.Beyond() == want {
				t.Errorf("%s, %s, %s: %s", c.name, c.precision, cell.Pair, b)
			}
		}
		if len(m.Sets) != 3 || m.Passed() != (c.oracle && c.twins) {
			t.Errorf("%s, %s: exit code %d, sets %v", c.name, c.precision, m.ExitCode(), m.Sets)
		}
	}
}

// lowMatrix compares the reference in fp64, the reference in a precision, and a candidate that runs under the name ort, on a scene.
func lowMatrix(t *testing.T, candidate backends.Backend, p backends.Precision) *parity.Matrix {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		t.Fatal(err)
	}
	runner := &MatrixRunner{Cases: map[string]Subject{}, Open: func(name string) (backends.Backend, error) {
		if name == "reference" {
			return reference.New(), nil
		}
		return candidate, nil
	}}
	spec := parity.MatrixSpec{Runner: runner, Replayer: runner, Budgets: runner,
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: p}, {Backend: "ort", Precision: p}}}
	for _, im := range fixtures.BuiltinScenes()[:1] {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			t.Fatal(err)
		}
		runner.Cases[im.Name] = &c
		spec.Cases = append(spec.Cases, ParityCase(&c))
	}
	matrix, err := parity.Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return matrix
}
