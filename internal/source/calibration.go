package source

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// ErrNotCalibrated marks a model for which there are no ranges, or none that are its own.
var ErrNotCalibrated = errors.New("the model is not calibrated")

// notCalibrated makes an error one that errors.Is takes for ErrNotCalibrated, in its own words.
type notCalibrated struct{ error }

// Is implements the interface of errors.Is.
func (notCalibrated) Is(target error) bool { return target == ErrNotCalibrated }

// GraphIn is Graph for sessions of some precisions: calibrated, if one of them rounds to a format with a scale. An error wraps
// ErrNotCalibrated where there is no calibration of this model.
func (m *Model) GraphIn(opts model.Options, precisions ...backends.Precision) (*graph.Graph, error) {
	g, err := m.Graph(opts)
	if err != nil || !slices.ContainsFunc(precisions, backends.Precision.Scaled) {
		return g, err
	}
	f, err := m.Calibration()
	if err != nil {
		return nil, err
	}
	if err := f.Fits(g); err != nil {
		return nil, fmt.Errorf("calibration of config %.12s: %w", m.ConfigDigest, notCalibrated{err})
	}
	g.Calibration = f.Calibration()
	return g, nil
}

// Calibration returns the file that ModelRequest.Calibration names, or the one of ModelRequest.Calibrations that is this model's. It is
// read once. Its errors wrap ErrNotCalibrated where files are those of other models.
func (m *Model) Calibration() (*calibrate.File, error) { return m.calibration() }

func (m *Model) findCalibration() (*calibrate.File, error) {
	if path := m.request.Calibration; path != "" {
		text, err := input.Read(path, input.Calibration)
		if err != nil {
			return nil, fmt.Errorf("read calibration: %w", err)
		}
		f, err := calibrate.Parse(text)
		if err == nil {
			err = m.checkCalibration(f)
		}
		if err != nil {
			return nil, fmt.Errorf("calibration %s: %w", printable.Line(path), err)
		}
		return f, nil
	}
	for _, text := range m.request.Calibrations {
		f, err := calibrate.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("calibration embedded in the binary: %w", err)
		}
		if f.Key.Config == m.ConfigDigest && f.Key.Weights == m.WeightsDigest {
			if err := m.checkCalibration(f); err != nil {
				return nil, fmt.Errorf("calibration embedded in the binary: %w", err)
			}
			return f, nil
		}
	}
	return nil, notCalibrated{fmt.Errorf("the binary has no ranges for config %.12s with weights %.12s; make a file with apexx calibrate, and name it with --calibration",
		m.ConfigDigest, m.WeightsDigest)}
}

// checkCalibration holds a file to this model, as it is exported for the file's shape.
func (m *Model) checkCalibration(f *calibrate.File) error {
	if len(f.Key.Shape) != 4 {
		return fmt.Errorf("its shape %v is none of an image", f.Key.Shape)
	}
	profile, err := calibrate.ParseProfile(f.Key.Profile)
	if err != nil {
		return err
	}
	want, err := m.CalibrationSource(f.Key.Shape, profile)
	if err != nil {
		return err
	}
	if err := f.Check(want); err != nil {
		return notCalibrated{err}
	}
	return nil
}

// CalibrationSource returns what a calibration of this model for a shape [B,3,H,W] and a precision profile has as its source.
func (m *Model) CalibrationSource(shape []int, profile calibrate.Profile) (calibrate.Source, error) {
	g, err := m.Graph(model.Options{Batch: shape[0], Height: shape[2], Width: shape[3], Decode: model.DefaultDecode()})
	if err != nil {
		return calibrate.Source{}, err
	}
	hash := sha256.New()
	if err := onnx.Write(hash, g, onnx.WriteOptions{}); err != nil {
		return calibrate.Source{}, err
	}
	return calibrate.Source{Config: m.ConfigDigest, Weights: m.WeightsDigest, Export: hex.EncodeToString(hash.Sum(nil)),
		Operators: calibrate.OwnOperators(), Profile: profile.Name, Wide: profile.Wide(g)}, nil
}

// CalibrationTable returns the ranges of a calibration table of TensorRT as a calibration of this model, and the version that the table tells of
// itself. An empty version of the data stands for a digest of the table. A table that is another model's, or lacks a value, is an error.
func (m *Model) CalibrationTable(path string, profile calibrate.Profile, data string) (f *calibrate.File, version string, err error) {
	text, err := input.Read(path, input.Calibration)
	if err != nil {
		return nil, "", fmt.Errorf("read calibration table: %w", err)
	}
	t, err := calibrate.ParseTable(text)
	if err == nil {
		f, err = m.fileOf(t, profile, cmp.Or(data, calibrate.Digest(text)))
	}
	if err != nil {
		return nil, "", fmt.Errorf("calibration table %s: %w", printable.Line(path), err)
	}
	return f, t.Version, nil
}

// fileOf takes from a table that somebody brought what a profile rounds of this model.
func (m *Model) fileOf(t *calibrate.Table, profile calibrate.Profile, data string) (*calibrate.File, error) {
	shape := []int{1, 3, m.Config.Model.InputHeight, m.Config.Model.InputWidth}
	from, err := m.CalibrationSource(shape, profile)
	if err != nil {
		return nil, err
	}
	return m.TableFile(t, calibrate.Key{Source: from, Method: calibrate.TableMethod, Data: data, Shape: shape})
}

// TableFile returns the ranges of a calibration table of TensorRT under a key of this model. A table of another key, or that lacks a value that is
// rounded, is an error.
func (m *Model) TableFile(t *calibrate.Table, key calibrate.Key) (*calibrate.File, error) {
	g, err := m.Graph(model.Options{Batch: key.Shape[0], Height: key.Shape[2], Width: key.Shape[3], Decode: model.DefaultDecode()})
	if err != nil {
		return nil, err
	}
	g.Calibration = &graph.Calibration{Wide: key.Wide}
	var values []string
	for _, v := range g.Ranged() {
		values = append(values, v.Name)
	}
	f, err := t.File(key, values)
	if err != nil {
		return nil, err
	}
	return f, f.Fits(g)
}
