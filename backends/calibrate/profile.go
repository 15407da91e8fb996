package calibrate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/graph"
)

// Profile says which products of a model keep float32 operands. The router does in every profile (graph.RouterReason).
type Profile struct {
	Name string
	wide []string // layers: the constants that are their weights, but for ".weight"
}

// The precision profiles. What each layer costs was measured (backends/graph/ROUNDING.md): Balanced keeps those that cost most for what
// they compute, Quality all that cost more than a hundredth of a detection's logit.
var (
	Edge     = Profile{Name: "edge"}
	Balanced = Profile{Name: "balanced", wide: slices.Concat(predictions, early, []string{"det_head.cls_tower.3"})}
	Quality  = Profile{Name: "quality", wide: slices.Concat(Balanced.wide, laterals, []string{"pv.backbone.down_s4.0", "det_head.cls_tower.0"})}
)

var (
	predictions = []string{"det_head.cls_pred", "det_head.box_pred", "det_head.quality_pred"}
	laterals    = []string{"fpn.p5_lateral", "fpn.p4_lateral", "fpn.p3_lateral", "fpn.ff_lateral"}
	early       = []string{"pv.backbone.stem.0", "pv.backbone.down_s8.0", "pv.backbone.p3_block.conv"}
)

// ParseProfile returns the profile of a name.
func ParseProfile(name string) (Profile, error) {
	for _, p := range []Profile{Quality, Balanced, Edge} {
		if p.Name == name {
			return p, nil
		}
	}
	return Profile{}, fmt.Errorf("unknown precision profile %q (want quality, balanced or edge)", name)
}

// Wide returns the names of the nodes of a graph that the profile keeps in float32.
func (p Profile) Wide(g *graph.Graph) []string {
	var names []string
	for _, n := range g.Products() {
		if slices.Contains(p.wide, Layer(n)) {
			names = append(names, n.Name)
		}
	}
	return names
}

// Layer names the layer of a product by its weights, which several products may share; a product of two computed values by itself.
func Layer(n *graph.Node) string {
	if w := n.Inputs[1]; w.Const != nil {
		return strings.TrimSuffix(w.Name, ".weight")
	}
	return n.Name
}
