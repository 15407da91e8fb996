package backendtest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/ort"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/safetensors"
)

// open compiles the complete trained nano model for one 512×512 image, under the golden budgets.
func open(tb testing.TB, b backends.Backend, threads int) (backends.Session, tensor.List) {
	tb.Helper()
	cfg, err := config.Parse(nil, []string{"model.profile=nano", "model.num_classes=8", "routing.budget_total=16", "routing.budget_b1=6.4", "routing.budget_b2=4"})
	if err != nil {
		tb.Fatal(err)
	}
	file, err := safetensors.Parse(fixtures.NanoWeights())
	if err != nil {
		tb.Fatal(err)
	}
	set, err := weights.FromFile(file, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	g, err := model.Build(cfg, model.FromSet(set), model.Options{Batch: 1, Height: 512, Width: 512, Decode: model.DefaultDecode()})
	if err != nil {
		tb.Fatal(err)
	}
	s, err := b.Compile(tb.Context(), g, backends.Options{Threads: threads})
	if err != nil {
		tb.Skip(err)
	}
	image := tensor.New(tensor.Float32, 1, 3, 512, 512)
	for i := range tensor.Data[float32](image) {
		tensor.Data[float32](image)[i] = float32(i*7919%1009) / 1009
	}
	return s, tensor.List{{Name: "image", Tensor: image}}
}

func run(tb testing.TB, s backends.Session, in tensor.List) time.Duration {
	start := time.Now()
	if _, err := backends.Run(tb.Context(), s, in); err != nil {
		tb.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkComplete times the complete model (nano, float32, 1×512², two threads) on the reference and on ONNX Runtime, in
// blocks A B B A of one process, and reports both medians and the median of the blocks' ratios. APEXX_ISA chooses the
// reference's code path.
func BenchmarkComplete(b *testing.B) {
	a, in := open(b, reference.New(), 2)
	defer a.Close()
	o, _ := open(b, ort.New(), 2)
	defer o.Close()
	compare(b, func(s backends.Session) time.Duration { return run(b, s, in) }, a, o)
}

// compare measures the reference and ONNX Runtime in blocks A B B A.
func compare(b *testing.B, measure func(backends.Session) time.Duration, reference, ort backends.Session) {
	for range 3 {
		measure(reference)
		measure(ort)
	}
	var refs, orts, ratios []float64
	for b.Loop() {
		var r, t [2]time.Duration
		r[0] = measure(reference)
		t[0] = measure(ort)
		t[1] = measure(ort)
		r[1] = measure(reference)
		ref, other := (r[0]+r[1]).Seconds()*500, (t[0]+t[1]).Seconds()*500
		refs, orts, ratios = append(refs, ref), append(orts, other), append(ratios, ref/other)
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(refs), "reference-ms")
	b.ReportMetric(median(orts), "ort-ms")
	b.ReportMetric(median(ratios), "reference/ort")
	b.ReportMetric(quantile(ratios, 0.1), "ratio-p10")
	b.ReportMetric(quantile(ratios, 0.9), "ratio-p90")
}

func median(v []float64) float64 { return quantile(v, 0.5) }

func quantile(v []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[int(q*float64(len(s)-1)+0.5)]
}
