package execute

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest/toydevice"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// timeModel measures a model once in a worker, after its parity run.
func timeModel(t *testing.T, m *NetworkModel, backend string, env ...string) (measure.ParityRun, perf.Measurement) {
	t.Helper()
	side := measure.Side{Arm: perf.Head, Workloads: measure.NewWorkloads(m, reference.New()), Spec: func(backend string) worker.Spec {
		spec := OwnWorker(worker.Spec{Name: backend})
		spec.Env = env
		return spec
	}}
	cells := []perf.Cell{perf.ModelCell(backend, m.Network.Name, backends.FP32)}
	options := measure.Options{Iterations: 3}
	var parity measure.ParityRun
	if err := measure.RunParity(t.Context(), side, backend, cells, options, func(r measure.ParityRun) error { parity = r; return nil }); err != nil {
		t.Fatal(err)
	}
	var timed perf.Measurement
	if err := measure.Replicate(t.Context(), side, backend, cells, options, func(m perf.Measurement) error { timed = m; return nil }); err != nil {
		t.Fatal(err)
	}
	return parity, timed
}

// TestModelsAreTimed measures models that are not Apex-X: what they compute while they are timed is held to float64, and a falsified output,
// whatever its name, is no pass.
func TestModelsAreTimed(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(*network)
	}{{"transformer", transformerLayer}, {"detector", detectorHead}} {
		m, err := NewNetworkModel(networkFile(t, c.name, c.build), nil, 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, backend := range []string{"reference", toydevice.Name} {
			parity, timed := timeModel(t, m, backend)
			if parity.Parity.State != evidence.Pass || timed.State != evidence.Measured || len(timed.Samples) != 3 || timed.Outputs.Parity.State != evidence.Pass {
				t.Errorf("%s on %s: %+v, %+v of %d samples", c.name, backend, parity.Parity, timed.Outputs, len(timed.Samples))
			}
		}
		parity, timed := timeModel(t, m, "reference", worker.InjectVariable+"=wrong@*/"+c.name+"/fp32/model")
		if parity.Parity.State != evidence.Fail || timed.Outputs.Parity.State != evidence.Fail {
			t.Errorf("%s, falsified: %+v, timed %+v", c.name, parity.Parity, timed.Outputs)
		}
	}
}

// TestModelsWithoutAnOracle asks for a model of which the reference lacks an operator: nobody knows what it should give.
func TestModelsWithoutAnOracle(t *testing.T) {
	m, err := NewNetworkModel(networkFile(t, "gru", gated), nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	parity, timed := timeModel(t, m, "reference")
	if parity.Parity.State != evidence.Unsupported || timed.State != evidence.Unsupported || !strings.Contains(timed.Detail, "GRU (node gru: ") {
		t.Errorf("without the operator: %+v, %s %s", parity.Parity, timed.State, timed.Detail)
	}
	ort, err := Open("ort", Options{})
	if err != nil || ort.Probe(t.Context()).Err("ort") != nil {
		t.Skip("ONNX Runtime is not here")
	}
	parity, timed = timeModel(t, m, "ort")
	for _, p := range []perf.Parity{parity.Parity, timed.Outputs.Parity} {
		if p.State != evidence.Unverified || !strings.Contains(p.Detail, "no float64 oracle: operators that it lacks: GRU (node gru: ") {
			t.Errorf("without an oracle: %+v", p)
		}
	}
}

// TestNetworkModelFeeds takes inputs that differ, of numbers that the model can take: an index beyond the given ones might have no word.
func TestNetworkModelFeeds(t *testing.T) {
	words := networkFile(t, "words", func(n *network) {
		n.Output("vectors", n.Add1("lookup", graph.Gather{Axis: 0}, n.weight(9, 2), n.Input("words", graph.Type{DType: tensor.Int64, Shape: []int{4}})))
	})
	of := func(ids ...int64) tensor.List {
		return tensor.List{{Name: "words", Tensor: tensor.Must(tensor.Of(ids, len(ids)))}}
	}
	for _, c := range []struct{ given, other []int64 }{{[]int64{8, 2, 0, 5}, []int64{5, 0, 2, 8}}, {[]int64{1, 1, 1, 1}, nil}} {
		m, err := NewNetworkModel(words, of(c.given...), 1)
		if err != nil {
			t.Fatal(err)
		}
		other := tensor.Data[int64](m.Feeds[1].Get("words"))
		if slices.Equal(other, c.given) || c.other != nil && !slices.Equal(other, c.other) {
			t.Errorf("%v beside %v, want %v", other, c.given, c.other)
		}
	}
	drawn, err := NewNetworkModel(words, nil, 7)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := drawn.Complete(context.Background(), measure.Shape{}); err != nil || !got.Setting.AnyModel || got.Digests.Weights != words.Digest {
		t.Errorf("%+v, %v", got, err)
	}
	constant := networkFile(t, "constant", func(n *network) {
		n.Output("same", n.unary("exp", graph.Exp, n.weight(2)))
	})
	if _, err := NewNetworkModel(constant, nil, 1); err == nil {
		t.Error("a model without inputs is timed")
	}
}
