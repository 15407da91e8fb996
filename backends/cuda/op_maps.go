package cuda

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// Launches over maps: convolutions, normalisations, and what turns maps into planes and back.

const layoutSquare = 32 // pixels and channels that a block turns

// layoutLaunch turns planes into maps (direction "maps") or maps into planes ("planes").
func (c *compiler) layoutLaunch(m *memory, direction string, from, to *lower.Value) Launch {
	pixels, channels := to.Shape[2]*to.Shape[3], to.Shape[1]
	args := kernels.Layout{In: kernels.Address(m.at(from)), Out: kernels.Address(m.at(to)), Pixels: int32(pixels), Channels: int32(channels)}
	grid := [3]int{ceilDiv(pixels, layoutSquare), ceilDiv(channels, layoutSquare), to.Shape[0]}
	return waiting(launch(fmt.Sprintf("norm_%s_%s", direction, c.elements()), grid, kernels.ApplyThreads, args))
}

// elements names the type of the elements of maps.
func (c *compiler) elements() kernels.Format {
	if c.roundsMaps() {
		return mapFormat(c.rounded)
	}
	return kernels.F32
}

// lowerMap makes a map of a value.
func lowerMap(c *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	s.launches = func(m *memory) []Launch { return []Launch{c.layoutLaunch(m, "maps", x, y)} }
	return nil
}

// planesBesides makes, behind the launches of a step, the planes of those maps that others read as well.
func (c *compiler) planesBesides(s *step, stores []store) {
	s.after = func(m *memory) []Launch {
		var list []Launch
		for _, st := range stores {
			if st.as != nil && st.planes != nil {
				list = append(list, c.layoutLaunch(m, "planes", st.as, st.planes))
			}
		}
		return list
	}
}

// lowerNormMap normalises maps: one launch for all that the node stands for.
func lowerNormMap(c *compiler, s *step) error {
	members := c.members(s.Node)
	blocks := 0
	for _, n := range members {
		part := &step{Step: lower.Step{Node: n}}
		if err := c.lowerAside(part); err != nil {
			return err
		}
		s.Include(&part.Step)
		s.aside = append(s.aside, part.aside...)
		if y := c.norms[n].y; c.norms[n].store.wanted() {
			blocks += y.Shape[0] * len(kernels.Cut(kernels.Apply{Cells: cells(y)}, 1))
		}
	}
	// A block that begins when others have ended waits for list and moments once more, so those that fit at once do more each.
	times := min(max(blocks/(applyBlocks*c.properties.Multiprocessors), 1), mostApplied)
	list := s.table(bytesTensor(kernels.Bytes(make([]kernels.Apply, blocks))))
	s.launches = func(m *memory) []Launch {
		var all []kernels.Apply
		for _, n := range members {
			all = append(all, c.applies(m, c.norms[n], times)...)
		}
		m.fill(list, kernels.Bytes(all))
		args := kernels.ApplyArguments{List: kernels.Address(m.at(list))}
		return []Launch{waiting(launch(fmt.Sprintf("norm_apply_%s", c.elements()), [3]int{len(all), 1, 1}, kernels.ApplyThreads, args))}
	}
	return nil
}

// cells counts the cells of eight channels that an image of a map has.
func cells(y *lower.Value) int32 { return int32(y.Len() / y.Shape[0] / 8) }

// mostApplied is how many times ApplyCells a block of norm_apply makes, at most.
const mostApplied = 4

// applies lists the blocks of a normalisation.
func (c *compiler) applies(m *memory, n *normalisation, times int) []kernels.Apply {
	var list []kernels.Apply
	if !n.store.wanted() {
		return nil
	}
	for b := range n.y.Shape[0] {
		a := kernels.Apply{
			In: c.image(m, n.in.at, b), InMoments: c.momentsOf(m, n.in.at, b), Scale: kernels.Address(m.at(n.norm.In[1])), Shift: kernels.Address(m.at(n.norm.In[2])),
			Residual: c.image(m, n.residual.at, b), Out: c.image(m, n.store.as, b), Planes: c.image(m, n.store.planes, b),
			InPieces: int32(c.pieces[n.in.at][b]), Cells: cells(n.y), Channels: int16(n.y.Shape[1]), Gated: int16(flag(n.gated)),
			Pixels: int32(n.y.Shape[2] * n.y.Shape[3]),
		}
		if r := n.residual.norm; r != nil {
			a.ResidualMoments, a.ResidualPieces = c.momentsOf(m, n.residual.at, b), int32(c.pieces[n.residual.at][b])
			a.ResidualScale, a.ResidualShift = kernels.Address(m.at(r.In[1])), kernels.Address(m.at(r.In[2]))
		}
		list = append(list, kernels.Cut(a, times)...)
	}
	return list
}

// image returns the address of image b of a value, 0 for an absent one; without memory 1, which is enough to count.
func (c *compiler) image(m *memory, v *lower.Value, b int) kernels.Address {
	switch {
	case v == nil:
		return 0
	case m == nil:
		return 1
	}
	return kernels.Address(m.at(v)) + kernels.Address(b*c.bytes(v)/v.Shape[0])
}

// momentsOf returns the address of the pieces of the moments of image b of a map, 0 where nobody wants them.
func (c *compiler) momentsOf(m *memory, of *lower.Value, b int) kernels.Address {
	return c.image(m, c.moments[of], b)
}

// workOf is what the choice of a kernel for one convolution depends on.
func (c *compiler) workOf(v *convolution) kernels.Work {
	y := v.y.Shape
	return kernels.Work{
		Format: mapFormat(c.rounded), Geometry: v.Geometry, Channels: v.conv.In[1].Shape[1], Out: y[1], Tiles: kernels.Tiles(y[2], y[3]),
		Normalises: v.in.norm != nil, Plain: v.store.as != nil && v.second == nil && v.add.at == nil && v.conv.Input(2) == nil,
	}
}

// A packing is weights as a kernel reads them, and the bias with them.
type packing struct {
	weights, bias *lower.Value // bias may be nil
	taps          int          // input channels as the weights are packed
}

// lowerConvs cuts convolutions into the tasks of one launch. The list of tasks holds addresses, so it is written when they are known.
func lowerConvs(c *compiler, s *step) error {
	l := &mapLaunch{c: c, step: s}
	for _, n := range c.members(s.Node) {
		l.convs = append(l.convs, c.convs[n])
	}
	work := l.work()
	moments := slices.ContainsFunc(l.convs, func(v *convolution) bool { return v.store.moments != nil })
	chosen, ok := c.configure(s, work, l.convs[0].y.Shape[0], moments)
	if l.kernel, l.most = chosen.Kernel, chosen.Most(c.properties); !ok {
		return fmt.Errorf("no kernel for the geometry %+v", work.Geometry)
	}
	if err := l.pack(); err != nil {
		return err
	}
	plan, err := l.schedule(nil)
	if err != nil {
		return err
	}
	images := l.convs[0].y.Shape[0]
	var stores []store
	for i, v := range l.convs {
		stores = append(stores, v.store)
		if v.store.moments == nil {
			continue
		}
		pieces := make([]int, images)
		for b := range images {
			pieces[b] = plan.Pieces[b*len(l.convs)+i]
		}
		c.pieces[v.store.as] = pieces
		v.store.moments.Shape = []int{images, slices.Max(pieces), kernels.PieceBytes / 4}
	}
	tasks := s.table(bytesTensor(kernels.Bytes(plan.Tasks)))
	s.fault = beyondSplit
	s.launches = func(m *memory) []Launch {
		bound, _ := l.schedule(m) // as before, with addresses
		m.fill(tasks, kernels.Bytes(bound.Tasks))
		f := m.faultOf(s.number)
		args := kernels.Arguments{Tasks: kernels.Address(m.at(tasks)), MostTasks: int32(bound.MostTasks), Step: f.step, Fault: kernels.Address(f.word)}
		launched := waiting(launch(l.kernel.Name, [3]int{bound.Blocks, 1, 1}, l.kernel.Threads(), args))
		launched.Shared = l.kernel.SharedBytes()
		return []Launch{launched}
	}
	c.planesBesides(s, stores)
	return nil
}

// beyondSplit is what a fault of a convolution means.
var beyondSplit = fmt.Sprintf("a value of magnitude %d or more, of which products of fp16 halves cannot be made: compute in tf32 or bf16, or on another backend", kernels.SplitLimit)

// A mapLaunch is one launch of convolutions over maps.
type mapLaunch struct {
	c       *compiler
	step    *step
	kernel  kernels.Kernel
	most    int            // blocks
	convs   []*convolution // by weights, so that those with the same ones follow each other
	packing []packing      // of each
}

// work is what the choice of the kernel depends on.
func (l *mapLaunch) work() kernels.Work {
	all := l.c.workOf(l.convs[0])
	narrow, wide := 0, 0 // output channels that tasks of 32 and of 64 compute, those that do not exist among them
	for i, v := range l.convs {
		w := l.c.workOf(v)
		narrow, wide = narrow+w.Tiles*ceilDiv(w.Out, 32)*32, wide+w.Tiles*ceilDiv(w.Out, 64)*64
		if i > 0 {
			all.Tiles, all.Out = all.Tiles+w.Tiles, max(all.Out, w.Out)
			all.Normalises, all.Plain = all.Normalises || w.Normalises, all.Plain && w.Plain
		}
	}
	if 2*wide > 3*narrow {
		all.Out = min(all.Out, 32)
	}
	return all
}

// pack packs the weights of all convolutions, those that several share once.
func (l *mapLaunch) pack() error {
	seen := map[*lower.Value]packing{}
	var order []*lower.Value
	for _, v := range l.convs {
		w := v.conv.In[1]
		if _, ok := seen[w]; !ok {
			order = append(order, w)
		}
		seen[w] = packing{}
	}
	slices.SortStableFunc(l.convs, func(a, b *convolution) int {
		return slices.Index(order, a.conv.In[1]) - slices.Index(order, b.conv.In[1])
	})
	for _, v := range l.convs {
		p := seen[v.conv.In[1]]
		if p.weights == nil || v.second != nil {
			var err error
			if p, err = l.packed(v); err != nil {
				return err
			}
		}
		if v.second == nil {
			seen[v.conv.In[1]] = p
			p.bias = v.conv.Input(2)
		}
		l.packing = append(l.packing, p)
	}
	return nil
}

// packed packs the weights of a convolution; of one over two inputs they are one matrix, and the biases one vector.
func (l *mapLaunch) packed(v *convolution) (packing, error) {
	w := v.conv.In[1]
	data, p := tensor.Data[float32](w.Data), packing{taps: w.Shape[1]}
	if v.Image {
		p.taps = imageTaps
	}
	l.step.Pack(w)
	if v.second != nil {
		other := v.second.In[1]
		data, p.taps = joined(data, tensor.Data[float32](other.Data), w.Shape[0]), p.taps+other.Shape[1]
		l.step.Pack(other)
		p.bias = l.biases(v)
	}
	packed, err := kernels.Pack(l.kernel, data, v.y.Shape[1], p.taps)
	if err != nil {
		return p, err
	}
	p.weights = l.step.table(bytesTensor(packed))
	return p, nil
}

// imageTaps is how many values of the image are multiplied for an output: channels of one tap, which the kernel gathers.
const imageTaps = 27

// joined puts the rows of two matrices behind each other.
func joined(a, b []float32, rows int) []float32 {
	var all []float32
	for i := range rows {
		all = append(all, a[i*len(a)/rows:(i+1)*len(a)/rows]...)
		all = append(all, b[i*len(b)/rows:(i+1)*len(b)/rows]...)
	}
	return all
}

// biases returns the sum of the biases of a convolution over two inputs, or nil where it has none.
func (l *mapLaunch) biases(v *convolution) *lower.Value {
	a, b := v.conv.Input(2), v.second.Input(2)
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	sum := a.Data.Clone()
	for i, x := range tensor.Data[float32](b.Data) {
		tensor.Data[float32](sum)[i] += x
	}
	return l.step.table(sum)
}

// schedule cuts every image by itself, in the same way: what an image gives does not depend on how many there are. Without memory, addresses are
// 1: enough to count. Pieces has one entry for each image and, within, for each convolution.
func (l *mapLaunch) schedule(m *memory) (kernels.Schedule, error) {
	var images []kernels.Schedule
	for b := range l.convs[0].y.Shape[0] {
		one, err := kernels.NewSchedule(l.kernel, l.jobs(m, b), l.most)
		if err != nil {
			return one, err
		}
		images = append(images, one)
	}
	return kernels.Together(images, l.most), nil
}

// jobs lists the output channels of the tasks of image b.
func (l *mapLaunch) jobs(m *memory, b int) []kernels.Job {
	c := l.c
	var jobs []kernels.Job
	for i, v := range l.convs {
		p, y := l.packing[i], v.y
		x := v.conv.In[0].Shape
		task := kernels.Task{
			In: c.image(m, v.in.at, b), In2: c.image(m, v.in2.at, b), Add: c.image(m, v.add.at, b), AddShift: 1,
			InHeight: int16(x[2]), InWidth: int16(x[3]), Height: int16(y.Shape[2]), Width: int16(y.Shape[3]),
			Channels: int16(x[1]), OutChannels: int16(y.Shape[1]),
		}
		if v.second != nil {
			task.Channels2 = int16(v.second.In[0].Shape[1])
		}
		task.Out, task.Planar = c.image(m, v.store.planes, b), kernels.Planes
		if v.store.as != nil {
			task.Out, task.Planar, task.Moments = c.image(m, v.store.as, b), kernels.Map, c.momentsOf(m, v.store.as, b)
		} else if c.roundsMaps() && v.rounded {
			task.Planar = kernels.RoundedPlanes
		}
		if n := v.in.norm; n != nil {
			task.InMoments, task.InPieces = c.momentsOf(m, v.in.at, b), int32(c.pieces[v.in.at][b])
			task.Scale, task.Shift = l.at(m, n.In[1], 0), l.at(m, n.In[2], 0)
		}
		for j := range kernels.Tasks(l.kernel, y.Shape[1]) {
			t, first := task, j*l.kernel.N
			t.Weights, t.Bias = l.at(m, p.weights, j*kernels.PackedBytes(l.kernel, p.taps)), l.at(m, p.bias, 4*first)
			t.First, t.Valid = int16(first), int16(min(l.kernel.N, y.Shape[1]-first))
			jobs = append(jobs, kernels.Job{Task: t, Map: i})
		}
	}
	return jobs
}

// at returns the address of a constant, 0 for an absent one; without memory a number that no other table has.
func (l *mapLaunch) at(m *memory, v *lower.Value, offset int) kernels.Address {
	switch {
	case v == nil:
		return 0
	case m == nil:
		return kernels.Address(slices.Index(l.step.tables, v)+2)<<32 + kernels.Address(offset)
	}
	return kernels.Address(m.at(v)) + kernels.Address(offset)
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
