package tensorrt

import (
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// information is what TensorRT 10.6 says of an engine: layers with one node, several and none, one that a node has a second layer in, a node in a body, and an
// output that an Identity names.
const information = `{"Layers": [
 {"Name": "Reformatting CopyNode for Input Tensor 0 to conv", "LayerType": "Reformat", "Inputs": [{"Name": "x", "Location": "Device", "Dimensions": [1,2,4,4], "Format/Datatype": "Row major linear FP32"}],
  "Outputs": [{"Name": "Reformatted x", "Dimensions": [1,2,4,4], "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}], "TacticName": "", "TacticValue": "0x00000000000003ea", "Metadata": ""},
 {"Name": "conv + relu", "LayerType": "CaskConvolution", "Inputs": [{"Name": "Reformatted x", "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}],
  "Outputs": [{"Name": "relu", "Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}], "TacticName": "sm80_xmma_fprop", "Metadata": "[ONNX Layer: conv]\u001e[ONNX Layer: relu.unrounded]"},
 {"Name": "mean.0", "LayerType": "Reduce", "Outputs": [{"Name": "half", "Format/Datatype": "Row major linear FP32"}], "Metadata": "[ONNX Layer: mean]"},
 {"Name": "mean.1", "LayerType": "Reduce", "Outputs": [{"Name": "mean", "Format/Datatype": "Row major linear FP32"}], "Metadata": "[ONNX Layer: mean]"},
 {"Name": "kgen", "LayerType": "kgen", "Outputs": [{"Name": "kept", "Format/Datatype": "Row major linear FP32"}], "Metadata": "[ONNX Layer: kept/cast]\u001e[ONNX Layer: y]"},
 {"Name": "Reformatting CopyNode for Output Tensor 0", "LayerType": "Reformat", "Metadata": ""}
], "Bindings": ["x", "y"]}`

// layered is the graph of that engine, in fp16.
func layered(t *testing.T) *graph.Graph {
	t.Helper()
	g, err := graph.Lower(unlowered(t), graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func unlowered(t *testing.T) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("layered")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 2, 4, 4}})
	weight := b.Const("weight", tensor.New(tensor.Float32, 2, 2, 1, 1))
	conv := b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Group: 1}, x, weight)
	relu := b.Add1("relu", graph.Unary{Fn: graph.Relu}, conv)
	again := b.Add1("conv2", graph.Conv{Strides: [2]int{1, 1}, Group: 1}, relu, weight)
	view := b.Add1("view", graph.Reshape{Shape: []int{1, 32}}, again)
	mean := b.Add1("mean", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{1}, KeepDims: true}, view)
	b.Output("y", mean)
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPlan(t *testing.T) {
	g := layered(t)
	layers, err := parseLayers(information)
	if err != nil {
		t.Fatal(err)
	}
	if layers[0].Tactic != "0x00000000000003ea" || layers[1].Tactic != "sm80_xmma_fprop" || layers[2].Tactic != "" {
		t.Errorf("kernels %q, %q and %q", layers[0].Tactic, layers[1].Tactic, layers[2].Tactic)
	}
	plan, stepOf, untold := planOf(g, layers, backends.FP16)
	if err := plan.Check(g); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(untold, []string{"conv2"}) {
		t.Errorf("untold are %v, want the second convolution", untold)
	}
	type step struct {
		name, op  string
		nodes     []string
		precision backends.Precision
	}
	var got []step
	for _, s := range plan.Steps {
		got = append(got, step{s.Name, s.Op, s.Nodes, s.Precision})
	}
	if len(got) != 2 || !slices.Equal(got[0].nodes, []string{"conv", "relu.unrounded"}) || got[0].op != "Conv+Relu" || got[0].precision != backends.FP16 || got[1].name != "mean" || got[1].op != "ReduceMean" ||
		got[1].precision != backends.FP32 {
		t.Errorf("steps %+v", got)
	}
	if !slices.Contains(plan.Views, "view") || !slices.Contains(plan.Views, "relu") || !slices.Contains(plan.Folded, "weight.fp16") {
		t.Errorf("views %v, folded %v", plan.Views, plan.Folded)
	}
	steps := make([]time.Duration, len(plan.Steps))
	addTimes(steps, []LayerTime{{layers[0].Name, 1}, {layers[1].Name, 2}, {"mean.0", 4}, {"mean.1", 8}, {"kgen", 16}, {"unknown", 32}}, stepOf)
	if !slices.Equal(steps, []time.Duration{3, 28}) {
		t.Errorf("times of the steps %v", steps)
	}
}

// TestPlanWithoutLayers: an engine of which nothing is known but the names of its layers has a plan without steps.
func TestPlanWithoutLayers(t *testing.T) {
	layers, err := parseLayers(`{"Layers": ["conv + relu", "mean"], "Bindings": ["x"]}`)
	if err != nil || len(layers) != 2 || layers[0].Name != "conv + relu" {
		t.Fatalf("%+v, %v", layers, err)
	}
	g := layered(t)
	plan, stepOf, untold := planOf(g, layers, backends.FP16)
	if err := plan.Check(g); err != nil || len(plan.Steps) != 0 || len(stepOf) != 0 || len(untold) != 4 {
		t.Errorf("%+v, %v, %v, %v", plan, stepOf, untold, err)
	}
	if _, err := parseLayers("no JSON"); err == nil {
		t.Error("no error for what is no JSON")
	}
}

// TestPlanOfRepeatedNodes: a node that the engine computes once more after its readers, for an output, belongs to the layer whose result they read.
func TestPlanOfRepeatedNodes(t *testing.T) {
	g := unlowered(t)
	layers := []Layer{{Name: "a", Nodes: []string{"conv", "relu"}}, {Name: "b", Nodes: []string{"conv2"}}, {Name: "c", Nodes: []string{"relu", "conv2"}}, {Name: "d", Nodes: []string{"mean"}},
		{Name: "e", Nodes: []string{"relu", "conv2"}}}
	plan, _, _ := planOf(g, layers, backends.FP32)
	if err := plan.Check(g); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range plan.Steps {
		got = append(got, s.Nodes...)
	}
	if want := []string{"conv", "relu", "conv2", "mean"}; !slices.Equal(got, want) || len(plan.Steps) != 3 {
		t.Errorf("%d steps of %v, want 3 of %v", len(plan.Steps), got, want)
	}
}
