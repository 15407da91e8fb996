package calibrate

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

const legacyTable = "TRT-8601-EntropyCalibration2\nimage: 3c010a14\nstem: norm: 3f800000\r\n(Unnamed Layer* 3) [Shuffle]_output: 0\n"

func TestParseTable(t *testing.T) {
	const governed = "APEXX_CALIBRATION_CACHE_V1\n" + `{"cache_key":"abc","schema_version":1}` + "\n\n"
	for name, tt := range map[string]struct{ text, cache, fault string }{
		"legacy":             {legacyTable, "", ""},
		"governed":           {governed + legacyTable, "abc", ""},
		"later header":       {strings.Replace(governed, "1}", "2}", 1) + legacyTable, "", "the schema_version of the calibration table is 2, want 1"},
		"no header":          {"APEXX_CALIBRATION_CACHE_V1\n{}\n\n" + legacyTable, "", "has no cache_key"},
		"a header alone":     {governed, "", `begins with ""`},
		"half a header":      {strings.TrimSuffix(governed, "\n"), "", "has no cache_key"},
		"a calibration":      {`{"schema": "apexx.calibration/1"}`, "", "want TRT-VERSION-CALIBRATOR"},
		"empty":              {"", "", "want TRT-VERSION-CALIBRATOR"},
		"a version alone":    {"TRT-8601-MinMaxCalibration\n", "", "has no scales"},
		"no scale":           {"TRT-1-E\nx: \n", "", "line 1 below the version"},
		"no name":            {"TRT-1-E\n: 3f800000\n", "", "want NAME: SCALE"},
		"unfit scales alone": {"TRT-1-E\nx: 7f800000\n", "", "has no scales"},
		"more than 32 bits":  {"TRT-1-E\nx: 13f800000\n", "", "has no scale"},
		"the same one twice": {"TRT-1-E\nx: 3f800000\nx: 3f800000\n", "", `"x" is there twice`},
		"once of them unfit": {"TRT-1-E\nx: 7f800000\nx: 3f800000\n", "", `"x" is there twice`},
	} {
		got, err := ParseTable([]byte(tt.text))
		switch {
		case tt.fault != "" && (err == nil || !strings.Contains(err.Error(), tt.fault)):
			t.Errorf("%s: %v, want %q", name, err, tt.fault)
		case tt.fault == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.fault == "":
			if got.Version != "TRT-8601-EntropyCalibration2" || got.Cache != tt.cache || len(got.Ranges) != 3 || got.Ranges["stem: norm"] != 127 || got.Ranges["image"] < 0.99 || got.Ranges["image"] > 1.01 {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

// TestTableFile: a table that tells its key serves the model of that key alone, a legacy one any; both give a file that tells what it is.
func TestTableFile(t *testing.T) {
	table, err := ParseTable([]byte(legacyTable))
	if err != nil {
		t.Fatal(err)
	}
	key := Key{Source: Source{Export: "e", Profile: "quality", Operators: OwnOperators()}, Method: "m", Data: "d", Shape: []int{1, 3, 128, 128}}
	for name, cache := range map[string]string{"legacy": "", "of this model": key.Cache(), "of another": "abc"} {
		table.Cache = cache
		f, err := table.File(key, []string{"image", "absent"})
		if (err != nil) != (cache == "abc") {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (f.Key.Method != "m" || len(f.Ranges) != 1 || f.Ranges["image"] != table.Ranges["image"] || f.Cache != key.Cache()) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

// TestUnfitScales: a scale that is no range spoils its own tensor, and the file where that is a value which is rounded.
func TestUnfitScales(t *testing.T) {
	table, err := ParseTable([]byte("TRT-1-E\nimage: 3c010a14\ninfinite: 7f800000\nnan: 7fc00000\nnegative: bf800000\ngreat: 7f7fffff\nnothing: 0\n"))
	if err != nil {
		t.Fatal(err)
	}
	if len(table.Ranges) != 2 || len(table.Unfit) != 4 {
		t.Fatalf("%+v", table)
	}
	if f, err := table.File(Key{}, []string{"image", "nothing"}); err != nil || len(f.Ranges) != 2 {
		t.Errorf("%+v, %v", f, err)
	}
	for name, want := range map[string]string{"infinite": "+Inf", "nan": "NaN", "negative": "-1", "great": "3.4028235e+38"} {
		if _, err := table.File(Key{}, []string{"image", name}); err == nil || err.Error() != fmt.Sprintf("the scale of the value %q is %s", name, want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseTable(f *testing.F) {
	f.Add([]byte(legacyTable))
	f.Add([]byte("TRT-1-E\nx: 7c010204\n")) // about MaxFloat32/127
	f.Add([]byte("APEXX_CALIBRATION_CACHE_V1\n{\"cache_key\":\"abc\"}\n\nTRT-1-E\nx: 3f800000\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := ParseTable(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %q", err)
			}
			return
		}
		for name, r := range table.Ranges {
			if name == "" || !(r >= 0) || math.IsInf(float64(r), 0) {
				t.Errorf("%q: %v", name, r)
			}
		}
	})
}
