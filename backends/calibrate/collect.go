package calibrate

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Histograms are those of values, by name.
type Histograms map[string]*Histogram

// Collect executes a graph in fp32 on every input and counts the elements of the values whose ranges graph.Lower asks for. All inputs have the
// shapes of the graph; graphs of one model for several shapes have values of the same names. An element that is not finite is an error.
func (h Histograms) Collect(ctx context.Context, b backends.Backend, g *graph.Graph, inputs iter.Seq[tensor.List], threads int) (err error) {
	taps := []string{}
	for _, v := range g.Ranged() {
		if h[v.Name] == nil {
			h[v.Name] = &Histogram{}
		}
		if v.Producer != nil {
			taps = append(taps, v.Name)
		}
	}
	s, err := b.Compile(ctx, g, backends.Options{Threads: threads, Taps: taps})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	for in := range inputs {
		out, err := backends.Run(ctx, s, in)
		if err != nil {
			return err
		}
		for _, v := range g.Ranged() {
			t := in.Get(v.Name)
			if v.Producer != nil {
				t = out.Get("tap." + v.Name)
			}
			if !h[v.Name].Add(tensor.Data[float32](t)) {
				return fmt.Errorf("the value %q has a NaN or an infinity", v.Name)
			}
		}
	}
	return nil
}

// Ranges chooses the range of every value.
func (h Histograms) Ranges(m Method) map[string]float32 {
	ranges := map[string]float32{}
	for name, one := range h {
		ranges[name] = m.Range(one)
	}
	return ranges
}
