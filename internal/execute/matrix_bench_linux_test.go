package execute

import (
	"syscall"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

// BenchmarkMatrix is the built-in matrix of twelve cases, the reference beside ONNX Runtime, under two profiles: its time, and the processor
// time of this program and its workers (cpu-s/op). On two quiet cores it has to end within 60 s: go test -bench Matrix -benchtime 1x.
func BenchmarkMatrix(b *testing.B) {
	if a := ort.On(ort.CPU).Probe(b.Context()); !a.Available {
		b.Skipf("ONNX Runtime is not here: %v", a.Err("ort"))
	}
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		b.Fatal(err)
	}
	runner := &MatrixRunner{Cases: map[string]Subject{}, Open: func(name string) (backends.Backend, error) { return Open(name, Options{Isolate: true}) }}
	spec := parity.MatrixSpec{Runner: runner, Replayer: runner, Budgets: runner,
		Columns:  []parity.Column{{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}},
		Policies: []parity.Policy{parity.Quality.Policy(parity.EndToEnd), parity.Balanced.Policy(parity.EndToEnd)}}
	for _, im := range append(fixtures.Photos(), fixtures.BuiltinScenes()...) {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			b.Fatal(err)
		}
		runner.Cases[c.Name] = &c
		spec.Cases = append(spec.Cases, ParityCase(&c))
	}
	before := processorTime(b)
	for b.Loop() {
		m, err := parity.Run(b.Context(), spec)
		if err != nil {
			b.Fatal(err)
		}
		if len(m.Cells) != 72 || !m.Passed() {
			b.Fatalf("%d cells, exit code %d", len(m.Cells), m.ExitCode())
		}
	}
	b.ReportMetric((processorTime(b)-before)/float64(b.N), "cpu-s/op")
}

// processorTime is that of this process and of its children that have ended, in seconds.
func processorTime(b *testing.B) (seconds float64) {
	b.Helper()
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var u syscall.Rusage
		if err := syscall.Getrusage(who, &u); err != nil {
			b.Fatal(err)
		}
		seconds += float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	return seconds
}
