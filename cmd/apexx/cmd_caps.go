package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/reports"
)

func capsCommand() *cli.Command {
	return &cli.Command{
		Name:  "caps",
		Usage: "tell what this machine can run, and why not the rest",
		Flags: []cli.Flag{jsonSwitch()},
		Action: func(c *cli.Context) error {
			caps := execute.DetectCaps(c.Context)
			if c.Bool("json") {
				return reports.IndentedJSON(c.App.Writer, caps)
			}
			return printCaps(c.App.Writer, caps)
		},
	}
}

func printCaps(w io.Writer, caps execute.Caps) error {
	for _, b := range caps.Backends {
		state := "available"
		if !b.Available {
			state = "unavailable: " + string(b.Reason)
		}
		fmt.Fprintf(w, "%-10s %s\n", b.Name, state)
		if b.Detail != "" {
			fmt.Fprintf(w, "%-10s   %s\n", "", b.Detail)
		}
		if len(b.Precisions) > 0 {
			fmt.Fprintf(w, "%-10s   precisions: %s\n", "", precisionList(b.Precisions))
		}
		for _, f := range b.Facts {
			fmt.Fprintf(w, "%-10s   %s: %s\n", "", f.Key, f.Value)
		}
	}
	device := fmt.Sprintf("%d device(s)", caps.Cuda.DeviceCount)
	if caps.Cuda.Reason != nil {
		device = string(*caps.Cuda.Reason)
	}
	_, err := fmt.Fprintf(w, "%-10s %s\n%-10s %s, %d threads\n", "gpu", device, "cpu", caps.CPU.Architecture, caps.CPU.Threads)
	return err
}

func precisionList(list []backends.Precision) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = string(p)
	}
	return strings.Join(names, ", ")
}
