package main

import (
	"os"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/measure"
)

// openProgram opens a build that a path names.
func openProgram(c *cli.Context, path string) (gate.Program, error) {
	p, err := gate.OpenProgram(path)
	p.Own, p.Deadline = execute.OwnArguments(), c.Duration("deadline")
	return p, err
}

// ownProgram is this build.
func ownProgram(c *cli.Context) (gate.Program, error) {
	own, err := os.Executable()
	if err != nil {
		return gate.Program{}, err
	}
	return openProgram(c, own)
}

// modelsOf returns what makes the complete models of a build: this program its own, another by its export command. A model of --model is the
// same in every build.
func (w *workloadsOf) modelsOf(p gate.Program) measure.ModelSource {
	if w.network != nil {
		return w.network
	}
	if self, err := os.Executable(); err == nil && sameFile(self, p.Binary) {
		return w.models
	}
	return &execute.Exported{Own: w.models, Binary: p.Binary, Env: p.Env}
}

func sameFile(a, b string) bool {
	x, err1 := os.Stat(a)
	y, err2 := os.Stat(b)
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}
