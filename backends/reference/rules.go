package reference

import (
	"slices"

	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/lower/regions"
)

// rules say which chains of nodes become one step, in this order:
//
//  1. What follows a GroupNormalization becomes part of it: GroupNormSiLU, GroupNormGate (package regions).
//  2. Conv followed by one of these becomes part of it: the convolution takes the statistics as it writes its output, and the
//     normalisation is a single pass.
//  3. Resize, perhaps + a map common to all masks, before BoxMask: only the cells inside the boxes are interpolated.
//
// Each step can store what it covers: the convolution writes to memory in any case, and the rest follows from that. So no rule has
// Unstored roles.
var rules = slices.Concat(regions.NormRules(), []lower.Rule{
	{Name: "ConvGroupNorm", Pattern: lower.Pattern{Op: "GroupNormalization", Role: "norm", In: []lower.Pattern{conv}}},
	{Name: "ConvGroupNormSiLU", Pattern: lower.Pattern{Op: regions.GroupNormSiLU, Role: "normalised", In: []lower.Pattern{conv}}},
	{Name: "ConvGroupNormGate", Pattern: lower.Pattern{Op: regions.GroupNormGate, Role: "normalised", In: []lower.Pattern{conv}}},
	{Name: "ResizeBoxMask", Where: addsCommonMap, Pattern: lower.Pattern{Op: "BoxMask", Role: "mask", In: []lower.Pattern{
		{Op: "Add", Role: "sum", Commutes: true, In: []lower.Pattern{{Role: "common"}, resize}},
	}}},
	{Name: "ResizeBoxMask", Pattern: lower.Pattern{Op: "BoxMask", Role: "mask", In: []lower.Pattern{resize}}},
})

var (
	conv   = lower.Pattern{Op: "Conv", Role: "conv", Where: packable}
	resize = lower.Pattern{Op: "Resize", Role: "resize"}
)

// addsCommonMap tells whether a map [B,1,H,W] is added to all masks [B,N,H,W] of an image.
func addsCommonMap(m lower.Match) bool {
	masks, common := m.Node("resize").Out[0].Shape, m.Value("common").Shape
	return slices.Equal(m.Node("sum").Out[0].Shape, masks) && slices.Equal(common, []int{masks[0], 1, masks[2], masks[3]})
}
