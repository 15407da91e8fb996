package main

import (
	"context"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/reports"
)

func envCommand() *cli.Command {
	return &cli.Command{
		Name:  "env",
		Usage: "tell where measurements are made: hardware, versions, GPUs, class of machines",
		Flags: []cli.Flag{
			jsonSwitch(),
			&cli.BoolFlag{Name: "identify", Usage: "keep the host's name and the UUIDs of GPUs (default: hashed)"},
		},
		Action: func(c *cli.Context) error {
			identify := c.Bool("identify")
			report := reports.NewEnvironment(gatherEnvironment(c.Context, identify))
			if err := c.Context.Err(); err != nil {
				return err
			}
			if c.Bool("json") {
				return reports.IndentedJSON(c.App.Writer, report)
			}
			return reports.EnvironmentTable(c.App.Writer, report, !identify)
		},
	}
}

// environmentBound ends the wait for a driver that does not answer.
const environmentBound = 20 * time.Second

// gatherEnvironment reads the environment, with the versions that the backends tell of their libraries.
func gatherEnvironment(ctx context.Context, identify bool) env.Environment {
	ctx, stop := context.WithTimeout(ctx, environmentBound)
	defer stop()
	return env.Gather(ctx, env.Options{Identify: identify, Libraries: libraryVersions(ctx)})
}

// libraryVersions asks the backends that run here for the versions of their libraries, and for what decides how fast a library
// is, such as the instruction set that the reference uses.
func libraryVersions(ctx context.Context) []env.Fact {
	var out []env.Fact
	for _, name := range backends.Known {
		b, err := execute.Open(name, execute.Options{})
		if err != nil {
			continue // such as a worker that is not there
		}
		for _, f := range b.Probe(ctx).Facts {
			if key, ok := libraryFacts[name+" "+f.Key]; ok {
				out = append(out, env.Fact{Key: key, Value: f.Value})
			}
		}
	}
	return out
}

// libraryFacts names the facts of a backend's probe that are versions.
var libraryFacts = map[string]string{"reference instruction_set": "instruction_set", "ort version": "onnxruntime", "cuda version": "cuda", "tensorrt version": "tensorrt"}
