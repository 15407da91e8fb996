package locate_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// scene returns the trained model for a small scene.
func scene(t *testing.T, at int) (*graph.Graph, tensor.List) {
	t.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: []string{"model.input_height=128", "model.input_width=128"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := m.PictureCase("scene", fixtures.BuiltinScenes()[at].Data, model.DefaultDecode())
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Graph(c.Options(c.Decode))
	if err != nil {
		t.Fatal(err)
	}
	return g, c.Tensors()
}

// run locates in a scene.
func run(t *testing.T, candidate backends.Backend, p backends.Precision) *locate.Trace {
	t.Helper()
	backendtest.SkipWithout(t, candidate)
	g, inputs := scene(t, 0)
	opts := backends.Options{Precision: p}
	trace, err := locate.Run(t.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "quality",
		Reference: locate.Side{Backend: reference.New(), Options: opts}, Candidate: locate.Side{Backend: candidate, Options: opts}})
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

func faultOf(t testing.TB, name, node string, size float64) faults.Planted {
	t.Helper()
	all := faults.Catalogue()
	at := slices.IndexFunc(all, func(f faults.Fault) bool { return f.Name == name })
	if at < 0 {
		t.Fatalf("the catalogue has no fault %q", name)
	}
	return faults.Planted{Fault: &all[at], Node: node, Size: size, Seed: 1}
}

// TestHonestBackends holds real layers to the strictest budget: no step of an honest backend is beyond it, and taps change nothing.
func TestHonestBackends(t *testing.T) {
	for _, c := range []struct {
		backend   backends.Backend
		precision backends.Precision
	}{{reference.New(), backends.FP32}, {ort.New(), backends.FP32}, {ort.New(), backends.BF16}} {
		t.Run(c.backend.Name()+" "+string(c.precision), func(t *testing.T) {
			trace := run(t, c.backend, c.precision)
			largest := 0.0
			for i := range trace.Steps {
				s := &trace.Steps[i]
				largest = max(largest, float64(s.Local.Ratio), float64(s.Reference.Ratio))
				if !s.Local.Within() || !s.Reference.Within() || s.Skipped != "" {
					t.Errorf("%s: local %+v, reference %+v, %s", s.Name, s.Local, s.Reference, s.Skipped)
				}
				if s.Local.Unknown > s.Local.Elements/4 && s.Local.Elements > 64 {
					t.Errorf("%s: nothing is known of %d elements, %d are compared", s.Name, s.Local.Unknown, s.Local.Elements)
				}
			}
			t.Logf("largest ratio in %d steps: %.3g", len(trace.Steps), largest)
			if trace.State != evidence.Pass || trace.Finding != nil || len(trace.Changed) > 0 {
				t.Errorf("state %s, finding %v, changed %v, strays %q", trace.State, trace.Finding, trace.Changed, trace.Strays)
			}
		})
	}
}

// TestPlantedOperators plants an operator into a fused step of the reference and into a graph that ONNX Runtime fuses: the step and the node
// are named. The steps before are right, and those behind too, as each is fed the reference's values.
func TestPlantedOperators(t *testing.T) {
	for _, c := range []struct {
		backend     backends.Backend
		fault, node string
		size        float64
		fused       bool // the step covers other nodes too
	}{
		{reference.New(), "a wrong epsilon of a group norm", "pv.backbone.stem.1", 1e-3, true},
		{reference.New(), "weights in bf16", "det.box.P4", 0, false},
		{ort.New(), "a wrong epsilon of a group norm", "pv.backbone.stem.1", 1e-3, true},
	} {
		t.Run(c.backend.Name()+" "+c.fault, func(t *testing.T) {
			planted := faultOf(t, c.fault, c.node, c.size)
			trace := run(t, &faults.Backend{Backend: c.backend, Planted: planted}, backends.FP32)
			f := trace.Finding
			if trace.State != evidence.Fail || f == nil {
				t.Fatalf("%s: state %s, finding %v", planted, trace.State, f)
			}
			step := &trace.Steps[f.Step]
			if f.Node != c.node || f.By != "candidate" || !slices.Contains(step.Nodes, c.node) || c.fused != (len(step.Nodes) > 1) {
				t.Errorf("%s: found %s in %v: %+v", planted, f.Node, step.Nodes, f)
			}
			for i := range trace.Steps {
				if s := &trace.Steps[i]; !s.Local.Within() && i != f.Step {
					t.Errorf("%s: step %s is beyond its budget too: %+v", planted, s.Name, s.Local)
				}
			}
			if r := trace.Reproducer(); r == nil || r.Step != step.Name || len(r.Outputs) != len(r.Exact) {
				t.Errorf("%s: the reproducer is %+v", planted, r)
			}
		})
	}
}

// optimiser is a backend that rewrites x·Sigmoid(x) wrongly, as a library's optimisation may: only where nobody reads the sigmoid's value,
// so that the error goes away as soon as that value is tapped, or a node is executed by itself.
type optimiser struct {
	backends.Backend
	node string // the product that it rewrites
}

func (o *optimiser) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	for _, n := range g.Nodes {
		if n.Name != o.node || n.Inputs[1].Producer == nil || n.Inputs[1].Producer.Op != (graph.Op)(graph.Unary{Fn: graph.Sigmoid}) {
			continue
		}
		inner := n.Inputs[1].Name
		if _, public := g.Output(inner); public || slices.Contains(opts.Taps, inner) {
			continue
		}
		all := faults.Catalogue()
		at := slices.IndexFunc(all, func(f faults.Fault) bool { return f.Name == "scaled" })
		g = faults.Planted{Fault: &all[at], Node: n.Name, Size: 1e-3}.In(g)
		break
	}
	return o.Backend.Compile(ctx, g, opts)
}

// TestFusion finds an error of a library's fusion: the chain is named, and that its nodes are right by themselves.
func TestFusion(t *testing.T) {
	g, _ := scene(t, 0)
	silu := ""
	for _, n := range g.Nodes { // any that is there: x·Sigmoid(x)
		if b, is := n.Op.(graph.Binary); is && b.Fn == graph.Mul && n.Inputs[1].Producer != nil && n.Inputs[1].Producer.Op == (graph.Op)(graph.Unary{Fn: graph.Sigmoid}) {
			silu = n.Name
			break
		}
	}
	if silu == "" {
		t.Fatal("the model has no SiLU")
	}
	trace := run(t, &optimiser{ort.New(), silu}, backends.FP32)
	f := trace.Finding
	if trace.State != evidence.Fail || f == nil || f.Node != "" || !slices.Contains(trace.Steps[f.Step].Nodes, silu) || !strings.Contains(f.How, "fused by ONNX Runtime") {
		t.Fatalf("state %s, finding %+v", trace.State, f)
	}
	if len(trace.Changed) == 0 {
		t.Error("nobody tells that taps change what is executed")
	}
}

// twoFaced computes a wrong value in the whole graph, and a right one when a step is fed by itself.
type twoFaced struct{ *faults.Backend }

func (b *twoFaced) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	if slices.ContainsFunc(g.Inputs, func(v *graph.Value) bool { return strings.HasPrefix(v.Name, graph.GivenInput("")) }) {
		return b.Backend.Backend.Compile(ctx, g, opts)
	}
	return b.Backend.Compile(ctx, g, opts)
}

// TestTwoFaced does not pass a backend that is right only when it is looked at step by step.
func TestTwoFaced(t *testing.T) {
	trace := run(t, &twoFaced{&faults.Backend{Backend: reference.New(), Planted: faultOf(t, "a wrong epsilon of a group norm", "pv.backbone.stem.1", 1e-1)}}, backends.FP32)
	if trace.State != evidence.Unverified || !strings.Contains(trace.Strays, "from step pv.backbone.stem.1") {
		t.Errorf("state %s, strays %q", trace.State, trace.Strays)
	}
}

// TestFirstAnswer names the step before float64 and the budgets of all steps are there, and an honest backend gets no answer before.
func TestFirstAnswer(t *testing.T) {
	g, inputs := scene(t, 0)
	for _, c := range []struct {
		candidate backends.Backend
		want      []string
	}{
		{&faults.Backend{Backend: reference.New(), Planted: faultOf(t, "a wrong epsilon of a group norm", "pv.backbone.stem.1", 1e-1)}, []string{"first", "float64, step by step"}},
		{reference.New(), []string{"float64, step by step"}},
	} {
		var events []string
		trace, err := locate.Run(t.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "quality",
			Reference: locate.Side{Backend: reference.New(), Options: backends.Options{Extra: map[string]string{"winograd": "off"}}}, Candidate: locate.Side{Backend: c.candidate},
			OnFirst: func(*locate.Step, string) { events = append(events, "first") },
			OnPass: func(p locate.Pass) {
				if p.Name == "float64, step by step" {
					events = append(events, p.Name)
				}
			}})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(events, c.want) {
			t.Errorf("%v, want %v", events, c.want)
		}
		if want := -1; trace.Finding == nil && trace.First.Step != want || trace.Finding != nil && trace.First.Step != trace.Finding.Step || trace.First.Time == 0 {
			t.Errorf("the first answer is %+v, the finding %+v", trace.First, trace.Finding)
		}
	}
}

// TestUnjudged: where there is no budget for half of an output, as of a quotient by 0, nothing is proven of its step, and the answer is no pass.
func TestUnjudged(t *testing.T) {
	b := graph.NewBuilder("quotient")
	four := graph.Type{DType: tensor.Float32, Shape: []int{4}}
	b.Output("y", b.Add1("quotient", graph.Binary{Fn: graph.Div}, b.Input("a", four), b.Input("b", four)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		divisor  []float32
		unjudged string
		want     evidence.State
	}{
		{[]float32{1, 2, 3, 0}, "", evidence.Pass},
		{[]float32{1, 2, 0, 0}, "quotient", evidence.Unverified},
		{[]float32{0, 0, 0, 0}, "quotient", evidence.Unverified},
	} {
		side := locate.Side{Backend: reference.New(), Options: backends.Options{Precision: backends.FP32}}
		trace, err := locate.Run(t.Context(), locate.Spec{Graph: g, Oracle: reference.New(), Profile: "quality", Reference: side, Candidate: side, Inputs: tensor.List{
			{Name: "a", Tensor: tensor.Must(tensor.Of([]float32{1, 2, 3, 4}, 4))}, {Name: "b", Tensor: tensor.Must(tensor.Of(c.divisor, 4))}}})
		if err != nil {
			t.Fatal(err)
		}
		if step := &trace.Steps[0]; trace.State != c.want || step.Local.Unjudged != c.unjudged {
			t.Errorf("by %v: %s, %+v", c.divisor, trace.State, step.Local)
		}
	}
}
