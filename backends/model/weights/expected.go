package weights

import (
	"slices"
	"strconv"

	"github.com/apex-x/apexx/backends/model/config"
)

// Widths that no configuration key changes (DESIGN section 3).
const (
	routerInputs   = 12 // 4 proxies × mean, max, var
	routerHidden   = 32
	kanHidden      = 16
	kanKnots       = 8
	prototypes     = 32
	coeffHidden    = 128
	embeddingDim   = 64
	trackHidden    = 128
	towerDepth     = 2   // convolutions per detection tower and per prototype trunk
	maskStrength   = 0.5 // initial inst_seg_head.ff_refine_hook.log_strength
	imageChannels  = 3
	boxCoordinates = 4
)

// Param is one parameter of the model.
type Param struct {
	Name    string
	Shape   []int   // empty for a scalar
	Default float64 // the constant that the specification initialises it to, 0 where it draws at random
	// Optional marks a parameter of a path that this configuration does not run: a file may hold it, in this very shape,
	// or leave it out.
	Optional bool
}

// Len is the number of elements.
func (p Param) Len() int {
	n := 1
	for _, dim := range p.Shape {
		n *= dim
	}
	return n
}

// Expected lists every parameter of the complete model, in the order in which the image passes the modules. The names and
// shapes are the original's (spec/model.md section 2) under the prefixes of DESIGN section 3.
//
// The L1 path is listed at every depth and Optional where it does not run; the L2 path is listed at nesting_depth 2 alone,
// and Optional there under disable_nesting. So one file serves a configuration with and without nesting.
func Expected(cfg config.Config) []Param {
	m := &cfg.Model
	pv, out := m.PVChannels, m.FFChannels[0]
	var b builder
	b.module("pv.", func() { b.pv(pv[0], pv[1], pv[2]) })
	b.module("router.", func() { b.router(m.RouterBackend) })
	depth := cfg.EffectiveDepth()
	b.module("ff.l0_path.", func() { b.heavyPath(pv[0]) })
	b.optional(depth < 1, func() { b.module("ff.l1_path.", func() { b.heavyPath(pv[0]) }) })
	if m.NestingDepth == 2 {
		b.optional(depth < 2, func() { b.module("ff.l2_path.", func() { b.heavyPath(pv[0]) }) })
	}
	b.module("fpn.", func() { b.fpn(pv, pv[0], out) })
	b.module("det_head.", func() { b.detHead(out, m.NumClasses) })
	b.module("inst_seg_head.", func() { b.instSegHead(out) })
	b.module("sem_head.", func() { b.semHead(out, m.NumClasses+1) })
	b.module("track_head.", func() { b.trackHead(out) })
	return b.params
}

// builder appends parameters under the prefix of the module that it is in.
type builder struct {
	prefix string
	skip   bool // what is added is Optional
	params []Param
}

func (b *builder) module(prefix string, add func()) {
	outer := b.prefix
	b.prefix += prefix
	add()
	b.prefix = outer
}

func (b *builder) optional(skip bool, add func()) {
	b.skip = skip
	add()
	b.skip = false
}

func (b *builder) add(name string, initial float64, shape ...int) {
	b.params = append(b.params, Param{b.prefix + name, slices.Clone(shape), initial, b.skip})
}

// conv adds a convolution's weight [out, in, k, k] without a bias, as before every normalisation.
func (b *builder) conv(name string, out, in, k int) { b.add(name+".weight", 0, out, in, k, k) }

// convBias adds a convolution's weight and bias.
func (b *builder) convBias(name string, out, in, k int) {
	b.conv(name, out, in, k)
	b.add(name+".bias", 0, out)
}

// linear adds a fully connected layer's weight [out, in] and bias.
func (b *builder) linear(name string, out, in int) {
	b.add(name+".weight", 0, out, in)
	b.add(name+".bias", 0, out)
}

// norm adds the scale and offset of a group or layer normalisation.
func (b *builder) norm(name string, channels int) {
	b.add(name+".weight", 1, channels)
	b.add(name+".bias", 0, channels)
}

// convNorm adds NAME.i, a 3×3 convolution, and NAME.i+1, its normalisation.
func (b *builder) convNorm(name string, i, out, in, k int) {
	b.conv(name+"."+strconv.Itoa(i), out, in, k)
	b.norm(name+"."+strconv.Itoa(i+1), out)
}

// cheapBlock is spec 2.1 with equal input and output, which needs no residual projection.
func (b *builder) cheapBlock(name string, channels int) {
	b.convBias(name+".conv", 2*channels, channels, 1)
	b.norm(name+".norm", 2*channels)
}

// pv is spec 2.2, the coarse heads on P4.
func (b *builder) pv(p3, p4, p5 int) {
	b.module("backbone.", func() {
		b.convNorm("stem", 0, p3, imageChannels, 3)
		b.convNorm("down_s4", 0, p3, p3, 3)
		b.convNorm("down_s8", 0, p3, p3, 3)
		b.cheapBlock("p3_block", p3)
		b.convNorm("down_p4", 0, p4, p3, 3)
		b.cheapBlock("p4_block", p4)
		b.convNorm("down_p5", 0, p5, p4, 3)
		b.cheapBlock("p5_block", p5)
	})
	b.module("coarse_heads.", func() {
		b.convNorm("trunk", 0, p4, p4, 3)
		for _, head := range []string{"objectness_head", "boundary_head", "variance_head"} {
			b.convBias(head, 1, p4, 1)
		}
	})
}

// router is spec 2.3 or 2.4; the identity router has no parameters.
func (b *builder) router(backend string) {
	switch backend {
	case "tiny_mlp":
		b.linear("backbone.0", routerHidden, routerInputs)
		b.linear("backbone.2", routerHidden, routerHidden)
		b.linear("head_u", 1, routerHidden)
		b.linear("head_s", 1, routerHidden)
	case "kan":
		b.norm("norm", routerInputs)
		b.linear("in_proj", kanHidden, routerInputs)
		b.add("spline.knot_y", 0, kanHidden, kanKnots)
		b.add("out_proj.weight", 0, kanHidden, kanHidden)
		b.linear("head_u", 1, kanHidden)
		b.linear("head_s", 1, kanHidden)
	}
}

// heavyPath is spec 2.6 with refinement and fusion gate. Both scans exist whichever scan_mode runs.
func (b *builder) heavyPath(c int) {
	b.scan("scan_forward", c)
	b.add("scan_bidirectional.merge_gate_logit", 0, c)
	b.scan("scan_bidirectional.forward_scan", c)
	b.scan("scan_bidirectional.backward_scan", c)
	b.norm("film.token_norm", c)
	b.linear("film.mlp.0", c, c)
	b.linear("film.mlp.2", 2*c, c)
	b.convBias("refine.depthwise", c, 1, 3)
	b.convBias("refine.pointwise", 2*c, c, 1)
	b.norm("refine.norm", 2*c)
	b.add("fusion_gate.boundary_log_weight", 1)
	b.add("fusion_gate.uncertainty_log_weight", 1)
	b.add("fusion_gate.bias", 0)
}

// scan is the state-space scan of spec 2.5.
func (b *builder) scan(name string, c int) {
	for _, part := range []string{"decay_logit", "input_gain_raw", "output_gain_raw", "state_bias"} {
		b.add(name+"."+part, 0, c)
	}
}

// fpn is spec 2.8.
func (b *builder) fpn(pv []int, ff, out int) {
	levels := []string{"p3", "p4", "p5"}
	for i, level := range levels {
		b.conv(level+"_lateral", out, pv[i], 1)
	}
	b.conv("ff_lateral", out, ff, 1)
	for _, level := range levels {
		b.cheapBlock(level+"_smooth", out)
	}
}

// detHead is spec 2.9 with hidden = c.
func (b *builder) detHead(c, classes int) {
	for _, tower := range []string{"cls_tower", "box_tower", "quality_tower"} {
		b.tower(tower, c)
	}
	b.convBias("cls_pred", classes, c, 1)
	b.convBias("box_pred", boxCoordinates, c, 1)
	b.convBias("quality_pred", 1, c, 1)
	b.conv("p6_from_p5", c, c, 3)
	b.conv("p7_from_p6", c, c, 3)
}

// tower is a stack of convolution, normalisation and activation; the activation takes a number and has no parameters.
func (b *builder) tower(name string, c int) {
	for i := range towerDepth {
		b.convNorm(name, 3*i, c, c, 3)
	}
}

// instSegHead is spec 2.10 with the refinement hook.
func (b *builder) instSegHead(c int) {
	b.tower("proto_trunk", c)
	b.convBias("proto_pred", prototypes, c, 1)
	b.conv("coeff_source", c, c, 1)
	b.linear("coeff_mlp.0", coeffHidden, c)
	b.linear("coeff_mlp.2", prototypes, coeffHidden)
	b.add("ff_refine_hook.log_strength", maskStrength)
}

// semHead is the semantic head of DESIGN section 3.
func (b *builder) semHead(c, outputs int) {
	b.convNorm("trunk", 0, c, c, 3)
	b.convBias("pred", outputs, c, 1)
}

// trackHead is spec 2.10.
func (b *builder) trackHead(c int) {
	b.convNorm("feature_proj", 0, c, c, 1)
	b.linear("embedding_mlp.0", trackHidden, c)
	b.linear("embedding_mlp.2", embeddingDim, trackHidden)
}
