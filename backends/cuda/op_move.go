package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
)

const (
	maxPieces   = 16
	moveThreads = 256
)

type copyPiece struct {
	from, to                Address
	n, fromStride, toStride int64
}

type copyArgs struct {
	pieces [maxPieces]copyPiece
	outer  int64
}

func lowerConcat(_ *compiler, s *step) error {
	y := s.Node.Out[0]
	outer, size, inner := lower.Around(y.Shape, s.Node.Op.(graph.Concat).Axis)
	s.launches = func(m *memory) []Launch {
		var pieces []copyPiece
		at := 0
		for _, v := range s.Node.In {
			n := v.Len() / outer
			pieces = append(pieces, copyPiece{m.at(v), m.at(y) + Address(at*v.DType.Size()), int64(n), int64(n), int64(size * inner)})
			at += n
		}
		return copyLaunches(y, outer, pieces)
	}
	return nil
}

// lowerSplit makes the parts views where they are contiguous, and otherwise copies them.
func lowerSplit(_ *compiler, s *step) error {
	x := s.Node.In[0]
	outer, size, inner := lower.Around(x.Shape, s.Node.Op.(graph.Split).Axis)
	if outer == 1 {
		at := 0
		for _, v := range s.Node.Out {
			v.ViewOf(x, at)
			at += v.Len()
		}
		return nil
	}
	s.launches = func(m *memory) []Launch {
		var pieces []copyPiece
		at := 0
		for _, v := range s.Node.Out {
			n := v.Len() / outer
			pieces = append(pieces, copyPiece{m.at(x) + Address(at*x.DType.Size()), m.at(v), int64(n), int64(size * inner), int64(n)})
			at += n
		}
		return copyLaunches(x, outer, pieces)
	}
	return nil
}

// copyLaunches copies pieces of `outer` rows each, with elements of the width of v's. Pieces without elements are left out.
func copyLaunches(v *lower.Value, outer int, pieces []copyPiece) []Launch {
	var list []Launch
	args, count, longest := copyArgs{outer: int64(outer)}, 0, 0
	flush := func() {
		if count > 0 {
			grid := [3]int{ceilDiv(outer*longest, moveThreads), count, 1}
			list = append(list, launch(byWidth("copy_rows", v), grid, moveThreads, args))
		}
		args, count, longest = copyArgs{outer: int64(outer)}, 0, 0
	}
	for _, p := range pieces {
		if p.n == 0 {
			continue
		}
		args.pieces[count] = p
		count, longest = count+1, max(longest, int(p.n))
		if count == maxPieces {
			flush()
		}
	}
	flush()
	return list
}

type gatherArgs struct {
	x, ids, y             Address
	outer, size, n, inner int64
	fault                 fault
}

func lowerGather(_ *compiler, s *step) error {
	x, ids, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	outer, size, inner := lower.Around(x.Shape, s.Node.Op.(graph.Gather).Axis)
	s.launches = func(m *memory) []Launch {
		args := gatherArgs{m.at(x), m.at(ids), m.at(y), int64(outer), int64(size), int64(ids.Len()), int64(inner), m.faultOf(s.number)}
		return []Launch{linear(byWidth("gather", x), y.Len(), moveThreads, args)}
	}
	return nil
}
