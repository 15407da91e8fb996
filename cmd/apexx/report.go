package main

import (
	"io"
	"os"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
)

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// matrixReport runs the matrix and writes its reports.
func matrixReport(c *cli.Context, _ *source.Model, _ []source.Case, spec parity.MatrixSpec) error {
	spec.OnExecution = progress(c, len(spec.Cases)*len(spec.Columns))
	m, err := parity.Run(c.Context, spec)
	if err != nil {
		return err
	}
	for i := range m.Cells {
		cell := &m.Cells[i]
		println(cell.Case, cell.Pair.String(), string(cell.State), cell.Reason, cell.Detail)
		if cell.Report != nil {
			println("   ", cell.Report.Summary())
		}
	}
	if code := m.ExitCode(); code != 0 {
		return exit.Silent(code)
	}
	return nil
}
