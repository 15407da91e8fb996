package reference_test

import (
	"context"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
)

// A graph is compiled once for a precision and runs any number of times.
func Example() {
	b := graph.NewBuilder("example")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 4}})
	b.Output("chosen", b.Add1("choose", graph.GreedySelect{Count: 2}, x))
	b.Output("y", b.Add1("clip", graph.Clip{Low: 0, High: 1}, x))
	g, err := b.Build()
	if err != nil {
		panic(err)
	}
	session, err := reference.New().Compile(context.Background(), g, backends.Options{Precision: backends.FP64})
	if err != nil {
		panic(err)
	}
	defer session.Close()

	in := tensor.List{{Name: "x", Tensor: tensor.Must(tensor.Of([]float32{0.25, -1, 7, 0.5}, 1, 4))}}
	out, err := backends.Run(context.Background(), session, in)
	if err != nil {
		panic(err)
	}
	for _, o := range out {
		fmt.Println(o.Name, o.Tensor, o.Float64s())
	}
	// Output:
	// chosen int64[1 2] [2 3]
	// y float64[1 4] [0.25 0 1 0.5]
}
