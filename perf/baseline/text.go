package baseline

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/perf/accuracy"
)

// WriteText writes a baseline for people: where it came from, then a line per metric.
func (b *Baseline) WriteText(w io.Writer) error {
	var s strings.Builder
	p := &b.Provenance
	commit := printable.Line(fmt.Sprintf("%.12s", p.Commit))
	if p.Dirty {
		commit += " with changes"
	}
	var software []string
	for _, f := range b.Software {
		software = append(software, printable.Line(f.Key+" "+f.Value))
	}
	noise := "not measured"
	if n := b.Noise; n != nil {
		noise = fmt.Sprintf("blocks of equal builds scatter by %.2f %%, %.1f %% of them %.1f times as much, together by %.2f %% (%d blocks)",
			100*n.SD, 100*n.OutlierShare, n.OutlierScale, 100*n.SharedSD, n.Blocks)
	}
	fmt.Fprintf(&s, "class     %s\n", b.Class.ID)
	fmt.Fprintf(&s, "recorded  %s, commit %s, %d replicates\n", p.When.UTC().Format("2006-01-02"), commit, p.Replicates)
	fmt.Fprintf(&s, "software  %s\n", strings.Join(software, ", "))
	fmt.Fprintf(&s, "delta     %g %%\nnoise     %s\n", 100*b.Delta, noise)
	if q := b.Quality; q != nil {
		fmt.Fprintf(&s, "quality   on %s may be lost, in points of AP: %s\n", printable.Line(q.DataSet), q.MaxMapDrop)
	}
	s.WriteByte('\n')
	rows := [][]string{{"metric", "value ms", "max ratio", "max abs ms", "allowed ms"}}
	for _, name := range b.Names() {
		m := b.Metrics[name]
		rows = append(rows, []string{name, number(m.ValueMS), fmt.Sprintf("%.2f", m.MaxRegressionRatio), fmt.Sprintf("%.2f", m.MaxRegressionAbsMS), number(m.Allowed())})
	}
	table(&s, rows)
	_, err := io.WriteString(w, s.String())
	return err
}

// WriteText writes a comparison for people: the verdict, warnings, then a line per check, those that did not pass first.
func (c *Comparison) WriteText(w io.Writer) error {
	var s strings.Builder
	fmt.Fprintf(&s, "%s: %d of %d checks passed\n", c.Status, len(c.Checks)-len(c.Failed()), len(c.Checks))
	for _, warning := range c.Warnings {
		fmt.Fprintf(&s, "warning: %s\n", printable.Line(warning))
	}
	rows := [][]string{{"check", "status", "baseline ms", "allowed ms", "current ms", "change"}}
	for _, k := range slices.Concat(c.Failed(), slices.DeleteFunc(slices.Clone(c.Checks), func(k Check) bool { return k.Status != CheckPass })) {
		row := []string{k.Metric, k.Status, "–", "–", "–", "–"}
		if k.Metric != statusMetric {
			row[2], row[3] = number(k.BaselineMS), number(k.AllowedMaxMS)
		}
		if k.CurrentMS != nil {
			row[4] = number(*k.CurrentMS)
		}
		if k.Ratio != nil {
			row[5] = fmt.Sprintf("%+.1f %%", 100**k.Ratio)
		}
		rows = append(rows, row)
	}
	s.WriteByte('\n')
	table(&s, rows)
	qualityTable(&s, c.Quality)
	if len(c.Failed()) > 0 {
		s.WriteByte('\n')
	}
	for _, k := range c.Failed() {
		if k.Note != "" {
			fmt.Fprintf(&s, "%s: %s\n", k.Metric, printable.Line(k.Note))
		}
	}
	_, err := io.WriteString(w, s.String())
	return err
}

// qualityTable lists what every cell lost, and below why some did not pass.
func qualityTable(s *strings.Builder, checks []QualityCheck) {
	if len(checks) == 0 {
		return
	}
	rows := [][]string{{"quality", "status", "AP", "points", "may lose"}}
	for _, k := range checks {
		row := []string{k.Cell, k.Status, "–", "–", fmt.Sprintf("%g", k.MaxPoints)}
		if d := k.Result.Of(accuracy.BoxAP); d != nil {
			row[2], row[3] = fmt.Sprintf("%.2f", 100*d.Candidate), d.Points()
		}
		rows = append(rows, row)
	}
	s.WriteByte('\n')
	table(s, rows)
	for _, k := range checks {
		if k.Note != "" {
			fmt.Fprintf(s, "%s: %s\n", k.Cell, printable.Line(k.Note))
		}
	}
}

// WriteDiff writes what changed from one baseline to another, metric by metric.
func WriteDiff(w io.Writer, from, to *Baseline) error {
	var s strings.Builder
	if from.Class.ID != to.Class.ID {
		fmt.Fprintf(&s, "warning: other machines: %s, then %s\n", from.Class.ID, to.Class.ID)
	}
	if other := otherSettings(from.Settings, to.Settings); other != "" {
		fmt.Fprintf(&s, "warning: other settings: %s\n", other)
	}
	for _, change := range softwareChanges(from.Software, to.Software) {
		fmt.Fprintf(&s, "%s\n", printable.Line(change))
	}
	if from.Delta != to.Delta {
		fmt.Fprintf(&s, "delta was %g %%, now %g %%\n", 100*from.Delta, 100*to.Delta)
	}
	rows := [][]string{{"metric", "from ms", "to ms", "change", "allowed from ms", "allowed to ms"}}
	names := slices.Concat(from.Names(), to.Names())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		rows = append(rows, diffRow(name, from.Metrics, to.Metrics))
	}
	if s.Len() > 0 {
		s.WriteByte('\n')
	}
	table(&s, rows)
	_, err := io.WriteString(w, s.String())
	return err
}

func diffRow(name string, from, to map[string]Metric) []string {
	a, inA := from[name]
	b, inB := to[name]
	row := []string{name, "–", "–", "", "–", "–"}
	if inA {
		row[1], row[4] = number(a.ValueMS), number(a.Allowed())
	}
	if inB {
		row[2], row[5] = number(b.ValueMS), number(b.Allowed())
	}
	switch {
	case !inA:
		row[3] = "new"
	case !inB:
		row[3] = "gone"
	case a.ValueMS > 0:
		row[3] = fmt.Sprintf("%+.1f %%", 100*(b.ValueMS/a.ValueMS-1))
	}
	return row
}

// table writes rows in columns: the first left-aligned, the others right.
func table(s *strings.Builder, rows [][]string) {
	width := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, text := range row {
			width[i] = max(width[i], utf8.RuneCountInString(text))
		}
	}
	for _, row := range rows {
		for i, text := range row {
			pad := strings.Repeat(" ", width[i]-utf8.RuneCountInString(text))
			if i == 0 {
				s.WriteString(text + pad)
			} else {
				s.WriteString("  " + pad + text)
			}
		}
		s.WriteByte('\n')
	}
}

// number prints milliseconds to a tenth of a microsecond, or to four digits where that is less.
func number(ms float64) string {
	if ms >= 100 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.4f", ms)
}
