package trend

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
)

func TestReadSweep(t *testing.T) {
	s := sweepOf(1, "0123456789abcdef", 2)
	s.Cells[1].Parity.State = "fail"
	run := read(t, s, Facts{Branch: "main", Release: "v1"})
	if run.Source != FromSweep || run.Commit != "0123456789abcdef" || run.Class != "cpu-amd-epyc-2c" || run.Kind != env.SharedCPU ||
		run.Branch != "main" || run.Release != "v1" || run.Software != "go 1.26.8, onnxruntime 1.30.0" || !run.When.Equal(s.When) {
		t.Errorf("run %+v", run)
	}
	var names []string
	for _, p := range run.Points {
		names = append(names, p.Metric)
	}
	want := "reference/nano/fp32/256x256/b1/network.host_peak_mib reference/nano/fp32/256x256/b1/network.p50_ms reference/nano/fp32/256x256/b1/network.p95_ms"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("metrics %s, want %s (a cell whose parity failed has no speed)", got, want)
	}
	p50 := run.Point(cellA.String() + ".p50_ms")
	if p50.Value != s.Cells[0].Summary.P50 || p50.Samples != 120 || p50.Replicates != 3 || len(p50.Medians) != 3 {
		t.Errorf("p50 %+v", p50)
	}
	if peak := run.Point(cellA.String() + ".host_peak_mib"); peak.Value != 200 || peak.Unit != Mebibytes {
		t.Errorf("peak %+v", peak)
	}
}

func TestReadGate(t *testing.T) {
	run := read(t, gateOf("feed", 9, 3), Facts{})
	p := run.Point(cellA.String() + ".gate_p50_ms")
	if len(run.Points) != 1 || p == nil || p.Value != 3.02 || len(p.Medians) != 5 || p.Samples != 15 || !run.Dirty || run.Commit != "feed" {
		t.Errorf("run %+v of the head alone, want a median of 3.02 ms", run)
	}
}

func TestReadArtifact(t *testing.T) {
	run, err := Read(strings.NewReader(artifactText), Facts{Class: "gpu-nvidia-t4", Commit: "cafe"})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Points) != 2 || run.Kind != env.UnlockedGPU || run.Commit != "cafe" || run.Points[1].Value != 1.2 {
		t.Errorf("run %+v", run)
	}
	var out bytes.Buffer
	if err := run.Artifact.Write(&out); err != nil || out.String() != artifactText {
		t.Errorf("written as %s (%v)", out.String(), err)
	}
}

func TestReadRefuses(t *testing.T) {
	sweepWith := func(change func(*sweep.Result)) string {
		s := sweepOf(1, "abc", 2)
		change(s)
		return string(jsonOf(t, s))
	}
	gateWith := func(change func(*gate.Record)) string {
		g := gateOf("abc", 2, 2)
		change(g)
		return string(jsonOf(t, g))
	}
	artifactWith := func(old, by string) string { return strings.Replace(artifactText, old, by, 1) }
	for _, c := range []struct {
		name, text, want string
		facts            Facts
	}{
		{"empty", "", "the file is empty", Facts{}},
		{"blank", " \n", "the file is empty", Facts{}},
		{"no JSON", "hello", "not JSON at byte 1", Facts{}},
		{"NaN", `{"schema":"apexx.sweep/1","cells":[{"summary":{"p50_ms":NaN}}]}`, "not JSON at byte", Facts{}},
		{"truncated", sweepWith(func(*sweep.Result) {})[:900], "unexpected end", Facts{}},
		{"an array", "[]", "want the JSON of apexx sweep", Facts{}},
		{"another object", `{"a":1}`, "it names no schema", Facts{}},
		{"another version", `{"schema":"apexx.sweep/9"}`, `unknown schema "apexx.sweep/9"`, Facts{}},
		{"another schema", `{"schema":"apexx.trend/1"}`, "unknown schema", Facts{}},
		{"no class", sweepWith(func(s *sweep.Result) { s.Class = env.Class{} }), "it names no machine class", Facts{}},
		{"unknown kind", sweepWith(func(s *sweep.Result) { s.Class.Kind = "tpu" }), `unknown kind "tpu"`, Facts{}},
		{"other class", sweepWith(func(*sweep.Result) {}), "not gpu-x", Facts{Class: "gpu-x"}},
		{"other commit", sweepWith(func(*sweep.Result) {}), "at commit abc, not def", Facts{Commit: "def"}},
		{"nothing measured", sweepWith(func(s *sweep.Result) { s.Cells[0].State, s.Cells[1].State = evidence.Crashed, evidence.Hung }), "no metric of it was measured", Facts{}},
		{"no time", sweepWith(func(s *sweep.Result) { s.When = time.Time{} }), "does not say when", Facts{}},
		{"no summary", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary = nil }), "has no summary", Facts{}},
		{"no samples", sweepWith(func(s *sweep.Result) { s.Measurements = nil }), "no samples", Facts{}},
		{"seconds", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary.P50 /= 1000 }), "is it in another unit?", Facts{}},
		{"microseconds", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary.P95 *= 1000 }), "is it in another unit?", Facts{}},
		{"negative", sweepWith(func(s *sweep.Result) { s.Cells[0].HostPeakBytes = -1 << 20 }), "want a positive number of MiB", Facts{}},
		{"twice", sweepWith(func(s *sweep.Result) { s.Cells[1] = s.Cells[0] }), "twice", Facts{}},
		{"gate without verdict", gateWith(func(g *gate.Record) { g.Verdict = nil }), "did not finish", Facts{}},
		{"gate without samples", gateWith(func(g *gate.Record) { g.Screen = nil }), "no metric of it was measured", Facts{}},
		{"gate without parity", gateWith(func(g *gate.Record) { g.Parity[0].Parity.State = "fail" }), "no metric of it was measured", Facts{}},
		{"artifact without class", artifactText, "give --class ID", Facts{}},
		{"artifact of another version", artifactWith(`"schema_version": 1`, `"schema_version": 2`), "schema_version is 2", Facts{Class: "cpu"}},
		{"artifact without suite", artifactWith(`apex_x_gpu_benchmark`, ``), "names no suite", Facts{Class: "cpu"}},
		{"artifact in other units", artifactWith(`tilepack.dispatch.p50_ms`, `tilepack.dispatch.tiles_per_s`), "is not in milliseconds", Facts{Class: "cpu"}},
		{"artifact with more", artifactWith(`"suite"`, `"unit": "s", "suite"`), `unknown field "unit"`, Facts{Class: "cpu"}},
		{"artifact with a wrong total", artifactWith(`"total_metrics": 3`, `"total_metrics": 12`), "is it truncated?", Facts{Class: "cpu"}},
		{"artifact with a wrong status", artifactWith(`"status": "pass"`, `"status": "ok"`), `status "ok"`, Facts{Class: "cpu"}},
		{"artifact without a value", artifactWith(`0.31000000000000005`, `null`), "no current_ms", Facts{Class: "cpu"}},
		{"artifact with a huge value", artifactWith(`0.31000000000000005`, `1e999`), "not a number that fits", Facts{Class: "cpu"}},
		{"artifact with a senseless value", artifactWith(`0.31000000000000005`, `1e300`), "want a positive number", Facts{Class: "cpu"}},
		{"artifact with zero", artifactWith(`0.31000000000000005`, `0`), "want a positive number", Facts{Class: "cpu"}},
		{"artifact with a bad time", artifactWith(`2026-02-02T`, `yesterday `), "is not ISO 8601", Facts{Class: "cpu"}},
	} {
		run, err := Read(strings.NewReader(c.text), c.facts)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want an error with %q (run %+v)", c.name, err, c.want, run)
		}
	}
}

// Whatever Read accepts is fit for a history: positive finite values, a class, a time, distinct metrics in order.
func FuzzRead(f *testing.F) {
	f.Add([]byte(artifactText))
	f.Add(jsonOf(f, sweepOf(1, "abc", 2)))
	f.Add(jsonOf(f, gateOf("abc", 2, 3)))
	f.Add([]byte(`{"schema_version":1,"metrics":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data), Facts{Class: "cpu-x"})
		if err != nil {
			return
		}
		if len(run.Points) == 0 || run.Class == "" || run.When.IsZero() || run.Check() != nil {
			t.Errorf("accepted %+v", run)
		}
		if run.Artifact == nil {
			return
		}
		var out bytes.Buffer
		if err := run.Artifact.Write(&out); err != nil {
			t.Fatal(err)
		}
		again, err := Read(&out, Facts{Class: "cpu-x"})
		if err != nil {
			t.Fatalf("an artifact does not read back: %v", err)
		}
		if string(jsonOf(t, again.Artifact)) != string(jsonOf(t, run.Artifact)) {
			t.Errorf("artifact %s read back as %s", jsonOf(t, run.Artifact), jsonOf(t, again.Artifact))
		}
	})
}
