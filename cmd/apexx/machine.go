package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// environment gathers where this program measures, once: it probes every backend and the devices.
func (w *workloadsOf) environment(c *cli.Context) env.Environment {
	if w.where == nil {
		e := execute.Environment(c.Context, c.Bool("identify"))
		w.where = &e
	}
	return *w.where
}

// class names the class of the machine for what is measured.
func (w *workloadsOf) class(c *cli.Context) env.Class {
	return env.ClassOf(w.environment(c), w.options.Threads, w.cells)
}

// devices names the GPU of each backend that computes on one.
func devices() map[string]int {
	of := map[string]int{}
	for _, b := range perf.DeviceBackends {
		of[b] = 0
	}
	return of
}

// monitored opens what watches the devices, where there are any to watch. The monitor may be nil, which Close accepts.
func (w *workloadsOf) monitored() (*env.Monitor, map[string]measure.Sampler) {
	if !slices.ContainsFunc(w.cells, func(c perf.Cell) bool { return perf.OnDevice(c.Backend) }) {
		return nil, nil
	}
	monitor, err := env.OpenMonitor()
	if err != nil {
		return nil, nil // the environment in the result says why
	}
	samplers := map[string]measure.Sampler{}
	for _, b := range perf.DeviceBackends {
		samplers[b] = monitor
	}
	return monitor, samplers
}
