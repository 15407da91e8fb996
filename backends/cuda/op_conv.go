package cuda

import "github.com/apex-x/apexx/backends/graph"

type convArgs struct {
	x, weight, bias, y                   Address
	batch, inC, inH, inW                 int32
	outC, outH, outW                     int32
	kh, kw, strideY, strideX, padT, padL int32
	groups                               int32
}

const convThreads = 256

// A convTile is how many output channels and pixels a block of a convolution computes.
type convTile struct {
	kernel            string
	channels, columns int
}

// convTiles returns the kernels for a kernel's shape, the largest tile first.
func convTiles(kh, kw int) []convTile {
	switch {
	case kh == 1 && kw == 1:
		return []convTile{{"conv_1x1_64", 64, 64}, {"conv_1x1_32", 32, 32}}
	case kh == 3 && kw == 3:
		return []convTile{{"conv_3x3_64", 64, 64}, {"conv_3x3_32", 32, 32}}
	}
	return []convTile{{"conv_any_32", 32, 32}}
}

const (
	// fewChannels is up to how many output channels of a group an implicit product of matrices would mostly compute padding.
	fewChannels = 4
	// busyBlocks is how many blocks fill a large device; with fewer a smaller tile is faster.
	busyBlocks = 132
)

func lowerConv(_ *compiler, s *step) error {
	op, x, weight, y := s.Node.Op.(graph.Conv), s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	args := convArgs{
		batch: int32(x.Shape[0]), inC: int32(x.Shape[1]), inH: int32(x.Shape[2]), inW: int32(x.Shape[3]),
		outC: int32(y.Shape[1]), outH: int32(y.Shape[2]), outW: int32(y.Shape[3]),
		kh: int32(weight.Shape[2]), kw: int32(weight.Shape[3]),
		strideY: int32(op.Strides[0]), strideX: int32(op.Strides[1]), padT: int32(op.Pads[0]), padL: int32(op.Pads[1]),
		groups: int32(op.Group),
	}
	s.launches = func(m *memory) []Launch {
		args.x, args.weight, args.bias, args.y = m.at(x), m.at(weight), m.at(s.Node.Input(2)), m.at(y)
		return []Launch{convLaunch(args)}
	}
	return nil
}

// convLaunch chooses the kernel.
func convLaunch(args convArgs) Launch {
	rows, columns := int(args.outC/args.groups), int(args.batch)*int(args.outH)*int(args.outW)
	if rows <= fewChannels {
		return linear("conv_direct", int(args.outC)*columns, convThreads, args)
	}
	var l Launch
	for _, t := range convTiles(int(args.kh), int(args.kw)) {
		grid := [3]int{ceilDiv(columns, t.columns), ceilDiv(rows, t.channels), int(args.groups)}
		l = launch(t.kernel, grid, convThreads, args)
		if grid[0]*grid[1]*grid[2] >= busyBlocks && rows > t.channels/2 {
			break
		}
	}
	return l
}
