package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/reports"
)

func calibrateShowCommand() *cli.Command {
	return &cli.Command{
		Name:      "show",
		Usage:     "tell what is in a file of ranges, or in which values two differ",
		ArgsUsage: "FILE [FILE]",
		Description: "Of two files it lists the values whose ranges differ, those first that differ most, such as of two methods over the same cases.\n" +
			"An octave is a factor of 2; ranges that move no value of int8 by a hundredth of a level count as equal. Exit codes: 0 one file, or two of equal ranges, 1 they differ.",
		Action: showCalibration,
	}
}

func showCalibration(c *cli.Context) error {
	if n := c.NArg(); n < 1 || n > 2 {
		return usagef("%d files: want one calibration, or two to compare", n)
	}
	var files []*calibrate.File
	for _, path := range c.Args().Slice() {
		text, err := input.Read(path, input.Calibration)
		if err != nil {
			return exit.With(exit.Usage, err)
		}
		f, err := calibrate.Parse(text)
		if err != nil {
			return exit.With(exit.Usage, fmt.Errorf("calibration %s: %w", printable.Line(path), err))
		}
		files = append(files, f)
	}
	if len(files) == 1 {
		return reports.CalibrationText(c.App.Writer, files[0])
	}
	differ, err := reports.CalibrationDifferences(c.App.Writer, files[0], files[1])
	if err == nil && differ {
		err = exit.Silent(exit.Failed)
	}
	return err
}
