package model

import "github.com/apex-x/apexx/backends/graph"

// scanClamp bounds the tokens that enter the scan and the modulation.
const scanClamp = 1e4

// gateProxies are the two proxies that steer the fusion gates, free of NaN and at the size of P3.
type gateProxies struct{ boundary, uncertainty value }

func (b *builder) gateProxies(f pvFeatures) gateProxies {
	fit := func(name string, x value) value {
		return b.resize("ff."+name+".resize", b.nanToZero("ff."+name+".clean", x), f.p3.Dim(2), f.p3.Dim(3))
	}
	return gateProxies{fit("boundary", f.boundary), fit("uncertainty", f.uncertainty)}
}

// level is one pass of the heavy path.
type level struct {
	prefix       string
	ids          value // [B,k], nil for none
	gridH, gridW int
	tile         int
}

// ff adds the heavy path of every level that has tiles, each on the result of the one before, and returns the heavy
// features [B,C,H/8,W/8]. The taps ff.detail_map and ff.alpha describe the last level that ran (level 0 when none has
// tiles); ff.detail_total is the sum of all levels' detail.
func (b *builder) ff(f pvFeatures, sel selection) value {
	m := b.cfg.Model
	proxies := b.gateProxies(f)
	levels := []level{{"ff.l0_path", sel.l0, sel.gridH, sel.gridW, m.TileSizeL0}}
	if sel.l1 != nil {
		levels = append(levels, level{"ff.l1_path", sel.l1, 2 * sel.gridH, 2 * sel.gridW, m.TileSizeL1})
	}
	if sel.l2 != nil {
		levels = append(levels, level{"ff.l2_path", sel.l2, 4 * sel.gridH, 4 * sel.gridW, m.TileSizeL2})
	}
	base, heavy := f.p3, f.p3
	var alpha value
	for _, lv := range levels {
		base = heavy
		heavy, alpha = b.heavyPath(lv, base, proxies)
	}
	// The last level is known under other names, so these are values of their own, which nothing but a tap needs.
	b.tap(b.unary("ff.heavy_features", graph.Identity, heavy))
	b.tap(b.unary("ff.alpha", graph.Identity, alpha))
	b.tap(b.binary("ff.detail_map", graph.Sub, heavy, base))
	b.tap(b.binary("ff.detail_total", graph.Sub, heavy, f.p3))
	return heavy
}

// heavyPath adds FFHeavyPath on the chosen tiles of dense [B,C,H,W] (spec/model.md 3.12). Without tiles the features pass
// unchanged and only the gate is there, for its tap.
func (b *builder) heavyPath(lv level, dense value, proxies gateProxies) (heavy, alpha value) {
	alpha = b.fusionGate(lv.prefix+".fusion_gate", proxies)
	if lv.ids == nil {
		return dense, alpha
	}
	ids := lv.ids
	if lv.prefix == "ff.l0_path" || b.cfg.Model.OrderMode != "hilbert" { // deeper levels are in Hilbert order already
		ids = b.order(lv.prefix+".order", ids, lv.gridH, lv.gridW, b.cfg.Model.OrderMode)
	}
	packed := b.Add1(lv.prefix+".pack", graph.TilePack{Tile: lv.tile}, dense, ids)
	tokens := b.Add1(lv.prefix+".tokens", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{3, 4}}, packed)
	gamma, beta := b.film(lv.prefix+".film", b.mix(lv.prefix, tokens))
	scaled := b.binary(lv.prefix+".film.scaled", graph.Mul, b.binary(lv.prefix+".film.1+gamma", graph.Add, gamma, b.Scalar(1)), packed)
	modulated := b.binary(lv.prefix+".film.modulated", graph.Add, scaled, beta)
	refined := b.refine(lv.prefix+".refine", modulated)
	op := graph.TileUnpackFusion{}
	if b.cfg.Model.OverlapMode == "blend" {
		op = graph.TileUnpackFusion{Blend: true, BlendAlpha: b.cfg.Model.BlendAlpha}
	}
	return b.Add1(lv.prefix+".unpack", op, dense, refined, ids, alpha), alpha
}

// fusionGate adds α = σ(sp(w_b)·boundary + sp(w_u)·uncertainty + bias), [B,1,H,W] (spec/model.md 3.11).
func (b *builder) fusionGate(prefix string, p gateProxies) value {
	term := func(name string, proxy value) value {
		w := b.unary(prefix+"."+name+".weight", graph.Softplus, b.param(prefix+"."+name+"_log_weight"))
		return b.binary(prefix+"."+name, graph.Mul, w, proxy)
	}
	sum := b.binary(prefix+".sum", graph.Add, term("boundary", p.boundary), term("uncertainty", p.uncertainty))
	logit := b.binary(prefix+".logit", graph.Add, sum, b.param(prefix+".bias"))
	return b.unary(prefix, graph.Sigmoid, logit)
}

// mix runs the tokens [B,K,C] through the scans: forward alone, or forward and backward merged by a learned gate. With
// disable_ssm the mixed tokens are zeros.
func (b *builder) mix(prefix string, tokens value) value {
	if b.cfg.Model.DisableSSM {
		return b.uniform(prefix+".no_ssm", 0, tokens.Shape...)
	}
	if b.cfg.Model.ScanMode == "forward" {
		return b.scan(prefix+".scan_forward", tokens, false)
	}
	bi := prefix + ".scan_bidirectional"
	forward := b.scan(bi+".forward_scan", tokens, false)
	backward := b.scan(bi+".backward_scan", tokens, true)
	gate := b.unary(bi+".gate", graph.Sigmoid, b.param(bi+".merge_gate_logit"))
	rest := b.binary(bi+".1-gate", graph.Sub, b.Scalar(1), gate)
	return b.binary(bi, graph.Add, b.binary(bi+".gated_forward", graph.Mul, gate, forward), b.binary(bi+".gated_backward", graph.Mul, rest, backward))
}

// The scan's parameters are constrained: decay = min + (max-min)·σ(logit), gains = softplus(raw) + 1e-6.
const (
	minDecay  = 1e-3
	maxDecay  = 0.999
	gainFloor = 1e-6
)

// scan adds one StableStateSpaceScan (spec/model.md 3.8).
func (b *builder) scan(prefix string, tokens value, backward bool) value {
	span := b.binary(prefix+".decay.span", graph.Mul, b.unary(prefix+".decay.sigmoid", graph.Sigmoid, b.param(prefix+".decay_logit")), b.Scalar(maxDecay-minDecay))
	decay := b.binary(prefix+".decay", graph.Add, span, b.Scalar(minDecay))
	gain := func(name string) value {
		return b.binary(prefix+"."+name, graph.Add, b.unary(prefix+"."+name+".softplus", graph.Softplus, b.param(prefix+"."+name+"_raw")), b.Scalar(gainFloor))
	}
	return b.AddNamed(prefix, graph.TileSSMScan{Backward: backward, Clamp: scanClamp}, []string{prefix, prefix + ".final_state"},
		tokens, decay, gain("input_gain"), gain("output_gain"), b.param(prefix+".state_bias"))[0]
}

// film adds TileFiLM's parameters of mixed tokens [B,K,C]: gamma = tanh and beta, each [B,K,C,1,1] (spec/model.md 3.9).
func (b *builder) film(prefix string, mixed value) (gamma, beta value) {
	batch, k, c := mixed.Dim(0), mixed.Dim(1), mixed.Dim(2)
	x := b.reshape(prefix+".rows", b.Add1(prefix+".clip", graph.Clip{Low: -scanClamp, High: scanClamp}, mixed), batch*k, c)
	x = b.Add1(prefix+".token_norm", graph.LayerNormalization{Epsilon: normEpsilon}, x, b.param(prefix+".token_norm.weight"), b.param(prefix+".token_norm.bias"))
	x = b.silu(prefix+".silu", b.linear(prefix+".mlp.0", prefix+".mlp.0", x))
	rawGamma, rawBeta := b.halves(prefix+".split", []string{prefix + ".gamma.raw", prefix + ".beta.raw"}, b.linear(prefix+".mlp.2", prefix+".mlp.2", x))
	gamma = b.reshape(prefix+".gamma", b.unary(prefix+".tanh", graph.Tanh, rawGamma), batch, k, c, 1, 1)
	return gamma, b.reshape(prefix+".beta", rawBeta, batch, k, c, 1, 1)
}

// refine adds TileRefineBlock on tiles [B,K,C,t,t]: every tile is normalised by itself and sees zeros beyond its border
// (spec/model.md 3.10).
func (b *builder) refine(prefix string, tiles value) value {
	c := tiles.Dim(2)
	x := b.reshape(prefix+".tiles", tiles, tiles.Dim(0)*tiles.Dim(1), c, tiles.Dim(3), tiles.Dim(4))
	y := b.conv(prefix+".depthwise", prefix+".depthwise", x, 1, c)
	y = b.norm(prefix+".norm", prefix+".norm", b.conv(prefix+".pointwise", prefix+".pointwise", y, 1, 1))
	y = b.binary(prefix, graph.Add, b.reglu(prefix, y), x)
	return b.reshape(prefix+".packed", y, tiles.Shape...)
}
