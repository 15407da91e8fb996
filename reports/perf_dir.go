package reports

import (
	"io"
	"path/filepath"

	"github.com/apex-x/apexx/internal/atomicfile"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports/plots"
)

// outputFile is one file of a report.
type outputFile struct {
	name  string
	write func(io.Writer) error
}

// WriteGateDir writes what people and CI systems read of a gate into an existing folder: index.html, gate.md, junit.xml, and the
// pictures as PNG and SVG. It returns the paths. Each file is complete or absent.
func WriteGateDir(dir string, r *gate.Record) ([]string, error) {
	files := []outputFile{
		{"index.html", func(w io.Writer) error { return GateHTML(w, r) }},
		{"gate.md", func(w io.Writer) error { return GateMarkdown(w, r) }},
		{"junit.xml", func(w io.Writer) error { return GateJUnit(w, r) }},
	}
	return writeFiles(dir, append(files, pictureFiles(gateFigures(r))...))
}

// WriteSweepDir writes what people and CI systems read of a sweep into an existing folder: index.html, junit.xml, and the
// pictures as PNG and SVG. It returns the paths. Each file is complete or absent.
func WriteSweepDir(dir string, r *sweep.Result) ([]string, error) {
	files := []outputFile{
		{"index.html", func(w io.Writer) error { return SweepHTML(w, r) }},
		{"junit.xml", func(w io.Writer) error { return SweepJUnit(w, r) }},
	}
	return writeFiles(dir, append(files, pictureFiles(sweepFigures(r))...))
}

func pictureFiles(figures []namedFigure) []outputFile {
	var files []outputFile
	for _, f := range figures {
		files = append(files, outputFile{f.name + ".png", func(w io.Writer) error { return plots.WritePNG(w, f.Figure) }},
			outputFile{f.name + ".svg", func(w io.Writer) error { return plots.WriteSVG(w, f.Figure) }})
	}
	return files
}

func writeFiles(dir string, files []outputFile) ([]string, error) {
	var paths []string
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if err := atomicfile.WriteFile(path, 0o644, f.write); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}
