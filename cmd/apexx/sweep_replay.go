package main

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/perf/sweep"
)

// replaySweep sums the record of a sweep up again, and writes what a live one writes, but for the reports of the original's suites that need the
// configuration of the model.
func replaySweep(c *cli.Context) error {
	r, err := replayedRecord(c, sweep.Read, "out")
	if err != nil {
		return err
	}
	r.Again = readVersion().Version
	dir := c.String("out")
	release, err := claimForRecord(c, dir)
	if err != nil {
		return err
	}
	defer release()
	page := ""
	if dir != "" {
		if page, err = writeSweep(dir, r); err != nil {
			return err
		}
	}
	told := tellSweep(c, r, page)
	_, err = fmt.Fprintln(c.App.Writer, r.RecordLine())
	return errors.Join(err, told)
}
