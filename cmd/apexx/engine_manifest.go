package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/worker"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

// manifestGraph returns the graph of a manifest's model, with its ranges, of a file or of the binary, where a precision needs them and it was not
// exported in it.
func manifestGraph(path, calibration string, p backends.Precision) (*graph.Graph, error) {
	manifest, text, err := reports.ReadManifest(path)
	if err != nil {
		return nil, err
	}
	g, err := onnx.Read(text)
	if err != nil {
		return nil, err
	}
	switch f := rounded(g); {
	case f != "" && f != p.Format():
		return nil, usagef("--precision %s: the model of %s was exported in %s", p, printable.Line(path), f)
	case !p.Scaled():
		return g, nil
	case f != "" && calibration != "":
		return nil, usagef("--calibration: the model of %s was exported in %s, with ranges", printable.Line(path), p)
	case f != "":
		return g, nil
	}
	f, err := manifestRanges(calibration, manifest.Model, g)
	if err != nil {
		return nil, err
	}
	g.Calibration = f.Calibration()
	return g, f.Fits(g)
}

// rounded returns the format that a graph was exported in; "" for one that rounds to none.
func rounded(g *graph.Graph) graph.Format {
	for _, n := range g.Nodes {
		if op, ok := n.Op.(graph.Round); ok {
			return op.To
		}
	}
	return ""
}

// manifestRanges returns the ranges of a file, or those in the binary, of the model that a manifest tells of, whose graph is g. The export that a file was found
// with may have had another shape.
func manifestRanges(path string, m reports.ManifestModel, g *graph.Graph) (*calibrate.File, error) {
	if path != "" {
		text, err := input.Read(path, input.Calibration)
		if err != nil {
			return nil, fmt.Errorf("read calibration: %w", err)
		}
		f, err := calibrate.Parse(text)
		var profile calibrate.Profile
		if err == nil {
			profile, err = calibrate.ParseProfile(f.Key.Profile)
		}
		if err == nil {
			err = f.Check(calibrate.Source{Config: m.Config, Weights: m.Weights, Export: f.Key.Export, Operators: calibrate.OwnOperators(), Profile: profile.Name, Wide: profile.Wide(g)})
		}
		if err != nil {
			return nil, fmt.Errorf("calibration %s: %w", printable.Line(path), err)
		}
		return f, nil
	}
	for _, text := range fixtures.Calibrations() {
		if f, err := calibrate.Parse(text); err == nil && f.Key.Config == m.Config && f.Key.Weights == m.Weights {
			return f, nil
		}
	}
	return nil, &backends.Unavailable{Backend: tensorrt.Name, Reason: backends.NotCalibrated,
		Detail: fmt.Sprintf("the binary has no ranges for config %.12s with weights %.12s; make a file with apexx calibrate, and name it with --calibration", m.Config, m.Weights)}
}

// compileError attaches its exit code to an error of a backend's Compile or Calibrate: what the graph or the options are to blame for is wrong usage.
func compileError(ctx context.Context, err error) error {
	var answer *worker.Error
	if errors.As(err, &answer) && answer.Code == worker.CodeBadInput {
		return exit.With(exit.Usage, err)
	}
	return exit.With(evidence.ExitCode([]evidence.State{evidence.Of(ctx, err).State}, false), err)
}
