package cuda

import "github.com/apex-x/apexx/backends/graph"

const (
	aggregateThreads = 64
	packThreads      = 256
	scanThreads      = 32
	unpackThreads    = 128
	unpackChannels   = 4 // of a block
)

type tileAggregateArgs struct {
	x, y                                  Address
	maps, height, width, tile             int32
	featureHeight, featureWidth, tiles, _ int32
}

func lowerTileAggregate(_ *compiler, s *step) error {
	op, x := s.Node.Op.(graph.TileAggregate), s.Node.In[0]
	tiles := op.FeatureHeight / op.Tile * (op.FeatureWidth / op.Tile)
	s.launches = func(m *memory) []Launch {
		args := tileAggregateArgs{
			x: m.at(x), y: m.at(s.Node.Out[0]), maps: int32(x.Shape[1]), height: int32(x.Shape[2]), width: int32(x.Shape[3]), tile: int32(op.Tile),
			featureHeight: int32(op.FeatureHeight), featureWidth: int32(op.FeatureWidth), tiles: int32(tiles),
		}
		return []Launch{launch("tile_aggregate", [3]int{x.Shape[0] * tiles * x.Shape[1], 1, 1}, aggregateThreads, args)}
	}
	return nil
}

// tiling locates the tiles of a map, as the kernels take it.
type tiling struct{ width, tile, gridWidth, tiles int32 }

func newTiling(shape []int, tile int) tiling {
	h, w := shape[2], shape[3]
	return tiling{int32(w), int32(tile), int32(w / tile), int32(h / tile * (w / tile))}
}

type tilePackArgs struct {
	x, ids, y   Address
	n, plane    int64
	channels, k int32
	tiling      tiling
	fault       fault
}

func lowerTilePack(_ *compiler, s *step) error {
	x, ids, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	s.launches = func(m *memory) []Launch {
		args := tilePackArgs{
			m.at(x), m.at(ids), m.at(y), int64(y.Len()), int64(x.Shape[2] * x.Shape[3]), int32(x.Shape[1]), int32(ids.Shape[1]),
			newTiling(x.Shape, s.Node.Op.(graph.TilePack).Tile), m.faultOf(s.number),
		}
		return []Launch{linear("tile_pack", y.Len(), packThreads, args)}
	}
	return nil
}

type tileScanArgs struct {
	x, decay, inputGain, outputGain, bias, y, state Address
	batch, tokens, channels, backward               int32
	limit                                           float32
	_                                               int32
}

func lowerTileScan(_ *compiler, s *step) error {
	op, x, in := s.Node.Op.(graph.TileSSMScan), s.Node.In[0], s.Node.In
	s.launches = func(m *memory) []Launch {
		args := tileScanArgs{
			x: m.at(x), decay: m.at(in[1]), inputGain: m.at(in[2]), outputGain: m.at(in[3]), bias: m.at(in[4]),
			y: m.at(s.Node.Out[0]), state: m.at(s.Node.Out[1]),
			batch: int32(x.Shape[0]), tokens: int32(x.Shape[1]), channels: int32(x.Shape[2]), backward: flag(op.Backward), limit: float32(op.Clamp),
		}
		return []Launch{linear("tile_scan", x.Shape[0]*x.Shape[2], scanThreads, args)}
	}
	return nil
}

type tileUnpackArgs struct {
	base, tiles, alpha, ids, y Address
	plane                      int64
	channels, k, blend         int32
	weight                     float32
	tiling                     tiling
	fault                      fault
}

func lowerTileUnpack(_ *compiler, s *step) error {
	op, base, packed, ids := s.Node.Op.(graph.TileUnpackFusion), s.Node.In[0], s.Node.In[1], s.Node.In[2]
	channels := base.Shape[1]
	t := newTiling(base.Shape, packed.Shape[4])
	s.launches = func(m *memory) []Launch {
		args := tileUnpackArgs{
			m.at(base), m.at(packed), m.at(s.Node.Input(3)), m.at(ids), m.at(s.Node.Out[0]), int64(base.Shape[2] * base.Shape[3]),
			int32(channels), int32(ids.Shape[1]), flag(op.Blend), float32(op.BlendAlpha), t, m.faultOf(s.number),
		}
		grid := [3]int{base.Shape[0] * int(t.tiles), ceilDiv(channels, unpackChannels), 1}
		return []Launch{launch("tile_unpack", grid, unpackThreads, args)}
	}
	return nil
}
