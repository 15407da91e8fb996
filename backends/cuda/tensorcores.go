package cuda

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// Convolutions on tensor cores. They read maps: values [B,C,H,W] as [image][pixel][channel] in the format of the session's precision, C a
// multiple of 8. A node Map makes the map of a value, once for all that read it; ConvTensor reads it and writes float32 planes, the graph's own layout.
//
// In tf32, fp16 and bf16 the operands are what the graph rounded, so the map is the value without loss and every product is exact. In fp32 each
// product is made of three fp16 products (kernels/conv.h), with an error like that of float32: ConvSplit in the plan.
const (
	opMap        = lower.Fused("Map")
	opRoundMap   = "RoundMap" // a map rounds what it stores, and in tf32 the convolution what it reads
	opConvTensor = lower.Fused("ConvTensor")
	opConvSplit  = lower.Fused("ConvSplit")
)

// mapFormat is the format of maps in a session that rounds to f.
func mapFormat(f graph.Format) kernels.Format {
	switch f {
	case graph.FP16:
		return kernels.F16
	case graph.BF16:
		return kernels.BF16
	case graph.TF32:
		return kernels.TF32
	}
	return kernels.F32
}

// useTensorCores turns the convolutions that the kernels of the network can compute on this device into ConvTensor or ConvSplit.
func (c *compiler) useTensorCores(p *lower.Program) {
	format, op := mapFormat(c.rounded), c.convOp()
	maps := map[*lower.Value]*lower.Value{}
	var nodes []*lower.Node
	for _, n := range p.Nodes {
		if g, ok := c.geometryOf(n); ok {
			x := n.In[0]
			if !g.Image {
				if maps[x] == nil {
					m := &lower.Node{Name: x.Name + " map", Op: opMap, In: []*lower.Value{x}}
					maps[x] = &lower.Value{Name: m.Name, DType: x.DType, Shape: x.Shape, Producer: m}
					m.Out = []*lower.Value{maps[x]}
					c.maps[maps[x]] = format
					nodes = append(nodes, m)
				}
				n.In[0] = maps[x]
			}
			c.convs[n.Name], n.Op = g, op
		}
		nodes = append(nodes, n)
	}
	p.SetNodes(nodes)
	p.Fuse([]lower.Rule{{Name: opRoundMap, Pattern: lower.Pattern{Op: string(opMap), Role: "map", In: []lower.Pattern{{Op: "Round", Role: "round"}}}}})
	c.chain(p)
}

// convOp is what convolutions on tensor cores are called in this session.
func (c *compiler) convOp() lower.Fused {
	if c.rounded == "" {
		return opConvSplit
	}
	return opConvTensor
}

// geometryOf returns the geometry of a convolution that a kernel can compute here.
func (c *compiler) geometryOf(n *lower.Node) (kernels.Geometry, bool) {
	op, ok := n.Op.(graph.Conv)
	if !ok || op.Group != 1 || !n.In[1].Constant || n.Input(2) != nil && !n.In[2].Constant || n.Out[0].Len() == 0 {
		return kernels.Geometry{}, false
	}
	x, w := n.In[0], n.In[1]
	g := kernels.Geometry{Taps: w.Shape[2] * w.Shape[3], Stride: op.Strides[0]}
	switch pads := w.Shape[2] / 2; {
	case w.Shape[2] != w.Shape[3] || op.Strides[0] != op.Strides[1] || op.Pads != [4]int{pads, pads, pads, pads}:
		return g, false
	case g == kernels.Conv3x3By2 && x.Shape[1] == 3:
		g = kernels.Image
	case !slices.Contains([]kernels.Geometry{kernels.Conv1x1, kernels.Conv3x3, kernels.Conv3x3By2}, g) || x.Shape[1]%8 != 0:
		return g, false
	}
	if max(x.Shape[1], x.Shape[2], x.Shape[3], w.Shape[0]) > 1<<15-8 || c.rounded != "" && !(isRounded(x, c.rounded) && holds(w, c.rounded)) {
		return g, false
	}
	_, ok = c.choose(n, g)
	return g, ok
}

// isRounded tells whether a value is one that the graph rounds.
func isRounded(v *lower.Value, f graph.Format) bool {
	if v.Producer == nil {
		return false
	}
	parts := v.Producer.Parts()
	last := parts[len(parts)-1]
	op, ok := last.Op.(graph.Round)
	return ok && op.To == f && v == last.Out[0]
}

// holds tells whether the elements of a constant are numbers of the format.
func holds(v *lower.Value, f graph.Format) bool {
	return v.Data != nil && !slices.ContainsFunc(tensor.Data[float32](v.Data), func(x float32) bool { return kernels.Rounded(mapFormat(f), x) != x })
}

// choose picks the kernel.
func (c *compiler) choose(n *lower.Node, g kernels.Geometry) (kernels.Kernel, bool) {
	y := n.Out[0].Shape
	return kernels.Choose(c.properties, kernels.Work{
		Format: mapFormat(c.rounded), Geometry: g, Channels: n.In[0].Shape[1], Out: y[1], Tiles: kernels.Tiles(y[2], y[3]),
	})
}

type layoutArgs struct {
	in, out          Address
	pixels, channels int32
}

const (
	layoutThreads = 256
	layoutSquare  = 32 // pixels and channels that a block turns
)

// lowerMap makes a map of a value.
func lowerMap(c *compiler, s *step) error {
	x := s.Node.In[0]
	pixels, channels := x.Shape[2]*x.Shape[3], x.Shape[1]
	kernel := "norm_maps_f32"
	if f := c.maps[s.Node.Out[0]]; f.MapBytes() == 2 {
		kernel = fmt.Sprintf("norm_maps_%s", f)
	}
	if err := c.lowerAside(s); err != nil {
		return err
	}
	s.launches = func(m *memory) []Launch {
		grid := [3]int{ceilDiv(pixels, layoutSquare), ceilDiv(channels, layoutSquare), x.Shape[0]}
		return []Launch{launch(kernel, grid, layoutThreads, layoutArgs{m.at(x), m.at(s.Node.Out[0]), int32(pixels), int32(channels)})}
	}
	return nil
}

// A chained convolution is one on tensor cores with what its kernel does besides.
type chained struct {
	conv, norm *lower.Node // norm: the GroupNormalization, with SiLU, of the input; or nil
	x, y       *lower.Value
	kernel     kernels.Kernel
	taps       int          // input channels as the weights are packed
	packed     *lower.Value // weights
}

func (c *compiler) newChained(n *lower.Node) (chained, error) {
	ch := chained{conv: n.Part("conv"), norm: n.Part("norm"), y: n.Out[0]}
	if ch.conv == nil {
		ch.conv = n
	}
	ch.x = ch.conv.In[0]
	if ch.norm != nil {
		ch.x = ch.norm.In[0]
	}
	g, out := c.convs[ch.conv.Name], ch.y.Shape
	ch.taps = ch.conv.In[1].Shape[1]
	if g.Image {
		ch.taps = 27 // of one tap: the kernel gathers them
	}
	_, asMap := c.maps[ch.y]
	var ok bool
	ch.kernel, ok = kernels.Choose(c.properties, kernels.Work{
		Format: mapFormat(c.rounded), Geometry: g, Channels: ch.x.Shape[1], Out: out[1], Tiles: kernels.Tiles(out[2], out[3]),
		Normalises: ch.norm != nil, Plain: asMap && ch.conv.Input(2) == nil,
	})
	if !ok {
		return ch, fmt.Errorf("no kernel for the geometry %+v", g)
	}
	return ch, nil
}

// lowerConvTensor cuts a convolution into the tasks of one launch. The list of tasks holds addresses, so it is written when they are known.
func lowerConvTensor(c *compiler, s *step) error {
	ch, err := c.newChained(s.Node)
	if err != nil {
		return err
	}
	weights := ch.conv.In[1]
	packed, err := kernels.Pack(ch.kernel, tensor.Data[float32](weights.Data), ch.y.Shape[1], ch.taps)
	if err != nil {
		return err
	}
	s.Pack(weights)
	ch.packed = s.table(bytesTensor(packed))
	plan, err := c.schedule(nil, ch)
	if err != nil {
		return err
	}
	if moments := c.moments[ch.y]; moments != nil {
		c.pieces[ch.y] = plan.Pieces
		moments.Shape = []int{len(plan.Pieces), slices.Max(plan.Pieces), kernels.PieceBytes / 4}
	}
	tasks := s.table(bytesTensor(kernels.Bytes(plan.Tasks)))
	s.launches = func(m *memory) []Launch {
		bound, _ := c.schedule(m, ch) // as before, with addresses
		m.fill(tasks, kernels.Bytes(bound.Tasks))
		l := launch(ch.kernel.Name, [3]int{bound.Blocks, 1, 1}, ch.kernel.Threads(), kernels.Arguments{Tasks: kernels.Address(m.at(tasks)), MostTasks: int32(bound.MostTasks)})
		l.Shared = ch.kernel.SharedBytes()
		return []Launch{l}
	}
	return nil
}

// schedule cuts every image by itself, in the same way: what an image gives does not depend on how many there are. Without memory, addresses are
// 1: enough to count.
func (c *compiler) schedule(m *memory, ch chained) (kernels.Schedule, error) {
	var all kernels.Schedule
	for b := range ch.x.Shape[0] {
		one, err := kernels.NewSchedule(ch.kernel, c.jobs(m, ch, b), c.properties.Multiprocessors*ch.kernel.Blocks)
		if err != nil {
			return all, err
		}
		all.Blocks, all.MostTasks = all.Blocks+one.Blocks, one.MostTasks
		all.Tasks, all.Pieces = append(all.Tasks, one.Tasks...), append(all.Pieces, one.Pieces...)
	}
	return all, nil
}

// jobs lists the output channels of a convolution's tasks in image b of a batch.
func (c *compiler) jobs(m *memory, ch chained, b int) []kernels.Job {
	at := func(v *lower.Value, offset int) kernels.Address {
		switch {
		case v == nil:
			return 0
		case m == nil:
			return 1
		}
		return kernels.Address(m.at(v)) + kernels.Address(offset)
	}
	x, y := ch.x, ch.y
	_, asMap := c.maps[y]
	task := kernels.Task{
		In: at(x, b*c.bytes(x)/x.Shape[0]), Out: at(y, b*c.bytes(y)/y.Shape[0]), Moments: at(c.moments[y], b*pieceStride(c.moments[y])),
		InHeight: int16(x.Shape[2]), InWidth: int16(x.Shape[3]), Height: int16(y.Shape[2]), Width: int16(y.Shape[3]),
		Channels: int16(x.Shape[1]), OutChannels: int16(y.Shape[1]), Planar: int16(flag(!asMap)),
	}
	if ch.norm != nil {
		task.InMoments, task.InPieces = at(c.moments[x], b*pieceStride(c.moments[x])), int32(c.pieces[x][b])
		task.Scale, task.Shift = at(ch.norm.In[1], 0), at(ch.norm.In[2], 0)
	}
	var jobs []kernels.Job
	for i := range kernels.Tasks(ch.kernel, y.Shape[1]) {
		t, first := task, i*ch.kernel.N
		t.Weights, t.Bias = at(ch.packed, i*kernels.PackedBytes(ch.kernel, ch.taps)), at(ch.conv.Input(2), 4*first)
		t.First, t.Valid = int16(first), int16(min(ch.kernel.N, y.Shape[1]-first))
		jobs = append(jobs, kernels.Job{Task: t})
	}
	return jobs
}

// pieceStride is the distance in bytes from the pieces of one image to those of the next.
func pieceStride(moments *lower.Value) int {
	if moments == nil || len(moments.Shape) < 3 {
		return 0
	}
	return moments.Bytes() / moments.Shape[0]
}

// bytes returns how much memory a value takes.
func (c *compiler) bytes(v *lower.Value) int {
	if f, ok := c.maps[v]; ok {
		return v.Len() * f.MapBytes()
	}
	return v.Bytes()
}

// bytesTensor returns a constant of raw bytes.
func bytesTensor(b []byte) *tensor.Tensor {
	t := tensor.New(tensor.Bool, len(b))
	copy(tensor.Bytes(t), b)
	return t
}
