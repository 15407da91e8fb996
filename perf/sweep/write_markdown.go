package sweep

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/accuracy"
)

// WriteMarkdown writes a result as GitHub-flavoured Markdown: where and how it was measured, then a table per backend in the
// order of the plan, and below it the cells that were not measured, by reason.
func WriteMarkdown(w io.Writer, r *Result) error {
	var s strings.Builder
	measured := 0
	for _, c := range r.Cells {
		if c.State == evidence.Measured {
			measured++
		}
	}
	fmt.Fprintf(&s, "# Sweep: %d of %d cells measured\n\n", measured, len(r.Cells))
	for _, f := range circumstances(r) {
		if f[1] != "" {
			fmt.Fprintf(&s, "- %s: %s\n", f[0], escapeMarkdown(f[1]))
		}
	}
	var backends []string
	byBackend := map[string][]*CellResult{}
	for i := range r.Cells {
		c := &r.Cells[i]
		if byBackend[c.Cell.Backend] == nil {
			backends = append(backends, c.Cell.Backend)
		}
		byBackend[c.Cell.Backend] = append(byBackend[c.Cell.Backend], c)
	}
	for _, b := range backends {
		fmt.Fprintf(&s, "\n## %s\n\n", escapeMarkdown(b))
		markdownTable(&s, byBackend[b])
	}
	markdownQuality(&s, r)
	s.WriteString("\np50 to p99 are quantiles of all samples of executions; p99 is left out where there are too few samples for it. Times are the host's,\n" +
		"but for those called the device's. Spread is the range of the replicates' medians over their median. End to end is the median with\n" +
		"upload and download. Memory and allocations are the worker's. Parity is against the float64 oracle; the speed of a cell counts only\n" +
		"where it holds.\n")
	_, err := io.WriteString(w, s.String())
	return err
}

// markdownQuality writes a row for each cell that was evaluated.
func markdownQuality(s *strings.Builder, r *Result) {
	if r.Plan.Quality == nil {
		return
	}
	d := r.Plan.Quality.DataSet
	fmt.Fprintf(s, "\n## Quality on %s\n\n%d images, %d objects. Numbers are hundredths; behind them stands the difference in points, with its %g %% interval.\n\n"+
		"| cell | p50 ms | AP of boxes | AP of masks | mIoU | PQ | against |\n|---|--:|--:|--:|--:|--:|---|\n", escapeMarkdown(d.Name), d.Images, d.Objects, 100*r.Plan.Quality.Policy.Confidence)
	for _, c := range r.Cells {
		if c.Quality == nil {
			continue
		}
		p50 := "–"
		if c.Summary != nil {
			p50 = perf.Digits(c.Summary.P50)
		}
		fmt.Fprintf(s, "| %s | %s |", escapeMarkdown(c.Name), p50)
		for _, m := range []accuracy.Metric{accuracy.BoxAP, accuracy.MaskAP, accuracy.MIoU, accuracy.PQ} {
			text := "–"
			if q := c.Quality.Result.Of(m); q != nil {
				text = fmt.Sprintf("%.2f, %s", 100*q.Candidate, q.Points())
			}
			fmt.Fprintf(s, " %s |", text)
		}
		against := c.Quality.Detail
		if c.Quality.Result != nil {
			against = c.Quality.Result.Against
		}
		fmt.Fprintf(s, " %s |\n", escapeMarkdown(against))
	}
}

// circumstances lists what the numbers depend on.
func circumstances(r *Result) [][2]string {
	e, p := &r.Environment, &r.Plan
	threads := "as many as processors"
	if p.Threads > 0 {
		threads = fmt.Sprint(p.Threads)
	}
	var libraries, variables, gpus []string
	for _, l := range e.Libraries {
		libraries = append(libraries, l.Key+" "+l.Value)
	}
	for _, v := range e.Variables {
		variables = append(variables, v.Key+"="+v.Value)
	}
	for _, g := range e.GPUs {
		gpus = append(gpus, fmt.Sprintf("%s, %d SMs, %g W, driver %s", g.Name, g.SMs, g.PowerLimitW, g.Driver))
	}
	if len(gpus) == 0 {
		gpus = []string{strings.TrimSuffix("none ("+e.GPUReason+")", " ()")}
	}
	facts := [][2]string{
		{"when", r.When.UTC().Format("2006-01-02 15:04:05 UTC")},
		{"class", r.Class.ID},
		{"cpu", fmt.Sprintf("%s, %d of %d processors", e.CPU.Model, e.CPU.Cores, e.CPU.Total)},
		{"gpu", strings.Join(gpus, "; ")},
		{"load average", fmt.Sprintf("%.2f, %.2f, %.2f", e.LoadAverage[0], e.LoadAverage[1], e.LoadAverage[2])},
		{"system", strings.TrimSpace(fmt.Sprintf("%s/%s %s, container %s", e.OS, e.Arch, e.Kernel, e.Container))},
		{"versions", strings.Join(append([]string{"apexx " + r.Version, e.Go}, libraries...), ", ")},
		{"commit", commit(r)},
		{"threads", threads},
		{"plan", fmt.Sprintf("%d replicates, each a process; up to %d samples or %g s per cell; seed %d", p.Replicates, p.Iterations,
			float64(p.BoundNS)/1e9, p.Seed)},
		{"command", r.Command},
	}
	if text := r.JudgedAgain(); text != "" {
		facts = append([][2]string{{"judged again", text}}, facts...)
	}
	if len(variables) > 0 {
		facts = append(facts, [2]string{"environment", strings.Join(variables, ", ")})
	}
	return facts
}

// markdownTable writes a row per measured cell, then the others by the reason why they are not.
func markdownTable(s *strings.Builder, cells []*CellResult) {
	var reasons []string
	without := map[string][]string{}
	rows := 0
	device := slices.ContainsFunc(cells, func(c *CellResult) bool { return c.Device != nil })
	for _, c := range cells {
		if c.State != evidence.Measured || c.Summary == nil {
			reason := strings.TrimSuffix(string(c.State)+": "+why(c), ": ")
			if without[reason] == nil {
				reasons = append(reasons, reason)
			}
			without[reason] = append(without[reason], c.Cell.Workload())
			continue
		}
		if rows == 0 {
			heading, rule := "", ""
			if device {
				heading, rule = " device p50 ms |", "--:|"
			}
			fmt.Fprintf(s, "| workload | p50 ms |%s p90 ms | p95 ms | p99 ms | %s/s | spread | end to end ms | first run ms | compile ms | host MiB | device MiB | allocs/run | parity |\n"+
				"|---|--:|%s--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|---|\n", heading, c.Cell.Unit(), rule)
		}
		rows++
		markdownRow(s, c, device)
	}
	if rows > 0 && len(reasons) > 0 {
		s.WriteByte('\n')
	}
	for _, reason := range reasons {
		fmt.Fprintf(s, "- %d not measured, **%s**: %s\n", len(without[reason]), escapeMarkdown(reason), escapeMarkdown(strings.Join(without[reason], ", ")))
	}
}

// markdownRow writes a measured cell, with a cell of the table for the median by the device's clock where asked.
func markdownRow(s *strings.Builder, c *CellResult, device bool) {
	m := c.Summary
	p99, peak, whole, p50 := "–", "–", "–", perf.Digits(m.P50)
	switch {
	case device && c.Device != nil:
		p50 += " | " + perf.Digits(c.Device.P50)
	case device:
		p50 += " | –"
	}
	if m.P99 != nil {
		p99 = perf.Digits(*m.P99)
	}
	if c.DevicePeakBytes > 0 {
		peak = mib(c.DevicePeakBytes)
	}
	if c.EndToEnd != nil {
		whole = perf.Digits(c.EndToEnd.P50)
	}
	fmt.Fprintf(s, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | %.4g | %s |\n", escapeMarkdown(c.Cell.Workload()), p50,
		perf.Digits(m.P90), perf.Digits(m.P95), p99, perf.Digits(m.Throughput), m.SpreadText(1), whole, perf.Digits(c.FirstRunMS), perf.Digits(c.CompileMS), mib(c.HostPeakBytes),
		peak, c.AllocsPerRun, escapeMarkdown(string(c.Parity.State)))
}

// why says in a few words why a cell has no numbers.
func why(c *CellResult) string {
	switch {
	case c.Reason == "":
		return c.Detail
	case c.Detail == "":
		return c.Reason
	}
	return c.Reason + ": " + c.Detail
}

// commit names the build.
func commit(r *Result) string {
	if r.Environment.Dirty {
		return r.Environment.Commit + " with changes"
	}
	return r.Environment.Commit
}

func mib(bytes int64) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }

var markdownSpecial = strings.NewReplacer(`\`, `\\`, `|`, `\|`, `<`, `&lt;`, `*`, `\*`, `_`, `\_`, "`", "\\`", "[", `\[`)

// escapeMarkdown keeps names and messages, which may be of other programs, from being read as markup or by a terminal.
func escapeMarkdown(s string) string {
	return markdownSpecial.Replace(printable.Line(strings.Join(strings.Fields(s), " ")))
}
