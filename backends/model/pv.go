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
	f.p3 = b.cheapBlock(bb+"p3_block", x)
	f.p4 = b.cheapBlock(bb+"p4_block", b.block(bb+"down_p4", 0, "", f.p3, 2))
	f.p5 = b.cheapBlock(bb+"p5_block", b.block(bb+"down_p5", 0, "", f.p4, 2))

	trunk := b.block(ch+"trunk", 0, "", f.p4, 1)
	head := func(name string) value { return b.conv(ch+name+"_head", ch+name+"_head", trunk, 1, 1) }
	f.objectness = b.unary("pv.objectness", graph.Sigmoid, head("objectness"))
	f.boundary = b.unary("pv.boundary", graph.Sigmoid, head("boundary"))
	f.variance = b.unary("pv.variance", graph.Softplus, head("variance"))
	quadruple := b.binary("pv.uncertainty.4p", graph.Mul, f.objectness, b.Scalar(4))
	complement := b.binary("pv.uncertainty.1-p", graph.Sub, b.Scalar(1), f.objectness)
	f.uncertainty = b.binary("pv.uncertainty", graph.Mul, quadruple, complement)

	b.Tap("pv.P3", f.p3)
	b.Tap("pv.P4", f.p4)
	b.Tap("pv.P5", f.p5)
	b.Tap("proxy.boundary", f.boundary)
	b.Tap("proxy.objectness", f.objectness)
	b.Tap("proxy.uncertainty", f.uncertainty)
	b.Tap("proxy.variance", f.variance)
	return f
}

// proxyMaps stacks the proxies by ascending name, the order of the aggregates: [B,4,h,w].
func (b *builder) proxyMaps(f pvFeatures) value {
	return b.Add1("proxy.maps", graph.Concat{Axis: 1}, f.boundary, f.objectness, f.uncertainty, f.variance)
}
