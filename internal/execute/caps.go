package execute

import (
	"context"
	"os"
	"path/filepath"
	"runtime"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/perf/env"
)

// DetectCaps probes every known backend, each as a command would start it, and looks at the devices through NVML. It never fails: what is
// missing is a reason.
func DetectCaps(ctx context.Context) caps.Caps {
	o := caps.Observed{
		Files: deviceFiles(), Getenv: os.Getenv,
		CPU: caps.CPU{Architecture: runtime.GOARCH, Threads: runtime.GOMAXPROCS(0)},
		Exists: func(path string) bool {
			info, err := os.Stat(path)
			return err == nil && info.Mode().IsRegular()
		},
	}
	for _, name := range backends.Known {
		o.Probes = append(o.Probes, caps.Probe{Backend: name, Availability: ask(ctx, name)})
	}
	within, stop := context.WithTimeout(ctx, environmentBound)
	defer stop()
	o.Devices = env.ReadDevices(within)
	return caps.Of(o)
}

// deviceFiles counts those of NVIDIA's kernel driver, which needs no library and touches no device.
func deviceFiles() int {
	files, _ := filepath.Glob("/dev/nvidia[0-9]*") // the pattern is well-formed
	return len(files)
}
