package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

type matMulArgs struct {
	x0, x1, addend, y       Address
	m, k, n, transposed     int32
	addendRow, addendColumn int32
}

const (
	matMulTile    = 32
	matMulThreads = 256
)

func lowerMatMul(_ *compiler, s *step) error {
	a, b := s.Node.In[0], s.Node.In[1]
	lowerProduct(s, a.Shape[0], nil, matMulArgs{m: int32(a.Shape[1]), k: int32(a.Shape[2]), n: int32(b.Shape[2])})
	return nil
}

func lowerGemm(_ *compiler, s *step) error {
	a, y, addend := s.Node.In[0], s.Node.Out[0], s.Node.Input(2)
	args := matMulArgs{m: int32(a.Shape[0]), k: int32(a.Shape[1]), n: int32(y.Shape[1]), transposed: flag(s.Node.Op.(graph.Gemm).TransB)}
	if addend != nil {
		strides := lower.BroadcastStrides(addend.Shape, 2)
		args.addendRow, args.addendColumn = int32(strides[0]), int32(strides[1])
	}
	lowerProduct(s, 1, addend, args)
	return nil
}

func lowerProduct(s *step, batch int, addend *lower.Value, args matMulArgs) {
	grid := [3]int{ceilDiv(int(args.n), matMulTile), ceilDiv(int(args.m), matMulTile), batch}
	s.launches = func(m *memory) []Launch {
		args.x0, args.x1, args.addend, args.y = m.at(s.Node.In[0]), m.at(s.Node.In[1]), m.at(addend), m.at(s.Node.Out[0])
		return []Launch{launch("matmul", grid, matMulThreads, args)}
	}
}
