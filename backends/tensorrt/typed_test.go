package tensorrt

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
)

// text writes the nodes of a typed graph, one a line, with the operators of the casts.
func text(g *graph.Graph) string {
	var b strings.Builder
	for _, n := range g.Nodes {
		var in []string
		for _, v := range n.Inputs {
			in = append(in, v.Name)
		}
		fmt.Fprintf(&b, "%s %s(%s)\n", n.Name, n.Op.OpType(), strings.Join(in, " "))
	}
	return b.String()
}

// TestTyped: a convolution between two roundings and what follows it are in the format, weights are stored in it; the last convolution reads what was
// rounded as float32, and gives float32.
func TestTyped(t *testing.T) {
	g := layered(t)
	out, err := typed(g, graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	const want = `x.fp16 Cast(x)
weight.narrow Constant()
conv Conv(x.fp16 weight.narrow)
relu.unrounded Relu(conv)
relu.wide Cast(relu.unrounded)
conv2 Conv(relu.wide weight.fp16)
view Reshape(conv2)
mean ReduceMean(view)
`
	if got := text(out); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if _, err := onnx.Marshal(out, onnx.WriteOptions{Form: onnx.Plugins}); err != nil {
		t.Error(err)
	}
	if got, want := holdsOf(g, graph.FP16), []string{"conv2", "view", "mean"}; !slices.Equal(got, want) {
		t.Errorf("held are %v, want %v", got, want)
	}
	if same, err := typed(g, ""); err != nil || len(same.Nodes) != len(g.Nodes) || holdsOf(g, "") != nil {
		t.Errorf("fp32: %v, held %v", err, holdsOf(g, ""))
	}
}

// TestTypedOutput: an output is float32, and rounded where the graph rounds it.
func TestTypedOutput(t *testing.T) {
	g, err := layered(t).WithTaps([]string{"relu"})
	if err != nil {
		t.Fatal(err)
	}
	out, err := typed(g, graph.FP16)
	if err != nil {
		t.Fatal(err)
	}
	v, ok := out.Output("tap.relu")
	if !ok || v.Producer == nil || v.Producer.Op.OpType() != "Cast" || v.Producer.Inputs[0].Name != "relu.unrounded" {
		t.Errorf("tap.relu is %+v", v)
	}
}

// TestTypedTF32: the library rounds to TF32 itself.
func TestTypedTF32(t *testing.T) {
	g, err := graph.Lower(unlowered(t), graph.TF32)
	if err != nil {
		t.Fatal(err)
	}
	out, err := typed(g, graph.TF32)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := text(out), text(unlowered(t)); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestHeld: a result that is float32 in the model and narrower in the engine is told, and refused.
func TestHeld(t *testing.T) {
	g := layered(t)
	layers, err := parseLayers(information)
	if err != nil {
		t.Fatal(err)
	}
	holds := []string{"conv2", "view", "mean"}
	list := evidence(g, holds, layers)
	if want := (Held{Node: "mean", Layer: "mean.1", Result: "Row major linear FP32"}); list[2] != want || list[0] != (Held{Node: "conv2"}) || checkHeld(list) != nil {
		t.Errorf("%+v, %v", list, checkHeld(list))
	}
	layers[3].Outputs[0].Format = "Half"
	err = checkHeld(evidence(g, holds, layers))
	var missing *backends.Unavailable
	if !errors.As(err, &missing) || missing.Reason != backends.PrecisionNotHeld || missing.Detail != "1 of 3 nodes that compute in float32 do not: mean is Half" {
		t.Errorf("%v", err)
	}
}

// TestStrays: a layer that reads, writes or computes in a type that the precision does not have is named, and its engine refused, as is one that does not tell.
func TestStrays(t *testing.T) {
	layer := func(format, tactic string) []Layer {
		return []Layer{{Name: "first", Outputs: []LayerTensor{{"x", "Float"}}}, {Name: "second", Tactic: tactic, Inputs: []LayerTensor{{"x", "Float"}}, Outputs: []LayerTensor{{"y", format}}}}
	}
	for _, c := range []struct {
		layers    []Layer
		precision backends.Precision
		want      string // "" for no complaint
	}{
		{layer("Float", "sm50_xmma_f32f32"), backends.FP32, ""},
		{layer("Int64", ""), backends.FP32, ""},
		{layer("Half", ""), backends.FP16, ""},
		{layer("BFloat16", ""), backends.BF16, ""},
		{layer("Row major Int8 format", ""), backends.INT8, ""},
		{layer("FP8", ""), backends.FP8, ""},
		{layer("Float", "sm80_xmma_tf32f32"), backends.TF32, ""},
		{layer("Half", ""), backends.FP32, "1 of 2 layers compute in what fp32 does not have: in second y is Half"},
		{layer("Half", ""), backends.TF32, "1 of 2 layers compute in what tf32 does not have: in second y is Half"},
		{layer("Half", ""), backends.BF16, "in second y is Half"},
		{layer("Half", ""), backends.INT8, "in second y is Half"},
		{layer("INT8", ""), backends.FP16, "in second y is INT8"},
		{layer("Float", "sm80_xmma_gemm_TF32f32"), backends.FP32, "in second its kernel is sm80_xmma_gemm_TF32f32"},
		{layer("Half", "sm80_xmma_gemm_tf32f32"), backends.FP16, "in second its kernel is"},
		{[]Layer{{Name: "first"}, {Name: "second"}}, backends.FP32, "of 2 layers the engine does not tell the results"},
		{nil, backends.FP32, "of 0 layers the engine does not tell the results"},
	} {
		err := checkLayers(c.layers, c.precision)
		var missing *backends.Unavailable
		if c.want == "" && err == nil {
			continue
		}
		if c.want == "" || !errors.As(err, &missing) || missing.Reason != backends.PrecisionNotHeld || !strings.Contains(missing.Detail, c.want) {
			t.Errorf("%s %+v: %v, want %q", c.precision, c.layers, err, c.want)
		}
	}
}

// TestNothingTold: an engine that tells of no node that is held holds none.
func TestNothingTold(t *testing.T) {
	err := checkHeld(evidence(layered(t), []string{"conv2", "mean"}, []Layer{{Name: "all", Outputs: []LayerTensor{{"z", "Float"}}}}))
	var missing *backends.Unavailable
	if !errors.As(err, &missing) || missing.Reason != backends.PrecisionNotHeld || missing.Detail != "the engine does not tell which layers compute the 2 nodes that are to be float32, such as conv2" {
		t.Errorf("%v", err)
	}
}

// TestHeldOfIntegers: what a Round to int8 reads, also by way of nodes that hand it on, may be int8 in an engine, and all else is held.
func TestHeldOfIntegers(t *testing.T) {
	g := unlowered(t)
	g.Calibration = &graph.Calibration{Ranges: map[string]float32{"x": 1, "relu": 1}}
	low, err := graph.Lower(g, graph.INT8)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := holdsOf(low, graph.INT8), []string{"conv2", "view", "mean"}; !slices.Equal(got, want) {
		t.Errorf("held are %v, want %v", got, want)
	}
}
