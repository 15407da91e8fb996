package body

import (
	"fmt"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// For returns the body of op for inputs of the types in, in which an absent optional input has an Invalid DType. Operators
// that need no body (every standard one but GroupNormalization) have none: nil, nil.
//
// A body computes in float32. For fails where op.Infer fails, and for inputs of float64.
func For(op graph.Op, in []graph.Type) (*Function, error) {
	if _, norm := op.(graph.GroupNormalization); op.OpDomain() != graph.Domain && !norm {
		return nil, nil
	}
	if _, err := op.Infer(in); err != nil {
		return nil, fmt.Errorf("body of %s: %w", op.OpType(), err)
	}
	for i, t := range in {
		if t.DType == tensor.Float64 {
			return nil, fmt.Errorf("body of %s: input %d is %v; bodies compute in float32", op.OpType(), i, t)
		}
	}
	b := newBuilder(len(in))
	switch o := op.(type) {
	case graph.GroupNormalization:
		return groupNormalization(b, o, in), nil
	case graph.TileAggregate:
		return tileAggregate(b, o, in), nil
	case graph.GreedySelect:
		return greedySelect(b, o), nil
	case graph.SplitSelect:
		return splitSelect(b, o, in), nil
	case graph.TileOrder:
		return tileOrder(b, o, in), nil
	case graph.TilePack:
		return tilePack(b, o, in), nil
	case graph.TileSSMScan:
		return tileSSMScan(b, o, in), nil
	case graph.TileUnpackFusion:
		return tileUnpackFusion(b, o, in), nil
	case graph.SelectDetections:
		return selectDetections(b, o, in), nil
	case graph.DecodeBoxes:
		return decodeBoxes(b, o, in), nil
	case graph.RoiMeanPool:
		return roiMeanPool(b, o, in), nil
	case graph.BoxMask:
		return boxMask(b, o, in), nil
	case graph.Round:
		return round(b, o, in), nil
	}
	return nil, fmt.Errorf("operator %s (%T) has no body of standard ONNX operators", op.OpType(), op)
}
