package main

import (
	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/execute"
)

// workerCommand is what this program starts itself as, to run a backend in a process of its own.
func workerCommand() *cli.Command {
	return &cli.Command{
		Name:   execute.WorkerCommand,
		Usage:  "serve a backend to a parent process on standard input and output",
		Hidden: true,
		Flags:  []cli.Flag{&cli.StringFlag{Name: "backend"}},
		Action: func(c *cli.Context) error { return execute.Serve(c.Context, c.String("backend")) },
	}
}
