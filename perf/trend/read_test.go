package trend

import (
	"bytes"
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
)

func TestReadSweep(t *testing.T) {
	s := sweepOf(1, "0123456789abcdef", 2)
	s.Cells[1].Parity.State = "fail"
	s.Environment.Variables = []env.Software{{Key: "GOGC", Value: "50"}}
	run := read(t, s, Origin{Branch: "main", Release: "v1"})
	if run.Source != FromSweep || run.Commit != "0123456789abcdef" || run.Class != "cpu-amd-epyc-2c" || run.Kind != env.SharedCPU ||
		run.Branch != "main" || run.Release != "v1" || run.Software != "go 1.26.8, onnxruntime 1.30.0, GOGC=50" || !run.When.Equal(s.When) {
		t.Errorf("run %+v", run)
	}
	var names []string
	for _, p := range run.Points {
		names = append(names, p.Metric)
	}
	want := "reference/nano/fp32/256x256/b1/network.end_to_end_p50_ms reference/nano/fp32/256x256/b1/network.end_to_end_p95_ms " +
		"reference/nano/fp32/256x256/b1/network.host_peak_mib reference/nano/fp32/256x256/b1/network.p50_ms reference/nano/fp32/256x256/b1/network.p95_ms"
	if got := strings.Join(names, " "); got != want {
		t.Errorf("metrics %s, want %s (a cell whose parity failed has no speed)", got, want)
	}
	p50 := run.Point(cellA.String() + ".p50_ms")
	if p50.Value != s.Cells[0].Summary.P50 || p50.Samples != 120 || p50.Replicates != 3 || len(p50.Medians) != 3 {
		t.Errorf("p50 %+v", p50)
	}
	if whole := run.Point(cellA.String() + ".end_to_end_p50_ms"); whole.Value != s.Cells[0].EndToEnd.P50 || whole.Samples != 3 || len(whole.Medians) != 3 {
		t.Errorf("end to end %+v", whole)
	}
	if peak := run.Point(cellA.String() + ".host_peak_mib"); peak.Value != 200 || peak.Unit != Mebibytes {
		t.Errorf("peak %+v", peak)
	}
}

func TestReadGate(t *testing.T) {
	run, err := Read(bytes.NewReader(gateText(t)), Origin{})
	if err != nil {
		t.Fatal(err)
	}
	var g gate.Record
	if err := json.Unmarshal(gateText(t), &g); err != nil {
		t.Fatal(err)
	}
	for i, c := range g.Verdict.Cells {
		p := run.Point(c.Name + ".gate_p50_ms")
		final := c.Final() // of its own stage, where the point is of both
		whole := run.Point(c.Name + ".gate_end_to_end_p50_ms")
		if len(run.Points) != 4 || whole == nil || math.Abs(whole.Value/p.Value-1.1) > 0.02 {
			t.Errorf("%s: end to end %+v", c.Name, whole)
		}
		if p == nil || math.Abs(p.Value/final.Head-1) > 0.03 || math.Abs(p.Value/final.Base-1) < 0.1 && i == 1 {
			t.Errorf("%s: %+v, want about %g, the head's", c.Name, p, final.Head)
		}
	}
}

// TestReadDevice takes both clocks as series of their own.
func TestReadDevice(t *testing.T) {
	s := sweepOf(1, "abc", 2)
	for i := range s.Measurements[:3] {
		m := &s.Measurements[i]
		for _, ns := range m.Samples {
			m.DeviceSamples = append(m.DeviceSamples, ns/2)
		}
	}
	sum(s)
	run := read(t, s, Origin{})
	host, device := run.Point(cellA.String()+".p50_ms"), run.Point(cellA.String()+".device_p50_ms")
	if device == nil || device.Value*2 != host.Value || len(device.Medians) != 3 || run.Point(cellA.String()+".device_p95_ms") == nil || run.Point(cellB.String()+".device_p50_ms") != nil {
		t.Errorf("device %+v beside host %+v", device, host)
	}
}

// TestReadLeavesOut lists the states of parity under which a cell has no speed.
func TestReadLeavesOut(t *testing.T) {
	for _, state := range []evidence.State{evidence.Fail, evidence.Unverified, evidence.NotRun, evidence.Errored, evidence.Crashed, evidence.Hung} {
		s := sweepOf(1, "abc", 2)
		s.Cells[1].Parity.State = state
		run := read(t, s, Origin{})
		shown := state
		if state == evidence.NotRun {
			shown = evidence.Unverified // timed and never compared
		}
		if len(run.Points) != 5 || len(run.Warnings()) != 1 || run.Warnings()[0] != "left out: "+cellB.String()+" is "+string(shown) {
			t.Errorf("%s: %d points, warnings %q", state, len(run.Points), run.Warnings())
		}
	}
}

func TestReadArtifact(t *testing.T) {
	run, err := Read(strings.NewReader(artifactText), Origin{Class: "gpu-nvidia-t4", Commit: "cafe"})
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
	faults := []env.Software{{Key: "APEXX_INJECT", Value: "slow=900@*"}}
	gateWith := func(change func(*gate.Record)) string { return gateWith(t, change) }
	head := func(g *gate.Record, factor float64) {
		for _, list := range [][]perf.Measurement{g.Screen, g.Confirm} {
			for _, m := range list {
				for i := range m.Samples {
					if m.Arm == perf.Head {
						m.Samples[i] *= factor
					}
				}
			}
		}
	}
	artifactWith := func(old, by string) string { return strings.Replace(artifactText, old, by, 1) }
	for _, c := range []struct {
		name, text, want string
		origin           Origin
	}{
		{"empty", "", "the file is empty", Origin{}},
		{"blank", " \n", "the file is empty", Origin{}},
		{"no JSON", "hello", "not JSON at byte 1", Origin{}},
		{"NaN", `{"schema":"apexx.sweep/1","cells":[{"summary":{"p50_ms":NaN}}]}`, "not JSON at byte", Origin{}},
		{"truncated", sweepWith(func(*sweep.Result) {})[:900], "unexpected end", Origin{}},
		{"an array", "[]", "want the JSON of apexx sweep", Origin{}},
		{"another object", `{"a":1}`, "it names no schema", Origin{}},
		{"another version", `{"schema":"apexx.sweep/9"}`, `its schema is "apexx.sweep/9", want "apexx.sweep/3"`, Origin{}},
		{"a sweep before outputs were compared", `{"schema":"apexx.sweep/1","version":"0.3.0"}`,
			"nobody compared what its sessions computed while they were timed, and apexx.sweep/3 asks for it; measure again, or read it with apexx 0.3.0", Origin{}},
		{"a sweep of whole runs", `{"schema":"apexx.sweep/2","version":"0.3.1"}`,
			"its samples are of whole runs, with the transfer of inputs and outputs, and executions alone were not timed, and apexx.sweep/3 asks for it; measure again, or read it with apexx 0.3.1", Origin{}},
		{"a gate of whole runs", `{"schema":"apexx.gate/2","version":"0.3.1"}`, "its samples are of whole runs, and apexx.gate/3 judges executions alone, and runs with their transfers beside them; apexx 0.3.1 judges it", Origin{}},
		{"a gate before outputs were compared", `{"schema":"apexx.gate/1","version":"0.3.0"}`, "nobody compared what its sessions computed while they were timed", Origin{}},
		{"another schema", `{"schema":"apexx.trend/1"}`, "unknown schema", Origin{}},
		{"no class", sweepWith(func(s *sweep.Result) { s.Class = env.Class{} }), `its class is ""`, Origin{}},
		{"unknown kind", sweepWith(func(s *sweep.Result) { s.Class.Kind = "tpu" }), `its class is "cpu-amd-epyc-2c" (tpu)`, Origin{}},
		{"other class", sweepWith(func(*sweep.Result) {}), "not gpu-x", Origin{Class: "gpu-x"}},
		{"other commit", sweepWith(func(*sweep.Result) {}), "at commit abc, not def", Origin{Commit: "def"}},
		{"nothing measured", sweepWith(func(s *sweep.Result) { s.Measurements = nil; sum(s) }), "no metric of it was measured", Origin{}},
		{"no time", sweepWith(func(s *sweep.Result) { s.When = time.Time{} }), "when is missing", Origin{}},
		{"no summary", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary = nil }), "summary is null, its samples give a value", Origin{}},
		{"no samples", sweepWith(func(s *sweep.Result) { s.Measurements = nil }), "state is measured, its samples give error", Origin{}},
		{"no outputs", sweepWith(func(s *sweep.Result) {
			for i := range s.Measurements {
				s.Measurements[i].Outputs = nil
			}
		}), "parity.state is pass, of a timed session it is unverified", Origin{}},
		{"no work", sweepWith(func(s *sweep.Result) { s.Cells[1].Work = nil }), "work is missing, though its outputs were compared", Origin{}},
		{"seconds", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary.P50 /= 1000 }), "summary.p50_ms is ", Origin{}},
		{"microseconds", sweepWith(func(s *sweep.Result) { s.Cells[0].Summary.P95 *= 1000 }), "summary.p95_ms is ", Origin{}},
		{"negative", sweepWith(func(s *sweep.Result) { s.Cells[0].HostPeakBytes = -1 << 20 }), "host_peak_bytes is -1048576", Origin{}},
		{"twice", sweepWith(func(s *sweep.Result) { s.Cells[1], s.Plan.Cells[1] = s.Cells[0], s.Plan.Cells[0] }), "twice", Origin{}},
		{"a sweep with faults", sweepWith(func(s *sweep.Result) { s.Environment.Variables = faults }), "with faults injected (slow=900@*): no history of a build", Origin{}},
		{"a gate with faults", gateWith(func(g *gate.Record) { g.Environment.Variables = faults; g.Verdict = gate.Judge(g) }), "with faults injected", Origin{}},
		{"a gate with faults of the head", gateWith(func(g *gate.Record) {
			g.Head.Variables = []env.Software{{Key: "reference:APEXX_INJECT", Value: "slow=9@*"}}
			g.Verdict = gate.Judge(g)
		}), "with faults injected (slow=9@*)", Origin{}},
		{"gate without verdict", gateWith(func(g *gate.Record) { g.Verdict = nil }), "did not finish", Origin{}},
		{"gate without samples", gateWith(func(g *gate.Record) { g.Screen = nil }), "cut short", Origin{}},
		{"gate in µs", gateWith(func(g *gate.Record) { head(g, 1e-3) }), "other units than nanoseconds", Origin{}},
		{"gate with a faster head", gateWith(func(g *gate.Record) { head(g, 0.99) }), "the stored verdict is regression like that of its samples, and differs in its details", Origin{}},
		{"gate with another outcome", gateWith(func(g *gate.Record) { g.Verdict.Outcome = gate.Pass }), "the stored verdict pass (exit code 1) is not that of its samples, regression (1)", Origin{}},
		{"gate with another code", gateWith(func(g *gate.Record) { g.Verdict.ExitCode = 0 }), "the stored verdict regression (exit code 0) is not that of its samples, regression (1)", Origin{}},
		{"gate with a cell that was cleared", gateWith(func(g *gate.Record) { g.Verdict.Cells[1].State = gate.CellCleared }), "differs in its details", Origin{}},
		{"gate with a cell less", gateWith(func(g *gate.Record) { g.Verdict.Cells = g.Verdict.Cells[:1] }), "differs in its details", Origin{}},
		{"gate of an unknown kind", gateWith(func(g *gate.Record) { g.Class.Kind = "tpu" }), `its class is "cpu-amd-epyc-2c" (tpu)`, Origin{}},
		{"gate of no class", gateWith(func(g *gate.Record) { g.Class.ID = "" }), `its class is "" (cpu)`, Origin{}},
		{"artifact without class", artifactText, "give --class ID", Origin{}},
		{"artifact of another version", artifactWith(`"schema_version": 1`, `"schema_version": 2`), "schema_version is 2", Origin{Class: "cpu"}},
		{"artifact without suite", artifactWith(`apex_x_gpu_benchmark`, ``), "names no suite", Origin{Class: "cpu"}},
		{"artifact in other units", artifactWith(`tilepack.dispatch.p50_ms`, `tilepack.dispatch.tiles_per_s`), "is not in milliseconds", Origin{Class: "cpu"}},
		{"artifact with more", artifactWith(`"suite"`, `"unit": "s", "suite"`), `unknown field "unit"`, Origin{Class: "cpu"}},
		{"artifact with a wrong total", artifactWith(`"total_metrics": 3`, `"total_metrics": 12`), "is it truncated?", Origin{Class: "cpu"}},
		{"artifact with a wrong status", artifactWith(`"status": "pass"`, `"status": "ok"`), `status "ok"`, Origin{Class: "cpu"}},
		{"artifact without a value", artifactWith(`0.31000000000000005`, `null`), "no current_ms", Origin{Class: "cpu"}},
		{"artifact with a huge value", artifactWith(`0.31000000000000005`, `1e999`), "not a number that fits", Origin{Class: "cpu"}},
		{"artifact with a senseless value", artifactWith(`0.31000000000000005`, `1e300`), "want a positive number", Origin{Class: "cpu"}},
		{"artifact with zero", artifactWith(`0.31000000000000005`, `0`), "want a positive number", Origin{Class: "cpu"}},
		{"artifact with a bad time", artifactWith(`2026-02-02T`, `yesterday `), "is not ISO 8601", Origin{Class: "cpu"}},
	} {
		run, err := Read(strings.NewReader(c.text), c.origin)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want an error with %q (run %+v)", c.name, err, c.want, run)
		}
	}
}

// Whatever Read accepts is fit for a history: positive finite values, a class, a time, distinct metrics in order.
func FuzzRead(f *testing.F) {
	f.Add([]byte(artifactText))
	f.Add(jsonOf(f, sweepOf(1, "abc", 2)))
	f.Add(gateText(f))
	f.Add([]byte(`{"schema_version":1,"metrics":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		run, err := Read(bytes.NewReader(data), Origin{Class: "cpu-x"})
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
		again, err := Read(&out, Origin{Class: "cpu-x"})
		if err != nil {
			t.Fatalf("an artifact does not read back: %v", err)
		}
		if string(jsonOf(t, again.Artifact)) != string(jsonOf(t, run.Artifact)) {
			t.Errorf("artifact %s read back as %s", jsonOf(t, run.Artifact), jsonOf(t, again.Artifact))
		}
	})
}
