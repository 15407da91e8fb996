package worker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
)

const greeting = `{"id":1,"kind":"hello","body":{"protocol":{"major":2,"minor":0}}}`

// TestConversation writes down what a worker answers: the shortest requests and the ways to break it.
func TestConversation(t *testing.T) {
	for _, c := range []struct {
		name     string
		requests []string
		replies  []string // parts of them
	}{
		{"hello", []string{greeting}, []string{`{"id":1,"kind":"hello","body":{"protocol":{"major":2,"minor":3},"backend":"fake","pid":`}},
		{"other major", []string{`{"id":1,"kind":"hello","body":{"protocol":{"major":1,"minor":2}}}`, `{"id":2,"kind":"probe"}`},
			[]string{`"protocol":{"major":2,"minor":3}`, `{"id":2,"kind":"error","body":{"code":"bad_message","message":"probe came before hello"}}`}},
		{"probe", []string{greeting, `{"id":2,"kind":"probe"}`}, []string{"hello", `{"id":2,"kind":"probe","body":{"available":true,"detail":"here","precisions":["fp64","fp32"],"facts":[{"key":"pid",`}},
		{"unknown kind", []string{greeting, `{"id":2,"kind":"profile"}`}, []string{"hello", `"code":"unknown_kind"`}},
		{"kind of protocol 1", []string{greeting, `{"id":2,"kind":"run","body":{"session":1}}`}, []string{"hello", `"code":"unknown_kind"`}},
		{"upload to no session", []string{greeting, `{"id":2,"kind":"upload","body":{"session":1}}`}, []string{"hello", `"code":"bad_message","message":"there is no session 1"`}},
		{"execute no session", []string{greeting, `{"id":2,"kind":"execute"}`}, []string{"hello", `"code":"bad_message","message":"there is no session 0"`}},
		{"download of no session", []string{greeting, `{"id":2,"kind":"download","body":{"session":1}}`}, []string{"hello", `"code":"bad_message","message":"there is no session 1"`}},
		{"measure no session", []string{greeting, `{"id":2,"kind":"measure","body":{"session":1,"span":"execute","samples":1,"calls":1,"bound_ns":1}}`},
			[]string{"hello", `"code":"bad_message","message":"there is no session 1"`}},
		{"unknown fields", []string{greeting, `{"id":2,"kind":"probe","later":[1],"body":{"x":{}}}`}, []string{"hello", `"available":true`}},
		{"bad body", []string{greeting, `{"id":2,"kind":"execute","body":7}`}, []string{"hello", `"code":"bad_message"`}},
		{"bad format", []string{greeting, `{"id":2,"kind":"compile","body":{"graph_format":"relay"}}`}, []string{"hello", `graph format \"relay\" is unknown`}},
		{"no graph", []string{greeting, `{"id":2,"kind":"compile","body":{"graph_format":"onnx","graph":"/nonexistent"}}`}, []string{"hello", `"code":"bad_message"`}},
		{"bad graph", []string{greeting, `{"id":2,"kind":"compile","body":{"graph_format":"onnx","graph":"` + textFile(t) + `"}}`}, []string{"hello", `"code":"bad_input"`}},
		{"shutdown", []string{greeting, `{"id":2,"kind":"shutdown"}`}, []string{"hello", `{"id":2,"kind":"shutdown","body":{}}`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			in, requests := io.Pipe()
			replies, out := io.Pipe()
			done := make(chan error, 1)
			go func() { done <- Serve(context.Background(), in, out, fake{}) }()
			for i, want := range c.replies {
				if err := writeFrame(requests, []byte(c.requests[i])); err != nil {
					t.Fatal(err)
				}
				got, err := readFrame(replies)
				if err != nil || !strings.Contains(string(got), want) {
					t.Errorf("%s\n got %s, %v\nwant %s", c.requests[i], got, err, want)
				}
			}
			requests.Close()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

// textFile is a file that is not a graph.
func textFile(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "graph")
	if err := os.WriteFile(path, []byte("\xff\xff"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestServeEnds lists what ends a worker beside the end of its input.
func TestServeEnds(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"garbage", "GET / HTTP/1.1\r\n", `got "GET / HT"`},
		{"truncated", frame(greeting)[:20], "frame ends after"},
		{"not JSON", frame("{"), "not the JSON object"},
		{"no kind", frame(`{"id":1}`), "no kind or no id"},
		{"deep JSON", frame(strings.Repeat("[", 1<<20)), "not the JSON object"},
		{"flood", strings.Repeat(frame(`{"id":1,"kind":"probe"}`), 1000), "ahead of their replies"},
	} {
		block, _ := io.Pipe() // no reply gets through, no input ends
		in := io.MultiReader(strings.NewReader(c.in), block)
		var out io.Writer = io.Discard
		if c.name == "flood" {
			_, out = io.Pipe()
		}
		if c.name == "truncated" {
			in = strings.NewReader(c.in)
		}
		if err := Serve(context.Background(), in, out, fake{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	block, _ := io.Pipe()
	if err := Serve(ctx, block, io.Discard, fake{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

// FuzzRequests has a server answer any two messages: always with a reply that decodes, never with a panic.
func FuzzRequests(f *testing.F) {
	for _, s := range []string{
		greeting, `{"id":2,"kind":"probe"}`, `{"id":3,"kind":"upload","body":{"session":1}}`,
		`{"id":4,"kind":"compile","body":{"graph_format":"onnx","graph":"/nonexistent","layout":[{"offset":-1}]}}`,
		`{"id":5,"kind":"execute","body":{"session":1}}`, `{"id":5,"kind":"download","body":{"session":1,"outputs":["y"]}}`,
		`{"id":5,"kind":"measure","body":{"session":1,"span":"end_to_end","samples":2,"calls":1,"bound_ns":1}}`, `{"id":6,"kind":"close","body":{"session":-1}}`, `{"id":7,"kind":"shutdown"}`,
	} {
		f.Add([]byte(greeting), []byte(s))
	}
	f.Fuzz(func(t *testing.T, first, second []byte) {
		var out strings.Builder
		s := &server{backend: fake{}, out: &out, limit: func(helloRequest) error { return nil }, sessions: map[int]*hosted{}, folders: map[string]bool{}}
		for _, payload := range [][]byte{first, second} {
			m, err := decodeMessage(payload)
			if err != nil || strings.Contains(string(m.Body), "/dev") {
				continue
			}
			if err := s.respond(context.Background(), m); err != nil && err != errShutdown {
				t.Fatalf("%s: %v", payload, err)
			}
		}
		for r := strings.NewReader(out.String()); r.Len() > 0; {
			payload, err := readFrame(r)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := decodeMessage(payload); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzReply has a client take any reply to a request: what it believes has the graph's names, types and sizes and times that fit.
func FuzzReply(f *testing.F) {
	for _, seed := range []struct{ kind, reply string }{
		{kindDownload, `{"id":1,"kind":"download","body":{"layout":[{"name":"y","dtype":"float32","shape":[3],"offset":0}],"size":4096}}`},
		{kindDownload, `{"id":1,"kind":"error","body":{"code":"unavailable","message":"x"}}`},
		{kindDownload, `{"id":1,"kind":"download","body":{"layout":[{"name":"y","dtype":"float32","shape":[3],"offset":64}],"size":-1}}`},
		{kindExecute, `{"id":1,"kind":"execute","body":{"execute_ns":5,"device_ns":7,"steps_ns":[1,2],"memory":{"host_bytes":1}}}`},
		{kindMeasure, `{"id":1,"kind":"measure","body":{"host_ns":[5,6],"device_ns":[7,8],"steps_ns":[[1,2],[3,4]],"clock_ns":20}}`},
		{kindCompile, `{"id":1,"kind":"compile","body":{"session":1,"plan":{"steps":[{"name":"a\nb","nodes":["same","sum"],"level":"native","precision":"fp32"}]}}}`},
	} {
		f.Add(seed.kind, []byte(seed.reply))
	}
	f.Fuzz(func(t *testing.T, kind string, payload []byte) {
		w := &Worker{spec: Spec{Name: "fake"}, nextID: 1}
		g := addGraph(t, 3)
		want, err := expectedOutputs(g, backends.FP32)
		if err != nil {
			t.Fatal(err)
		}
		outputs := &results{file: sharedFile(t, 4096), want: want}
		m, err := decodeMessage(payload)
		if err != nil {
			return
		}
		accept := func(reply any) bool {
			err := w.accept(m, kind, reply)
			if err != nil && err.Error() == "" {
				t.Fatal("an error without text")
			}
			return err == nil
		}
		switch kind {
		case kindDownload:
			var r downloadReply
			if !accept(&r) {
				return
			}
			out, err := outputs.read(want, r.Layout, r.Size)
			if err == nil && (len(out) != 1 || out[0].Len() != 3 || len(out[0].Float64s()) != 3) {
				t.Fatalf("%s: %v", payload, out)
			}
		case kindExecute:
			var r executeReply
			if accept(&r) && r.check(2, time.Second) == nil && (r.Execute < 0 || r.Execute > 2e9 || len(r.Steps) != 0 && len(r.Steps) != 2) {
				t.Fatalf("%s: %+v", payload, r)
			}
		case kindMeasure:
			var r measureReply
			if accept(&r) && r.check(measureRequest{Samples: 2, Calls: 1}, 2, time.Second) == nil && (len(r.Host) < 1 || len(r.Host) > 2 || !(sum(r.Host) > 0 && sum(r.Host) < 2e9)) {
				t.Fatalf("%s: %+v", payload, r)
			}
		case kindCompile:
			var r compileReply
			if accept(&r) && r.Plan.Check(g) == nil {
				for _, s := range printablePlan(r.Plan).Steps {
					if strings.ContainsAny(s.Name+s.Op, "\n\x1b") {
						t.Fatalf("%s: step %q", payload, s.Name)
					}
				}
			}
		}
	})
}

// TestJSONNames holds the names of the protocol, which Go code could rename unnoticed.
func TestJSONNames(t *testing.T) {
	step := backends.Step{Name: "b", Op: "Conv+Relu", Nodes: []string{"a", "b"}, Inputs: []string{"x"}, Outputs: []string{"y", "z"}, Aside: []string{"z"},
		Level: backends.Emulated, Reason: backends.FunctionBody, Precision: backends.FP32, Workspace: 4}
	plan := backends.Plan{Steps: []backends.Step{step}, Folded: []string{"c"}, Views: []string{"d"}, Split: []backends.Split{{Node: "e", Step: "Conv+Relu", Value: "v"}},
		Arena: 5, Library: "ONNX Runtime"}
	for want, body := range map[string]any{
		`{"protocol":{"major":1,"minor":2},"memory_limit":3,"oom_score_adj":4,"variables":["GOGC","OMP_*"]}`: helloRequest{Version{1, 2}, 3, 4, []string{"GOGC", "OMP_*"}},
		`{"protocol":{"major":1,"minor":2},"backend":"b","pid":3,"build":{"go":"1"},"variables":{}}`:         Hello{Version{1, 2}, "b", 3, map[string]string{"go": "1"}, map[string]string{}},
		`{"available":true,"reason":"r","detail":"d","precisions":["fp32"],"facts":[{"key":"k","value":"v"}]}`: probeReply{true, "r", "d", []string{"fp32"},
			[]wireFact{{"k", "v"}}},
		`{"session":1,"memory":{"host_bytes":2,"device_bytes":3},"plan":{"steps":[{"name":"b","op":"Conv+Relu","nodes":["a","b"],"inputs":["x"],` +
			`"outputs":["y","z"],"aside":["z"],"level":"emulated","reason":"function_body","precision":"fp32","workspace":4}],"folded":["c"],"views":["d"],` +
			`"split":[{"node":"e","step":"Conv+Relu","value":"v"}],"arena_bytes":5,"library":"ONNX Runtime"}}`: compileReply{1, wireMemory{2, 3}, plan},
		`{"folder":"f","graph":"g","graph_format":"onnx","weights":"w","inputs":"i","outputs":"o","layout":null,"precision":"fp64","threads":2,` +
			`"taps":["all"],"replay":["d"],"extra":{"provider":"cpu"},"step_times":true,"progress":true}`: compileRequest{"f", "g", "onnx", "w", "i", "o", nil, "fp64", 2, []string{"all"},
			[]string{"d"}, map[string]string{"provider": "cpu"}, true, true},
		`{"session":1}`:   sessionRequest{1},
		`{"upload_ns":1}`: uploadReply{1},
		`{"execute_ns":1,"device_ns":2,"steps_ns":[3],"memory":{"host_bytes":4,"device_bytes":5}}`: executeReply{1, 2, []int64{3}, wireMemory{4, 5}},
		`{"session":1,"outputs":["y"]}`: downloadRequest{1, []string{"y"}},
		`{"layout":[{"name":"y","dtype":"bool","shape":[],"offset":64}],"size":5,"download_ns":6}`:         downloadReply{[]place{{"y", "bool", []int{}, 64}}, 5, 6},
		`{"session":1,"span":"execute","samples":2,"calls":3,"bound_ns":4,"warmup_runs":5,"collect":true}`: measureRequest{1, ExecuteAlone, 2, 3, 4, 5, true},
		`{"host_ns":[1],"device_ns":[2],"steps_ns":[[3]],"clock_ns":4,"host_peak_bytes":6,"device_peak_bytes":7,` +
			`"allocs_per_run":8,"alloc_bytes_per_run":9}`: measureReply{[]float64{1}, []float64{2}, [][]float64{{3}}, 4, 6, 7, 8, 9},
		`{"folder":"f","graph":"g","graph_format":"onnx","weights":"w","inputs":"i","layout":[{"name":"x","dtype":"float32","shape":[1],"offset":0}],"stride":64,"batches":2,` +
			`"method":"max","progress":true}`: calibrateRequest{"f", "g", "onnx", "w", "i", []place{{"x", "float32", []int{1}, 0}}, 64, 2, "max", true},
		`{"table":"YWI="}`: calibrateReply{[]byte("ab")},
		`{"code":"unavailable","message":"m","detail":"d","backend":"b","reason":"r","reason_detail":"rd"}`: wireError{"unavailable", "m", "d", "b", "r", "rd"},
	} {
		if got, err := json.Marshal(body); err != nil || string(got) != want {
			t.Errorf("got  %s, %v\nwant %s", got, err, want)
		}
	}
}

// TestProtocolExamples decodes the examples of PROTOCOL.md, in which no field may be unknown.
func TestProtocolExamples(t *testing.T) {
	text, err := os.ReadFile("PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]func() any{
		"→hello": func() any { return new(helloRequest) }, "←hello": func() any { return new(Hello) },
		"→probe": func() any { return new(struct{}) }, "←probe": func() any { return new(probeReply) },
		"→compile": func() any { return new(compileRequest) }, "←compile": func() any { return new(compileReply) },
		"→calibrate": func() any { return new(calibrateRequest) }, "←calibrate": func() any { return new(calibrateReply) },
		"→upload": func() any { return new(sessionRequest) }, "←upload": func() any { return new(uploadReply) },
		"→execute": func() any { return new(sessionRequest) }, "←execute": func() any { return new(executeReply) },
		"→download": func() any { return new(downloadRequest) }, "←download": func() any { return new(downloadReply) },
		"→measure": func() any { return new(measureRequest) }, "←measure": func() any { return new(measureReply) },
		"→close": func() any { return new(sessionRequest) }, "←close": func() any { return new(struct{}) },
		"→shutdown": func() any { return new(struct{}) }, "←shutdown": func() any { return new(struct{}) },
		"←error": func() any { return new(wireError) },
	}
	seen := map[string]bool{}
	strict := func(text string, into any) error {
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return d.Decode(into)
	}
	for _, line := range regexp.MustCompile(`[→←] \{`).FindAllStringIndex(string(text), -1) {
		arrow, example, _ := strings.Cut(string(text[line[0]:]), " ")
		var m message
		if err := strict(example, &m); err != nil {
			t.Errorf("%.60s: %v", example, err)
			continue
		}
		key := arrow + m.Kind
		body, ok := bodies[key]
		if !ok {
			t.Errorf("%.60s: unknown kind", example)
			continue
		}
		seen[key] = true
		if err := strict(string(m.Body), body()); err != nil {
			t.Errorf("%.60s: %v", example, err)
		}
	}
	for key := range bodies {
		if !seen[key] {
			t.Errorf("PROTOCOL.md has no example of %s", key)
		}
	}
}
