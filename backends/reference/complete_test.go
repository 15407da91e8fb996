package reference_test

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/safetensors"
)

// goldenModel builds the complete model of a golden case and its input.
func goldenModel(t testing.TB, file *safetensors.File) (*graph.Graph, tensor.List) {
	t.Helper()
	yaml, err := fixtures.GoldenConfig()
	check(t, err)
	cfg, err := config.Parse(yaml, nil)
	check(t, err)
	params, err := safetensors.Parse(fixtures.NanoWeights())
	check(t, err)
	set, err := weights.FromFile(params, cfg)
	check(t, err)

	image, _ := file.Tensor("image")
	pixels, err := image.Float32s()
	check(t, err)
	opts := model.Options{Batch: image.Shape[0], Height: image.Shape[2], Width: image.Shape[3], Decode: decodeOf(t, file.Metadata())}
	g, err := model.Build(cfg, model.FromSet(set), opts)
	check(t, err)
	return g, tensor.List{{Name: "image", Tensor: tensor.Must(tensor.Of(pixels, image.Shape...))}}
}

func decodeOf(t testing.TB, meta map[string]string) model.Decode {
	number := func(key string) float64 {
		v, err := strconv.ParseFloat(meta[key], 64)
		check(t, err)
		return v
	}
	return model.Decode{
		ScoreThreshold: float32(number("score_threshold")), PreNMSTopK: int(number("pre_nms_topk")),
		IoUThreshold: float32(number("iou_threshold")), MaxDetections: int(number("max_detections")),
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestGolden compares complete runs with what the original computed: integers exactly, floats within 1e-4 absolute or 1e-3
// relative. Half of that tolerance must do.
func TestGolden(t *testing.T) {
	for _, name := range fixtures.GoldenCases() {
		file, err := fixtures.Golden(name)
		check(t, err)
		g, inputs := goldenModel(t, file)
		taps, err := fixtures.Taps(file)
		check(t, err)
		var wanted []string
		for _, tap := range taps {
			wanted = append(wanted, tap.Name)
		}
		for _, precision := range []backends.Precision{backends.FP32, backends.FP64} {
			s, err := reference.New().Compile(context.Background(), g, backends.Options{Precision: precision, Taps: wanted})
			check(t, err)
			out, err := backends.Run(context.Background(), s, inputs)
			check(t, err)
			for _, o := range out {
				if !strings.HasPrefix(o.Name, "tap.") {
					compareOutput(t, file, o)
				}
			}
			for _, tap := range taps {
				got := out.Get("tap." + tap.Name).Float64s()
				for i, want := range tap.Values {
					compareElement(t, tap.Name, i*tap.Stride, got[i*tap.Stride], float64(want))
				}
			}
			check(t, s.Close())
		}
	}
}

func compareOutput(t *testing.T, file *safetensors.File, got tensor.Named) {
	t.Helper()
	want, ok := file.Tensor("out." + got.Name)
	if !ok {
		t.Errorf("the golden file has no %s", got.Name)
		return
	}
	if ids, err := want.Int64s(); err == nil {
		for i, v := range tensor.Data[int64](got.Tensor) {
			if v != ids[i] {
				t.Errorf("%s: element %d is %d, want %d", got.Name, i, v, ids[i])
				return
			}
		}
		return
	}
	values, err := want.Float32s()
	check(t, err)
	for i, v := range got.Float64s() {
		if !compareElement(t, got.Name, i, v, float64(values[i])) {
			return
		}
	}
}

func compareElement(t *testing.T, name string, i int, got, want float64) bool {
	t.Helper()
	if d := math.Abs(got - want); !(d <= 0.5e-4 || d <= 0.5e-3*math.Abs(want)) || math.IsInf(d, 0) {
		t.Errorf("%s: element %d is %v, want %v", name, i, got, want)
		return false
	}
	return true
}

// BenchmarkComplete runs the complete nano model on one image of 512×512 pixels.
func BenchmarkComplete(b *testing.B) {
	file, err := fixtures.Golden(fixtures.Golden512)
	check(b, err)
	g, inputs := goldenModel(b, file)
	for _, precision := range []backends.Precision{backends.FP32, backends.FP64} {
		b.Run(string(precision), func(b *testing.B) {
			s, err := reference.New().Compile(context.Background(), g, backends.Options{Precision: precision})
			check(b, err)
			defer s.Close()
			b.ReportMetric(float64(s.Memory().Host)/(1<<20), "MiB")
			for b.Loop() {
				_, err := backends.Run(context.Background(), s, inputs)
				check(b, err)
			}
		})
	}
}
