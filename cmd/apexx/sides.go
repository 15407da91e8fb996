package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/measure"
)

// build is one side of a gate: an apexx, with the workers of other backends beside it.
type build struct {
	given  string   // as the user named it
	binary string   // the apexx
	env    []string // for its processes, added to this one's
}

// openBuild finds the apexx that a path names: the file itself, or apexx in the folder.
func openBuild(path string) (build, error) {
	b := build{given: path, binary: path}
	info, err := os.Stat(path)
	if err != nil {
		return b, usagef("%w", err)
	}
	if info.IsDir() {
		b.binary = filepath.Join(path, "apexx")
	}
	if b.binary, err = filepath.Abs(b.binary); err != nil {
		return b, err
	}
	if _, err := exec.LookPath(b.binary); err != nil {
		return b, usagef("%s is no build of apexx: %w (want the program, or a folder with apexx and its workers)", path, err)
	}
	return b, nil
}

// spec tells how to start a worker of the build.
func (b build) spec(backend string, deadline time.Duration) worker.Spec {
	s := worker.Spec{Name: backend, Deadline: deadline, Env: b.env}
	if _, err := execute.InProcess().Get(backend); err == nil {
		s.Command = []string{b.binary, execute.WorkerCommand, "--backend", backend}
	} else { // never one that both sides would share
		s.Command = []string{filepath.Join(filepath.Dir(b.binary), "apexx-"+backend)}
	}
	return s
}

// describe asks the build's workers of the cells what they are. What it returns is of the first; it says of any whether it
// can be timed by single run requests only. A backend that does not start costs its cells later, except where none does.
func (b build) describe(ctx context.Context, cells []perf.Cell, deadline time.Duration) (said gate.Build, requests bool, err error) {
	var failures []error
	asked := map[string]bool{}
	for _, c := range cells {
		if asked[c.Backend] {
			continue
		}
		asked[c.Backend] = true
		w, err := worker.Start(ctx, b.spec(c.Backend, deadline))
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", b.given, err))
			continue
		}
		h := w.Hello()
		w.Close()
		requests = requests || !h.Protocol.Measures()
		if said.Path == "" {
			said = gate.Build{Path: b.given, Version: h.Build["version"], Revision: h.Build["revision"],
				Modified: h.Build["modified"] == "true", Protocol: h.Protocol.String()}
		}
	}
	if said.Path == "" {
		return said, false, errors.Join(failures...)
	}
	return said, requests, nil
}

// models returns what makes the complete models of the build: this program its own, another by its export command.
func (b build) models(w *workloadsOf) measure.Models {
	if self, err := os.Executable(); err == nil && same(self, b.binary) && len(b.env) == 0 {
		return w.models
	}
	return &execute.Exported{Models: w.models, Binary: b.binary, Env: b.env}
}

func same(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// side makes the build a side of a gate.
func (b build) side(arm perf.Arm, w *workloadsOf, deadline time.Duration) measure.Side {
	return measure.Side{Arm: arm, Workloads: measure.NewWorkloads(b.models(w), reference.New()),
		Spec: func(backend string) worker.Spec {
			s := b.spec(backend, deadline)
			s.MemoryLimit = execute.MemoryLimit(backend, w.options.Extra[backend])
			return s
		}}
}
