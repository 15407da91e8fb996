package main

import (
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// deviceBackends compute on a GPU; the others on the host's processors.
var deviceBackends = []string{"cuda", "tensorrt"}

// environment gathers where this program measures, once: it probes every backend and the devices.
func (w *workloadsOf) environment(c *cli.Context) env.Environment {
	if w.where == nil {
		e := gatherEnvironment(c.Context, c.Bool("identify"))
		w.where = &e
	}
	return *w.where
}

// onDevice tells whether any cell computes on a GPU.
func (w *workloadsOf) onDevice() bool {
	for _, c := range w.cells {
		if slices.Contains(deviceBackends, c.Backend) {
			return true
		}
	}
	return false
}

// classOf names the class of the machine for what is measured: its GPU where a cell computes there.
func classOf(e env.Environment, w *workloadsOf) env.Class {
	if w.onDevice() && len(e.GPUs) > 0 {
		return env.Classify(e, w.options.Threads, &e.GPUs[0])
	}
	return env.Classify(e, w.options.Threads, nil)
}

// devices names the GPU of each backend that computes on one.
func devices() map[string]int {
	of := map[string]int{}
	for _, b := range deviceBackends {
		of[b] = 0
	}
	return of
}

// monitored opens what watches the devices, where there are any to watch. The monitor may be nil, which Close accepts.
func (w *workloadsOf) monitored() (*env.Monitor, map[string]measure.Sampler) {
	if !w.onDevice() {
		return nil, nil
	}
	monitor, err := env.OpenMonitor()
	if err != nil {
		return nil, nil // the environment in the result says why
	}
	samplers := map[string]measure.Sampler{}
	for _, b := range deviceBackends {
		samplers[b] = monitor
	}
	return monitor, samplers
}
