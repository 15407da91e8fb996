package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
)

const (
	normThreads = 256 // also the most pieces of a group
	// pieceElements is how many elements of a group a block takes the moments of, unless that makes more than normThreads pieces.
	pieceElements = 4096
	// smallGroup is up to how many elements one block normalises a group alone: a launch saved is worth more than the waiting blocks.
	smallGroup = 8192
	// stretchElements is how many elements a block normalises of a channel.
	stretchElements = 2048
)

type momentsArgs struct {
	x, pieces  Address
	size, step int64
	count, _   int32
}

type normArgs struct {
	x, scale, shift, residual, y, pieces Address
	epsilon                              float64
	spatial, stretch                     int64
	channels, groups, count, activation  int32
}

// activations of a normalisation, in the order of the kernel's enumeration.
const (
	noActivation = iota
	siluActivation
	gateActivation
)

// lowerNorm lowers GroupNormalization, alone or with what follows it. y = a·max(b, 0) + residual of the halves a and b of the channels may
// take the place of the residual, the others that of x.
func lowerNorm(c *compiler, s *step) error {
	node, activation := s.Node.Part("norm"), noActivation
	if node == nil {
		node = s.Node
	}
	x, scale, shift, y := node.In[0], node.In[1], node.In[2], s.Node.Out[0]
	residual := regions.Residual(s.Node)
	switch {
	case s.Node.Part("gate") != nil:
		activation = gateActivation
		if residual != nil {
			s.Allow(residual)
		}
	default:
		if s.Node.Part("silu") != nil {
			activation = siluActivation
		}
		s.Allow(x)
	}
	if err := c.lowerAside(s); err != nil {
		return err
	}
	g := newNormGeometry(node.Op.(graph.GroupNormalization), x.Shape, activation)
	var pieces *lower.Value
	if !g.small {
		pieces = s.AddScratch(tensor.Float64, 3*g.samples*g.groups*g.count)
	}
	s.launches = func(m *memory) []Launch {
		args := g.normArgs
		args.x, args.scale, args.shift, args.residual, args.y = m.at(x), m.at(scale), m.at(shift), m.at(residual), m.at(y)
		if g.small {
			return []Launch{launch("norm_group", [3]int{g.samples * g.groups, 1, 1}, normThreads, args)}
		}
		args.pieces = m.at(pieces)
		moments := momentsArgs{x: args.x, pieces: args.pieces, size: int64(g.size), step: int64(g.piece), count: args.count}
		return []Launch{
			launch("moments", [3]int{g.samples * g.groups * g.count, 1, 1}, normThreads, moments),
			launch("norm_apply", [3]int{g.samples * g.outChannels * g.stretches, 1, 1}, normThreads, args),
		}
	}
	return nil
}

// normGeometry is how a normalisation is cut into blocks.
type normGeometry struct {
	normArgs
	samples, groups, size int  // groups of a sample, elements of a group
	small                 bool // one block for each group
	count, piece          int  // pieces of a group, elements of a piece
	outChannels           int
	stretches             int // of a channel
}

func newNormGeometry(op graph.GroupNormalization, shape []int, activation int) normGeometry {
	spatial := 1
	for _, d := range shape[2:] {
		spatial *= d
	}
	g := normGeometry{samples: shape[0], groups: op.Groups, size: shape[1] / op.Groups * spatial, outChannels: shape[1]}
	if activation == gateActivation {
		g.outChannels /= 2
	}
	g.small = g.size <= smallGroup && (activation != gateActivation || op.Groups == 1)
	g.piece = max(pieceElements, ceilDiv(g.size, normThreads))
	g.count = ceilDiv(g.size, g.piece)
	g.stretches = ceilDiv(spatial, stretchElements)
	g.normArgs = normArgs{
		epsilon: op.Epsilon, spatial: int64(spatial), stretch: stretchElements,
		channels: int32(shape[1]), groups: int32(op.Groups), count: int32(g.count), activation: int32(activation),
	}
	return g
}

type layerNormArgs struct {
	x, scale, shift, y Address
	epsilon            float64
	width, _           int32
}

const layerNormThreads = 128

func lowerLayerNorm(_ *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	width := x.Shape[len(x.Shape)-1]
	s.Allow(x)
	s.launches = func(m *memory) []Launch {
		args := layerNormArgs{m.at(x), m.at(s.Node.In[1]), m.at(s.Node.In[2]), m.at(y), s.Node.Op.(graph.LayerNormalization).Epsilon, int32(width), 0}
		return []Launch{launch("layer_norm", [3]int{x.Len() / width, 1, 1}, layerNormThreads, args)}
	}
	return nil
}
