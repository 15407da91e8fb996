package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/reports"
)

// replayMatrix judges the record of a matrix again, and writes what a live one writes, but for its pictures.
func replayMatrix(c *cli.Context) error {
	doc, err := replayedRecord(c, reports.ReadMatrix, "report", "json")
	if err != nil {
		return err
	}
	doc.Again = readVersion().Version
	release, err := claimForRecord(c, c.String("report"))
	if err != nil {
		return err
	}
	defer release()
	if err := writeMatrix(c, doc); err != nil {
		return err
	}
	if c.String("json") != "-" {
		if _, err := fmt.Fprintln(c.App.Writer, doc.RecordLine()); err != nil {
			return err
		}
	}
	if code := doc.ExitCode(); code != exit.OK {
		return exit.Silent(code)
	}
	return nil
}
