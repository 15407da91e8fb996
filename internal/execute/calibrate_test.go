package execute

import (
	"bytes"
	"errors"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/source"
)

// TestCalibrationsOfTheProgram: the files in the binary belong to the trained weights as this build defines the model. Where it fails, the
// model has changed: make them again,
//
//	apexx calibrate --out fixtures/calibration/nano-builtin.json
//	apexx calibrate --out fixtures/calibration/nano.json --cases fixtures/scenes/images
func TestCalibrationsOfTheProgram(t *testing.T) {
	for _, set := range [][]string{nil, source.BuiltinOverrides} {
		m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: set, Calibrations: fixtures.Calibrations()})
		if err != nil {
			t.Fatal(err)
		}
		shape := model.Options{Batch: 1, Height: 128, Width: 256, Decode: model.DefaultDecode()}
		g, err := m.GraphIn(shape, backends.FP32, backends.INT8)
		if err != nil {
			t.Errorf("%v: %v", set, err)
			continue
		}
		for _, f := range graph.ScaledFormats {
			if _, err := graph.Lower(g, f); err != nil {
				t.Errorf("%v: %v", set, err)
			}
		}
		if plain, err := m.GraphIn(shape, backends.FP16); err != nil || plain.Calibration != nil {
			t.Errorf("%v: a graph for fp16 is calibrated (%v)", set, err)
		}
	}
}

// TestCalibrate: the same file from any number of threads and any order of the cases, but for the version of the data.
func TestCalibrate(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: []string{"model.profile=nano", "model.num_classes=3", "model.input_height=128", "model.input_width=256"}})
	if err != nil {
		t.Fatal(err)
	}
	var cases []source.Case
	for _, im := range fixtures.BuiltinScenes()[:2] {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			t.Fatal(err)
		}
		cases = append(cases, c)
	}
	var files []string
	for threads, order := range [][]source.Case{1: cases, 2: {cases[1], cases[0]}} {
		if order == nil {
			continue
		}
		key, err := CalibrationKey(m, order, calibrate.Edge, calibrate.Entropy, "two")
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		f, err := Calibrate(t.Context(), reference.New(), m, order, key, threads, func(done int) { told = done })
		if err != nil || told != 2 {
			t.Fatalf("%d cases were told: %v", told, err)
		}
		var text bytes.Buffer
		if err := f.Write(&text); err != nil {
			t.Fatal(err)
		}
		files = append(files, text.String())
	}
	if files[0] != files[1] {
		t.Errorf("one order gives\n%s\nthe other\n%s", files[0], files[1])
	}
}

// TestNotCalibrated: a precision that cannot be had for this model, and no fault of the input.
func TestNotCalibrated(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: []string{"model.profile=nano", "model.num_classes=3"}, Calibrations: fixtures.Calibrations()})
	if err != nil {
		t.Fatal(err)
	}
	_, err = GraphIn(m, "ort", model.Options{Batch: 1, Height: 128, Width: 128, Decode: model.DefaultDecode()}, backends.FP8)
	if missing := (*backends.Unavailable)(nil); !errors.As(err, &missing) || missing.Reason != backends.NotCalibrated || missing.Backend != "ort" {
		t.Errorf("%v", err)
	}
}
