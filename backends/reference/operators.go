package reference

import (
	"github.com/apex-x/apexx/backends/lower/regions"
	"github.com/apex-x/apexx/backends/tensor"
)

// A lowering turns the node of s into what s runs, or makes its outputs views of its inputs and leaves s without a bind.
type lowering func(c *compiler, s *step) error

// operators returns the lowering of each operator, by its type, for sessions that compute in T.
func operators[T tensor.Float]() map[string]lowering {
	return map[string]lowering{
		"Identity":   lowerIdentity,
		"Sigmoid":    lowerActivation[T],
		"Tanh":       lowerActivation[T],
		"Softplus":   lowerActivation[T],
		regions.SiLU: lowerActivation[T],
		"Relu":       lowerRelu[T],
		"Floor":      lowerFloor[T],
		"IsNaN":      lowerIsNaN[T],
		"Clip":       lowerClip[T],

		"Add": lowerBinary[T], "Sub": lowerBinary[T], "Mul": lowerBinary[T],
		"Div": lowerBinary[T], "Max": lowerBinary[T], "Min": lowerBinary[T],
		"Where": lowerWhere[T],
		"Cast":  lowerCast[T],

		"Conv":               lowerConv[T],
		"GroupNormalization": lowerNorm[T],
		"LayerNormalization": lowerLayerNorm[T],
		"Gemm":               lowerGemm[T],
		"MatMul":             lowerMatMul[T],
		"ReduceMean":         lowerReduce[T],
		"ReduceL2":           lowerReduce[T],
		"Resize":             lowerResize[T],

		regions.GroupNormSiLU: lowerNorm[T],
		"ConvGroupNorm":       lowerNorm[T],
		"ConvGroupNormSiLU":   lowerNorm[T],
		regions.GroupNormGate: lowerNormGate[T],
		"ConvGroupNormGate":   lowerNormGate[T],

		"Exp": lowerFunction[T], "Log": lowerFunction[T], "Sqrt": lowerFunction[T],
		"Erf": lowerFunction[T], "Neg": lowerFunction[T], "Abs": lowerFunction[T],
		"Pow":                lowerBinary[T],
		"MaxPool":            lowerPool[T],
		"AveragePool":        lowerPool[T],
		"GlobalAveragePool":  lowerGlobalAveragePool[T],
		"BatchNormalization": lowerBatchNorm[T],
		"Softmax":            lowerSoftmax[T],
		"Transpose":          lowerTranspose,
		"ConvTranspose":      lowerConvTranspose[T],
		"TopK":               lowerTopK[T],
		"LSTM":               lowerLSTM[T],

		"Reshape": lowerReshape,
		"Concat":  lowerConcat,
		"Split":   lowerSplit,
		"Gather":  lowerGather,

		"TileAggregate":    lowerTileAggregate[T],
		"GreedySelect":     lowerGreedySelect[T],
		"SplitSelect":      lowerSplitSelect[T],
		"TileOrder":        lowerTileOrder,
		"TilePack":         lowerTilePack[T],
		"TileSSMScan":      lowerTileSSMScan[T],
		"TileUnpackFusion": lowerTileUnpackFusion[T],
		"SelectDetections": lowerSelectDetections[T],
		"DecodeBoxes":      lowerDecodeBoxes[T],
		"RoiMeanPool":      lowerRoiMeanPool[T],
		"BoxMask":          lowerBoxMask[T],
		"ResizeBoxMask":    lowerBoxMask[T],
		"Round":            lowerRound[T],
	}
}
