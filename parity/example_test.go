package parity_test

import (
	"context"
	"fmt"
	"os"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

func row[T tensor.Element](v ...T) *tensor.Tensor { return tensor.Must(tensor.Of(v, 1, len(v))) }

// outputs of a router that chose two of four tiles.
func outputs(utilities []float32, chosen ...int64) tensor.List {
	return tensor.List{
		{Name: "utilities", Tensor: row(utilities...)},
		{Name: "tiles_l0", Tensor: row(chosen...)},
		{Name: "valid_l0", Tensor: tensor.Must(tensor.Of([]int64{2}, 1))},
	}
}

func ExampleCompareOutputs() {
	reference := outputs([]float32{0.1, 0.50000006, 0.5, 0.3}, 1, 2)
	candidate := outputs([]float32{0.1, 0.5, 0.50000006, 0.3}, 2, 1)
	r := parity.CompareOutputs(reference, candidate, parity.Options{Policy: parity.Quality.Policy(parity.EndToEnd)})
	fmt.Println(r.State)
	for _, d := range r.Decisions {
		fmt.Println(d)
	}
	// Output:
	// explained
	// tiles_l0[0]: tiles 1 and 2 swap places 0 and 1: utilities differ by 6e-08, moved together by 1.2e-07 → tied within rounding
}

// constant answers every case with one number per backend.
type constant map[string]float32

func (c constant) Execute(_ context.Context, _ *parity.Case, backend string, _ backends.Precision) evidence.Run {
	v, ok := c[backend]
	if !ok {
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Unsupported, Reason: string(backends.LibraryNotFound)}}
	}
	return evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: tensor.List{{Name: "scores", Tensor: row(v)}}}
}

func ExampleRun() {
	m, err := parity.Run(context.Background(), parity.MatrixSpec{
		Name:    "example",
		Cases:   []parity.Case{{Name: "photo"}},
		Columns: []parity.Column{{Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}, {Backend: "cuda", Precision: backends.FP32}},
		Runner:  constant{"reference": 0.5, "ort": 0.50001},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	for _, c := range m.Cells {
		fmt.Printf("%s: %s\n", c.Pair, c.State)
	}
	fmt.Println("exit code", m.ExitCode())
	// Output:
	// ort/fp32 vs reference/fp32: pass
	// cuda/fp32 vs reference/fp32: unsupported
	// cuda/fp32 vs ort/fp32: unsupported
	// exit code 5
}
