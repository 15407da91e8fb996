package baseline

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/sweep/sweeptest"
)

func written(t testing.TB) string {
	b, err := New(sweeptest.New(1, sweeptest.Spec{Backends: []string{"ort"}, Sides: []int{256}, Scopes: []perf.Scope{perf.Complete}}), sum, Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.Noise = noise()
	var out bytes.Buffer
	if err := b.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestReadRefuses(t *testing.T) {
	good := written(t)
	if _, err := Read(strings.NewReader(good)); err != nil {
		t.Fatal(err)
	}
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%s is not in the file", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for name, tt := range map[string]struct{ text, want string }{
		"empty":            {"", "ends too early"},
		"truncated":        {good[:len(good)/2], "ends too early"},
		"a list":           {"[]", "cannot unmarshal"},
		"trailing":         {good + "1", "something follows"},
		"another schema":   {swap("apexx.baseline/1", "apexx.baseline/2"), `schema is "apexx.baseline/2"`},
		"another version":  {swap(`"schema_version": 1`, `"schema_version": 2`), "version 2"},
		"another suite":    {swap("apexx_sweep", "apex_x_gpu_benchmark"), "suite is"},
		"any status":       {swap(`"required_status": "ok"`, `"required_status": "partial"`), "required_status"},
		"no value":         {swap(`"value_ms"`, `"max_regression_ratio"`), "a metric has no value_ms"},
		"unknown key":      {swap(`"value_ms"`, `"value_us"`), `unknown field "value_us"`},
		"unknown root key": {swap(`"delta"`, `"Δ"`), "unknown field"},
		"NaN":              {swap(`"max_regression_abs_ms": 2`, `"max_regression_abs_ms": NaN`), "invalid character"},
		"negative":         {swap(`"max_regression_abs_ms": 2`, `"max_regression_abs_ms": -2`), "max_regression_abs_ms is -2"},
		"anything passes":  {swap(`"max_regression_ratio": 0.75`, `"max_regression_ratio": 1e308`), "allows an infinite time"},
		"string":           {swap(`"max_regression_abs_ms": 2`, `"max_regression_abs_ms": "2"`), "a metric: json"},
		"no delta":         {swap(`"delta": 0.08`, `"delta": 0`), "delta is 0"},
		"metric name":      {swap("b1/complete.p50_ms", "b1/complete.p42_ms"), "want CELL.p50_ms or CELL.p95_ms"},
		"cell name":        {swap("ort/nano/fp32/256x256/b1/complete.p50_ms", "infer_p50_ms"), `metric "infer_p50_ms"`},
		"class":            {swap(`"id": "cpu-amd-epyc-2c"`, `"id": "a/b"`), "not fit for a file name"},
		"digest":           {swap(sum, "0a"), "64 hexadecimal digits"},
		"replicates":       {swap(`"replicates": 5`, `"replicates": 0`), "0 replicates"},
		"no time":          {swap(`"when": "2026-03-01T12:00:00Z"`, `"when": "0001-01-01T00:00:00Z"`), "provenance.when"},
		"block deviation":  {swap(`"sd": 0.02`, `"sd": 0`), "sd 0"},
		"tail share":       {swap(`"outlier_share": 0.05`, `"outlier_share": 1`), "outlier_share is 1"},
		"tail scale":       {swap(`"outlier_scale": 6`, `"outlier_scale": 0.5`), "outlier_scale is 0.5"},
		"blocks":           {swap(`"blocks": 200`, `"blocks": 0`), "0 blocks"},
	} {
		b, err := Read(strings.NewReader(tt.text))
		if b != nil || err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	start := strings.Index(good, `"metrics": {`)
	end := strings.Index(good[start:], "\n  }") + start
	if b, err := Read(strings.NewReader(good[:start] + `"metrics": {` + good[end:])); b != nil || err == nil || !strings.Contains(err.Error(), "no metrics") {
		t.Errorf("no metrics: %v", err)
	}
}

func TestReadDefaults(t *testing.T) {
	good := written(t)
	start := strings.Index(good, `"max_regression_abs_ms"`)
	end := strings.Index(good, `"value_ms"`)
	b, err := Read(strings.NewReader(good[:start] + good[end:]))
	if err != nil {
		t.Fatal(err)
	}
	m := b.Metrics["ort/nano/fp32/256x256/b1/complete.p50_ms"]
	if m.MaxRegressionRatio != 0.5 || m.MaxRegressionAbsMS != 0 || m.Allowed() != 1.5*m.ValueMS {
		t.Errorf("%+v", m)
	}
}

// FuzzRead checks that whatever Read accepts has finite expectations and can be written and read again.
func FuzzRead(f *testing.F) {
	f.Add(written(f))
	f.Add(`{"schema":"apexx.baseline/1","schema_version":1,"metrics":{"a":{"value_ms":1}}}`)
	f.Fuzz(func(t *testing.T, text string) {
		b, err := Read(strings.NewReader(text))
		if err != nil {
			return
		}
		if len(b.Metrics) == 0 || len(b.Cells()) == 0 {
			t.Error("accepted without metrics")
		}
		for name, m := range b.Metrics {
			if math.IsNaN(m.ValueMS) || m.ValueMS < 0 {
				t.Errorf("%s: %+v", name, m)
			}
		}
		var out bytes.Buffer
		if err := b.Write(&out); err != nil {
			t.Fatal(err)
		}
		if err := b.WriteText(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(&out); err != nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}
