package reports

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep"
)

// SweepTable writes a sweep for a terminal: a row for each cell with the latency and throughput of its execution, the median of whole runs
// with their transfers, start-up and memory, and why a cell has none; then the verdict.
func SweepTable(w io.Writer, r *sweep.Result) error {
	r = sweepResult(r)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	evaluated := r.Plan.Quality != nil
	quality := func(c sweep.CellResult) string { // two columns, where there are any
		if !evaluated {
			return ""
		}
		q := qualityOfCell(c)
		return q.AP + "\t" + q.Points + "\t"
	}
	heading := ""
	if evaluated {
		heading = "AP\tpoints against fp32\t"
	}
	fmt.Fprintf(t, "cell\tp50 ms\tp95 ms\t±spread\t%s/s\twhole ms\tfirst ms\tcompile ms\tpeak MiB\t%sparity\n", throughputUnit(r), heading)
	for _, c := range r.Cells {
		if c.Summary == nil {
			fmt.Fprintf(t, "%s\t–\t–\t–\t–\t–\t–\t–\t–\t%s%s\n", c.Name, quality(c), judgeSweepCell(c).Why)
			continue
		}
		s, whole := c.Summary, none
		if c.EndToEnd != nil {
			whole = fmt.Sprintf("%.4g", c.EndToEnd.P50)
		}
		fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%s\t%.4g\t%s\t%.3g\t%.3g\t%.0f\t%s%s\n", c.Name, s.P50, s.P95, s.SpreadText(0), s.Throughput, whole, c.FirstRunMS, c.CompileMS,
			float64(c.HostPeakBytes)/(1<<20), quality(c), parityWord(c))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if evaluated {
		fmt.Fprintf(w, "AP of boxes on %s; points are against the reference in fp32, with %g %% intervals\n", dataSetText(r.Plan.Quality), 100*r.Plan.Quality.Policy.Confidence)
	}
	word, _, tally := sweepOutcome(r)
	_, err := fmt.Fprintf(w, "%s  %s\n", word, tally)
	return err
}

// throughputUnit is the unit of the cells, which are all of one kind of model.
func throughputUnit(r *sweep.Result) string {
	var first perf.Cell
	if len(r.Cells) > 0 {
		first = r.Cells[0].Cell
	}
	return first.Unit()
}

// parityWord is a cell's parity, with the error where it holds and the reason where it does not.
func parityWord(c sweep.CellResult) string {
	if c.Parity.Holds() {
		return fmt.Sprintf("%s %.1e", c.Parity.State, c.Parity.MaxAbs)
	}
	return string(c.Parity.State) + " " + c.Parity.Detail
}
