//go:build cuda

package driver_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/backendtest"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/cuda/cover"
	"github.com/apex-x/apexx/backends/cuda/driver"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/modeltest"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
)

// device is the backend on the GPU of this machine. Where there is none, every test skips with the reason.
var device = cuda.New(driver.New())

var suite = backendtest.Options{Precisions: cuda.Precisions, Complete: true}

func TestOperators(t *testing.T) { backendtest.Run(t, device, suite) }

func TestModules(t *testing.T) { backendtest.RunModules(t, device, suite) }

func TestReplay(t *testing.T) { backendtest.RunReplay(t, device, suite) }

// complete builds a model with hashed weights, and an image for each sample, all different.
func complete(t *testing.T, batch, height, width int, set ...string) (*graph.Graph, tensor.List) {
	t.Helper()
	g := modeltest.Hashed(t, 5, model.Options{Batch: batch, Height: height, Width: width}, append([]string{"model.num_classes=8"}, set...)...)
	image := tensor.New(tensor.Float32, batch, 3, height, width)
	d := tensor.Data[float32](image)
	for i := range d {
		d[i] = float32(0.5 + 0.5*math.Sin(0.37*float64(i%9973)+float64(i/9973)))
	}
	return g, tensor.List{{Name: "image", Tensor: image}}
}

func open(t *testing.T, g *graph.Graph, opts backends.Options) backends.Session {
	t.Helper()
	return backendtest.Open(t, device, g, opts)
}

// TestBitsOfManyRuns: a thousand runs of a session give the same bits, while others run beside it.
func TestBitsOfManyRuns(t *testing.T) {
	backendtest.SkipWithout(t, device)
	g, inputs := complete(t, 1, 256, 256)
	var all sync.WaitGroup
	for _, p := range []backends.Precision{backends.FP32, backends.FP16, backends.FP32} {
		s := open(t, g, backends.Options{Precision: p, Taps: []string{"all"}})
		all.Go(func() {
			if err := backendtest.SameBits(context.Background(), s, inputs, 1000, 10); err != nil {
				t.Errorf("%s: %v", p, err)
			}
		})
	}
	all.Wait()
}

// TestPositionInBatch: an image gives the same bits at any place of a batch of any size.
func TestPositionInBatch(t *testing.T) {
	backendtest.SkipWithout(t, device)
	g, one := complete(t, 1, 128, 128)
	image := one[0].Tensor
	first, err := backends.Run(t.Context(), open(t, g, backends.Options{}), one)
	if err != nil {
		t.Fatal(err)
	}
	want := first.Clone()
	for batch := 2; batch <= 8; batch += 3 {
		g, inputs := complete(t, batch, 128, 128)
		s := open(t, g, backends.Options{})
		for at := range batch {
			d := tensor.Data[float32](inputs[0].Tensor)
			other := inputs.Clone()
			copy(tensor.Data[float32](other[0].Tensor)[at*len(d)/batch:], tensor.Data[float32](image))
			got, err := backends.Run(t.Context(), s, other)
			if err != nil {
				t.Fatal(err)
			}
			for i, w := range want {
				all, own := got[i].Tensor.Float64s(), w.Tensor.Float64s()
				for j, v := range own {
					if all[at*len(own)+j] != v {
						t.Fatalf("batch %d, place %d: element %d of %s is %v, alone it is %v", batch, at, j, w.Name, all[at*len(own)+j], v)
					}
				}
			}
		}
	}
}

// TestEveryKernel runs every kernel that this device can have at least once, and again for equal bits: few graphs, so that a tool that looks at every access
// to memory ends in time. Whether results are right, the suite says.
func TestEveryKernel(t *testing.T) {
	backendtest.SkipWithout(t, device)
	d, err := driver.New().Open()
	if err != nil {
		t.Fatal(err)
	}
	subjects, err := cover.Choose(t.Context(), d.Properties())
	if err = errors.Join(err, d.Close()); err != nil {
		t.Fatal(err)
	}
	on := device
	if *chained {
		on = cuda.New(inChains{driver.New()})
	}
	for _, s := range subjects {
		t.Run(s.Name, func(t *testing.T) {
			if err := backendtest.SameBits(t.Context(), backendtest.Open(t, on, s.Graph, s.Options), s.Inputs, 1, 1); err != nil {
				t.Error(err)
			}
			t.Logf("first to launch %s", strings.Join(s.Kernels, ", "))
		})
	}
}

// compute-sanitizer's initcheck forgets some of what kernels write that run side by side, and calls reading it uninitialised.
var chained = flag.Bool("chained", false, "TestEveryKernel: no two steps side by side")

// inChains is a driver whose devices execute the steps of a schedule one after the other.
type inChains struct{ cuda.Driver }

func (d inChains) Open() (cuda.Device, error) {
	opened, err := d.Driver.Open()
	return chainDevice{opened}, err
}

type chainDevice struct{ cuda.Device }

func (d chainDevice) Prepare(s cuda.Schedule) (cuda.Executable, error) {
	s.After = make([][]int, len(s.Steps))
	for i := range s.Steps {
		if i > 0 {
			s.After[i] = []int{i - 1}
		}
	}
	return d.Device.Prepare(s)
}

// TestOperandBeyondRange: in fp32 an operand that two fp16 halves cannot hold is an error that names the node; what is not a number stays so.
func TestOperandBeyondRange(t *testing.T) {
	backendtest.SkipWithout(t, device)
	b := graph.NewBuilder("range")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 8, 16, 16}})
	weights := tensor.New(tensor.Float32, 8, 8, 3, 3)
	for i := range tensor.Data[float32](weights) {
		tensor.Data[float32](weights)[i] = float32(i%7) - 3
	}
	root := b.Add1("power", graph.Binary{Fn: graph.Mul}, x, x)
	quotient := b.Add1("quotient", graph.Binary{Fn: graph.Div}, root, root) // 1, or of zeros no number
	b.Output("out", b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, b.Add1("product", graph.Binary{Fn: graph.Mul}, quotient, x), b.Const("w", weights)))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	s := open(t, g, backends.Options{})
	if !slices.ContainsFunc(s.Plan().Steps, func(s backends.Step) bool { return s.Op == "ConvSplit" }) {
		t.Skip("this device has no kernel that splits operands")
	}
	in := tensor.New(tensor.Float32, 1, 8, 16, 16)
	run := func(value float32) (tensor.List, error) {
		for i := range tensor.Data[float32](in) {
			tensor.Data[float32](in)[i] = 1
		}
		tensor.Data[float32](in)[0] = value
		return backends.Run(t.Context(), s, tensor.List{{Name: "x", Tensor: in}})
	}
	for _, value := range []float32{65520, -1e9} {
		if _, err := run(value); err == nil || !strings.HasPrefix(err.Error(), "node conv (ConvSplit): a value of magnitude 65520 or more") {
			t.Errorf("operand %v: %v", value, err)
		}
	}
	if out, err := run(65519); err != nil || out[0].Tensor.NonFinite() >= 0 {
		t.Errorf("the largest operand: %v", err)
	}
	if out, err := run(0); err != nil || out[0].Tensor.NonFinite() != 0 {
		t.Errorf("an operand that is not a number: %v", err)
	}
}

// TestShapes: extreme shapes and configurations run, and give finite scores.
func TestShapes(t *testing.T) {
	backendtest.SkipWithout(t, device)
	for _, c := range []struct {
		batch, height, width int
		set                  []string
	}{
		{1, 128, 128, nil}, {1, 128, 2048, nil}, {1, 2048, 2048, nil}, {32, 256, 256, nil},
		{2, 256, 384, []string{"routing.budget_b1=0"}},
		{2, 256, 384, []string{"model.nesting_depth=0", "model.kmax_l1=0"}},
		{1, 512, 512, []string{"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2"}},
		{1, 512, 512, []string{"model.force_dense_routing=true"}},
	} {
		t.Run(fmt.Sprintf("%dx%dx%d %v", c.batch, c.height, c.width, c.set), func(t *testing.T) {
			g, inputs := complete(t, c.batch, c.height, c.width, c.set...)
			s := open(t, g, backends.Options{})
			out, err := backends.Run(t.Context(), s, inputs)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range out {
				if i := o.Tensor.NonFinite(); i >= 0 {
					t.Errorf("%s: element %d is not finite", o.Name, i)
				}
			}
			t.Logf("device %v, memory %+v", s.LastTiming().Device, s.Memory())
		})
	}
}

// TestStepTimes writes the plan of the complete model at several sizes with the median device time of every step, one after the other,
// and the time of the whole as one CUDA graph, in which steps overlap: no more than that can save lies between it and their sum.
func TestStepTimes(t *testing.T) {
	backendtest.SkipWithout(t, device)
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights()})
	if err != nil {
		t.Fatal(err)
	}
	for _, shape := range [][2]int{{1, 512}, {1, 1024}, {8, 512}} {
		batch, side := shape[0], shape[1]
		g, err := m.Graph(model.Options{Batch: batch, Height: side, Width: side, Decode: model.DefaultDecode()})
		if err != nil {
			t.Fatal(err)
		}
		_, inputs := complete(t, batch, side, side)
		stepTimes(t, fmt.Sprintf("%dx%d", batch, side), g, inputs)
	}
}

func stepTimes(t *testing.T, shape string, g *graph.Graph, inputs tensor.List) {
	for _, p := range cuda.Precisions {
		t.Run(shape+"/"+string(p), func(t *testing.T) {
			whole, _ := medians(t, open(t, g, backends.Options{Precision: p}), inputs)
			s := open(t, g, backends.Options{Precision: p, StepTimes: true})
			sum, steps := medians(t, s, inputs)
			var b strings.Builder
			for i, step := range s.Plan().Steps {
				fmt.Fprintf(&b, "%9.1f µs  %-20s %-9v %s\n", micro(steps[i]), step.Op, step.Level, step.Name)
			}
			t.Logf("one graph %.1f µs; %d steps one after the other %.1f µs\n%s", micro(whole), len(steps), micro(sum), b.String())
			if sum < whole || sum > 3*whole || slices.Min(steps) <= 0 {
				t.Errorf("the steps take %v, the whole %v", sum, whole)
			}
		})
	}
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// medians executes a session some times and returns the medians of the device's time and of the steps'.
func medians(t *testing.T, s backends.Session, inputs tensor.List) (whole time.Duration, steps []time.Duration) {
	t.Helper()
	if err := s.Upload(t.Context(), inputs); err != nil {
		t.Fatal(err)
	}
	var all []time.Duration
	each := make([][]time.Duration, len(s.LastTiming().Steps))
	for range 50 {
		if err := s.Execute(t.Context()); err != nil {
			t.Fatal(err)
		}
		all = append(all, s.LastTiming().Device)
		for i, d := range s.LastTiming().Steps {
			each[i] = append(each[i], d)
		}
	}
	for _, list := range each {
		steps = append(steps, median(list))
	}
	return median(all), steps
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}
