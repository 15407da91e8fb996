package toydevice

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

// alignment of values in the device's memory, in bytes.
const alignment = 256

type backend struct{}

// Name is the backend's name.
const Name = "toy"

// New returns the backend. It is always available.
func New() backends.Backend { return backend{} }

// Name implements backends.Backend.
func (backend) Name() string { return Name }

var precisions = []backends.Precision{backends.FP32, backends.TF32, backends.FP16, backends.BF16}

// Probe implements backends.Backend.
func (backend) Probe(context.Context) backends.Availability {
	return backends.Availability{Available: true, Precisions: precisions, Facts: []backends.Fact{{Key: "device", Value: "memory of the host"}}}
}

// Compile implements backends.Backend.
func (backend) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	precision, err := backends.ParsePrecision(string(opts.Precision))
	if err != nil {
		return nil, err
	}
	if !slices.Contains(precisions, precision) {
		return nil, &backends.Unavailable{Backend: Name, Reason: backends.PrecisionUnsupported, Detail: fmt.Sprintf("asked for %s, this backend has %s", precision, backends.ChoiceOf(precisions))}
	}
	for key := range opts.Extra {
		return nil, fmt.Errorf("backend %s has no option %q", Name, key)
	}
	if err := backends.RefuseOpaque(Name, g); err != nil {
		return nil, err
	}
	if g, err = opts.Specialize(g); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p, err := lower.Import(g, tensor.Float32, opts.Taps)
	if err != nil {
		return nil, err
	}
	if err := p.Fold(fold); err != nil {
		return nil, err
	}
	p.Fuse(rules)
	s := &session{graph: backends.InputsOf(g), precision: precision}
	s.build(p)
	if opts.StepTimes {
		s.timing.Steps = make([]time.Duration, len(s.kernels))
	}
	p.Discard()
	return s, nil
}

// fold computes constants on the host, each as memory has it.
func fold(p *lower.Program) error {
	for _, n := range p.Nodes {
		var in []*tensor.Tensor
		for _, v := range n.In {
			if v == nil {
				in = append(in, nil)
				continue
			}
			in = append(in, wide(v.Data))
		}
		out, err := compute(plain(n), in)
		if err != nil {
			return fmt.Errorf("node %s: %w", n.Name, err)
		}
		for i, v := range n.Out {
			v.Data = narrow(out[i])
		}
	}
	return nil
}

func wide(t *tensor.Tensor) *tensor.Tensor {
	if t.DType() != tensor.Float32 {
		return t
	}
	return tensor.Must(tensor.Of(t.Float64s(), t.Shape()...))
}

// build gives every value its place, writes the constants to the device and makes the kernels.
func (s *session) build(p *lower.Program) {
	steps := planSteps(p)
	arena := p.Place(steps, lower.Layout{Align: alignment})
	s.arena = arena.Bytes
	s.memory = make(memory, arena.Bytes)
	constants := map[*lower.Value]int{}
	at := func(v *lower.Value) address {
		a := address{v.Place(), v.DType, v.Shape}
		owner, off := v.Root()
		if !owner.Constant {
			return a
		}
		if _, ok := constants[owner]; !ok {
			constants[owner] = len(s.memory)
			s.memory = append(s.memory, make(memory, (owner.Bytes()+alignment-1)/alignment*alignment)...)
			s.memory.write(address{at: constants[owner]}, owner.Data)
		}
		a.at = constants[owner] + off*v.DType.Size()
		return a
	}
	for _, step := range steps {
		s.kernels = append(s.kernels, newKernel(step.Node, at))
	}
	for _, v := range p.Inputs {
		s.inputs = append(s.inputs, at(v))
	}
	for _, o := range p.Outputs {
		s.results = append(s.results, at(o.Value))
		s.outputs = append(s.outputs, tensor.Named{Name: o.Name, Tensor: tensor.New(o.Value.DType, o.Value.Shape...)})
	}
	s.plan = lower.Describe(p, steps, s.arena, func(i int, step *backends.Step) { s.describe(steps[i].Node, step) })
}

// planSteps lowers the nodes: reshaped values are views, and everything else is a step whose result may take any operand's place, as
// kernels load all of it first.
func planSteps(p *lower.Program) []*lower.Step {
	var steps []*lower.Step
	for _, n := range p.Nodes {
		if op := n.Op.OpType(); op == "Identity" || op == "Reshape" {
			n.Out[0].ViewOf(n.In[0], 0)
			continue
		}
		if !slices.ContainsFunc(n.Out, func(v *lower.Value) bool { return v.Len() > 0 }) {
			continue
		}
		s := &lower.Step{Node: n}
		for _, v := range n.In {
			if v != nil {
				s.Allow(v)
			}
		}
		steps = append(steps, s)
	}
	return steps
}

// describe says how a step is executed.
func (s *session) describe(n *lower.Node, step *backends.Step) {
	step.Level, step.Precision = backends.Native, s.precision
	for _, part := range n.Parts() {
		if !slices.Contains(kernels, part.Op.OpType()) {
			step.Level, step.Reason = backends.Fallback, backends.OperatorUnsupported
			return
		}
	}
	if s.precision.Format() != "" {
		step.Level, step.Reason = backends.Emulated, backends.PrecisionEmulated
	}
}
