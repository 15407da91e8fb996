package execute

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
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
		key, err := CalibrationKey(m, order, calibrate.Edge, calibrate.Entropy, "two", nil)
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

// TestRangesOfAnotherBuild: a model that another build exports gets the ranges of this one's, where they are all of its own; else its sessions in
// int8 name the value, and those in fp32 run.
func TestRangesOfAnotherBuild(t *testing.T) {
	models := nanoModels()
	models.Request.Calibrations = fixtures.Calibrations()
	models.Precisions = []backends.Precision{backends.FP32, backends.INT8}
	m, err := models.Open("nano")
	if err != nil {
		t.Fatal(err)
	}
	exported := func() *graph.Graph {
		g, err := m.Graph(model.Options{Batch: 1, Height: 128, Width: 128, Decode: model.DefaultDecode()})
		if err != nil {
			t.Fatal(err)
		}
		file, err := onnx.Marshal(g, onnx.WriteOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if g, err = onnx.Read(file); err != nil || g.Calibration != nil {
			t.Fatalf("%v, calibrated %v", err, g.Calibration != nil)
		}
		return g
	}
	same, changed := exported(), exported()
	f, err := m.Calibration()
	if err != nil {
		t.Fatal(err)
	}
	changed.Calibration = &graph.Calibration{Wide: f.Key.Wide}
	value := changed.Ranged()[3]
	value.Name, changed.Calibration = value.Name+".renamed", nil
	for g, rounds := range map[*graph.Graph]bool{same: true, changed: false} {
		if err := models.giveRanges(m, g); err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Lower(g, graph.INT8); (err == nil) != rounds || !rounds && !strings.Contains(err.Error(), value.Name) {
			t.Errorf("int8 (want %v): %v", rounds, err)
		}
		if _, err := graph.Lower(g, ""); err != nil {
			t.Errorf("fp32: %v", err)
		}
	}
	models.Precisions = models.Precisions[:1]
	if g := exported(); models.giveRanges(m, g) != nil || g.Calibration != nil {
		t.Error("nothing needs ranges, and the model has some")
	}
}
