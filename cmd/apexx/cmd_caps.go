package main

import (
	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/reports"
)

func capsCommand() *cli.Command {
	return &cli.Command{
		Name:  "caps",
		Usage: "tell what this machine can run, and why not the rest",
		Description: "What a backend lacks is told by a code of a closed catalog, and so is what it could use besides. Devices, their memory and their\n" +
			"clocks are NVML's word. The chain of a backend, in the JSON, is what run and plan try with --select permissive.",
		Flags: []cli.Flag{jsonSwitch()},
		Action: func(c *cli.Context) error {
			found := execute.DetectCaps(c.Context)
			if c.Bool("json") {
				return reports.IndentedJSON(c.App.Writer, struct {
					Build reports.Build `json:"build"` // whose backends were asked
					caps.Caps
				}{ownBuild(), found})
			}
			return found.WriteText(c.App.Writer)
		},
	}
}
