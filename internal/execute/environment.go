package execute

import (
	"context"
	"os"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/perf/env"
)

// environmentBound ends the wait for NVML where the driver does not answer. Questions to workers have bounds of their own: several of them open a
// device, one after the other, and where others use it that takes seconds each; without their answers the record would be of another environment.
const environmentBound = 20 * time.Second

// Environment reads where this program measures, with the versions that the backends tell of their libraries. Names stay readable
// with identify (env.Options).
func Environment(ctx context.Context, identify bool) env.Environment {
	libraries, workers := probed(ctx)
	ctx, stop := context.WithTimeout(ctx, environmentBound)
	defer stop()
	return env.Gather(ctx, env.Options{Identify: identify, Libraries: libraries, Workers: workers})
}

// Variables returns the environment variables that change what these backends compute or how fast: this program's, and those in which their workers
// differ (env.Environment.Variables).
func Variables(ctx context.Context, list ...backends.Backend) []env.Software {
	variables := env.Variables(os.Environ())
	for i, b := range list {
		if !slices.ContainsFunc(list[:i], func(o backends.Backend) bool { return o.Name() == b.Name() }) {
			variables = append(variables, env.VariablesOf(b.Name(), worker.Told(b.Probe(ctx).Facts))...)
		}
	}
	return variables
}

// probed asks the backends that run here for the versions of their libraries, for what decides how fast a library is, such as the instruction set that the
// reference uses, and for the variables in which their workers differ from this program.
func probed(ctx context.Context) (libraries, variables []env.Software) {
	for _, name := range backends.Known {
		facts := ask(ctx, name).Facts
		for _, f := range facts {
			if key, ok := libraryKeys[name+" "+f.Key]; ok {
				libraries = append(libraries, env.Software{Key: key, Value: f.Value})
			}
		}
		variables = append(variables, env.VariablesOf(name, worker.Told(facts))...)
	}
	return libraries, variables
}

// libraryKeys names what a backend's probe tells of its library.
var libraryKeys = map[string]string{
	"reference instruction_set": "instruction_set", "ort version": "onnxruntime", "ort-cuda version": "onnxruntime-gpu", "cuda version": "cuda",
	"tensorrt version": "tensorrt",
}
