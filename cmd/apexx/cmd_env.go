package main

import (
	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/reports"
)

func envCommand() *cli.Command {
	return &cli.Command{
		Name:  "env",
		Usage: "tell where measurements are made: hardware, versions, GPUs, class of machines",
		Flags: []cli.Flag{
			jsonSwitch(),
			&cli.BoolFlag{Name: "identify", Usage: "keep the host's name and the UUIDs of GPUs, which are hashed otherwise"},
		},
		Action: func(c *cli.Context) error {
			identify := c.Bool("identify")
			report := reports.NewEnvironment(execute.Environment(c.Context, identify))
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
