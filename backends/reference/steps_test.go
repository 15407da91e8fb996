package reference

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/safetensors"
)

// nano512 builds the complete trained nano model for one image of 512×512 pixels, and reads the picture of a golden case.
func nano512(tb testing.TB) (*graph.Graph, tensor.List) {
	tb.Helper()
	yaml, err := fixtures.GoldenConfig()
	require(tb, err)
	cfg, err := config.Parse(yaml, nil)
	require(tb, err)
	file, err := safetensors.Parse(fixtures.NanoWeights())
	require(tb, err)
	set, err := weights.FromFile(file, cfg)
	require(tb, err)
	g, err := model.Build(cfg, model.FromSet(set), model.Options{Batch: 1, Height: 512, Width: 512, Decode: model.DefaultDecode()})
	require(tb, err)
	golden, err := fixtures.Golden(fixtures.Golden512)
	require(tb, err)
	image, _ := golden.Tensor("image")
	pixels, err := image.Float32s()
	require(tb, err)
	return g, tensor.List{{Name: "image", Tensor: tensor.Must(tensor.Of(pixels, image.Shape...))}}
}

func require(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkSteps reports where the time of the complete nano model goes: for every kind of step its number, the sum of their median
// times and its share, and then the slowest steps.
func BenchmarkSteps(b *testing.B) {
	g, inputs := nano512(b)
	for _, set := range []settings{fp32(), fp64()} {
		b.Run(set.float.String(), func(b *testing.B) {
			s := open(b, g, set)
			load(s.inputs[0], inputs[0].Tensor)
			times := make([][]time.Duration, len(s.steps))
			for b.Loop() {
				for i, st := range s.steps {
					start := time.Now()
					require(b, st.run())
					times[i] = append(times[i], time.Since(start))
				}
			}
			fmt.Print("\n", stepTable(s.plan, times))
		})
	}
}

// stepTable lists kinds of steps and single ones by their time.
func stepTable(plan backends.Plan, times [][]time.Duration) string {
	type row struct {
		name  string
		steps int
		time  time.Duration
	}
	kinds, single, total := map[string]row{}, []row{}, time.Duration(0)
	for i, t := range times {
		slices.Sort(t)
		median := t[len(t)/2]
		op := plan.Steps[i].Op
		kinds[op] = row{op, kinds[op].steps + 1, kinds[op].time + median}
		single = append(single, row{op + " " + plan.Steps[i].Name, 1, median})
		total += median
	}
	var rows []row
	for _, r := range kinds {
		rows = append(rows, r)
	}
	text := fmt.Sprintf("%10v in all\n", total)
	for _, list := range [][]row{rows, single} {
		slices.SortFunc(list, func(x, y row) int { return cmp.Compare(y.time, x.time) })
		for _, r := range list[:min(len(list), 40)] {
			text += fmt.Sprintf("%10v %5.1f %%  %3d  %s\n", r.time.Round(time.Microsecond), 100*r.time.Seconds()/total.Seconds(), r.steps, r.name)
		}
	}
	return text
}
