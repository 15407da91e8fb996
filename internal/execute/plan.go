package execute

import (
	"context"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// Planned is a compiled session: how it executes its graph and, where it was timed, how long that takes.
type Planned struct {
	Plan       backends.Plan
	Memory     backends.MemoryUse
	Executions int           // that were timed
	Execute    time.Duration // median of the executions, by the host's clock
	Device     time.Duration // by the device's; 0 where there is none
	Steps      []time.Duration
}

// warmUp is how many executions come before those that are timed.
const warmUp = 3

// PlanOf compiles a graph and times so many executions on the inputs; with none it executes nothing. The times of the steps are the
// medians of each; there are none where the backend cannot tell them.
func PlanOf(ctx context.Context, b backends.Backend, g *graph.Graph, inputs tensor.List, opts backends.Options, executions int) (p *Planned, err error) {
	opts.StepTimes = executions > 0
	s, err := b.Compile(ctx, g, opts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closed := s.Close(); err == nil {
			err = closed
		}
	}()
	p = &Planned{Plan: s.Plan(), Memory: s.Memory(), Executions: executions}
	if executions == 0 {
		return p, nil
	}
	if err := s.Upload(ctx, inputs); err != nil {
		return nil, err
	}
	var host, device []time.Duration
	var steps [][]time.Duration
	for i := range warmUp + executions {
		if err := s.Execute(ctx); err != nil {
			return nil, err
		}
		if i < warmUp {
			continue
		}
		t := s.LastTiming()
		host, device, steps = append(host, t.Execute), append(device, t.Device), append(steps, slices.Clone(t.Steps))
	}
	p.Execute, p.Device, p.Steps = median(host), median(device), medians(steps)
	return p, nil
}

// median returns the middle one, the later of two.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// medians returns the median of every column.
func medians(rows [][]time.Duration) []time.Duration {
	var out []time.Duration
	for i := range rows[0] {
		var column []time.Duration
		for _, row := range rows {
			column = append(column, row[i])
		}
		out = append(out, median(column))
	}
	return out
}
