package calibrate

import (
	"strings"
	"testing"
)

func TestParseCalibrator(t *testing.T) {
	for text, want := range map[string]struct {
		method string
		meant  bool
		fault  string
	}{
		"tensorrt:entropy":       {"entropy", true, ""},
		"tensorrt:max":           {"max", true, ""},
		"tensorrt:percentile:99": {"", true, `unknown method "percentile:99" of TensorRT (want tensorrt:entropy or tensorrt:max)`},
		"tensorrt:":              {"", true, `unknown method "" of TensorRT`},
		"tensorrt":               {"", false, "unknown method"},
		"percentile:99":          {"", false, "unknown method"},
	} {
		c, meant, err := ParseCalibrator(text)
		switch {
		case meant != want.meant || c.Method != want.method:
			t.Errorf("%s: %+v, meant is %v", text, c, meant)
		case want.fault == "" && (err != nil || c.String() != text):
			t.Errorf("%s: %v, %v", text, c, err)
		case want.fault != "" && (err == nil || !strings.HasPrefix(err.Error(), want.fault)):
			t.Errorf("%s: %v, want %s", text, err, want.fault)
		}
	}
	if _, meant, err := ParseCalibrator("max"); meant || err != nil {
		t.Errorf("the method max of our own is taken for TensorRT's: %v, %v", meant, err)
	}
}

// TestGoverned: a table that is kept stands for what would be found under its key, by the same calibrator of the same library, and for nothing else.
func TestGoverned(t *testing.T) {
	key := sampleFile().Key
	other := key
	other.Data = "scenes-2"
	const text = "TRT-100600-EntropyCalibration2\nimage: 3c010a14\n"
	parse := func(text []byte) *Table {
		t.Helper()
		table, err := ParseTable(text)
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	governed := parse(Governed([]byte(text), key))
	if string(Governed([]byte(text), key)) != "APEXX_CALIBRATION_CACHE_V1\n{\"cache_key\":\""+key.Cache()+"\",\"schema_version\":1}\n\n"+text {
		t.Errorf("%s", Governed([]byte(text), key))
	}
	for name, c := range map[string]struct {
		table      *Table
		key        Key
		calibrator Calibrator
		library    string
		want       string
	}{
		"fits":              {governed, key, Calibrators[0], "10.6.0", ""},
		"legacy":            {parse([]byte(text)), key, Calibrators[0], "10.6.0", "it does not tell its key"},
		"another key":       {governed, other, Calibrators[0], "10.6.0", "it is stale, by its cache_key "},
		"another method":    {governed, key, Calibrators[1], "10.6.0", "it is stale: it is one of TRT-100600-EntropyCalibration2, want TRT-100600-MinMaxCalibration"},
		"another library":   {governed, key, Calibrators[0], "10.15.1", "it is stale: it is one of TRT-100600-EntropyCalibration2, want TRT-101501-EntropyCalibration2"},
		"a library unknown": {governed, key, Calibrators[0], "", "it is stale"},
	} {
		err := c.table.Check(c.key, c.calibrator, c.library)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
