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
