package source

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
)

// TestCalibrationTable: a table with a scale for every value that is rounded makes a calibration that its model takes and another refuses; a table
// that lacks a value, or is another model's, is named.
func TestCalibrationTable(t *testing.T) {
	request := ModelRequest{Weights: "hashed:3", Set: []string{"model.profile=nano", "model.num_classes=2"}}
	m, err := Open(request)
	if err != nil {
		t.Fatal(err)
	}
	options := model.Options{Batch: 1, Height: 128, Width: 128, Decode: model.DefaultDecode()}
	g, err := m.Graph(options)
	if err != nil {
		t.Fatal(err)
	}
	g.Calibration = &graph.Calibration{Wide: calibrate.Edge.Wide(g)}
	values := g.Ranged()
	lines := []string{"TRT-8601-EntropyCalibration2", "(Unnamed Layer* 0) [Constant]_output: 3f800000"}
	for i, v := range values {
		lines = append(lines, fmt.Sprintf("%s: %08x", v.Name, math.Float32bits(float32(i+1)/64)))
	}
	path := filepath.Join(t.TempDir(), "table")
	take := func(text string) (*calibrate.File, error) {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		f, version, err := m.CalibrationTable(path, calibrate.Edge, "mine")
		if err == nil && version != lines[0] {
			t.Errorf("version %q", version)
		}
		return f, err
	}
	f, err := take(strings.Join(lines, "\n") + "\n")
	if err != nil {
		t.Fatal(err)
	}
	if r := f.Ranges[values[1].Name]; len(f.Ranges) != len(values) || r != 127*2./64 || f.Key.Data != "mine" || f.Key.Method != calibrate.TableMethod {
		t.Errorf("%d ranges of %d values, %s is %v; key %+v", len(f.Ranges), len(values), values[1].Name, r, f.Key)
	}
	for text, want := range map[string]string{
		strings.Join(lines[:len(lines)-1], "\n"): fmt.Sprintf("no range of the value %q", values[len(values)-1].Name),
		"APEXX_CALIBRATION_CACHE_V1\n{\"cache_key\":\"" + strings.Repeat("0", 64) + "\"}\n\n" + strings.Join(lines, "\n"): "its cache_key is 000000000000",
		"nonsense": "no calibration table",
	} {
		if _, err := take(text); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	governed := "APEXX_CALIBRATION_CACHE_V1\n{\"cache_key\":\"" + f.Cache + "\"}\n\n" + strings.Join(lines, "\n")
	if _, err := take(governed); err != nil {
		t.Errorf("the table of this model: %v", err)
	}

	request.Calibration = filepath.Join(t.TempDir(), "ranges.json")
	file, err := os.Create(request.Calibration)
	if err = errors.Join(err, f.Write(file), file.Close()); err != nil {
		t.Fatal(err)
	}
	for weights, takes := range map[string]bool{"hashed:3": true, "hashed:4": false} {
		request.Weights = weights
		m, err := Open(request)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.GraphIn(options, backends.INT8); (err == nil) != takes {
			t.Errorf("%s: %v", weights, err)
		}
	}
}
