package worker

import (
	"encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

func TestOperatorRoundTrip(t *testing.T) {
	ops := []graph.Op{
		graph.Conv{Strides: [2]int{2, 3}, Pads: [4]int{1, 2, 3, 4}, Group: 5},
		graph.Clip{Low: math.Inf(-1), High: math.Inf(1)},
		graph.Clip{Low: 1e-300, High: 0.1},
		graph.Cast{To: tensor.Int64},
		graph.Reshape{Shape: []int{1, -1}},
		graph.Reduce{Fn: graph.ReduceL2, Axes: []int{1, 2}, KeepDims: true},
		graph.TileOrder{GridHeight: 3, GridWidth: 5, Mode: "hilbert"},
		graph.SelectDetections{Strides: []int{8, 16}, ImageHeight: 1, ImageWidth: 2, ScoreThreshold: 0.05, PreNMSTopK: 3, IoUThreshold: 0.6, MaxDetections: 4},
	}
	for _, op := range operators {
		ops = append(ops, op)
	}
	for _, op := range ops {
		w, err := toWireOp(op)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		var back wireOp
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if got, err := back.op(); err != nil || !reflect.DeepEqual(got, op) {
			t.Errorf("%s: got %#v, %v, want %#v", text, got, err, op)
		}
	}
}

func TestHostileOperators(t *testing.T) {
	for _, w := range []wireOp{
		{Type: "NoSuchOperator"},
		{Type: "Conv", Domain: "apexx"},
		{Type: "Clip", Attributes: map[string]any{"Low": "low"}},
		{Type: "Conv", Attributes: map[string]any{"Group": "many"}},
		{Type: "Gemm", Attributes: map[string]any{"TransB": []any{1.0}}},
	} {
		if op, err := w.op(); err == nil {
			t.Errorf("%+v became %#v", w, op)
		}
	}
	if op, err := (wireOp{Type: "Sigmoid", Attributes: map[string]any{"Fn": "Tanh", "Later": 1.0}}).op(); err != nil || op.OpType() != "Sigmoid" {
		t.Errorf("got %#v, %v", op, err)
	}
}
