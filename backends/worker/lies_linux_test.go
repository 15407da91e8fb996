package worker

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// lying returns the spec of a worker that lies once.
func lying(t *testing.T, l lie) Spec {
	t.Helper()
	text, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	s := spec(t, "liar")
	s.Env = append(s.Env, lieVariable+"="+string(text))
	return s
}

// TestOutputLies lists what a worker may say of its outputs and nobody believes. The next run, an honest one, works.
func TestOutputLies(t *testing.T) {
	set := func(path, value string) lie { return lie{Kind: kindDownload, Path: path, Set: value} }
	cut := func(size int64) lie { return lie{Kind: kindDownload, Cut: &size} }
	for _, c := range []struct {
		name string
		lie  lie
		want string
	}{
		{"no layout", set("layout", "null"), `output "y" is missing`},
		{"missing", set("layout.0", ""), `output "y" is missing`},
		{"tap missing", set("layout.1", ""), `output "tap.before" is missing`},
		{"renamed", set("layout.0.name", `"z"`), `output "y" is missing`},
		{"additional", set("layout.2", `{"name":"z","dtype":"float32","shape":[3],"offset":128}`), `output "z" is none of the graph's`},
		{"twice", set("layout.2", `{"name":"y","dtype":"float32","shape":[3],"offset":0}`), `output "y" comes again, the graph has 2`},
		{"order", set("layout", `[{"name":"tap.before"},{"name":"y"}]`), `output 0 is "tap.before", want "y"`},
		{"wider type", set("layout.0.dtype", `"float64"`), `output "y" is float64[3], want float32[3]`},
		{"type of the same size", set("layout.1.dtype", `"int32"`), `output "tap.before" is int32[3], want float32[3]`},
		{"unknown type", set("layout.0.dtype", `"float16"`), `output "y" is float16[3], want float32[3]`},
		{"no type", set("layout.0.dtype", ""), `output "y" is [3], want float32[3]`},
		{"shorter", set("layout.0.shape", "[2]"), `output "y" is float32[2], want float32[3]`},
		{"longer", set("layout.0.shape", "[300000]"), `output "y" is float32[300000], want float32[3]`},
		{"rank", set("layout.0.shape", "[3,1]"), `output "y" is float32[3 1], want float32[3]`},
		{"negative dimension", set("layout.0.shape", "[-3]"), `output "y" is float32[-3], want float32[3]`},
		{"negative offset", set("layout.0.offset", "-64"), `output "y": 12 bytes at offset -64 do not fit`},
		{"crooked offset", set("layout.0.offset", "4"), `output "y": 12 bytes at offset 4 do not fit 4096 bytes at a multiple of 64`},
		{"offset at the end", set("layout.1.offset", "4096"), `output "tap.before": 12 bytes at offset 4096 do not fit`},
		{"huge offset", set("layout.1.offset", "9223372036854775744"), `output "tap.before": 12 bytes at offset 9223372036854775744 do not fit`},
		{"overlap", set("layout.1.offset", "0"), `outputs "y" and "tap.before" overlap at offset 0`},
		{"size beyond the file", set("size", "1048576"), "size is 1048576, their file has 4096 bytes"},
		{"negative size", set("size", "-1"), "size is -1, their file has 4096 bytes"},
		{"size before the outputs", set("size", "64"), `output "tap.before": 12 bytes at offset 64 do not fit 64 bytes`},
		{"file emptied", cut(0), "size is 4096, their file has 0 bytes"},
		{"file cut within an output", cut(70), "size is 4096, their file has 70 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer nothingLeft(t)
			s, err := New(lying(t, c.lie)).Compile(context.Background(), addGraph(t, 3), backends.Options{Taps: []string{"before"}})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if _, err := backends.Run(context.Background(), s, floats(3, 1)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Run: %v\nwant %s", err, c.want)
			}
			out, err := backends.Run(context.Background(), s, floats(3, 1))
			if c.lie.Cut != nil {
				if err == nil { // the file stays short, or the worker's own mapping ends it
					t.Errorf("after its files were cut: %v", out)
				}
				return
			}
			if err != nil || !slices.Equal(tensor.Data[float32](out.Get("y")), []float32{2, 2, 2}) {
				t.Errorf("the honest run: %v, %v", out, err)
			}
		})
	}
}

// list is a JSON list of n equal numbers.
func list(n int, x string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(x+",", n), ",") + "]"
}

// everything is what the sessions of lies have: a clock of the device, times of steps, and runs that take their time.
var everything = backends.Options{StepTimes: true, Extra: map[string]string{"busy": "1ms", "device": "yes"}}

// TestNumberLies lists what a worker may say of the time and memory of a call and nobody believes. The next inference, an honest one, works.
func TestNumberLies(t *testing.T) {
	for _, c := range []struct {
		kind, path, value, want string
	}{
		{kindUpload, "upload_ns", "-1", "upload_ns is -1, want 0 to "},
		{kindUpload, "upload_ns", "60000000000", "upload_ns is 6e+10, want 0 to "}, // longer than the request
		{kindExecute, "execute_ns", "-1", "execute_ns is -1, want 0 to "},
		{kindExecute, "execute_ns", "3600000000000", "execute_ns is 3.6e+12, want 0 to "},
		{kindExecute, "device_ns", "-1", "device_ns is -1, want 0 to "},
		{kindExecute, "device_ns", "60000000000", "device_ns is 6e+10, want 0 to "},
		{kindExecute, "steps_ns", "[]", "steps_ns has 0 times, the plan 2 steps"},
		{kindExecute, "steps_ns.2", "1", "steps_ns has 3 times, the plan 2 steps"},
		{kindExecute, "steps_ns.1", "-1", "steps_ns 1 is -1, want 0 to "},
		{kindExecute, "steps_ns.0", "60000000000", "steps_ns 0 is 6e+10, want 0 to "},
		{kindExecute, "memory.host_bytes", "-1", "host_bytes is -1, want 0 to "},
		{kindExecute, "memory.host_bytes", "9223372036854775807", "host_bytes is 9.223372036854776e+18, want 0 to 1.125899906842624e+15 (bytes of memory of any machine)"},
		{kindExecute, "memory.device_bytes", "4611686018427387904", "device_bytes is 4.611686018427388e+18, want 0 to "},
		{kindDownload, "download_ns", "-1", "download_ns is -1, want 0 to "},
		{kindDownload, "download_ns", "9223372036854775807", "download_ns is 9.223372036854776e+18, want 0 to "},
	} {
		t.Run(c.kind+" "+c.path+" "+c.value, func(t *testing.T) {
			t.Parallel()
			s := compileFake(t, lying(t, lie{Kind: c.kind, Path: c.path, Set: c.value}), "", everything)
			out, err := backends.Run(context.Background(), s, floats(3, 1))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.As(err, new(*Died)) {
				t.Errorf("Run: %v, %v\nwant %s", out, err, c.want)
			}
			if got := s.LastTiming(); got.Total() > patience || got.Device > patience || s.Memory().Host > 1<<40 {
				t.Errorf("it was believed: %+v, %+v", got, s.Memory())
			}
			if out, err = backends.Run(context.Background(), s, floats(3, 1)); err != nil || tensor.Data[float32](out.Get("y"))[2] != 2 {
				t.Errorf("the honest inference: %v, %v", out, err)
			}
		})
	}
}

// TestUnexecutedAfterLies has nothing to download after an execution that nobody believes.
func TestUnexecutedAfterLies(t *testing.T) {
	ctx := context.Background()
	s := compileFake(t, lying(t, lie{Kind: kindExecute, Path: "execute_ns", Set: "-1"}), "", everything)
	if err := s.Upload(ctx, floats(3, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Execute(ctx); err == nil {
		t.Error("execute_ns of -1 was believed")
	}
	if _, err := s.Download(ctx); !errors.Is(err, backends.ErrNotExecuted) {
		t.Errorf("Download: %v", err)
	}
	if err := s.Execute(ctx); err != nil {
		t.Errorf("the honest execution: %v", err)
	}
}

// TestMeasurementLies lists what a worker may say of a group of samples and nobody believes. The next group, an honest one, works.
func TestMeasurementLies(t *testing.T) {
	for _, c := range []struct {
		path, value, want string
	}{
		{"host_ns", "", "got 0 samples in host_ns, 2 in device_ns, 2 in steps_ns; asked for 1 to 2"},
		{"host_ns", "[]", "got 0 samples in host_ns, 2 in device_ns, 2 in steps_ns; asked for 1 to 2"},
		{"host_ns.2", "1000000", "got 3 samples in host_ns, 2 in device_ns, 2 in steps_ns; asked for 1 to 2"},
		{"host_ns.0", "null", "host_ns 0 is 0, want 0.25 to "},
		{"host_ns.1", "-1", "host_ns 1 is -1, want 0.25 to "},
		{"host_ns.1", "1e-300", "host_ns 1 is 1e-300, want 0.25 to "},
		{"host_ns.0", "1e300", "host_ns 0 is 1e+300, want 0.25 to "},
		{"host_ns.0", "60000000000", "host_ns 0 is 6e+10, want 0.25 to "}, // longer than the request
		{"host_ns", "[0.1,0.1]", "host_ns 0 is 0.1, want 0.25 to "},
		{"device_ns.1", "", "got 2 samples in host_ns, 1 in device_ns, 2 in steps_ns; asked for 1 to 2"},
		{"device_ns.1", "-1", "device_ns 1 is -1, want 0 to "},
		{"device_ns.1", "1e300", "device_ns 1 is 1e+300, want 0 to "},
		{"device_ns.0", "60000000000", "device_ns 0 is 6e+10, want 0 to "},
		{"steps_ns.1", "", "got 2 samples in host_ns, 2 in device_ns, 1 in steps_ns; asked for 1 to 2"},
		{"steps_ns.1", "[1]", "steps_ns 1 has 1 times, the plan 2 steps"},
		{"steps_ns.0", "[1,2,3]", "steps_ns 0 has 3 times, the plan 2 steps"},
		{"steps_ns.0", "[1,-2]", "steps_ns 0, 1 is -2, want 0 to "},
		{"steps_ns.1", "[60000000000,1]", "steps_ns 1, 0 is 6e+10, want 0 to "},
		{"clock_ns", "-1", "clock_ns is -1, want 0.5 to "},
		{"clock_ns", "0.03", "clock_ns is 0.03, want 0.5 to "}, // microseconds
		{"clock_ns", "60000000000", "clock_ns is 6e+10, want 0.5 to "},
		{"host_peak_bytes", "-1", "host_peak_bytes is -1, want 0 to "},
		{"host_peak_bytes", "9223372036854775807", "host_peak_bytes is 9.223372036854776e+18, want 0 to "},
		{"device_peak_bytes", "1125899906842625", "device_peak_bytes is 1.125899906842625e+15, want 0 to "},
		{"allocs_per_run", "-1", "allocs_per_run is -1, want 0 to "},
		{"allocs_per_run", "1e308", "allocs_per_run is 1e+308, want 0 to 1.099511627776e+12 (objects of any run)"},
		{"alloc_bytes_per_run", "1e300", "alloc_bytes_per_run is 1e+300, want 0 to 1.125899906842624e+15 (bytes of any run)"},
	} {
		t.Run(c.path+" "+c.value, func(t *testing.T) {
			t.Parallel()
			s := uploaded(t, compileFake(t, lying(t, lie{Kind: kindMeasure, Path: c.path, Set: c.value}), "", everything))
			o := GroupOptions{Span: ExecuteAlone, Samples: 2, Bound: time.Minute, Calls: 2}
			g, err := s.Measure(context.Background(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.As(err, new(*Died)) {
				t.Errorf("Measure: %v, %v\nwant %s", g, err, c.want)
			}
			if _, err := s.Download(context.Background()); !errors.Is(err, backends.ErrNotExecuted) {
				t.Errorf("Download: %v", err)
			}
			if _, err = s.Measure(context.Background(), o); err != nil {
				t.Errorf("the honest group: %v", err)
			}
		})
	}
}

// TestSumLies has times that fit into the request each and together do not.
func TestSumLies(t *testing.T) {
	const n = 5000
	most := GroupOptions{Span: ExecuteAlone, Samples: n, Calls: 1, Bound: time.Minute}
	short := most
	short.Bound = 5 * time.Millisecond
	for _, c := range []struct {
		path, set string
		extra     map[string]string
		group     GroupOptions
		want      string
	}{
		{"host_ns", list(n, "4000000"), map[string]string{"busy": "1ms"}, short, "the sum of host_ns is 2e+10, want 0 to "},
		{"device_ns", list(n, "4000000"), map[string]string{"device": "yes"}, most, "the sum of device_ns is 2e+10, want 0 to "}, // as many as the host's samples, all of them short
		{"steps_ns", list(n, "[2000000,2000000]"), nil, most, "the sum of all steps_ns is 2e+10, want 0 to "},
	} {
		s := uploaded(t, compileFake(t, lying(t, lie{Kind: kindMeasure, Path: c.path, Set: c.set}), "", backends.Options{StepTimes: c.path == "steps_ns", Extra: c.extra}))
		if g, err := s.Measure(context.Background(), c.group); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.path, err, c.want)
		} else if g != nil {
			t.Errorf("%s: got %v", c.path, g)
		}
	}
	r := executeReply{Execute: 1, Steps: []int64{60e6, 60e6}}
	want := "the sum of steps_ns is 1.2e+08, want 0 to 1.01003e+08 (the request took 100ms)"
	if err := r.check(2, 100*time.Millisecond); err == nil || err.Error() != want {
		t.Errorf("steps of one execution: %v, want %s", err, want)
	}
}

// TestChangingLies has a worker change from one group of samples to the next whether there is a clock of the device.
func TestChangingLies(t *testing.T) {
	for device, want := range map[string]string{
		"yes": "got 1 samples in device_ns, which the session's other measurements have not",
		"":    "got 0 samples in device_ns, which the session's other measurements have too",
	} {
		l := lie{Kind: kindMeasure, Path: "device_ns", Set: ""}
		if device == "" {
			l.Set = "[700]"
		}
		s := uploaded(t, compileFake(t, lying(t, l), "", backends.Options{Extra: map[string]string{"busy": "1ms", "device": device}}))
		o := GroupOptions{Span: ExecuteAlone, Samples: 1, Calls: 1, Bound: time.Minute}
		if _, err := s.Measure(context.Background(), o); err != nil {
			t.Fatal(err)
		}
		if g, err := s.Measure(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("device %q: %v, %v, want %s", device, g, err, want)
		}
	}
}

// TestSteadyLies has samples in microseconds, with nothing in a reply that gives them away. The time that passes does, once it cannot be a
// pause of an honest worker.
func TestSteadyLies(t *testing.T) {
	t.Parallel()
	s := uploaded(t, compileFake(t, lying(t, lie{Kind: kindMeasure, Always: true, Path: "host_ns", Set: "[2000]"}), "", backends.Options{Extra: map[string]string{"busy": "50ms"}}))
	start := time.Now()
	var err error
	for err == nil && time.Since(start) < 2*longestStall {
		_, err = s.Measure(context.Background(), GroupOptions{Span: ExecuteAlone, Samples: 1, Calls: 1, Bound: time.Minute})
	}
	if err == nil || !strings.Contains(err.Error(), "of which 10s may pass without samples") {
		t.Errorf("after %v: %v", time.Since(start), err)
	}
	for _, c := range []struct {
		sampled, waited time.Duration
		ok              bool
	}{{1, longestStall, true}, {time.Millisecond, longestStall + 100*time.Millisecond, true}, {time.Millisecond, longestStall + 102*time.Millisecond, false}, {time.Second, 100 * time.Second, true}} {
		const last = time.Second
		h := history{groups: 1, waited: c.waited - last}
		if err := h.add(measureReply{Host: []float64{float64(c.sampled) / 2}}, 2, last); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
	stalled := history{groups: 1}
	if err := stalled.add(measureReply{Host: []float64{1e6}}, 1, time.Minute); err != nil {
		t.Errorf("one stall of a minute: %v", err)
	}
	if err := stalled.add(measureReply{Host: []float64{1e6}}, 1, time.Minute); err == nil {
		t.Error("a second stall of a minute passed")
	}
}

// TestCompileLies refuses what a worker says of a session that it compiled, its memory and its plan; the worker goes on.
func TestCompileLies(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"memory.host_bytes", "-1", "host_bytes is -1, want 0 to "},
		{"memory.device_bytes", "4611686018427387904", "device_bytes is 4.611686018427388e+18, want 0 to "},
		{"plan", "", `plan: node "same" is in no step`},
		{"plan.steps", "[]", `plan: node "same" is in no step`},
		{"plan.steps.1", "", `plan: node "sum" is in no step`},
		{"plan.steps.0.nodes", "[]", `plan: step "same" covers no node`},
		{"plan.steps.0.nodes.0", `"sum"`, `plan: node "sum" is there twice (step sum)`},
		{"plan.folded", `["same"]`, `plan: node "same" is there twice (folded)`},
		{"plan.views", `["sum"]`, `plan: node "sum" is there twice (view)`},
		{"plan.steps.0.level", `"unsupported"`, `plan: step "same" is executed at the level unsupported`},
		{"plan.steps.1.precision", `"fp7"`, `plan: step "sum" computes in the precision "fp7"`},
		{"plan.steps.1.precision", "", `plan: step "sum" computes in the precision ""`},
		{"plan.steps.1.workspace", "-1", "workspace of step sum is -1, want 0 to "},
		{"plan.arena_bytes", "9223372036854775807", "arena_bytes is 9.223372036854776e+18, want 0 to "},
	} {
		w, err := Start(context.Background(), lying(t, lie{Kind: kindCompile, Path: c.path, Set: c.value}))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		if _, err := w.Compile(context.Background(), addGraph(t, 3), backends.Options{}); err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, new(*Died)) {
			t.Errorf("%s %s: %v, want %s", c.path, c.value, err, c.want)
		}
		if err := compileOn(t, w, "", backends.Options{}).Close(); err != nil {
			t.Errorf("the honest session: %v", err)
		}
	}
}

// TestMalformed numbers and names end the worker, which breaks the protocol; the error is of this session alone.
func TestMalformed(t *testing.T) {
	for _, c := range []struct{ kind, path, value string }{
		{kindMeasure, "host_ns.0", "1e400"}, {kindMeasure, "clock_ns", `"NaN"`}, {kindMeasure, "steps_ns.0", "7"},
		{kindMeasure, "host_peak_bytes", "0.5"}, {kindMeasure, "allocs_per_run", "NaN"}, {kindExecute, "execute_ns", "1e19"}, {kindUpload, "upload_ns", "0.5"},
	} {
		s := compileFake(t, lying(t, lie{Kind: c.kind, Path: c.path, Set: c.value}), "", everything)
		_, err := backends.Run(context.Background(), s, floats(3, 1))
		if err == nil {
			_, err = s.Measure(context.Background(), GroupOptions{Span: ExecuteAlone, Samples: 2, Calls: 1, Bound: time.Second})
		}
		var died *Died
		if !errors.As(err, &died) || died.Stage != c.kind || died.Cause == nil || !strings.Contains(err.Error(), "message") {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	_, err := New(lying(t, lie{Kind: kindCompile, Path: "plan.steps.0.level", Set: `"splendid"`})).Compile(context.Background(), addGraph(t, 3), backends.Options{})
	if !errors.As(err, new(*Died)) || !strings.Contains(err.Error(), `unknown level "splendid"`) {
		t.Errorf("a level that nobody knows: %v", err)
	}
}

// TestWorkerText has a worker say what a terminal, a log or a page would take for something else.
func TestWorkerText(t *testing.T) {
	const (
		said    = `"a\n::error::b\u001b[2J\u202ec"`
		printed = `a ::error::b\x1b[2J\u202ec`
	)
	ctx := context.Background()
	start := func(kind, path, value string) *Worker {
		w, err := Start(ctx, lying(t, lie{Kind: kind, Path: path, Set: value}))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { w.Close() })
		return w
	}
	compile := func(w *Worker, fault string) error {
		_, err := w.Compile(ctx, addGraph(t, 3), backends.Options{Extra: map[string]string{"compile": fault}})
		return err
	}
	planOf := func(w *Worker) backends.Plan { return compileOn(t, w, "", backends.Options{}).Plan() }
	var u *backends.Unavailable
	var e *Error
	var d *Died
	for name, got := range map[string]func() string{
		"hello":          func() string { return start(kindHello, "build.revision", said).Hello().Build["revision"] },
		"probe detail":   func() string { return start(kindProbe, "detail", said).Probe(ctx).Detail },
		"probe reason":   func() string { return string(start(kindProbe, "reason", said).Probe(ctx).Reason) },
		"fact":           func() string { return start(kindProbe, "facts.0.value", said).Probe(ctx).Facts[0].Value },
		"name of a fact": func() string { return start(kindProbe, "facts.0.key", said).Probe(ctx).Facts[0].Key },
		"step":           func() string { return planOf(start(kindCompile, "plan.steps.0.name", said)).Steps[0].Name },
		"operator":       func() string { return planOf(start(kindCompile, "plan.steps.0.op", said)).Steps[0].Op },
		"step reason":    func() string { return string(planOf(start(kindCompile, "plan.steps.0.reason", said)).Steps[0].Reason) },
		"value": func() string {
			return planOf(start(kindCompile, "plan.steps.1.outputs", "["+said+"]")).Steps[1].Outputs[0]
		},
		"library": func() string { return planOf(start(kindCompile, "plan.library", said)).Library },
		"split": func() string {
			return planOf(start(kindCompile, "plan.split", `[{"node":"n","step":"s","value":`+said+"}]")).Split[0].Value
		},
		"message": func() string { return compile(start(kindError, "message", said), "error").Error() },
		"unavailable": func() string {
			errors.As(compile(start(kindError, "reason_detail", said), "unavailable"), &u)
			return u.Detail
		},
		"reason": func() string {
			errors.As(compile(start(kindError, "reason", said), "unavailable"), &u)
			return string(u.Reason)
		},
	} {
		if got := got(); got != printed {
			t.Errorf("%s: %q, want %q", name, got, printed)
		}
	}
	if errors.As(compile(start(kindError, "detail", said), "error"), &e); e.Detail != "a\n"+`\x3a:error::b\x1b[2J\u202ec` {
		t.Errorf("detail %q", e.Detail)
	}
	if errors.As(compile(start(kindError, "code", `"later"`), "error"), &e); e.Code != CodeFailed {
		t.Errorf("an unknown code became %q", e.Code)
	}
	err := compile(start(kindHello, "later", "1"), "exit-with-escapes")
	if !errors.As(err, &d) || d.Stderr != `first\x1b[2J`+"\n"+`last \xff\x1b]0;title\x07` || !strings.HasSuffix(err.Error(), `exit code 3: last \xff\x1b]0;title\x07`) {
		t.Errorf("got %v with %q", err, d.Stderr)
	}
	if err := compile(start(kindCompile, "memory.host_bytes", "1"+strings.Repeat("0", 5000)), ""); err == nil || len(err.Error()) > 1200 {
		t.Errorf("an endless number: %d bytes of error", len(err.Error()))
	}
}

// TestShortenedLater cuts the file between the check of its length and the reading.
func TestShortenedLater(t *testing.T) {
	f := sharedFile(t, 4096)
	r := &results{file: f}
	if err := f.Truncate(70); err != nil {
		t.Fatal(err)
	}
	err := r.receive(tensor.New(tensor.Float32, 3), 64)
	if want := "got 6 of 12 bytes at offset 64: the worker has made the file shorter"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestForeignBooleans refuses bytes that are neither true nor false and leaves none of them in memory.
func TestForeignBooleans(t *testing.T) {
	f := sharedFile(t, 64)
	if _, err := f.WriteAt([]byte{1, 2}, 0); err != nil {
		t.Fatal(err)
	}
	x := tensor.New(tensor.Bool, 2)
	if err := (&results{file: f}).receive(x, 0); err == nil || err.Error() != "boolean 1 is the byte 2, want 0 or 1" || tensor.Bytes(x)[1] != 0 {
		t.Errorf("got %v with %v", err, tensor.Bytes(x))
	}
}
