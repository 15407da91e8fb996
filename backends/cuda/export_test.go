package cuda

import (
	"context"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
)

// NewUnfused returns the backend with a step for every node of the graph.
func NewUnfused(driver Driver) backends.Backend { return unfused{backend{driver}} }

type unfused struct{ backend }

// Compile implements backends.Backend.
func (u unfused) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	g, err := opts.Specialize(g)
	if err != nil {
		return nil, err
	}
	d, err := u.driver.Open()
	if err != nil {
		return nil, err
	}
	return compile(ctx, d, g, settings{rounded: opts.Precision.Format(), taps: opts.Taps, unfused: true})
}
