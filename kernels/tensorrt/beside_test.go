//go:build cgo && linux

package tensorrt

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// beside are subjects for what plugins can beside the operators of the graph.
func beside() []subject {
	var list []subject
	list = append(list, norms()...)
	list = append(list, scans()...)
	list = append(list, levels()...)
	return append(list, regions()...)
}

func normal(seed uint64, shape ...int) *tensor.Tensor {
	r, t := rand.New(rand.NewPCG(seed, 11)), tensor.New(tensor.Float32, shape...)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = float32(r.NormFloat64())
	}
	return t
}

func wide(t *tensor.Tensor) *tensor.Tensor { return tensor.Must(tensor.Of(t.Float64s(), t.Shape()...)) }

func ids(shape []int, list ...int64) *tensor.Tensor { return tensor.Must(tensor.Of(list, shape...)) }

// norms are GroupNorms with what follows them.
func norms() []subject {
	var list []subject
	for i, shape := range [][]int{{2, 16, 5, 7}, {1, 32, 12, 40}, {2, 16, 24, 24}, {1, 20, 9, 9}, {1, 6, 8, 3}} {
		for _, activation := range []string{"none", "silu", "reglu"} {
			for groups := 1; groups <= 2 && (i == 0 || groups == 1); groups++ {
				for _, residual := range []bool{false, true} {
					channels, seed := shape[1], uint64(100*i)
					out := append([]int{}, shape...)
					if activation == "reglu" {
						out[1] /= 2
					}
					s := subject{
						name: "norm " + activation, plugin: "GroupNormFusion", scale: 32, maps: []int{0, 3},
						values: []Value{{"num_groups", int32(groups)}, {"epsilon", float32(1e-5)}, {"activation", activation}},
						inputs: []*tensor.Tensor{normal(seed, shape...), normal(seed+1, channels), normal(seed+2, channels)},
					}
					if residual {
						s.inputs = append(s.inputs, normal(seed+3, out...))
					}
					s.expected = func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
						norm, err := oracle(graph.GroupNormalization{Groups: groups, Epsilon: 1e-5}, in[:3])
						if err != nil {
							return nil, err
						}
						return []*tensor.Tensor{activated(norm[0], activation, out, in[3:])}, nil
					}
					list = append(list, s)
				}
			}
		}
	}
	return append(list, together(list[:12], "reglu", true), together(list[12:18], "silu", false), channelsOf("silu", false), channelsOf("reglu", true))
}

// channelsOf normalises parts of the channels of maps, which overlap, with and without the whole of one beside them.
func channelsOf(activation string, residual bool) subject {
	wide, other := normal(400, 2, 48, 4, 6), normal(401, 2, 16, 8, 8)
	x, firsts, counts := []*tensor.Tensor{wide, wide, other, wide}, []int32{0, 16, 0, 8}, []int{16, 32, 16, 16}
	s := subject{name: "norms of some channels", plugin: "GroupNormFusion", scale: 32, maps: []int{0, 1, 2, 3}, inputs: x,
		values: []Value{{"num_groups", int32(1)}, {"epsilon", float32(1e-5)}, {"activation", activation}, {"maps", int32(len(x))}, {"first_channels", firsts}}}
	for seed := range uint64(2) {
		for i, c := range counts {
			s.inputs = append(s.inputs, normal(410+10*seed+uint64(i), c))
		}
	}
	var shapes [][]int
	for i, c := range counts {
		shapes = append(shapes, slices.Clone(x[i].Shape()))
		shapes[i][1] = c
		if activation == "reglu" {
			shapes[i][1] /= 2
		}
		if residual {
			s.maps, s.inputs = append(s.maps, len(s.inputs)), append(s.inputs, normal(uint64(430+i), shapes[i]...))
		}
	}
	s.expected = func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		var out []*tensor.Tensor
		for i, c := range counts {
			norm, err := oracle(graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, []*tensor.Tensor{someChannels(in[i], int(firsts[i]), c), in[4+i], in[8+i]})
			if err != nil {
				return nil, err
			}
			var added []*tensor.Tensor
			if residual {
				added = in[12+i : 13+i]
			}
			out = append(out, activated(norm[0], activation, shapes[i], added))
		}
		return out, nil
	}
	return s
}

// someChannels copies n channels of a map.
func someChannels(x *tensor.Tensor, first, n int) *tensor.Tensor {
	shape := x.Shape()
	plane := shape[2] * shape[3]
	out := tensor.New(tensor.Float32, shape[0], n, shape[2], shape[3])
	for b := range shape[0] {
		copy(tensor.Data[float32](out)[b*n*plane:(b+1)*n*plane], tensor.Data[float32](x)[(b*shape[1]+first)*plane:])
	}
	return out
}

// together is the norms with one group of a list that have an activation, with or without residuals, twice each in one node.
func together(list []subject, activation string, residual bool) subject {
	s := subject{name: "norms of several maps", plugin: "GroupNormFusion", scale: 32}
	var parts []subject
	for _, p := range list {
		if p.values[0].Value == int32(1) && (len(p.inputs) == 4) == residual && p.values[2].Value == activation {
			parts = append(parts, p, p)
		}
	}
	n, kinds := len(parts), len(parts[0].inputs)
	s.values = append(slices.Clone(parts[0].values), Value{"maps", int32(n)})
	for kind := range kinds {
		for _, p := range parts {
			if kind == 0 || kind == 3 {
				s.maps = append(s.maps, len(s.inputs))
			}
			s.inputs = append(s.inputs, p.inputs[kind])
		}
	}
	s.expected = func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		var all []*tensor.Tensor
		for m, p := range parts {
			var own []*tensor.Tensor
			for kind := range kinds {
				own = append(own, in[kind*n+m])
			}
			y, err := p.expected(own)
			if err != nil {
				return nil, err
			}
			all = append(all, y...)
		}
		return all, nil
	}
	return s
}

// activated applies an activation to a normalised map, and adds a residual.
func activated(norm *tensor.Tensor, activation string, shape []int, residual []*tensor.Tensor) *tensor.Tensor {
	y, x := tensor.New(tensor.Float64, shape...), tensor.Data[float64](norm)
	var added []float64
	if len(residual) > 0 {
		added = residual[0].Float64s()
	}
	for i := range tensor.Data[float64](y) {
		v := x[i%len(x)]
		switch activation {
		case "silu":
			v *= 1 / (1 + math.Exp(-v))
		case "reglu":
			half := shape[1] * shape[2] * shape[3]
			at := i/half*2*half + i%half
			v = x[at] * max(x[at+half], 0)
		}
		if added != nil {
			v += added[i]
		}
		tensor.Data[float64](y)[i] = v
	}
	return y
}

// scans go on from states, and in both directions.
func scans() []subject {
	var list []subject
	const batch, tokens, channels, limit = 2, 9, 5, 1.5
	for i, merge := range []string{"", "sum", "avg", "gated", "gated by halves"} {
		for _, initial := range []bool{false, true} {
			seed, both := uint64(1000+10*i), merge != ""
			s := subject{
				name: "scan from states " + merge, plugin: "TileSSMScan", scale: 64, maps: []int{0},
				values: []Value{{"direction", int32(0)}, {"clamp_value", float32(limit)}},
				inputs: []*tensor.Tensor{normal(seed, batch, tokens, channels)},
			}
			for p := range uint64(4) {
				s.inputs = append(s.inputs, normal(seed+1+p, channels))
			}
			state := []int{batch, channels}
			if both {
				state = []int{batch, 2, channels}
				s.values[0].Value = int32(2)
				s.values = append(s.values, Value{"merge_mode", map[bool]string{true: merge, false: "gated"}[merge != "gated by halves"]})
			}
			if initial {
				s.values = append(s.values, Value{"initial_state", int32(1)})
				s.inputs = append(s.inputs, normal(seed+5, state...))
			}
			if merge == "gated" {
				s.inputs = append(s.inputs, normal(seed+6, channels))
			}
			s.expected = func(in []*tensor.Tensor) ([]*tensor.Tensor, error) { return scanned(in, limit, merge, initial), nil }
			list = append(list, s)
		}
	}
	return list
}

// scanned is the recurrence of spec/runtime.md 7.6.
func scanned(in []*tensor.Tensor, limit float64, merge string, initial bool) []*tensor.Tensor {
	x, shape := in[0].Float64s(), in[0].Shape()
	batch, tokens, channels, directions := shape[0], shape[1], shape[2], 1
	if merge != "" {
		directions = 2
	}
	y, state := tensor.New(tensor.Float64, shape...), tensor.New(tensor.Float64, batch, directions, channels)
	for b := range batch {
		for c := range channels {
			d := min(max(in[1].Float64s()[c], 1e-6), 1-1e-6)
			for direction := range directions {
				s, last := 0.0, (b*directions+direction)*channels+c
				if initial {
					s = in[5].Float64s()[last]
				}
				for step := range tokens {
					k := step
					if direction == 1 {
						k = tokens - 1 - step
					}
					at := (b*tokens+k)*channels + c
					s = d*s + (1-d)*(in[2].Float64s()[c]*min(max(x[at], -limit), limit)+in[4].Float64s()[c])
					v := in[3].Float64s()[c] * s
					f := tensor.Data[float64](y)[at]
					switch {
					case direction == 0:
						f = v
					case merge == "sum":
						f += v
					case merge == "avg":
						f = (f + v) / 2
					default:
						g := 0.5
						if merge == "gated" {
							g = min(max(in[len(in)-1].Float64s()[c], 0), 1)
						}
						f = g*f + (1-g)*v
					}
					tensor.Data[float64](y)[at] = f
				}
				tensor.Data[float64](state)[last] = s
			}
		}
	}
	if directions == 1 {
		state = tensor.Must(state.Reshaped(batch, channels))
	}
	return []*tensor.Tensor{y, state}
}

// levels are tiles that lie over each other and tiles that stand for none.
func levels() []subject {
	base, packed, alpha := normal(2000, 1, 2, 4, 6), normal(2001, 1, 5, 2, 2, 2), normal(2002, 1, 1, 4, 6)
	where, level := ids([]int{1, 5}, 3, 0, 3, -1, 3), ids([]int{1, 5}, 1, 0, 7, 9, 1)
	// Over tile 3 lie the packed tiles 0, 2 and 4; by level and then place 0, 4, 2.
	stacked := func(order []int, blend float64) func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		return func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
			y := wide(in[0])
			for _, j := range order {
				tile := int(tensor.Data[int64](where)[j])
				for i := range 8 {
					c, row, column := i/4, tile/3*2+i/2%2, tile%3*2+i%2
					v := &tensor.Data[float64](y)[(c*4+row)*6+column]
					*v = (1-blend)**v + blend*in[1].Float64s()[8*j+i]
				}
			}
			for i, b := range in[0].Float64s() {
				v := &tensor.Data[float64](y)[i]
				*v = b + in[len(in)-1].Float64s()[i%24]*(*v-b)
			}
			return []*tensor.Tensor{y}, nil
		}
	}
	zero := func(in []*tensor.Tensor) ([]*tensor.Tensor, error) {
		return []*tensor.Tensor{tensor.New(tensor.Float64, 1, 1, 2, 2, 2)}, nil
	}
	byLevel := func(blend int32) []Value {
		return []Value{{"blend", blend}, {"blend_alpha", float32(0.25)}, {"levels", int32(1)}}
	}
	return []subject{
		{"unpack by levels", "TileUnpackFusion", byLevel(0), []*tensor.Tensor{base, packed, where, level, alpha}, []int{0, 1, 4}, 8, stacked([]int{1, 2}, 1)},
		{"unpack blended by levels", "TileUnpackFusion", byLevel(1), []*tensor.Tensor{base, packed, where, level, alpha}, []int{0, 1, 4}, 8, stacked([]int{1, 0, 4, 2}, 0.25)},
		{"unpack without levels", "TileUnpackFusion", nil, []*tensor.Tensor{base, packed, where, alpha}, []int{0, 1, 3}, 8, stacked([]int{1, 4}, 1)},
		{"pack a tile that stands for none", "TilePack", []Value{{"tile_size", int32(2)}}, []*tensor.Tensor{base, ids([]int{1, 1}, -1)}, []int{0}, 1, zero},
	}
}

// large are plugins at the sizes of the nano model at 1×512², for their times: nothing is expected of them but equal bits.
func large() []subject {
	var list []subject
	add := func(plugin string, values []Value, maps []int, inputs ...*tensor.Tensor) {
		list = append(list, subject{fmt.Sprint(inputs[0].Shape()), plugin, values, inputs, maps, 0, func([]*tensor.Tensor) ([]*tensor.Tensor, error) { return nil, nil }})
	}
	for _, s := range [][3]int{{64, 256, 256}, {64, 128, 128}, {96, 64, 64}, {96, 32, 32}, {96, 16, 16}, {96, 8, 8}, {96, 4, 4}} {
		channels, h, w := s[0], s[1], s[2]
		add("GroupNormFusion", []Value{{"num_groups", int32(1)}, {"activation", "silu"}}, []int{0}, normal(1, 1, channels, h, w), normal(2, channels), normal(3, channels))
	}
	add("GroupNormFusion", []Value{{"num_groups", int32(1)}, {"activation", "reglu"}}, []int{0, 3}, normal(1, 1, 128, 64, 64), normal(2, 128), normal(3, 128), normal(4, 1, 64, 64, 64))
	var towers []*tensor.Tensor
	var places []int
	for tower := range uint64(3) {
		for _, side := range []int{64, 32, 16, 8, 4} {
			places = append(places, len(towers))
			towers = append(towers, normal(tower, 1, 96, side, side))
		}
	}
	for range 2 * len(places) {
		towers = append(towers, normal(9, 96))
	}
	add("GroupNormFusion", []Value{{"num_groups", int32(1)}, {"activation", "silu"}, {"maps", int32(15)}}, places, towers...)
	at := ids([]int{1, 8}, 0, 3, 5, 6, 9, 10, 12, 15)
	add("TilePack", []Value{{"tile_size", int32(16)}}, []int{0}, normal(1, 1, 64, 64, 64), at)
	add("TileUnpackFusion", nil, []int{0, 1, 3}, normal(1, 1, 64, 64, 64), normal(2, 1, 8, 64, 16, 16), at, normal(3, 1, 1, 64, 64))
	add("TileAggregate", []Value{{"feature_height", int32(64)}, {"feature_width", int32(64)}, {"tile_size", int32(16)}}, []int{0}, normal(1, 1, 4, 32, 32))
	boxes := normal(1, 1, 100, 4)
	for i := range tensor.Data[float32](boxes) {
		tensor.Data[float32](boxes)[i] = 256 + 100*tensor.Data[float32](boxes)[i]
	}
	image := []Value{{"image_height", int32(512)}, {"image_width", int32(512)}}
	add("RoiMeanPool", image, []int{0}, normal(2, 1, 96, 64, 64), boxes)
	add("BoxMask", append([]Value{{"fill", float32(-20)}}, image...), []int{0}, normal(2, 1, 100, 128, 128), boxes)
	var predictions []*tensor.Tensor
	for _, channels := range []int{80, 4, 1} {
		for _, side := range []int{64, 32, 16, 8, 4} {
			predictions = append(predictions, normal(uint64(channels+side), 1, channels, side, side))
		}
	}
	detect := append([]Value{{"strides", []int32{8, 16, 32, 64, 128}}}, image...)
	all := mapsOf(graph.SelectDetections{}, len(predictions))
	add("SelectDetections", detect, all, predictions...)
	add("DecodeBoxes", detect, all, append(predictions, tensor.New(tensor.Int64, 1, 100), ids([]int{1}, 100))...)
	return append(list, largeRegions(boxes)...)
}

// largeRegions are the plugins of whole regions at these sizes.
func largeRegions(boxes *tensor.Tensor) []subject {
	sized := func(s subject, values map[string]int32, maps []int, inputs ...*tensor.Tensor) subject {
		own := slices.Clone(s.values)
		for i := range own {
			if v, ok := values[own[i].Name]; ok {
				own[i].Value = v
			}
		}
		return subject{s.name + " of the model", s.plugin, own, inputs, maps, 0, func([]*tensor.Tensor) ([]*tensor.Tensor, error) { return nil, nil }}
	}
	var logits, weights, biases []*tensor.Tensor
	var maps []int
	for _, outputs := range []int{80, 4, 1} {
		for _, side := range []int{64, 32, 16, 8, 4} {
			maps = append(maps, len(logits))
			logits, weights, biases = append(logits, normal(uint64(side), 1, 96, side, side)), append(weights, normal(1, outputs, 96, 1, 1)), append(biases, normal(2, outputs))
		}
	}
	level := heavy(true)
	var parameters []*tensor.Tensor
	for i, x := range level.inputs[3:] {
		shape := slices.Clone(x.Shape())
		for axis := range shape {
			shape[axis] = map[int]int{12: 64, 24: 128, 20: 64, 1: 1, 3: 3}[shape[axis]]
		}
		parameters = append(parameters, normal(uint64(i), shape...))
	}
	at := ids([]int{1, 8}, 0, 3, 5, 6, 9, 10, 12, 15)
	return []subject{
		sized(logitMaps(), map[string]int32{"maps": 15}, maps, slices.Concat(logits, weights, biases)...),
		sized(level, map[string]int32{"tile_size": 16}, []int{0}, append([]*tensor.Tensor{normal(1, 1, 64, 64, 64), at, normal(2, 1, 1, 64, 64)}, parameters...)...),
		sized(route(), map[string]int32{"feature_height": 64, "feature_width": 64, "tile_size": 16, "count": 8, "splits": 4}, nil, normal(1, 1, 4, 32, 32), normal(2, 32, 12),
			normal(3, 32), normal(4, 32, 32), normal(5, 32), normal(6, 1, 32), normal(7, 1), normal(8, 1, 32), normal(9, 1)),
		sized(boxVector(0), map[string]int32{"image_height": 512, "image_width": 512}, []int{0}, normal(1, 1, 96, 64, 64), boxes, normal(2, 128, 96), normal(3, 128), normal(4, 32, 128),
			normal(5, 32)),
		sized(prototypeMasks(true), map[string]int32{"image_height": 512, "image_width": 512, "height": 128, "width": 128, "low_height": 64, "low_width": 64}, nil,
			normal(1, 1, 100, 32), normal(2, 1, 32, 4096), boxes, normal(3, 1, 1, 128, 128)),
	}
}
