package main

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// environment gathers where this program measures, once: it probes every backend and the devices. Of the variables of workers it has those of the
// backends that are measured.
func (w *workloadsOf) environment(c *cli.Context) env.Environment {
	if w.where == nil {
		e := execute.Environment(c.Context, c.Bool("identify")).Measured(perf.Backends(w.cells)...)
		w.where = &e
	}
	return *w.where
}

// class names the class of the machine for what is measured: that of its GPU where a cell computes on one, else that of its processors.
func (w *workloadsOf) class(c *cli.Context) env.Class {
	e, threads := w.environment(c), w.options.Threads
	if w.onDevice() {
		if at := slices.IndexFunc(e.GPUs, func(g env.GPU) bool { return g.Index == w.options.Devices[perf.OwnKernels] }); at >= 0 {
			return env.Classify(e, threads, &e.GPUs[at])
		}
	}
	return env.Classify(e, threads, nil)
}

// locate finds the GPU that cells compute on, so that it is the one that is watched and whose class counts.
func (w *workloadsOf) locate(ctx context.Context) error {
	if !w.onDevice() {
		return nil
	}
	index, err := deviceOf(os.Getenv, env.ReadDevices(ctx).List)
	if err != nil {
		return exit.With(exit.Unavailable, err)
	}
	w.options.Devices = map[string]int{}
	for _, b := range perf.DeviceBackends {
		w.options.Devices[b] = index
	}
	return nil
}

func (w *workloadsOf) onDevice() bool {
	return slices.ContainsFunc(w.cells, func(c perf.Cell) bool { return perf.OnDevice(c.Backend) })
}

// deviceOf returns NVML's index of the GPU that workers compute on: of those that it lists, the first that CUDA_VISIBLE_DEVICES leaves them. Where it lists
// none, nothing is watched, and where CUDA finds none, workers say so: 0 then.
func deviceOf(getenv func(string) string, list []env.DeviceState) (int, error) {
	at, missing, _ := env.Visible(getenv, list)
	switch {
	case at != nil:
		return at.Index, nil
	case len(list) == 1:
		return list[0].Index, nil
	case len(list) == 0 || missing != "":
		return 0, nil
	}
	return 0, fmt.Errorf("which of the %d GPUs CUDA computes on cannot be told, and it has to be watched: set CUDA_DEVICE_ORDER=PCI_BUS_ID, and CUDA_VISIBLE_DEVICES to the index or the GPU-… identifier of a whole device", len(list))
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
	for _, b := range perf.DeviceBackends {
		samplers[b] = monitor
	}
	return monitor, samplers
}
