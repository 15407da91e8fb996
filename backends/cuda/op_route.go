package cuda

import (
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
)

const (
	proxyThreads = 128
	routeThreads = 128
)

// wanted returns the address of a result of a joined node that is read or tapped, 0 for one that is not.
func (s *step) wanted(m *memory, part *lower.Node) Address {
	if part == nil || !s.Node.Stores(part.Out[0]) {
		return 0
	}
	return m.at(part.Out[0])
}

// asideBut lowers what has to be stored aside, but for the results of some parts, which the step stores itself.
func (c *compiler) asideBut(s *step, roles ...string) error {
	var have []*lower.Value
	for _, role := range roles {
		if part := s.Node.Part(role); part != nil {
			have = append(have, part.Out...)
		}
	}
	return c.lowerAside(s, have...)
}

type proxiesArgs struct {
	boundaryLogit, objectnessLogit, varianceLogit Address
	boundary, objectness, uncertainty, variance   Address
	maps                                          Address
	n, plane                                      int64
}

func lowerProxies(c *compiler, s *step) error {
	part := s.Node.Part
	if err := c.asideBut(s, "boundary", "objectness", "uncertainty", "variance"); err != nil {
		return err
	}
	x := part("boundary").Out[0]
	s.launches = func(m *memory) []Launch {
		args := proxiesArgs{
			boundaryLogit: m.at(part("boundary").In[0]), objectnessLogit: m.at(part("objectness").In[0]), varianceLogit: m.at(part("variance").In[0]),
			boundary: s.wanted(m, part("boundary")), objectness: s.wanted(m, part("objectness")),
			uncertainty: s.wanted(m, part("uncertainty")), variance: s.wanted(m, part("variance")),
			maps: m.at(part("stack").Out[0]), n: int64(x.Len()), plane: int64(x.Shape[2] * x.Shape[3]),
		}
		return []Launch{linear("proxies", x.Len(), proxyThreads, args)}
	}
	return nil
}

type gate struct{ boundaryWeight, uncertaintyWeight, bias, y Address }

type gatesArgs struct {
	boundary, uncertainty, rows, columns Address
	gates                                [regions.MostGates]gate
	n                                    int64
	inH, inW, outH, outW                 int32
	count, _                             int32
}

func lowerGates(c *compiler, s *step) error {
	part := s.Node.Part
	count, own := 0, []string{}
	for ; count < regions.MostGates && part(regions.GateRole(count, "gate")) != nil; count++ {
		own = append(own, regions.GateRole(count, "gate"))
	}
	if err := c.asideBut(s, own...); err != nil {
		return err
	}
	x, y := part("boundary clean").In[2], part(regions.GateRole(0, "gate")).Out[0]
	var rows, columns *lower.Value
	if part("boundary resize") != nil {
		rows, columns = s.samples(x.Shape[2], y.Shape[2]), s.samples(x.Shape[3], y.Shape[3])
	}
	s.launches = func(m *memory) []Launch {
		args := gatesArgs{
			boundary: m.at(x), uncertainty: m.at(part("uncertainty clean").In[2]), rows: m.at(rows), columns: m.at(columns), n: int64(y.Len()),
			inH: int32(x.Shape[2]), inW: int32(x.Shape[3]), outH: int32(y.Shape[2]), outW: int32(y.Shape[3]), count: int32(count),
		}
		for i := range count {
			args.gates[i] = gate{
				m.at(part(regions.GateRole(i, "boundary")).In[0]), m.at(part(regions.GateRole(i, "uncertainty")).In[0]), m.at(part(regions.GateRole(i, "logit")).In[1]),
				m.at(part(regions.GateRole(i, "gate")).Out[0]),
			}
		}
		return []Launch{linear("gates", y.Len(), proxyThreads, args)}
	}
	return nil
}

type layer struct{ weight, bias Address }

type routeArgs struct {
	maps                                                         Address
	first, second                                                layer
	heads                                                        [2]layer
	utilities                                                    [2]Address
	chosen, ordered, children, orderedChildren                   Address
	order, childOrder, done                                      Address
	mapCount, height, width, tile, featureHeight, featureWidth   int32
	tiles, firstOutputs, secondOutputs, count, splits, gridWidth int32
}

func lowerRoute(c *compiler, s *step) error {
	part := s.Node.Part
	if err := c.asideBut(s, "utilities", "split utilities", "select", "order", "split", "child order"); err != nil {
		return err
	}
	x, op, u := part("statistics").In[0], part("statistics").Op.(graph.TileAggregate), part("utilities").Out[0]
	batch, tiles := u.Shape[0], u.Shape[1]
	args := routeArgs{
		mapCount: int32(x.Shape[1]), height: int32(x.Shape[2]), width: int32(x.Shape[3]), tile: int32(op.Tile), featureHeight: int32(op.FeatureHeight),
		featureWidth: int32(op.FeatureWidth), tiles: int32(tiles), firstOutputs: int32(part("first").Out[0].Shape[1]), secondOutputs: int32(part("second").Out[0].Shape[1]),
	}
	var values []*lower.Value // which the kernel writes in any case
	for _, role := range []string{"utilities", "split utilities", "select", "order", "child order"} {
		if part(role) != nil {
			values = append(values, part(role).Out[0])
		}
	}
	for _, v := range values {
		if !s.Node.Stores(v) {
			s.AddBetween(v)
		}
	}
	var order, childOrder, done *lower.Value
	if n := part("select"); n != nil {
		args.count = int32(n.Op.(graph.GreedySelect).Count)
		done = s.table(tensor.New(tensor.Int32, batch)) // 0 before and after every run
		order, childOrder = s.ranks(part("order")), s.ranks(part("child order"))
	}
	if n := part("split"); n != nil {
		op := n.Op.(graph.SplitSelect)
		args.splits, args.gridWidth = int32(op.Count), int32(op.GridWidth)
	}
	s.launches = func(m *memory) []Launch {
		args.maps, args.order, args.childOrder, args.done = m.at(x), m.at(order), m.at(childOrder), m.at(done)
		args.first, args.second = layerOf(m, part("first")), layerOf(m, part("second"))
		for i, role := range []string{"utilities", "split utilities"} {
			if part(role) != nil {
				args.heads[i], args.utilities[i] = layerOf(m, part(role+" head")), m.at(part(role).Out[0])
			}
		}
		for role, to := range map[string]*Address{"select": &args.chosen, "order": &args.ordered, "child order": &args.orderedChildren} {
			if part(role) != nil {
				*to = m.at(part(role).Out[0])
			}
		}
		args.children = s.wanted(m, part("split"))
		return []Launch{launch("route", [3]int{tiles, batch, 1}, routeThreads, args)}
	}
	return nil
}

func layerOf(m *memory, n *lower.Node) layer { return layer{m.at(n.In[1]), m.at(n.Input(2))} }

// ranks returns the table of an order of tiles, nil where there is none.
func (s *step) ranks(order *lower.Node) *lower.Value {
	if order == nil {
		return nil
	}
	ranks := order.Op.(graph.TileOrder).Ranks()
	return s.table(tensor.Must(tensor.Of(ranks, len(ranks))))
}
