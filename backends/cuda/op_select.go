package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
)

const selectThreads = 128

type greedySelectArgs struct {
	utilities, ids         Address
	batch, tiles, count, _ int32
}

func lowerGreedySelect(_ *compiler, s *step) error {
	x, count := s.Node.In[0], s.Node.Op.(graph.GreedySelect).Count
	s.launches = func(m *memory) []Launch {
		args := greedySelectArgs{utilities: m.at(x), ids: m.at(s.Node.Out[0]), batch: int32(x.Shape[0]), tiles: int32(x.Shape[1]), count: int32(count)}
		return []Launch{linear("greedy_select", x.Len(), selectThreads, args)}
	}
	return nil
}

type splitSelectArgs struct {
	utilities, parents, children                        Address
	batch, parentsPerSample, count, gridWidth, tiles, _ int32
	fault                                               fault
}

func lowerSplitSelect(_ *compiler, s *step) error {
	op, utilities, parents := s.Node.Op.(graph.SplitSelect), s.Node.In[0], s.Node.In[1]
	s.launches = func(m *memory) []Launch {
		args := splitSelectArgs{
			utilities: m.at(utilities), parents: m.at(parents), children: m.at(s.Node.Out[0]),
			batch: int32(parents.Shape[0]), parentsPerSample: int32(parents.Shape[1]), count: int32(op.Count),
			gridWidth: int32(op.GridWidth), tiles: int32(op.GridHeight * op.GridWidth), fault: m.faultOf(s.number),
		}
		return []Launch{linear("split_select", parents.Len(), selectThreads, args)}
	}
	return nil
}

type tileOrderArgs struct {
	ids, keys, ordered Address
	batch, k, tiles, _ int32
	fault              fault
}

func lowerTileOrder(_ *compiler, s *step) error {
	x, keys := s.Node.In[0], s.ranks(s.Node)
	s.launches = func(m *memory) []Launch {
		args := tileOrderArgs{
			ids: m.at(x), keys: m.at(keys), ordered: m.at(s.Node.Out[0]),
			batch: int32(x.Shape[0]), k: int32(x.Shape[1]), tiles: int32(keys.Len()), fault: m.faultOf(s.number),
		}
		return []Launch{linear("tile_order", x.Len(), selectThreads, args)}
	}
	return nil
}
