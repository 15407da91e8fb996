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
	"github.com/apex-x/apexx/backends/graph"
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
	set := func(path, value string) lie { return lie{Kind: kindRun, Path: path, Set: value} }
	cut := func(size int64) lie { return lie{Kind: kindRun, Cut: &size} }
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
			if _, err := s.Run(context.Background(), floats(3, 1)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Run: %v\nwant %s", err, c.want)
			}
			out, err := s.Run(context.Background(), floats(3, 1))
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

// TestNumberLies lists what a worker may say of its time and memory and nobody believes. The next measurement, an honest one, works.
func TestNumberLies(t *testing.T) {
	for _, c := range []struct {
		kind, path, value, want string
	}{
		{kindRun, "timing.upload_ns", "-1", "upload_ns is -1, want 0 to "},
		{kindRun, "timing.execute_ns", "3600000000000", "execute_ns is 3.6e+12, want 0 to "},
		{kindRun, "timing.download_ns", "9223372036854775807", "download_ns is 9.223372036854776e+18, want 0 to "},
		{kindRun, "memory.host_bytes", "-1", "host_bytes is -1, want 0 to "},
		{kindRun, "memory.host_bytes", "9223372036854775807", "host_bytes is 9.223372036854776e+18, want 0 to 1.125899906842624e+15 (bytes of memory of any machine)"},
		{kindRun, "memory.device_bytes", "4611686018427387904", "device_bytes is 4.611686018427388e+18, want 0 to "},
		{kindMeasure, "host_ns", "", "got 0 samples in host_ns, 2 in device_ns; asked for 1 to 2"},
		{kindMeasure, "host_ns", "[]", "got 0 samples in host_ns, 2 in device_ns; asked for 1 to 2"},
		{kindMeasure, "host_ns.2", "1000000", "got 3 samples in host_ns, 2 in device_ns; asked for 1 to 2"},
		{kindMeasure, "host_ns.0", "null", "host_ns 0 is 0, want 0.25 to "},
		{kindMeasure, "host_ns.1", "-1", "host_ns 1 is -1, want 0.25 to "},
		{kindMeasure, "host_ns.1", "1e-300", "host_ns 1 is 1e-300, want 0.25 to "},
		{kindMeasure, "host_ns.0", "1e300", "host_ns 0 is 1e+300, want 0.25 to "},
		{kindMeasure, "host_ns.0", "60000000000", "host_ns 0 is 6e+10, want 0.25 to "}, // longer than the request
		{kindMeasure, "host_ns", "[1000,1001]", "host_ns are other units than nanoseconds"},
		{kindMeasure, "host_ns", "[1,1]", "host_ns are other units than nanoseconds"},
		{kindMeasure, "device_ns.1", "", "got 2 samples in host_ns, 1 in device_ns; asked for 1 to 2"},
		{kindMeasure, "device_ns.1", "-1", "device_ns 1 is -1, want 0 to "},
		{kindMeasure, "device_ns.1", "1e300", "device_ns 1 is 1e+300, want 0 to "},
		{kindMeasure, "device_ns.0", "60000000000", "device_ns 0 is 6e+10, want 0 to "},
		{kindMeasure, "calls_per_sample", "", "calls_per_sample is 0, want 2"},
		{kindMeasure, "calls_per_sample", "3", "calls_per_sample is 3, want 2"},
		{kindMeasure, "calls_per_sample", "4611686018427387904", "calls_per_sample is 4611686018427387904, want 1 to 65536"},
		{kindMeasure, "timer_share", "-1e-9", "timer_share is -1e-09, want 0 to 1 (a share)"},
		{kindMeasure, "timer_share", "5", "timer_share is 5, want 0 to 1 (a share)"},
		{kindMeasure, "timer_share", "1e-300", "timer_share is 1e-300 of a median group"},
		{kindMeasure, "first_run_ns", "0", "first_run_ns is 0, want 1 to "},
		{kindMeasure, "first_run_ns", "-5", "first_run_ns is -5, want 1 to "},
		{kindMeasure, "first_run_ns", "3600000000000", "first_run_ns is 3.6e+12, want 1 to "},
		{kindMeasure, "host_peak_bytes", "-1", "host_peak_bytes is -1, want 0 to "},
		{kindMeasure, "host_peak_bytes", "9223372036854775807", "host_peak_bytes is 9.223372036854776e+18, want 0 to "},
		{kindMeasure, "device_peak_bytes", "1125899906842625", "device_peak_bytes is 1.125899906842625e+15, want 0 to "},
		{kindMeasure, "allocs_per_run", "-1", "allocs_per_run is -1, want 0 to "},
		{kindMeasure, "allocs_per_run", "1e308", "allocs_per_run is 1e+308, want 0 to 1.099511627776e+12 (objects of any run)"},
		{kindMeasure, "alloc_bytes_per_run", "1e300", "alloc_bytes_per_run is 1e+300, want 0 to 1.125899906842624e+15 (bytes of any run)"},
		{kindOutputs, "layout.0.dtype", `"float64"`, `output "y" is float64[3], want float32[3]`},
		{kindOutputs, "layout", "", `output "y" is missing`},
		{kindOutputs, "size", "-1", "size is -1, their file has 4096 bytes"},
	} {
		t.Run(c.kind+" "+c.path+" "+c.value, func(t *testing.T) {
			t.Parallel()
			s := compileFake(t, lying(t, lie{Kind: c.kind, Path: c.path, Set: c.value}), "", map[string]string{"busy": "1ms", "device": "yes"})
			o := MeasureOptions{Iterations: 2, Bound: time.Minute, CallsPerSample: 2, Requests: c.kind == kindRun}
			if c.want == "calls_per_sample is 4611686018427387904, want 1 to 65536" {
				o.CallsPerSample = 0 // the worker's choice
			}
			m, err := s.Measure(context.Background(), floats(3, 1), o)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || errors.As(err, new(*Died)) {
				t.Errorf("Measure: %v, %v\nwant %s", m, err, c.want)
			}
			if m, err = s.Measure(context.Background(), floats(3, 1), o); err != nil || tensor.Data[float32](m.Outputs.Get("y"))[2] != 2 {
				t.Errorf("the honest measurement: %v, %v", m, err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestSumLies has samples that fit into the request each and together do not.
func TestSumLies(t *testing.T) {
	const n = 1000
	for path, extra := range map[string]map[string]string{
		"host_ns":   {"busy": "1ms"},
		"device_ns": {"device": "yes"}, // as many as the host's samples, all of them short
	} {
		s := compileFake(t, lying(t, lie{Kind: kindMeasure, Path: path, Set: list(n, "1000000")}), "", extra)
		o := MeasureOptions{Iterations: n, Bound: 5 * time.Millisecond, CallsPerSample: 1}
		if path == "device_ns" {
			o.Bound = time.Minute
		}
		want := "the sum of " + path + " is 1e+09, want 0 to "
		if m, err := s.Measure(context.Background(), floats(3, 1), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", path, err, want)
		} else if m != nil {
			t.Errorf("%s: got %v", path, m)
		}
	}
}

// TestChangingLies has a worker change what it said in an earlier reply of a measurement.
func TestChangingLies(t *testing.T) {
	for _, c := range []struct{ path, value, want string }{
		{"first_run_ns", "1", "an earlier reply said 1"},
		{"device_ns", "", "got 1 samples of the device after 0 before"},
	} {
		s := compileFake(t, lying(t, lie{Kind: kindMeasure, Path: c.path, Set: c.value}), "", map[string]string{"busy": "1ms", "device": "yes"})
		o := MeasureOptions{Iterations: 2, Bound: time.Minute, CallsPerSample: 1, Between: func() {}, BetweenSamples: 1}
		if m, err := s.Measure(context.Background(), floats(3, 1), o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, %v, want %s", c.path, m, err, c.want)
		}
	}
}

// TestSteadyLies has samples in microseconds, with nothing in a reply that gives them away. The time that passes does, once it cannot be a
// pause of an honest worker.
func TestSteadyLies(t *testing.T) {
	t.Parallel()
	s := compileFake(t, lying(t, lie{Kind: kindMeasure, Always: true, Set: `{"host_ns":[2000],"calls_per_sample":1,"first_run_ns":1}`}), "", map[string]string{"busy": "2ms"})
	start := time.Now()
	m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: MaxSamples, Bound: time.Minute, Between: func() {}, BetweenSamples: 1})
	if err == nil || !strings.Contains(err.Error(), "of which 10s may pass without samples") || time.Since(start) > 2*longestStall {
		t.Errorf("after %v: %v, %v", time.Since(start), m, err)
	}
	for _, c := range []struct {
		sampled, waited time.Duration
		ok              bool
	}{{1, longestStall, true}, {time.Millisecond, longestStall + 100*time.Millisecond, true}, {time.Millisecond, longestStall + 101*time.Millisecond, false}, {time.Second, 100 * time.Second, true}} {
		if err := checkFilled(float64(c.sampled), c.waited); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestCompileLies refuses the memory of a compiled session; the worker goes on.
func TestCompileLies(t *testing.T) {
	for path, value := range map[string]string{"memory.host_bytes": "-1", "memory.device_bytes": "4611686018427387904"} {
		w, err := Start(context.Background(), lying(t, lie{Kind: kindCompile, Path: path, Set: value}))
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		_, field, _ := strings.Cut(path, ".")
		if _, err := w.Compile(context.Background(), addGraph(t, 3), backends.Options{}); err == nil || !strings.Contains(err.Error(), field+" is ") {
			t.Errorf("%s: %v", path, err)
		}
		if err := compileOn(t, w, "", nil).Close(); err != nil {
			t.Errorf("the honest session: %v", err)
		}
	}
}

// TestMalformedNumbers end the worker, which breaks the protocol; the error is of this session alone.
func TestMalformedNumbers(t *testing.T) {
	for path, value := range map[string]string{"host_ns.0": "1e400", "timer_share": `"NaN"`, "first_run_ns": "1e19", "host_peak_bytes": "0.5", "allocs_per_run": "NaN"} {
		s := compileFake(t, lying(t, lie{Kind: kindMeasure, Path: path, Set: value}), "", nil)
		var died *Died
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 2, Bound: time.Second})
		if !errors.As(err, &died) || died.Cause == nil || !strings.Contains(err.Error(), "message") {
			t.Errorf("%s: %v, %v", path, m, err)
		}
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
	var u *backends.Unavailable
	var e *Error
	var d *Died
	for name, got := range map[string]func() string{
		"hello":          func() string { return start(kindHello, "build.revision", said).Hello().Build["revision"] },
		"probe detail":   func() string { return start(kindProbe, "detail", said).Probe(ctx).Detail },
		"probe reason":   func() string { return string(start(kindProbe, "reason", said).Probe(ctx).Reason) },
		"fact":           func() string { return start(kindProbe, "facts.0.value", said).Probe(ctx).Facts[0].Value },
		"name of a fact": func() string { return start(kindProbe, "facts.0.key", said).Probe(ctx).Facts[0].Key },
		"supports detail": func() string {
			return start(kindSupports, "detail", said).Supports(graph.MatMul{}, backends.FP32).Detail
		},
		"supports reason": func() string {
			return string(start(kindSupports, "reason", said).Supports(graph.MatMul{}, backends.FP32).Reason)
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
	if err := (&results{file: f}).receive(x, 0); err == nil || err.Error() != "boolean 1 is the byte 2, want 0 or 1" || bytesOf(x)[1] != 0 {
		t.Errorf("got %v with %v", err, bytesOf(x))
	}
}
