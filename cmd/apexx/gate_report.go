package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports"
)

// reportGate writes a judged record to --out, to the terminal and, on GitHub, to its job. The exit code is the verdict's.
func reportGate(c *cli.Context, rec *gate.Record) error {
	table := reports.GateTable(c.App.Writer, rec, tableOptions(c.App.Writer)) // first: a disk may be full, and the verdict took minutes
	if dir := c.String("out"); dir != "" {
		err := atomicfile.WriteFile(filepath.Join(dir, "gate.json"), 0o644, func(w io.Writer) error { return gate.WriteJSON(w, rec) })
		if err != nil {
			return err
		}
		if _, err := reports.WriteGateDir(dir, rec); err != nil {
			return err
		}
		_, err = fmt.Fprintf(c.App.Writer, "report: %s\n", filepath.Join(dir, "index.html"))
		table = errors.Join(table, err)
	}
	if err := errors.Join(table, reports.WriteGitHub(os.Getenv, c.App.Writer, rec)); err != nil {
		return err
	}
	if rec.Verdict.ExitCode != exit.OK {
		return exit.Silent(rec.Verdict.ExitCode)
	}
	return nil
}
