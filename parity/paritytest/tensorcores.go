package paritytest

import (
	"context"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// TensorCores is a backend of fp8 whose products are added up as NVIDIA's matrix units of Hopper do (unit.go), and whose other operators another
// backend computes, in float32.
type TensorCores struct{ backends.Backend }

// Compile takes fp8 alone. The products have one processor, whatever the options say.
func (b TensorCores) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	if o.Precision != backends.FP8 {
		return nil, fmt.Errorf("matrix units of fp8 do not compute in %s", o.Precision)
	}
	low, err := o.Apply(g)
	if err != nil {
		return nil, err
	}
	s := &staged{graph: low, stages: stagesOf(low)}
	for _, part := range s.stages {
		if len(part.out) == 0 {
			continue
		}
		cut, err := low.Cut(part.in, part.out)
		if err == nil {
			part.session, err = b.Backend.Compile(ctx, cut, backends.Options{Precision: backends.FP32, Threads: o.Threads})
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
	return s, nil
}

// A stage is what can be computed without the products of later stages: first the values out from the values in, then products.
type stage struct {
	in, out  []*graph.Value
	products []*graph.Node
	session  backends.Session // nil where there are products alone
}

// stagesOf divides a graph behind its products.
func stagesOf(g *graph.Graph) []*stage {
	d := divider{at: map[*graph.Value]int{}, given: map[*graph.Value]bool{}}
	for _, v := range g.Inputs {
		d.given[v] = true
	}
	for _, n := range g.Nodes {
		d.add(n)
	}
	for _, p := range g.Outputs {
		d.keep(p.Value)
	}
	return d.stages
}

// A divider knows the stage of each value.
type divider struct {
	stages []*stage
	at     map[*graph.Value]int  // by value: the first stage that can read it
	given  map[*graph.Value]bool // inputs of the graph, and what products compute
}

func (d *divider) add(n *graph.Node) {
	own, product := 0, isProduct(n)
	for _, v := range n.Inputs {
		own = max(own, d.at[v])
	}
	part := d.stage(own)
	for _, v := range n.Inputs {
		if v == nil || v.Const != nil || !product && !d.given[v] && d.at[v] == own {
			continue
		}
		d.keep(v)
		if !product && !slices.Contains(part.in, v) {
			part.in = append(part.in, v)
		}
	}
	if product {
		part.products = append(part.products, n)
		own++
	}
	for _, v := range n.Outputs {
		d.at[v], d.given[v] = own, product
	}
}

// keep lets a value outlive its stage.
func (d *divider) keep(v *graph.Value) {
	if part := d.stage(d.at[v]); !d.given[v] && !slices.Contains(part.out, v) {
		part.out = append(part.out, v)
	}
}

func (d *divider) stage(i int) *stage {
	for len(d.stages) <= i {
		d.stages = append(d.stages, &stage{})
	}
	return d.stages[i]
}

// staged is a session of TensorCores.
type staged struct {
	graph    *graph.Graph
	stages   []*stage
	values   map[*graph.Value]*tensor.Tensor // those of the last run that outlive their stage
	progress backends.Progress
	timing   backends.Timing
}

func (s *staged) Upload(_ context.Context, inputs tensor.List) error {
	s.values = map[*graph.Value]*tensor.Tensor{}
	return s.progress.Upload(s.graph, inputs, &s.timing, func(i int, x *tensor.Tensor) error {
		s.values[s.graph.Inputs[i]] = x.Clone()
		return nil
	})
}

func (s *staged) Execute(ctx context.Context) error {
	return s.progress.Execute(ctx, &s.timing, func() error {
		for _, part := range s.stages {
			if err := s.run(ctx, part); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *staged) run(ctx context.Context, part *stage) error {
	if part.session != nil {
		var in tensor.List
		for _, v := range part.in {
			in = append(in, tensor.Named{Name: v.Name, Tensor: s.values[v]})
		}
		out, err := backends.Run(ctx, part.session, in)
		if err != nil {
			return err
		}
		for _, v := range part.out {
			s.values[v] = out.Get(v.Name).Clone()
		}
	}
	for _, n := range part.products {
		s.values[n.Outputs[0]] = product(n, s.values)
	}
	return nil
}

func (s *staged) Download(_ context.Context, names ...string) (tensor.List, error) {
	var all tensor.List
	for _, p := range s.graph.Outputs {
		all = append(all, tensor.Named{Name: p.Name, Tensor: s.values[p.Value]})
	}
	return s.progress.Download(all, names, &s.timing, nil)
}

func (s *staged) LastTiming() backends.Timing { return s.timing }
func (s *staged) Plan() backends.Plan         { return backends.Plan{} }
func (s *staged) Memory() backends.MemoryUse  { return backends.MemoryUse{} }

func (s *staged) Close() error {
	s.progress.Close()
	for _, part := range s.stages {
		if part.session != nil {
			part.session.Close()
		}
	}
	return nil
}
