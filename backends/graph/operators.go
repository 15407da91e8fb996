package graph

// Operators returns one value of every operator type, without parameters: of Unary, Binary and Reduce one for each
// function. The standard operators come first. The tests of every package that has code for each operator go through this
// list.
func Operators() []Op {
	list := []Op{Conv{}, GroupNormalization{}, LayerNormalization{}, Clip{}, Where{}, Cast{}, Gemm{}, MatMul{}, Reshape{},
		Concat{}, Split{}, Gather{}, Resize{}}
	for _, fn := range []UnaryFn{Identity, Sigmoid, Relu, Tanh, Softplus, Floor, IsNaN} {
		list = append(list, Unary{Fn: fn})
	}
	for _, fn := range []BinaryFn{Add, Sub, Mul, Div, Max, Min} {
		list = append(list, Binary{Fn: fn})
	}
	for _, fn := range []ReduceFn{ReduceMean, ReduceL2} {
		list = append(list, Reduce{Fn: fn})
	}
	list = append(list, General()...)
	return append(list, TileAggregate{}, GreedySelect{}, SplitSelect{}, TileOrder{}, TilePack{}, TileSSMScan{},
		TileUnpackFusion{}, SelectDetections{}, DecodeBoxes{}, RoiMeanPool{}, BoxMask{}, Round{})
}
