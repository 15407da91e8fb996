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

// NewForced returns the backend in which every launch of convolutions takes its candidate of that number, where it has so many.
func NewForced(driver Driver, number int, rounding bool) backends.Backend {
	return forced{backend{driver}, number, rounding}
}

type forced struct {
	backend
	number   int
	rounding bool
}

// Compile implements backends.Backend.
func (f forced) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	g, err := opts.Specialize(g)
	if err != nil {
		return nil, err
	}
	t := &tuning{rounding: f.rounding, round: f.number, known: map[tuneKey]string{}, uses: map[tuneKey]*use{}}
	return f.open(ctx, g, settings{rounded: opts.Precision.Format(), taps: opts.Taps, tuning: t})
}
