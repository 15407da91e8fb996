// Command rounding writes what a session of the reference computes of the golden case nano-512 in one precision, for recompute.py beside
// it: the image, the outputs, and of a low precision every value that is rounded, before and after.
//
//	go run ./backends/reference/testdata/rounding fp16 fp16.safetensors
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: rounding PRECISION FILE")
		os.Exit(2)
	}
	if err := write(backends.Precision(os.Args[1]), os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "rounding:", err)
		os.Exit(1)
	}
}

func write(precision backends.Precision, path string) error {
	dir, err := fixtures.Dir()
	if err != nil {
		return err
	}
	golden, err := fixtures.Golden(fixtures.Golden512)
	if err != nil {
		return err
	}
	stored, ok := golden.Tensor("image")
	if !ok {
		return fmt.Errorf("the golden case has no image")
	}
	image, err := source.FromSafetensors(stored)
	if err != nil {
		return err
	}
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Config: filepath.Join(dir, "golden", "config.yaml")})
	if err != nil {
		return err
	}
	g, err := m.Graph(model.Options{Batch: 1, Height: 512, Width: 512, Decode: model.DefaultDecode()})
	if err != nil {
		return err
	}
	taps, err := rounded(g, precision.Format())
	if err != nil {
		return err
	}
	ctx := context.Background()
	session, err := reference.New().Compile(ctx, g, backends.Options{Precision: precision, Taps: taps})
	if err != nil {
		return err
	}
	defer session.Close()
	inputs := tensor.List{{Name: "image", Tensor: image}}
	outputs, err := backends.Run(ctx, session, inputs)
	if err != nil {
		return err
	}
	return source.WriteTensors(path, map[string]string{"precision": string(precision)}, append(inputs, outputs...))
}

// rounded names the values at every point that is no constant, and the declared taps.
func rounded(g *graph.Graph, f graph.Format) (taps []string, err error) {
	low, err := graph.Lower(g, f)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{"image": true}
	add := func(v *graph.Value) {
		if !seen[v.Name] {
			seen[v.Name] = true
			taps = append(taps, v.Name)
		}
	}
	for _, n := range low.Nodes {
		if _, ok := n.Op.(graph.Round); ok && n.Inputs[0].Const == nil {
			add(n.Inputs[0])
			add(n.Outputs[0])
		}
	}
	for _, t := range g.Taps {
		taps = append(taps, t.Name)
	}
	return taps, nil
}
