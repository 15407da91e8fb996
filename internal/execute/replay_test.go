package execute

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// flipping is the reference with utilities moved a little and a selection that follows them, and what else a test plants.
type flipping struct {
	backends.Backend
	nudge  func(utilities []float32)
	choose func(utilities []float32, count int) []int64
	spoil  func(out tensor.List) // nil for nothing
}

func (f *flipping) Name() string { return "flipping" }

func (f *flipping) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	s := &flippingSession{of: f}
	s.Fake.Run = s.run
	var err error
	if len(opts.Replay) == 0 {
		if s.free, err = f.Backend.Compile(ctx, g, backends.Options{Precision: opts.Precision}); err != nil {
			return nil, err
		}
		opts.Replay = []string{"ff.select_l0"}
	}
	s.Session, err = f.Backend.Compile(ctx, g, opts)
	return s, err
}

// flippingSession runs under a selection: what it is given, or without one its own.
type flippingSession struct {
	backendtest.Fake
	of   *flipping
	free backends.Session // nil under replay
}

func (s *flippingSession) run(ctx context.Context, inputs tensor.List) (tensor.List, error) {
	if s.free != nil {
		out, err := backends.Run(ctx, s.free, inputs)
		if err != nil {
			return nil, err
		}
		u := out.Get("utilities").Clone()
		s.of.nudge(tensor.Data[float32](u))
		ids := s.of.choose(tensor.Data[float32](u), int(tensor.Data[int64](out.Get("valid_l0"))[0]))
		inputs = append(slices.Clone(inputs), tensor.Named{Name: graph.ReplayInput("ff.select_l0"), Tensor: tensor.Must(tensor.Of(ids, 1, len(ids)))})
	}
	out, err := backends.Run(ctx, s.Session, inputs)
	if err != nil {
		return nil, err
	}
	out = out.Clone()
	s.of.nudge(tensor.Data[float32](out.Get("utilities")))
	if s.of.spoil != nil {
		s.of.spoil(out)
	}
	return out, nil
}

func (s *flippingSession) Close() error {
	if s.free != nil {
		return errors.Join(s.free.Close(), s.Fake.Close())
	}
	return s.Fake.Close()
}

// wrongLogit is arithmetic that is wrong after any selection.
func wrongLogit(out tensor.List) { tensor.Data[float32](out.Get("semantic_logits"))[1000] += 0.5 }

// worst chooses the tile of the least utility in the place of the last one.
func worst(u []float32, count int) []int64 { return append(best(u, count-1), ranked(u)[len(u)-1]) }

// best chooses by utility, as the model does.
func best(utilities []float32, count int) []int64 { return ranked(utilities)[:count] }

// ranked lists ids by falling utility.
func ranked(utilities []float32) []int64 {
	ids := make([]int64, len(utilities))
	for i := range ids {
		ids[i] = int64(i)
	}
	slices.SortStableFunc(ids, func(a, b int64) int { return cmp.Compare(utilities[b], utilities[a]) })
	return ids
}

// tie is two tiles, of which rounding may choose the one or the other.
type tie struct {
	last, next int     // chosen, and not
	move       float32 // of the utility of either, towards the other's and beyond
}

func (t tie) nudge(u []float32) { u[t.last], u[t.next] = u[t.last]-t.move, u[t.next]+t.move }

// closeUtilities is a case of which the last chosen tile and the first that is not have utilities that hardly differ.
func closeUtilities(t *testing.T) (c *source.Case, near tie) {
	t.Helper()
	open := func(tiles int) *source.Model {
		m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: []string{"model.profile=nano", "model.num_classes=5", fmt.Sprintf("routing.budget_b1=%g", 0.8*float64(tiles))}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	decode := model.DefaultDecode()
	decode.MaxDetections = 20
	least := math.Inf(1)
	for seed := range uint64(3) { // grey with a little noise, so that tiles differ little
		in := source.Input{Name: "near tie", Image: noise(seed, 1, 3, 384, 512)}
		for i, v := range tensor.Data[float32](in.Image) {
			tensor.Data[float32](in.Image)[i] = 0.5 + 0.02*(v-0.5)
		}
		r, err := Once(t.Context(), reference.New(), open(1), in, decode, backends.Options{})
		if err = errors.Join(err, r.Err); err != nil {
			t.Fatal(err)
		}
		u := tensor.Data[float32](r.Outputs.Get("utilities"))
		order := ranked(u)
		for count := 1; count < len(order); count++ {
			last, next := order[count-1], order[count]
			gap := float64(u[last] - u[next])
			if gap >= least {
				continue
			}
			least, c = gap, &source.Case{Input: in, Model: open(count), Decode: decode}
			near = tie{int(last), int(next), float32(0.6*gap + 1e-6)}
		}
	}
	if least > 6e-4 {
		t.Fatalf("the closest utilities differ by %g: no near tie", least)
	}
	return c, near
}

// TestFlipsEndAsVerified: a selection that flips for what rounding may do is verified by replay, a selection against the session's own
// utilities is a bug, and arithmetic that is wrong after a flip is found under the reference's decisions alone.
func TestFlipsEndAsVerified(t *testing.T) {
	c, near := closeUtilities(t)
	for _, f := range []struct {
		name   string
		of     *flipping
		free   evidence.State // of the comparison of the free runs
		state  evidence.State
		detail string
	}{
		{"near tie", &flipping{nudge: near.nudge, choose: best}, evidence.Unverified, evidence.Explained, "verified by replay: under the reference's decisions "},
		{"worse tile", &flipping{nudge: func([]float32) {}, choose: worst}, evidence.Fail, evidence.Fail, "tiles_l0[0]: "},
		{"near tie, then wrong logits", &flipping{nudge: near.nudge, choose: best, spoil: wrongLogit}, evidence.Unverified, evidence.Fail, "under the reference's decisions: semantic_logits: 1 of "},
	} {
		f.of.Backend = reference.New()
		runner := &MatrixRunner{Cases: map[string]Subject{c.Name: c}, Open: func(name string) (backends.Backend, error) {
			if name == "flipping" {
				return f.of, nil
			}
			return reference.New(), nil
		}}
		m, err := parity.Run(t.Context(), parity.MatrixSpec{
			Cases: []parity.Case{ParityCase(c)}, Columns: []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "flipping", Precision: backends.FP32}},
			Runner: runner, Replayer: runner,
		})
		if err != nil {
			t.Fatal(err)
		}
		cell := m.Cells[0]
		if cell.Report == nil || cell.Report.State != f.free || cell.State != f.state || !strings.Contains(cell.Detail, f.detail) {
			t.Errorf("%s: %s, %s; want %s with %q", f.name, cell.State, cell.Detail, f.state, f.detail)
		}
		if r := cell.Replay; r != nil && (r.Coverage.Compared == 0 || 100*r.Coverage.Compared < 99*r.Coverage.Expected) {
			t.Errorf("%s: under replay %s", f.name, r.Coverage)
		}
		if (cell.Replay != nil) != (f.free == evidence.Unverified) {
			t.Errorf("%s: replay is %v", f.name, cell.Replay)
		}
	}
}

// TestReplayInWorkers: a worker under its own decisions gives what it gave without, bit for bit, and refuses what is none.
func TestReplayInWorkers(t *testing.T) {
	c := fakeCase(t, "model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b1=1.6", "routing.budget_b2=1", "routing.budget_b3=2")
	c.Image, c.Decode.MaxDetections = noise(5, 1, 3, 128, 256), 10
	runner := &MatrixRunner{Cases: map[string]Subject{c.Name: c}, Open: func(name string) (backends.Backend, error) {
		return Open(name, Options{Isolate: true})
	}}
	pc := ParityCase(c)
	for _, col := range []parity.Column{{Backend: "reference", Precision: backends.FP32}, {Backend: "reference", Precision: backends.FP64}, {Backend: "ort", Precision: backends.FP32}} {
		free := runner.Execute(t.Context(), &pc, col.Backend, col.Precision)
		if free.State == evidence.Unsupported {
			t.Logf("%s: %s: %s", col, free.Reason, free.Detail)
			continue
		}
		if free.State != evidence.Measured || len(free.Decisions) != 5 {
			t.Fatalf("%s: %s %s, decisions %v", col, free.State, free.Detail, free.Decisions)
		}
		again := runner.Replay(t.Context(), &pc, col.Backend, col.Precision, free.Decisions)
		if again.State != evidence.Measured || !evidence.Identical(free.Outputs, again.Outputs) {
			t.Errorf("%s under its own decisions: %s %s, or other outputs", col, again.State, again.Detail)
		}
		hostile := free.Decisions.Clone()
		tensor.Data[int64](hostile.Get("tap.ff.select_l0"))[0] = 2
		refused := runner.Replay(t.Context(), &pc, col.Backend, col.Precision, hostile)
		if want := `decision "ff.select_l0", sample 0: the id 2 at 0 is outside [0, 2)`; refused.State != evidence.Errored || !strings.Contains(refused.Detail, want) {
			t.Errorf("%s: %s %s, want %s", col, refused.State, refused.Detail, want)
		}
	}
}
