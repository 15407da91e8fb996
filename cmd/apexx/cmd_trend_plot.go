package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/perf/trend"
	"github.com/apex-x/apexx/reports/plots"
)

func trendPlotCommand() *cli.Command {
	return &cli.Command{
		Name:  "plot",
		Usage: "draw every metric with its change points, as PNG and SVG",
		Description: "Each picture shows the runs in the order in which they are judged, the mean between change points with its 95 % confidence interval (Student's t),\n" +
			"change points with the range of commits, and releases. Files are named DIR/CLASS/METRIC.png and .svg.",
		Flags: append(chooseFlags(),
			&cli.StringFlag{Name: "metric", Usage: "only metrics that contain `TEXT`"},
			&cli.StringFlag{Name: "out", Usage: "write to the folder `DIR`, which is created"}),
		Action: trendPlot,
	}
}

func trendPlot(c *cli.Context) error {
	if c.String("out") == "" {
		return usagef("trend plot: want --out DIR")
	}
	runs, err := chosenRuns(c)
	if err != nil {
		return err
	}
	report, err := trend.Analyze(runs, chosenMetrics(c))
	if err != nil {
		return err
	}
	names, drawn := newFileNames(), 0
	for i := range report.Classes {
		class := &report.Classes[i]
		dir := filepath.Join(c.String("out"), names.of("", class.ID))
		for j := range class.Series {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return exit.With(exit.Usage, err)
			}
			s := &class.Series[j]
			if err := writeFigure(filepath.Join(dir, names.of(dir, s.Metric)), plots.Trend(class, s)); err != nil {
				return err
			}
			drawn++
		}
	}
	if drawn == 0 {
		return usagef("trend plot: no metric in the history fits")
	}
	_, err = fmt.Fprintf(c.App.Writer, "%d metrics drawn in %s, each as PNG and SVG\n", drawn, c.String("out"))
	return err
}

// writeFigure writes both forms of a figure.
func writeFigure(path string, f *plots.Figure) error {
	if err := atomicfile.WriteFile(path+".png", 0o644, func(w io.Writer) error { return plots.WritePNG(w, f) }); err != nil {
		return err
	}
	return atomicfile.WriteFile(path+".svg", 0o644, func(w io.Writer) error { return plots.WriteSVG(w, f) })
}

// fileNames turns the names of metrics and classes into distinct file names.
type fileNames struct{ taken map[string]int }

func newFileNames() fileNames { return fileNames{map[string]int{}} }

var notInFileNames = regexp.MustCompile(`[^A-Za-z0-9_.-]+`)

// of replaces what is not fit for a file name, and numbers names that become equal in a folder.
func (n fileNames) of(dir, name string) string {
	clean := strings.TrimLeft(notInFileNames.ReplaceAllString(name, "-"), ".-")
	if len(clean) > 200 {
		clean = clean[:200]
	}
	if clean == "" {
		clean = "unnamed"
	}
	key := dir + "/" + strings.ToLower(clean)
	n.taken[key]++
	if k := n.taken[key]; k > 1 {
		return fmt.Sprintf("%s-%d", clean, k)
	}
	return clean
}
