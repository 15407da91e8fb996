package backendtest

import (
	"context"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// drifting changes an output a little in one of its executions.
type drifting struct {
	backends.Session
	at, executed int
}

func (d *drifting) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := d.Session.Download(ctx, names...)
	if err == nil && d.executed == d.at {
		out = out.Clone()
		tensor.Data[float32](out[0].Tensor)[1] += 1e-7
	}
	return out, err
}

func (d *drifting) Execute(ctx context.Context) error {
	d.executed++
	return d.Session.Execute(ctx)
}

func TestSameBits(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{2}})))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	inputs := tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of([]float32{0.5, 0.25}, 2))}}
	for _, tt := range []struct {
		at   int // which execution differs; the first is that of the run that the others are held to
		want string
	}{{-1, ""}, {1 + 1, "execution 0: y has other bits"}, {1 + 1 + 4, "execution 4: y has other bits"}, {1 + 1 + 3, ""}} {
		s, err := reference.New().Compile(t.Context(), g, backends.Options{Precision: backends.FP32})
		if err != nil {
			t.Fatal(err)
		}
		err = SameBits(t.Context(), &drifting{Session: s, at: tt.at}, inputs, 6, 2)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("execution %d differs: %v, want %q", tt.at, err, tt.want)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
