package locate_test

import (
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/faults"
	"github.com/apex-x/apexx/parity/locate"
)

// largeScene returns the trained model for a scene of 512×512.
func largeScene(b *testing.B) (*graph.Graph, tensor.List) {
	b.Helper()
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: []string{"model.input_height=512", "model.input_width=512"}})
	if err != nil {
		b.Fatal(err)
	}
	c, err := m.PictureCase("scene", fixtures.BuiltinScenes()[0].Data, model.DefaultDecode())
	if err != nil {
		b.Fatal(err)
	}
	g, err := m.Graph(c.Options(c.Decode))
	if err != nil {
		b.Fatal(err)
	}
	return g, c.Tensors()
}

// BenchmarkFirstAnswer locates a wrong epsilon in the middle of a scene of 512×512, and reports the time to the first answer, and that in
// forward passes of the same run: what a session of the slower side takes that is compiled, with a tap on every value between steps, and
// runs once.
func BenchmarkFirstAnswer(b *testing.B) {
	g, inputs := largeScene(b)
	for _, backend := range []backends.Backend{reference.New(), ort.New()} {
		b.Run(backend.Name(), func(b *testing.B) {
			if a := backend.Probe(b.Context()); !a.Available {
				b.Skip(a.Detail)
			}
			candidate := &faults.Backend{Backend: backend, Planted: faultOf(b, "a wrong epsilon of a group norm", "det_head.box_tower.1.P3", 1e-1)}
			var first, forward time.Duration
			for b.Loop() {
				trace, err := locate.Run(b.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "balanced",
					Reference: locate.Side{Backend: reference.New()}, Candidate: locate.Side{Backend: candidate}})
				if err != nil {
					b.Fatal(err)
				}
				if f := trace.Finding; f == nil || f.Node != candidate.Node || trace.First.Step != f.Step {
					b.Fatalf("the finding is %+v, the first answer %+v", f, trace.First)
				}
				first += trace.First.Time
				slowest := time.Duration(0)
				for _, p := range trace.Passes {
					b.Logf("%-24s %v", p.Name, p.Time.Round(time.Millisecond))
					switch p.Name {
					case "reference":
						slowest = max(slowest, p.Time)
					case "candidate, free": // once with taps, once without
						slowest = max(slowest, p.Time/2)
					}
				}
				forward += slowest
			}
			b.ReportMetric(first.Seconds()/float64(b.N), "s/first")
			b.ReportMetric(first.Seconds()/forward.Seconds(), "forwards/first")
		})
	}
}
