package sweep

import (
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf"
)

// ExitCode applies the rule of matrices to a sweep: 1 where a cell computes something else than the oracle or overspends a
// budget, else 6 where one failed, crashed or hung, while it was timed or while it was compared, else 5 where nothing was measured,
// else 0.
func (r *Result) ExitCode() int {
	code, measured := exit.OK, 0
	for _, c := range r.Cells {
		switch {
		case c.Parity.State == "fail":
			return exit.Failed
		case c.State == perf.Measured && c.Parity.Holds():
			measured++
		case c.State != perf.Unsupported:
			code = exit.Internal
		}
	}
	if code == exit.OK && measured == 0 {
		return exit.Unavailable
	}
	return code
}
