package execute

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/perf/env"
)

// GraphIn returns the graph of a model for a session of a backend in a precision. A model that is not calibrated for it makes the precision
// one that cannot be had.
func GraphIn(m *source.Model, backend string, opts model.Options, p backends.Precision) (*graph.Graph, error) {
	g, err := m.GraphIn(opts, p)
	return g, notCalibrated(backend, err)
}

// notCalibrated makes an error of a model without ranges one of a backend's precision.
func notCalibrated(backend string, err error) error {
	if errors.Is(err, source.ErrNotCalibrated) {
		return &backends.Unavailable{Backend: backend, Reason: backends.NotCalibrated, Detail: err.Error()}
	}
	return err
}

// CalibrationKey returns the key of a calibration of a model over cases, all of that model, by a calibrate.Method or a calibrate.Calibrator. An empty
// version of the data stands for a digest of them. Variables are those that the values are computed under (Variables).
func CalibrationKey(m *source.Model, cases []source.Case, profile calibrate.Profile, method fmt.Stringer, version string, variables []env.Software) (calibrate.Key, error) {
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
	return calibrate.Key{Source: from, Method: method.String(), Data: version, Shape: cases[0].Image.Shape(), Variables: env.ByKey(variables)}, nil
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

// OneShape is nil for cases of one shape, as CalibrateBy takes them.
func OneShape(cases []source.Case) error {
	groups := byShape(cases)
	if len(groups) == 1 {
		return nil
	}
	one, other := groups[0][0], groups[1][0]
	return fmt.Errorf("case %s is %v, case %s is %v: a network that a library calibrates has one shape", one.Name, one.Image.Shape(), other.Name, other.Image.Shape())
}

// CalibrateBy has the library of a backend find ranges over cases of one model and one shape, and returns its table.
func CalibrateBy(ctx context.Context, b backends.Backend, m *source.Model, cases []source.Case, method string, progress func(backends.Stage)) ([]byte, error) {
	calibrator, ok := b.(backends.Calibrator)
	if !ok {
		return nil, &backends.Unavailable{Backend: b.Name(), Reason: backends.CalibratorUnavailable, Detail: "its library finds no ranges by itself"}
	}
	g, err := m.Graph(cases[0].Options(cases[0].Decode))
	if err != nil {
		return nil, err
	}
	var inputs []tensor.List
	for _, c := range cases {
		inputs = append(inputs, c.Tensors())
	}
	return calibrator.Calibrate(ctx, g, inputs, backends.CalibrateOptions{Method: method, Progress: progress})
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
