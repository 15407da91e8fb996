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

// BenchmarkFirstAnswer locates in a scene of 512×512 and reports the time to the first answer, and that in forward passes: in the time that the
// reference takes in the same run, compiled and with a tap on every value between steps.
func BenchmarkFirstAnswer(b *testing.B) {
	g, inputs := largeScene(b)
	for _, candidate := range []backends.Backend{reference.New(), ort.New()} {
		b.Run(candidate.Name(), func(b *testing.B) {
			if a := candidate.Probe(b.Context()); !a.Available {
				b.Skip(a.Detail)
			}
			var first, forward time.Duration
			for b.Loop() {
				trace, err := locate.Run(b.Context(), locate.Spec{Graph: g, Inputs: inputs, Oracle: reference.New(), Profile: "balanced",
					Reference: locate.Side{Backend: reference.New()}, Candidate: locate.Side{Backend: candidate}})
				if err != nil {
					b.Fatal(err)
				}
				first += trace.First
				for _, p := range trace.Passes {
					b.Logf("%s %v", p.Name, p.Time)
					if p.Name == "reference" {
						forward += p.Time
					}
				}
			}
			b.ReportMetric(first.Seconds()/float64(b.N), "s/first")
			b.ReportMetric(first.Seconds()/forward.Seconds(), "forwards/first")
		})
	}
}
