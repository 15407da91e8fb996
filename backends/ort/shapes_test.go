//go:build cgo

package ort

import (
	"errors"
	"slices"
	"testing"

	ort "github.com/yalue/onnxruntime_go"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
)

// TestEnginesOfOneSize: what the provider tensorrt may make engines of has values of one size alone, by the library's own inference. Of all nodes
// of the complete model, those that read or compute a value of another size stay with CUDA by their type, or are too few for an engine.
func TestEnginesOfOneSize(t *testing.T) {
	needsLibrary(t)
	g := modeltest.Hashed(t, 1, model.Options{Batch: 1, Height: 256, Width: 256}, "model.num_classes=3")
	file, err := onnx.Marshal(g, onnx.WriteOptions{Form: onnx.Inlined})
	if err != nil {
		t.Fatal(err)
	}
	nodes, outputs := nodesOf(t, file)
	values := map[string]bool{}
	for _, name := range outputs {
		values[name] = true
	}
	var more []byte
	for _, n := range nodes {
		for _, name := range n.outputs {
			if name != "" && !values[name] {
				more = messageField(more, 12, messageField(nil, 1, []byte(name)))
			}
		}
	}
	file = messageField(file, 7, more) // a message that comes twice is one with the fields of both
	_, shapes, err := ort.GetInputOutputInfoWithONNXData(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(shapes) < len(nodes) {
		t.Fatalf("%d nodes, and the library tells %d shapes", len(nodes), len(shapes))
	}
	open := map[string]bool{}
	for _, v := range shapes {
		open[v.Name] = slices.Contains(v.Dimensions, -1)
	}
	var stay, small []string
	for _, n := range nodes {
		switch touches := slices.ContainsFunc(slices.Concat(n.inputs, n.outputs), func(name string) bool { return open[name] }); {
		case touches && slices.Contains(leftToCUDA, n.opType):
			stay = append(stay, n.opType)
		case touches:
			small = append(small, n.opType)
		}
	}
	if !slices.Equal(stay, leftToCUDA) {
		t.Errorf("of the operators that stay with CUDA, %v have values of open size, want %v", stay, leftToCUDA)
	}
	if len(small) != leastEngine-1 {
		t.Errorf("%v have values of open size: an engine has %d nodes or more", small, leastEngine)
	}
}

type node struct {
	opType          string
	inputs, outputs []string
}

// nodesOf reads the nodes of a model's graph and the names of the graph's outputs.
func nodesOf(t *testing.T, file []byte) (nodes []node, outputs []string) {
	eachField(t, file, func(num protowire.Number, graph []byte) {
		if num != 7 {
			return
		}
		eachField(t, graph, func(num protowire.Number, data []byte) {
			switch num {
			case 1:
				var n node
				eachField(t, data, func(num protowire.Number, text []byte) {
					switch num {
					case 1:
						n.inputs = append(n.inputs, string(text))
					case 2:
						n.outputs = append(n.outputs, string(text))
					case 4:
						n.opType = string(text)
					}
				})
				nodes = append(nodes, n)
			case 12:
				eachField(t, data, func(num protowire.Number, text []byte) {
					if num == 1 {
						outputs = append(outputs, string(text))
					}
				})
			}
		})
	})
	return nodes, outputs
}

// eachField calls f with the fields of a message that are messages, texts or bytes.
func eachField(t *testing.T, message []byte, f func(num protowire.Number, data []byte)) {
	for len(message) > 0 {
		num, typ, n := protowire.ConsumeTag(message)
		size := protowire.ConsumeFieldValue(num, typ, message[max(n, 0):])
		if n < 0 || size < 0 {
			t.Fatal("the model is no message")
		}
		if typ == protowire.BytesType {
			data, _ := protowire.ConsumeBytes(message[n:])
			f(num, data)
		}
		message = message[n+size:]
	}
}

func messageField(to []byte, num protowire.Number, data []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(to, num, protowire.BytesType), data)
}

// TestRefused: what the provider tensorrt cannot do is told with a reason, and nothing else is.
func TestRefused(t *testing.T) {
	const (
		cut = "Error creating C session: Exception during initialization: /a/tensorrt_execution_provider.cc:2344 GetSupportedList(int) const " +
			"[ONNXRuntimeError] : 1 : FAIL : TensorRT input: detections.select/NonMaxSuppression_120 has no shape specified."
		engine = "Error creating C session: TensorRT EP failed to create engine from network for fused node: TRTKernel_graph_apexx_nano_0"
	)
	for _, tt := range []struct {
		provider Provider
		said     string
		reason   backends.Reason // "" for an error that stays as it is
		detail   string
	}{
		{TensorRT, cut, backends.OperatorUnsupported, "provider tensorrt: TensorRT input: detections.select/NonMaxSuppression_120 has no shape specified."},
		{TensorRT, engine, backends.EngineBuildFailed, "provider tensorrt: TensorRT EP failed to create engine from network for fused node: TRTKernel_graph_apexx_nano_0"},
		{TensorRT, "Error creating C session: Load model failed", "", ""},
		{CUDA, cut, "", ""},
	} {
		said := errors.New(tt.said)
		err := tt.provider.refused(said)
		var missing *backends.Unavailable
		switch errors.As(err, &missing) {
		case true:
			if missing.Reason != tt.reason || missing.Detail != tt.detail {
				t.Errorf("%s, %s: %v", tt.provider, tt.said, err)
			}
		case false:
			if tt.reason != "" || err != said {
				t.Errorf("%s, %s: %v, want the reason %q", tt.provider, tt.said, err, tt.reason)
			}
		}
	}
}

// TestForm: only the provider tensorrt is given weights in the model itself.
func TestForm(t *testing.T) {
	w := &backends.Weights{Folder: "/f", Places: onnx.Places{vector(1): 64}}
	for p, want := range map[Provider]struct {
		form   onnx.Form
		folder string
		apart  int
	}{CPU: {onnx.Functions, "/f", 1}, CUDA: {onnx.Inlined, "/f", 1}, TensorRT: {onnx.Inlined, "", 0}} {
		if form, folder := p.form(w); form.Form != want.form || folder != want.folder || len(form.External) != want.apart {
			t.Errorf("%s: %+v, folder %q", p, form, folder)
		}
	}
	if form, folder := CPU.form(nil); form.External != nil || folder != "" {
		t.Errorf("without a file: %+v, folder %q", form, folder)
	}
}
