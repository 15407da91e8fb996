// Package cover chooses few graphs whose sessions launch every kernel of the backend cuda at least once, for tools that look at every access
// to memory and take their time (compute-sanitizer). It compiles candidates for a device that computes nothing (planner.go), and keeps
// those that launch a kernel which none before them did.
package cover

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/cuda"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/kernels"
)

// Subject is a graph with inputs, and the kernels that no subject before it launches.
type Subject struct {
	Name    string
	Graph   *graph.Graph
	Inputs  tensor.List
	Options backends.Options
	Kernels []string // by name
}

// Choose returns the subjects for a device, in the order in which they were found.
func Choose(ctx context.Context, d kernels.Device) ([]Subject, error) {
	candidates, err := candidates()
	if err != nil {
		return nil, err
	}
	plan, seen := newPlanner(d), map[string]bool{}
	backend := cuda.New(plan)
	var chosen []Subject
	for _, s := range candidates {
		session, err := backend.Compile(ctx, s.Graph, s.Options)
		if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
			continue // such as a rounding to another format than the session's
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		if err := session.Close(); err != nil {
			return nil, err
		}
		for _, name := range plan.taken() {
			if !seen[name] {
				seen[name] = true
				s.Kernels = append(s.Kernels, name)
			}
		}
		if len(s.Kernels) > 0 {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}
