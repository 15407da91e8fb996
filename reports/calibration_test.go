package reports

import (
	"io"
	"maps"
	"testing"

	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// calibration is one of four values.
func calibration() *calibrate.File {
	key := calibrate.Key{Source: calibrate.Source{Config: "c0ffee00c0ffee", Weights: "3e1645", Export: "0a1b2c", Operators: calibrate.Operators{Namespace: "apexx", Version: 1}, Profile: "edge", Wide: []string{"last"}},
		Variables: map[string]string{"tensorrt:NVIDIA_TF32_OVERRIDE": "0", "GOGC": "50"}, Method: "max", Data: "scenes-1", Shape: []int{1, 3, 512, 512}}
	return calibrate.New(key, map[string]float32{"image": 1, "features": 5.389946, "nothing": 0, "tokens": 5.389946})
}

func TestCalibrationText(t *testing.T) {
	goldenfile.Check(t, "calibration.txt", written(t, CalibrationText, calibration()))
}

func TestCalibrationDifferences(t *testing.T) {
	other := calibration()
	other.Key.Method = "tensorrt:entropy"
	other.Ranges = maps.Clone(other.Ranges)
	other.Ranges["features"], other.Ranges["nothing"], other.Ranges["more"] = 2.5, 0.5, 1
	delete(other.Ranges, "image")
	of := calibration()
	of.Key.Data = "scenes-2"
	of.Ranges = map[string]float32{"image": 1, "features": float32(5.389946/127) * 127, "nothing": 0, "tokens": 5.3899465}
	for _, c := range []struct {
		golden string
		file   *calibrate.File
		differ bool
	}{{"calibration-same.txt", calibration(), false}, {"calibration-data.txt", of, false}, {"calibration-other.txt", other, true}} {
		var differ bool
		text := written(t, func(w io.Writer, f *calibrate.File) (err error) {
			differ, err = CalibrationDifferences(w, calibration(), f)
			return err
		}, c.file)
		goldenfile.Check(t, c.golden, text)
		if differ != c.differ {
			t.Errorf("%s: differ is %v", c.golden, differ)
		}
	}
}
