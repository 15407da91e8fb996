package execute

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// planted is the reference with a fault of the catalogue.
func planted(t *testing.T, fault, node string) *faults.Backend {
	t.Helper()
	all := faults.Catalogue()
	at := slices.IndexFunc(all, func(f faults.Fault) bool { return f.Name == fault })
	if at < 0 {
		t.Fatalf("the catalogue has no fault %q", fault)
	}
	return &faults.Backend{Backend: reference.New(), Planted: faults.Planted{Fault: &all[at], Node: node, Seed: 1}}
}

func locateIn(t *testing.T, g *graph.Graph, inputs tensor.List, b backends.Backend) *locate.Trace {
	t.Helper()
	trace, err := locate.Run(t.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "quality",
		Reference: locate.Side{Backend: reference.New()}, Candidate: locate.Side{Backend: b}})
	if err != nil {
		t.Fatal(err)
	}
	return trace
}

// TestReproducer writes the step of a fault to a folder and reads it back: the fault shows again in the step alone, at the same element, and
// an honest backend passes. Steps that choose, and such that read booleans and integers, survive the files too.
func TestReproducer(t *testing.T) {
	g, err := checkedModel()
	if err != nil {
		t.Fatal(err)
	}
	inputs := tensor.List{{Name: "image", Tensor: checkedImage(1)}}
	nodeOf := func(fits func(n *graph.Node) bool) string {
		for _, n := range g.Nodes {
			if fits(n) {
				return n.Name
			}
		}
		t.Fatal("the model has no such node")
		return ""
	}
	float := func(n *graph.Node) bool { return n.Outputs[0].DType.IsFloat() }
	for _, c := range []struct {
		fault string
		fits  func(n *graph.Node) bool
	}{
		{"scaled", func(n *graph.Node) bool { _, is := n.Op.(graph.GroupNormalization); return is }},
		{"two detections exchanged", func(n *graph.Node) bool { _, is := n.Op.(graph.SelectDetections); return is }},
		{"branches of a choice exchanged", func(n *graph.Node) bool { _, is := n.Op.(graph.Where); return is && float(n) }},
		{"tiles packed in another order", func(n *graph.Node) bool { _, is := n.Op.(graph.TilePack); return is }},
	} {
		t.Run(c.fault, func(t *testing.T) {
			b := planted(t, c.fault, nodeOf(c.fits))
			if b.Fault.Sizes != nil {
				b.Size = b.Fault.Sizes[0]
			}
			trace := locateIn(t, g, inputs, b)
			if trace.State != evidence.Fail {
				t.Fatalf("state %s", trace.State)
			}
			found := trace.Steps[trace.Finding.Step]
			dir := filepath.Join(t.TempDir(), "step")
			command, err := WriteReproducer(dir, trace.Reproducer(), "reference", "quality")
			if err != nil {
				t.Fatal(err)
			}
			written, err := os.ReadFile(filepath.Join(dir, commandFile))
			if err != nil || string(written) != command+"\n" || !strings.HasPrefix(command, "apexx locate --model step.onnx --tensors inputs.safetensors --backends reference,reference --precision fp32") {
				t.Errorf("the command is %q, %v", written, err)
			}
			network, err := source.OpenNetwork(filepath.Join(dir, stepFile), nil)
			if err != nil {
				t.Fatal(err)
			}
			read, err := network.OpenCase(filepath.Join(dir, inputsFile))
			if err != nil {
				t.Fatal(err)
			}
			again, given := network.Graph, read.Inputs
			alone := locateIn(t, again, given, b)
			if alone.State != evidence.Fail || len(alone.Steps) < 1 {
				t.Fatalf("by itself the step has the state %s", alone.State)
			}
			if got := alone.Steps[alone.Finding.Step]; got.Name != found.Name || got.Local.Index != found.Local.Index || got.Local.Got != found.Local.Got {
				t.Errorf("by itself %+v, in the model %+v", got, found)
			}
			if honest := locateIn(t, again, given, reference.New()); honest.State != evidence.Pass {
				t.Errorf("an honest backend has the state %s: %+v", honest.State, honest.Steps)
			}
		})
	}
}

// oneWeight is a network in which all weights are one number, as placeholders of published models are: all channels hold the same values, and the
// terms of a sum are rounded alike.
func oneWeight(n *network) {
	constant := func(name string, x *graph.Value, channels, kernel int) *graph.Value {
		w := tensor.New(tensor.Float32, channels, x.Shape[1], kernel, kernel)
		for i := range tensor.Data[float32](w) {
			tensor.Data[float32](w)[i] = 0.02
		}
		conv := graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{kernel / 2, kernel / 2, kernel / 2, kernel / 2}, Group: 1}
		return n.unary(name+".relu", graph.Relu, n.Add1(name, conv, x, n.Const(name+".weight", w), nil))
	}
	x := constant("stem", n.Input("image", float(1, 3, 28, 28)), 64, 7)
	n.Output("features", constant("last", constant("middle", x, 64, 3), 256, 1))
}

// TestLocateNetworks holds both backends to the budgets of common networks' operators, step by step, and finds an operator that is wrong.
func TestLocateNetworks(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*network)
	}{{"resnet", residualBlock}, {"transformer", transformerLayer}, {"lstm", recurrent}, {"detector", detectorHead}, {"unet", uNet}, {"constant", oneWeight}} {
		t.Run(c.name, func(t *testing.T) {
			n := networkFile(t, c.name, c.build)
			inputs := n.Seeded(1)[0].Inputs
			for _, b := range []backends.Backend{reference.New(), ort.New()} {
				if !b.Probe(t.Context()).Available {
					continue
				}
				trace := locateIn(t, n.Graph, inputs, b)
				for i := range trace.Steps {
					if s := &trace.Steps[i]; !s.Local.Within() || !s.Reference.Within() || s.Skipped != "" {
						t.Errorf("%s: %s: %+v, the reference %+v %s", b.Name(), s.Name, s.Local, s.Reference, s.Skipped)
					}
				}
				if trace.State != evidence.Pass {
					t.Errorf("%s: state %s, %s", b.Name(), trace.State, trace.Strays)
				}
			}
			last := n.Graph.Outputs[0].Value.Producer
			wrong := planted(t, "scaled", last.Name)
			wrong.Size = 1e-2
			if trace := locateIn(t, n.Graph, inputs, wrong); trace.State != evidence.Fail || !slices.Contains(trace.Steps[trace.Finding.Step].Nodes, last.Name) {
				t.Errorf("a fault at %s: state %s, finding %+v", last.Name, trace.State, trace.Finding)
			}
		})
	}
}
