package cuda

import "github.com/apex-x/apexx/backends/lower/regions"

// A lowering says which kernels compute the node of s, or makes its outputs views of its inputs and leaves s without launches. It is not asked
// for nodes whose outputs have no elements.
type lowering func(c *compiler, s *step) error

// operators holds the lowering of each operator and of each rule, by its type.
var operators map[string]lowering

func init() { // a lowering of values aside looks into the table
	operators = map[string]lowering{
		"Identity": lowerView,
		"Reshape":  lowerView,

		"Sigmoid": lowerUnary, "Relu": lowerUnary, "Tanh": lowerUnary, "Softplus": lowerUnary, "Floor": lowerUnary,
		"Clip": lowerUnary, "SiLU": lowerUnary,
		"IsNaN": lowerIsNaN,
		"Round": lowerRound,
		"Add":   lowerBinary, "Sub": lowerBinary, "Mul": lowerBinary, "Div": lowerBinary, "Max": lowerBinary, "Min": lowerBinary,
		"Where": lowerWhere,
		"Cast":  lowerCast,

		"Conv":                lowerConv,
		"Map":                 lowerMap,
		"ConvTensor":          lowerConvs,
		"ConvTensorSum":       lowerConvs,
		"ConvTensorRound":     lowerConvs,
		"ConvSplit":           lowerConvs,
		"ConvSplitSum":        lowerConvs,
		"NormMap":             lowerNormMap,
		"GroupNormalization":  lowerNorm,
		regions.GroupNormSiLU: lowerNorm,
		regions.GroupNormGate: lowerNorm,
		"LayerNormalization":  lowerLayerNorm,
		"Gemm":                lowerGemm,
		"MatMul":              lowerMatMul,
		"ReduceMean":          lowerReduce,
		"ReduceL2":            lowerReduce,
		"Resize":              lowerResize,

		"Concat": lowerConcat,
		"Split":  lowerSplit,
		"Gather": lowerGather,

		regions.Proxies:        lowerProxies,
		regions.Gates:          lowerGates,
		regions.Route:          lowerRoute,
		"TileAggregate":        lowerTileAggregate,
		"GreedySelect":         lowerGreedySelect,
		"SplitSelect":          lowerSplitSelect,
		"TileOrder":            lowerTileOrder,
		regions.HeavyPath:      lowerHeavyPath,
		"TilePack":             lowerTilePack,
		"TileSSMScan":          lowerTileScan,
		"TileUnpackFusion":     lowerTileUnpack,
		"SelectDetections":     lowerDetections,
		"Detections":           lowerDetections,
		"DecodeBoxes":          lowerDecodeBoxes,
		"RoiMeanPool":          lowerRoiMean,
		"BoxMask":              lowerBoxMask,
		regions.BoxVector:      lowerBoxVector,
		regions.UnitBoxVector:  lowerBoxVector,
		regions.MaskDetail:     lowerMaskDetail,
		regions.PrototypeMasks: lowerPrototypeMasks,
	}
}

func lowerView(_ *compiler, s *step) error {
	s.Node.Out[0].ViewOf(s.Node.In[0], 0)
	return nil
}
