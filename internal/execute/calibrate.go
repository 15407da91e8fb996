package execute

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
)

// GraphIn returns the graph of a model for a session of a backend in a precision. A model that is not calibrated for it makes the precision
// one that cannot be had.
func GraphIn(m *source.Model, backend string, opts model.Options, p backends.Precision) (*graph.Graph, error) {
	return calibratedFor(backend, func() (*graph.Graph, error) { return m.GraphIn(opts, p) })
}

// calibratedFor builds a graph for a session of a backend.
func calibratedFor(backend string, build func() (*graph.Graph, error)) (*graph.Graph, error) {
	g, err := build()
	if errors.Is(err, source.ErrNotCalibrated) {
		err = &backends.Unavailable{Backend: backend, Reason: backends.NotCalibrated, Detail: err.Error()}
	}
	return g, err
}

// CalibrationKey returns the key of a calibration of a model over cases, all of that model. An empty version of the data stands for a
// digest of them.
func CalibrationKey(m *source.Model, cases []source.Case, profile calibrate.Profile, method calibrate.Method, version string) (calibrate.Key, error) {
	from, err := m.CalibrationSource(cases[0].Image.Shape(), profile)
	if err != nil {
		return calibrate.Key{}, err
	}
	if version == "" {
		var images []*tensor.Tensor
		for _, c := range cases {
			images = append(images, c.Image)
		}
		version = calibrate.DataVersion(images)
	}
	return calibrate.Key{Source: from, Method: method.String(), Data: version, Shape: cases[0].Image.Shape()}, nil
}

// Calibrate runs the cases in fp32 and returns the ranges of their model under a key that CalibrationKey made. Cases of one shape share a
// session. progress is told after each.
func Calibrate(ctx context.Context, b backends.Backend, m *source.Model, cases []source.Case, key calibrate.Key, threads int, progress func(done int)) (*calibrate.File, error) {
	method, err := calibrate.ParseMethod(key.Method)
	if err != nil {
		return nil, err
	}
	histograms := calibrate.Histograms{}
	done := 0
	for _, group := range byShape(cases) {
		g, err := m.Graph(group[0].Options(group[0].Decode))
		if err != nil {
			return nil, err
		}
		g.Calibration = &graph.Calibration{Wide: key.Wide}
		var inputs iter.Seq[tensor.List] = func(yield func(tensor.List) bool) {
			for _, c := range group {
				if !yield(c.Tensors()) {
					return
				}
				done++
				progress(done)
			}
		}
		if err := histograms.Collect(ctx, b, g, inputs, threads); err != nil {
			return nil, err
		}
	}
	return calibrate.New(key, histograms.Ranges(method)), nil
}

// byShape groups cases, in the order in which their shapes first come.
func byShape(cases []source.Case) [][]source.Case {
	var groups [][]source.Case
	for _, c := range cases {
		at := slices.IndexFunc(groups, func(g []source.Case) bool { return slices.Equal(g[0].Image.Shape(), c.Image.Shape()) })
		if at < 0 {
			at, groups = len(groups), append(groups, nil)
		}
		groups[at] = append(groups[at], c)
	}
	return groups
}
