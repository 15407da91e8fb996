package model

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
)

// aggregates is the length of a tile's vector: mean, maximum and variance of four proxies.
const aggregates = 12

// aggregate adds the tile vectors of a grid over P3: [B,K,12] (spec/model.md 3.5).
func (b *builder) aggregate(node string, maps, p3 value, tile int) value {
	return b.Add1(node, graph.TileAggregate{FeatureHeight: p3.Dim(2), FeatureWidth: p3.Dim(3), Tile: tile}, maps)
}

// route adds the router on tile vectors [B,K,12] and returns U and S, each [B,K], under the given names. The suffix tells apart the
// places that share the router's parameters.
func (b *builder) route(x value, suffix, nameU, nameS string) (u, s value) {
	batch, k := x.Dim(0), x.Dim(1)
	rows := b.reshape("router.rows"+suffix, x, batch*k, aggregates)
	heads := func(h value) (value, value) {
		head := func(node, name string) value {
			y := b.linear("router."+name+suffix, "router."+name, h)
			if b.cfg.Model.RouterBackend == "kan" {
				y = b.Add1("router."+name+".clip"+suffix, graph.Clip{Low: -kanLogitClip, High: kanLogitClip}, y)
			}
			return b.reshape(node, y, batch, k)
		}
		return head(nameU, "head_u"), head(nameS, "head_s")
	}
	switch b.cfg.Model.RouterBackend {
	case "identity":
		parts := []string{"router.first" + suffix, "router.rest" + suffix}
		first := b.AddNamed("router.split"+suffix, graph.Split{Axis: 1, Sizes: []int{1, aggregates - 1}}, parts, rows)[0]
		return b.reshape(nameU, first, batch, k), b.reshape(nameS, first, batch, k)
	case "kan":
		return heads(b.kan(rows, suffix))
	default:
		return heads(b.tinyMLP(rows, suffix))
	}
}

// tinyMLP adds the hidden layers of RouterTinyMLP: two times linear and ReLU.
func (b *builder) tinyMLP(x value, suffix string) value {
	for _, i := range []int{0, 2} {
		name := fmt.Sprintf("router.backbone.%d", i)
		x = b.unary(name+".relu"+suffix, graph.Relu, b.linear(name+suffix, name, x))
	}
	return x
}

const (
	kanLogitClip = 20  // bound of RouterKANLike's logits
	kanRange     = 3   // the spline covers [-3, 3]
	kanInfinity  = 1e4 // what an infinite input becomes
)

// kan adds the hidden layers of RouterKANLike: normalisation, projection, a learned piecewise-linear spline per feature,
// projection (spec/model.md 3.6).
func (b *builder) kan(x value, suffix string) value {
	clean := b.nanToZero("router.clean.nan"+suffix, x)
	// x - x is NaN exactly for NaN and infinities, the elements that are replaced; finite values stay, however large.
	odd := b.unary("router.clean.odd"+suffix, graph.IsNaN, b.binary("router.clean.sub"+suffix, graph.Sub, x, x))
	bounded := b.Add1("router.clean.clip"+suffix, graph.Clip{Low: -kanInfinity, High: kanInfinity}, clean)
	x = b.Add1("router.clean"+suffix, graph.Where{}, odd, bounded, x)
	x = b.Add1("router.norm"+suffix, graph.LayerNormalization{Epsilon: normEpsilon}, x, b.param("router.norm.weight"), b.param("router.norm.bias"))
	x = b.spline(b.linear("router.in_proj"+suffix, "router.in_proj", x), suffix)
	return b.linear("router.out_proj"+suffix, "router.out_proj", x)
}

// spline adds y = y_i + f·(y_(i+1) - y_i) with pos = (clamp(x)+3)/δ, i = clamp(floor(pos), 0, knots-2), f = pos - i, for
// every feature with its own knots.
func (b *builder) spline(x value, suffix string) value {
	knots := b.param("router.spline.knot_y")
	features, n := knots.Dim(0), knots.Dim(1)
	name := func(s string) string { return "router.spline." + s + suffix }
	x = b.Add1(name("clip"), graph.Clip{Low: -kanRange, High: kanRange}, b.nanToZero(name("nan"), x))
	step := float64(2*kanRange) / float64(n-1)
	pos := b.binary(name("pos"), graph.Div, b.binary(name("shift"), graph.Add, x, b.Scalar(kanRange)), b.Scalar(step))
	cell := b.Add1(name("cell"), graph.Clip{Low: 0, High: float64(n - 2)}, b.unary(name("floor"), graph.Floor, pos))
	frac := b.binary(name("frac"), graph.Sub, pos, cell)

	first := make([]int, features)
	for i := range first {
		first[i] = i * n
	}
	index := b.binary(name("index"), graph.Add, b.Add1(name("int"), graph.Cast{To: int64Type}, cell), b.ids("router.spline.first", first, 1, features))
	next := b.binary(name("next"), graph.Add, index, b.ids("router.spline.one", []int{1}))
	table := b.reshape(name("table"), knots, features*n)
	low := b.Add1(name("low"), graph.Gather{Axis: 0}, table, index)
	high := b.Add1(name("high"), graph.Gather{Axis: 0}, table, next)
	rise := b.binary(name("rise"), graph.Mul, frac, b.binary(name("delta"), graph.Sub, high, low))
	return b.binary(name("y"), graph.Add, low, rise)
}
