package model

import (
	"github.com/apex-x/apexx/backends/graph"
)

// pvFeatures are the backbone's maps at strides 8, 16 and 32 and the four proxies at stride 16, each [B,1,H/16,W/16]:
// boundary and objectness in [0,1], uncertainty 4·p·(1-p) of the objectness p, variance ≥ 0.
type pvFeatures struct {
	p3, p4, p5                                  value
	boundary, objectness, uncertainty, variance value
}

// pv adds PVModule (spec/model.md 3.2 to 3.4).
func (b *builder) pv(image value) pvFeatures {
	const bb, ch = "pv.backbone.", "pv.coarse_heads."
	x := b.block(bb+"stem", 0, "", image, 2)
	x = b.block(bb+"down_s4", 0, "", x, 2)
	x = b.block(bb+"down_s8", 0, "", x, 2)
	var f pvFeatures
	f.p3 = b.tap(b.cheapBlock("pv.P3", bb+"p3_block", x))
	f.p4 = b.tap(b.cheapBlock("pv.P4", bb+"p4_block", b.block(bb+"down_p4", 0, "", f.p3, 2)))
	f.p5 = b.tap(b.cheapBlock("pv.P5", bb+"p5_block", b.block(bb+"down_p5", 0, "", f.p4, 2)))

	trunk := b.block(ch+"trunk", 0, "", f.p4, 1)
	head := func(name string) value { return b.conv(ch+name+"_head", ch+name+"_head", trunk, 1, 1) }
	f.boundary = b.tap(b.unary("proxy.boundary", graph.Sigmoid, head("boundary")))
	f.objectness = b.tap(b.unary("proxy.objectness", graph.Sigmoid, head("objectness")))
	quadruple := b.binary("proxy.uncertainty.4p", graph.Mul, f.objectness, b.Scalar(4))
	complement := b.binary("proxy.uncertainty.1-p", graph.Sub, b.Scalar(1), f.objectness)
	f.uncertainty = b.tap(b.binary("proxy.uncertainty", graph.Mul, quadruple, complement))
	f.variance = b.tap(b.unary("proxy.variance", graph.Softplus, head("variance")))
	return f
}

// proxyMaps stacks the proxies by ascending name, the order of the aggregates: [B,4,h,w].
func (b *builder) proxyMaps(f pvFeatures) value {
	return b.Add1("proxy.maps", graph.Concat{Axis: 1}, f.boundary, f.objectness, f.uncertainty, f.variance)
}
