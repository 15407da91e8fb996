// Command quantise measures what int8 and fp8 cost, by profile and layer by layer: where the tables of backends/graph/ROUNDING.md and the lists
// of package calibrate come from.
//
//	go run ./parity/testdata/quantise [-backend ort] [-scenes 64] [-method max] [-profiles LIST] [-layers] PRECISION...
//
// The ranges are those of the eight built-in scenes; the costs are of the first of the 64, against the same backend in fp32: F1 of the
// detections as sets at an IoU of 0.5 and of 0.95, and the root mean square by which the logit of a score moves, over the pairs of anchor and
// class of the three finest levels that have a score of at least 0.03. With -layers, a table of each layer of the profile edge: what is lost with this
// layer rounded and all others in float32, and with this layer in float32 and all others rounded. A row is printed as soon as it is known.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

func main() {
	b := &bench{}
	flag.StringVar(&b.backend, "backend", "ort", "backend")
	flag.IntVar(&b.scenes, "scenes", 64, "number of scenes")
	flag.StringVar(&b.method, "method", "max", "method of calibration")
	flag.StringVar(&b.profiles, "profiles", "edge,balanced,quality", "precision profiles")
	flag.BoolVar(&b.layers, "layers", false, "layer by layer")
	flag.Parse()
	if err := b.run(context.Background(), flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "quantise:", err)
		os.Exit(1)
	}
}

type bench struct {
	backend, method, profiles string
	scenes                    int
	layers                    bool

	graph  *graph.Graph
	cases  []source.Case
	ranges map[string]float32
	full   []tensor.List
}

// logits are tapped, those of the classes before those of the quality.
var logits = []string{"det.cls.P3", "det.cls.P4", "det.cls.P5", "det.quality.P3", "det.quality.P4", "det.quality.P5"}

func (b *bench) run(ctx context.Context, precisions []string) error {
	if err := b.open(ctx); err != nil {
		return err
	}
	var err error
	if b.full, err = b.outputs(ctx, backends.FP32, nil); err != nil {
		return err
	}
	for _, name := range precisions {
		p := backends.Precision(name)
		for _, name := range strings.Split(b.profiles, ",") {
			profile, err := calibrate.ParseProfile(name)
			if err != nil {
				return err
			}
			if err := b.print(ctx, profile.Name, p, profile.Wide(b.graph)); err != nil {
				return err
			}
		}
		if !b.layers {
			continue
		}
		if err := b.printLayers(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// open makes the cases and the ranges.
func (b *bench) open(ctx context.Context) error {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		return err
	}
	images, err := fixtures.Scenes()
	if err != nil {
		return err
	}
	var calibration []source.Case
	for i, im := range slices.Concat(fixtures.BuiltinScenes(), images[:min(b.scenes, len(images))]) {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			return err
		}
		if i < len(fixtures.BuiltinScenes()) {
			calibration = append(calibration, c)
		} else {
			b.cases = append(b.cases, c)
		}
	}
	if b.graph, err = m.Graph(b.cases[0].Options(model.DefaultDecode())); err != nil {
		return err
	}
	method, err := calibrate.ParseMethod(b.method)
	if err != nil {
		return err
	}
	backend, err := execute.Open(b.backend, execute.Options{})
	if err != nil {
		return err
	}
	key, err := execute.CalibrationKey(m, calibration, calibrate.Edge, method, "", execute.Variables(ctx, backend))
	if err != nil {
		return err
	}
	f, err := execute.Calibrate(ctx, backend, m, calibration, key, 1, func(int) {})
	if err == nil {
		b.ranges = f.Ranges
	}
	return err
}

// outputs runs every case with some nodes kept in float32.
func (b *bench) outputs(ctx context.Context, p backends.Precision, wide []string) ([]tensor.List, error) {
	backend, err := execute.Open(b.backend, execute.Options{})
	if err != nil {
		return nil, err
	}
	g := *b.graph
	g.Calibration = &graph.Calibration{Ranges: b.ranges, Wide: wide}
	s, err := backend.Compile(ctx, &g, backends.Options{Precision: p, Threads: 1, Taps: logits})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var all []tensor.List
	for _, c := range b.cases {
		out, err := backends.Run(ctx, s, c.Tensors())
		if err != nil {
			return nil, err
		}
		kept := tensor.List{}
		for _, name := range []string{"boxes", "scores", "class_ids", "valid_counts"} {
			kept = append(kept, tensor.Named{Name: name, Tensor: out.Get(name).Clone()})
		}
		for _, name := range logits {
			kept = append(kept, tensor.Named{Name: name, Tensor: out.Get("tap." + name).Clone()})
		}
		all = append(all, kept)
	}
	return all, nil
}

// cost is what rounding costs.
type cost struct {
	half, most parity.SetCount // at an IoU of 0.5 and of 0.95
	logit      float64         // root mean square
}

// cost compares sessions with some nodes in float32 with those in fp32.
func (b *bench) cost(ctx context.Context, p backends.Precision, wide []string) (c cost, err error) {
	low, err := b.outputs(ctx, p, wide)
	if err != nil {
		return c, err
	}
	sum, pairs := 0.0, 0
	for i := range low {
		c.half.Add(parity.CountSetsAt(b.full[i], low[i], 0.5))
		c.most.Add(parity.CountSets(b.full[i], low[i]))
		s, n := moved(b.full[i], low[i])
		sum, pairs = sum+s, pairs+n
	}
	c.logit = math.Sqrt(sum / float64(pairs))
	return c, nil
}

func (b *bench) print(ctx context.Context, name string, p backends.Precision, wide []string) error {
	c, err := b.cost(ctx, p, wide)
	if err == nil {
		fmt.Printf("%s %-8s F1 %.4f at IoU 0.5, %.4f at 0.95, logit of a score %.4f; %d products in float32, %.1f %% of the operations\n",
			p, name, c.half.F1(), c.most.F1(), c.logit, len(wide), 100*b.share(wide))
	}
	return err
}

// printLayers writes a table of all layers.
func (b *bench) printLayers(ctx context.Context, p backends.Precision) error {
	fmt.Printf("\n%s, %d scenes\n\n| layer | share of operations | F1 at IoU 0.5, alone | at 0.95, alone | logit of a score, alone | kept in float32, F1 of the rest | logit of the rest |\n"+
		"|---|---|---|---|---|---|---|\n", p, len(b.cases))
	all := b.graph.Products()
	for _, layer := range layersOf(all) {
		own := named(all, func(n *graph.Node) bool { return calibrate.Layer(n) == layer })
		alone, err := b.cost(ctx, p, named(all, func(n *graph.Node) bool { return calibrate.Layer(n) != layer }))
		if err != nil {
			return err
		}
		rest, err := b.cost(ctx, p, own)
		if err != nil {
			return err
		}
		fmt.Printf("| `%s` | %.1f %% | %.3f | %.3f | %.3f | %.3f | %.3f |\n", layer, 100*b.share(own), alone.half.F1(), alone.most.F1(), alone.logit, rest.half.F1(), rest.logit)
	}
	return nil
}

// moved adds up the squares by which logits of scores move.
func moved(ref, cand tensor.List) (sum float64, pairs int) {
	data := func(list tensor.List, at int) []float32 { return tensor.Data[float32](list.Get(logits[at])) }
	for level := range 3 {
		cells := len(data(ref, level+3))
		for i := range data(ref, level) {
			r := logit(data(ref, level)[i], data(ref, level+3)[i%cells])
			if r < math.Log(0.03/0.97) {
				continue
			}
			d := logit(data(cand, level)[i], data(cand, level+3)[i%cells]) - r
			sum, pairs = sum+d*d, pairs+1
		}
	}
	return sum, pairs
}

// logit returns ln(s/(1-s)) of the score s = σ(class)·σ(quality).
func logit(class, quality float32) float64 {
	s := 1 / (1 + math.Exp(-float64(class))) / (1 + math.Exp(-float64(quality)))
	return math.Log(s / (1 - s))
}

// share returns the share of the multiplications of all products that some nodes have.
func (b *bench) share(names []string) float64 {
	part, all := 0.0, 0.0
	for _, n := range b.graph.Products() {
		w := n.Inputs[1].Shape
		of := float64(n.Outputs[0].Len() * graph.Type{Shape: w[1:]}.Len())
		if _, conv := n.Op.(graph.Conv); !conv {
			of = float64(n.Outputs[0].Len() * n.Inputs[0].Shape[len(n.Inputs[0].Shape)-1])
		}
		if all += of; slices.Contains(names, n.Name) {
			part += of
		}
	}
	return part / all
}

func layersOf(products []*graph.Node) []string {
	var out []string
	for _, n := range products {
		if layer := calibrate.Layer(n); !slices.Contains(out, layer) {
			out = append(out, layer)
		}
	}
	return out
}

func named(nodes []*graph.Node, which func(n *graph.Node) bool) []string {
	var out []string
	for _, n := range nodes {
		if which(n) {
			out = append(out, n.Name)
		}
	}
	return out
}
