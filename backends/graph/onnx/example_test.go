package onnx_test

import (
	"fmt"
	"log"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

func Example() {
	b := graph.NewBuilder("double")
	x := b.Input("x", graph.Type{DType: tensor.Float32, Shape: []int{1, 3}})
	b.Output("y", b.Add1("y", graph.Binary{Fn: graph.Add}, x, x))
	g, err := b.Build()
	if err != nil {
		log.Fatal(err)
	}
	model, err := onnx.Marshal(g, onnx.WriteOptions{})
	if err != nil {
		log.Fatal(err)
	}
	back, err := onnx.Read(model)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(back.Dump())
	// Output:
	// input  x float32[1 3]
	// node   y = Add(x, x) → y float32[1 3]
	// output y float32[1 3]
}
