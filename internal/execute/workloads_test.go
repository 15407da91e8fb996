package execute

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// misbehave serves workers that misbehave as the environment says, each where it says so.
var misbehave []func() (served bool, err error)

// TestMain lets the test binary be the program of OwnWorker, and a worker that misbehaves.
func TestMain(m *testing.M) {
	for _, serve := range misbehave {
		if served, err := serve(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(6)
		} else if served {
			return
		}
	}
	if len(os.Args) == 4 && os.Args[1] == WorkerCommand {
		serve := Serve
		if os.Args[3] == toydevice.Name {
			serve = func(ctx context.Context, _ string) error { return worker.ServeStdio(ctx, toydevice.New()) }
		}
		if err := serve(context.Background(), os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(6)
		}
		return
	}
	os.Exit(m.Run())
}

func nanoModels(set ...string) *OwnModels {
	m := &OwnModels{Request: source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: set}, Decode: model.DefaultDecode()}
	for _, scene := range fixtures.BuiltinScenes() {
		m.Pictures = append(m.Pictures, scene.Data)
	}
	return m
}

func nanoCell(height, width, batch int, scope perf.Scope) perf.Cell {
	return perf.Cell{Backend: "reference", Profile: "nano", Precision: backends.FP32, Height: height, Width: width, Batch: batch, Scope: scope}
}

// runOnce computes on the reference in float32.
func runOnce(t *testing.T, g *graph.Graph, inputs tensor.List, taps ...string) tensor.List {
	t.Helper()
	s, err := reference.New().Compile(context.Background(), g, backends.Options{Precision: backends.FP32, Taps: taps})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out, err := backends.Run(context.Background(), s, inputs)
	if err != nil {
		t.Fatal(err)
	}
	return out.Clone()
}

// same compares two tensors bit for bit.
func same(a, b *tensor.Tensor) bool {
	if a == nil || b == nil || a.String() != b.String() {
		return false
	}
	return slices.EqualFunc(a.Float64s(), b.Float64s(), func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

// TestScopesComputeWhatTheModelDoes runs every scope's cut of the model on its own inputs and compares it with what the complete
// model has at the same place, bit for bit.
func TestScopesComputeWhatTheModelDoes(t *testing.T) {
	ctx := context.Background()
	for _, shape := range []measure.Shape{{Profile: "nano", Batch: 1, Height: 128, Width: 128}, {Profile: "nano", Batch: 2, Height: 128, Width: 256}} {
		models := nanoModels("routing.budget_b1=1.6", "routing.budget_b2=1")
		w := measure.NewWorkloads(models, reference.New())
		complete, err := models.Complete(ctx, shape)
		if err != nil {
			t.Fatal(err)
		}
		for _, scope := range perf.Scopes {
			c := nanoCell(shape.Height, shape.Width, shape.Batch, scope)
			work, err := w.Of(ctx, c)
			if err != nil {
				t.Errorf("%s: %v", c, err)
				continue
			}
			if got := work.Graph.Metadata[worker.CellKey]; got != c.String() {
				t.Errorf("%s: the graph says that it is %q", c, got)
			}
			if scope == perf.Complete {
				continue
			}
			if scope.Operator() && len(work.Graph.Nodes) > len(complete.Graph.Nodes)/10 {
				t.Errorf("%s: %d nodes of %d are no operator", c, len(work.Graph.Nodes), len(complete.Graph.Nodes))
			}
			got := runOnce(t, work.Graph, work.Feeds[0])
			var names []string
			for _, p := range work.Graph.Outputs {
				names = append(names, p.Name)
			}
			want := runOnce(t, complete.Graph, complete.Feeds[0], names...)
			for _, o := range got {
				if !same(o.Tensor, want.Get("tap."+o.Name)) {
					t.Errorf("%s: output %s is %v, in the complete model %v", c, o.Name, o.Tensor, want.Get("tap."+o.Name))
				}
			}
		}
	}
}

// TestWorkloadsOfOtherBackends checks that what a cell executes depends on its workload alone, and that naming it for one backend
// leaves the others'.
func TestWorkloadsOfOtherBackends(t *testing.T) {
	ctx := context.Background()
	w := measure.NewWorkloads(nanoModels(), reference.New())
	for _, scope := range []perf.Scope{perf.Complete, perf.TilePack} {
		a := nanoCell(128, 128, 1, scope)
		b := a
		b.Backend = "ort"
		first, err1 := w.Of(ctx, a)
		second, err2 := w.Of(ctx, b)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if first.Graph.Metadata[worker.CellKey] != a.String() || second.Graph.Metadata[worker.CellKey] != b.String() {
			t.Errorf("graphs are named %q and %q", first.Graph.Metadata[worker.CellKey], second.Graph.Metadata[worker.CellKey])
		}
		if first.Graph.Dump() != second.Graph.Dump() || len(first.Feeds[0]) != len(second.Feeds[0]) || !same(first.Feeds[0][0].Tensor, second.Feeds[0][0].Tensor) || !same(first.Feeds[1][0].Tensor, second.Feeds[1][0].Tensor) {
			t.Errorf("%s and %s execute different things", a, b)
		}
	}
}

// TestFeedFrom feeds the operators of one build with what reaches them in another: what the head computes before an operator does not
// decide what the operator is measured on. Where that does not fit, it is its own.
func TestFeedFrom(t *testing.T) {
	ctx := context.Background()
	of := func(w *measure.Workloads) tensor.List {
		work, err := w.Of(ctx, nanoCell(256, 256, 1, perf.TilePack))
		if err != nil {
			t.Fatal(err)
		}
		return work.Feeds[0]
	}
	sameList := func(a, b tensor.List) bool {
		return slices.EqualFunc(a, b, func(x, y tensor.Named) bool { return x.Name == y.Name && same(x.Tensor, y.Tensor) })
	}
	other, fewer := nanoModels(), nanoModels("routing.budget_b1=1.6")
	other.Request.Weights = HashedDefault
	base := of(measure.NewWorkloads(nanoModels(), reference.New()))
	for name, c := range map[string]struct {
		models *OwnModels
		fits   bool
	}{"other weights": {other, true}, "fewer tiles": {fewer, false}} {
		own, fed := measure.NewWorkloads(c.models, reference.New()), measure.NewWorkloads(c.models, reference.New())
		fed.FeedFrom(measure.NewWorkloads(nanoModels(), reference.New()))
		got := of(fed)
		if sameList(of(own), base) || sameList(got, base) != c.fits || sameList(got, of(own)) == c.fits {
			t.Errorf("%s: fed with the base's (%t), want %t", name, sameList(got, base), c.fits)
		}
	}
}

// TestScopesThatAModelLacks names the scope, where a configuration has no such node.
func TestScopesThatAModelLacks(t *testing.T) {
	for set, scope := range map[string]perf.Scope{"routing.budget_b1=0": perf.TilePack, "model.force_dense_routing=true": perf.GreedySelect, "model.disable_ssm=true": perf.SSMScan} {
		c := nanoCell(128, 128, 1, scope)
		_, err := measure.NewWorkloads(nanoModels(set), reference.New()).Of(context.Background(), c)
		if want := fmt.Sprintf("cell %s: this configuration of the model has no %s", c, scope); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", set, err, want)
		}
	}
	c := nanoCell(128, 128, 1, perf.SSMScan)
	if _, err := measure.NewWorkloads(nanoModels("model.scan_mode=forward"), reference.New()).Of(context.Background(), c); err != nil {
		t.Errorf("a forward scan: %v", err)
	}
}

// tight gives models another budget than the one that they were built for.
type tight struct{ *OwnModels }

func (m tight) Complete(ctx context.Context, s measure.Shape) (*measure.Complete, error) {
	c, err := m.OwnModels.Complete(ctx, s)
	if err == nil {
		c.Costs.B1 = c.Costs.L0 / 2
	}
	return c, err
}

func parityRuns(t *testing.T, models measure.ModelSource, backend, inject string, cells ...perf.Cell) []measure.ParityRun {
	t.Helper()
	side := measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(models, reference.New()), Spec: func(name string) worker.Spec {
		s := WorkerSpec(name, 10*time.Minute)
		s.Env = []string{worker.InjectVariable + "=" + inject}
		return s
	}}
	var got []measure.ParityRun
	err := measure.RunParity(context.Background(), side, backend, cells, measure.Options{}, func(m measure.ParityRun) error {
		got = append(got, m)
		return nil
	})
	if err != nil || len(got) != len(cells) {
		t.Fatalf("%d parity runs of %d, %v", len(got), len(cells), err)
	}
	return got
}

func TestParityRun(t *testing.T) {
	cells := []perf.Cell{nanoCell(128, 128, 2, perf.Complete), nanoCell(128, 128, 2, perf.Network), nanoCell(128, 128, 2, perf.TilePack), nanoCell(128, 128, 2, perf.DecodeNMS)}
	for _, m := range parityRuns(t, nanoModels(), "reference", "", cells...) {
		if !m.Parity.Holds() || m.Parity.MaxAbs < 0 || m.Parity.MaxAbs > 1 {
			t.Errorf("%s: %+v", m.Cell, m.Parity)
		}
		if (m.Work != nil) != (m.Cell.Scope == perf.Complete) {
			t.Errorf("%s: work %+v", m.Cell, m.Work)
		} else if w := m.Work; w != nil && (len(w.TilesL0) != 2 || w.TilesL0[0] < 1 || len(w.Candidates) != 2 || w.Candidates[0] < 1 || w.Budgets["b1"].Spent <= 0 || w.Budgets["b1"].Over) {
			t.Errorf("%s: work %+v", m.Cell, w)
		}
	}
}

// TestParityRunOfWrongOutputs falsifies the outputs of some cells.
func TestParityRunOfWrongOutputs(t *testing.T) {
	cells := []perf.Cell{nanoCell(128, 128, 1, perf.Complete), nanoCell(128, 128, 1, perf.TilePack), nanoCell(128, 128, 1, perf.SSMScan)}
	for _, m := range parityRuns(t, nanoModels(), "reference", "wrong@*/*/*/*/*/complete;wrong@*/*/*/*/*/tile-pack", cells...) {
		if wrong := m.Cell.Scope != perf.SSMScan; wrong != (m.Parity.State == "fail") || wrong != (m.Parity.Detail != "") || m.Parity.Holds() == wrong {
			t.Errorf("%s: %+v", m.Cell, m.Parity)
		}
	}
}

func TestParityRunOfOverspentBudget(t *testing.T) {
	m := parityRuns(t, tight{nanoModels()}, "reference", "", nanoCell(128, 128, 1, perf.Complete))[0]
	if b := m.Work.Budgets["b1"]; m.Parity.State != "fail" || !strings.HasPrefix(m.Parity.Detail, fmt.Sprintf("budget b1 is overspent: %g of %g.", b.Spent, b.Limit)) || !b.Over {
		t.Errorf("%+v, %+v", m.Parity, m.Work)
	}
}

func TestParityRunOfAbsentBackend(t *testing.T) {
	t.Setenv("PATH", "")
	c := nanoCell(128, 128, 1, perf.TilePack)
	c.Backend = "cuda"
	m := parityRuns(t, nanoModels(), "cuda", "", c)[0]
	if m.Parity.State != "unsupported" || !strings.HasPrefix(m.Parity.Detail, string(backends.WorkerNotFound)+": ") || m.Parity.Holds() {
		t.Errorf("%+v", m.Parity)
	}
}
