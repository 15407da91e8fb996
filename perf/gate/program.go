package gate

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/measure"
)

// Program is one build of apexx, with the workers of other backends beside it.
type Program struct {
	Given    string              // as the user named it
	Binary   string              // the apexx
	Env      []string            // for its processes, added to this one's
	Own      map[string][]string // by backend that an apexx serves itself: the arguments that make it a worker
	Limits   map[string]int64    // by backend: bytes of memory beyond what a worker has at its start (worker.Spec.MemoryLimit)
	Deadline time.Duration       // on each request to a worker
}

// OpenProgram finds the apexx that a path names: the file itself, or apexx in the folder. Its error is one of usage.
func OpenProgram(path string) (Program, error) {
	p := Program{Given: path, Binary: path}
	info, err := os.Stat(path)
	if err != nil {
		return p, exit.With(exit.Usage, err)
	}
	if info.IsDir() {
		p.Binary = filepath.Join(path, "apexx")
	}
	if p.Binary, err = filepath.Abs(p.Binary); err != nil {
		return p, err
	}
	if _, err := exec.LookPath(p.Binary); err != nil {
		return p, exit.With(exit.Usage, fmt.Errorf("%s is no build of apexx: %w (want the program, or a folder with apexx and its workers)", path, err))
	}
	return p, nil
}

// Worker tells how to start a worker of the build: the program itself, or an executable beside it, never one that both sides of a gate
// would share.
func (p Program) Worker(backend string) worker.Spec {
	s := worker.Spec{Name: backend, Deadline: p.Deadline, Env: p.Env, MemoryLimit: p.Limits[backend]}
	if backends.BuildsEngines(backend) {
		s.CompileDeadline = tensorrt.CompileDeadline(p.Deadline)
	}
	if args, own := p.Own[backend]; own {
		s.Command = append([]string{p.Binary}, args...)
	} else {
		s.Command = []string{filepath.Join(filepath.Dir(p.Binary), "apexx-"+backend)}
	}
	return s
}

// Describe starts the workers of a build and returns what they say of themselves: what the first that starts does, and the variables of all. A backend that
// does not start costs its cells later. A build of which none starts is an error, and so is one with a worker that speaks another major version
// of the protocol: nobody can say what it lost.
func (p Program) Describe(ctx context.Context, names []string) (said Build, err error) {
	var failures []error
	for _, name := range names {
		w, err := worker.Start(ctx, p.Worker(name))
		var u *backends.Unavailable
		if errors.As(err, &u) && u.Reason == backends.WorkerVersionMismatch {
			return said, fmt.Errorf("%s: %w", p.Given, err)
		}
		if err != nil {
			if beside := measure.Beside(err); beside != nil {
				return said, beside
			}
			failures = append(failures, fmt.Errorf("%s: %w", p.Given, err))
			continue
		}
		hello := w.Hello()
		if err := measure.Beside(w.Close()); err != nil {
			return said, err
		}
		if said.Path == "" {
			said = Build{Path: p.Given, Version: hello.Build["version"], Revision: hello.Build["revision"],
				Modified: hello.Build["modified"] == "true", Protocol: hello.Protocol.String()}
		}
		said.Variables = append(said.Variables, env.VariablesOf(name, w.Variables())...)
	}
	if said.Path == "" {
		return said, errors.Join(failures...)
	}
	return said, nil
}
