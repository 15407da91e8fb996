package execute

import (
	"context"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/env"
)

// environmentBound ends the wait for NVML where the driver does not answer. Questions to workers have bounds of their own: several of them open a
// device, one after the other, and where others use it that takes seconds each; without their answers the record would be of another environment.
const environmentBound = 20 * time.Second

// Environment reads where this program measures, with the versions that the backends tell of their libraries. Names stay readable
// with identify (env.Options).
func Environment(ctx context.Context, identify bool) env.Environment {
	libraries := libraryVersions(ctx)
	ctx, stop := context.WithTimeout(ctx, environmentBound)
	defer stop()
	return env.Gather(ctx, env.Options{Identify: identify, Libraries: libraries})
}

// libraryVersions asks the backends that run here for the versions of their libraries, and for what decides how fast a library
// is, such as the instruction set that the reference uses.
func libraryVersions(ctx context.Context) []env.Software {
	var out []env.Software
	for _, name := range backends.Known {
		for _, f := range ask(ctx, name).Facts {
			if key, ok := libraryKeys[name+" "+f.Key]; ok {
				out = append(out, env.Software{Key: key, Value: f.Value})
			}
		}
	}
	return out
}

// libraryKeys names what a backend's probe tells of its library.
var libraryKeys = map[string]string{
	"reference instruction_set": "instruction_set", "ort version": "onnxruntime", "ort-cuda version": "onnxruntime-gpu", "cuda version": "cuda",
	"tensorrt version": "tensorrt",
}
