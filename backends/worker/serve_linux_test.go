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

const greeting = `{"id":1,"kind":"hello","body":{"protocol":{"major":1,"minor":0}}}` // a client that is older than measure

// TestConversation writes down what a worker answers: the shortest requests and the ways to break it.
func TestConversation(t *testing.T) {
	for _, c := range []struct {
		name     string
		requests []string
		replies  []string // parts of them
	}{
		{"hello", []string{greeting}, []string{`{"id":1,"kind":"hello","body":{"protocol":{"major":1,"minor":2},"backend":"fake","pid":`}},
		{"other major", []string{`{"id":1,"kind":"hello","body":{"protocol":{"major":2}}}`, `{"id":2,"kind":"probe"}`},
			[]string{`"protocol":{"major":1,"minor":2}`, `{"id":2,"kind":"error","body":{"code":"bad_message","message":"probe came before hello"}}`}},
		{"probe", []string{greeting, `{"id":2,"kind":"probe"}`}, []string{"hello", `{"id":2,"kind":"probe","body":{"available":true,"detail":"here","facts":[{"key":"pid",`}},
		{"supports", []string{greeting, `{"id":2,"kind":"supports","body":{"op":{"domain":"","type":"Identity"},"precision":"fp32"}}`},
			[]string{"hello", `{"id":2,"kind":"supports","body":{"level":"native"}}`}},
		{"supports what nobody knows", []string{greeting, `{"id":2,"kind":"supports","body":{"op":{"type":"Bessel"}}}`},
			[]string{"hello", `"level":"unsupported","reason":"operator_unsupported"`}},
		{"unknown kind", []string{greeting, `{"id":2,"kind":"profile"}`}, []string{"hello", `"code":"unknown_kind"`}},
		{"measure no session", []string{greeting, `{"id":2,"kind":"measure","body":{"session":1,"iterations":1,"bound_ns":1}}`},
			[]string{"hello", `"code":"bad_message","message":"there is no session 1"`}},
		{"unknown fields", []string{greeting, `{"id":2,"kind":"probe","later":[1],"body":{"x":{}}}`}, []string{"hello", `"available":true`}},
		{"bad body", []string{greeting, `{"id":2,"kind":"run","body":7}`}, []string{"hello", `"code":"bad_message"`}},
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
		greeting, `{"id":2,"kind":"probe"}`, `{"id":3,"kind":"supports","body":{"op":{"type":"Clip","attributes":{"Low":"-Inf"}}}}`,
		`{"id":4,"kind":"compile","body":{"graph_format":"onnx","graph":"/nonexistent","layout":[{"offset":-1}]}}`,
		`{"id":5,"kind":"run","body":{"session":1}}`, `{"id":5,"kind":"measure","body":{"session":1,"iterations":2,"bound_ns":1}}`, `{"id":6,"kind":"close","body":{"session":-1}}`, `{"id":7,"kind":"shutdown"}`,
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

// FuzzReply has a client take any reply to a run.
func FuzzReply(f *testing.F) {
	f.Add([]byte(`{"id":1,"kind":"run","body":{"layout":[{"name":"y","dtype":"float32","shape":[3],"offset":0}],"size":4096}}`))
	f.Add([]byte(`{"id":1,"kind":"error","body":{"code":"unavailable","message":"x"}}`))
	f.Add([]byte(`{"id":1,"kind":"run","body":{"layout":[{"name":"y","dtype":"float32","shape":[3],"offset":64}],"size":-1}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		w := &Worker{spec: Spec{Name: "fake"}, nextID: 1}
		want, err := expectedOutputs(addGraph(t, 3), backends.FP32)
		if err != nil {
			t.Fatal(err)
		}
		outputs := &results{file: sharedFile(t, 4096), want: want}
		m, err := decodeMessage(payload)
		if err != nil {
			return
		}
		var r runReply
		if err := w.accept(m, kindRun, &r); err != nil {
			if err.Error() == "" {
				t.Fatal("an error without text")
			}
			return
		}
		out, err := outputs.read(r.Layout, r.Size)
		if err != nil {
			return
		}
		if len(out) != 1 || out[0].Len() != 3 {
			t.Fatalf("%s: %v", payload, out)
		}
		_ = out[0].Float64s()
	})
}

// TestJSONNames holds the names of the protocol, which Go code could rename unnoticed.
func TestJSONNames(t *testing.T) {
	for want, body := range map[string]any{
		`{"protocol":{"major":1,"minor":2},"memory_limit":3,"oom_score_adj":4}`: helloRequest{Version{1, 2}, 3, 4},
		`{"session":1,"memory":{"host_bytes":2,"device_bytes":3}}`:              compileReply{1, wireMemory{2, 3}},
		`{"layout":[{"name":"y","dtype":"bool","shape":[],"offset":64}],"size":5,"timing":{"upload_ns":1,"execute_ns":2,"download_ns":3},` +
			`"memory":{"host_bytes":0,"device_bytes":0}}`: runReply{outputsReply{[]place{{"y", "bool", []int{}, 64}}, 5}, wireTiming{1, 2, 3}, wireMemory{}},
		`{"folder":"f","graph":"g","graph_format":"onnx","inputs":"i","outputs":"o","layout":null,"precision":"fp64","threads":2,` +
			`"taps":["all"],"extra":{"provider":"cpu"}}`: compileRequest{"f", "g", "onnx", "i", "o", nil, "fp64", 2, []string{"all"},
			map[string]string{"provider": "cpu"}},
		`{"session":1,"warmup_runs":2,"warmup_bound_ns":3,"iterations":4,"bound_ns":5,"calls_per_sample":6}`: measureRequest{1, 2, 3, 4, 5, 6},
		`{"host_ns":[1],"device_ns":[2],"calls_per_sample":3,"timer_share":4,"first_run_ns":5,"host_peak_bytes":6,"device_peak_bytes":7,` +
			`"allocs_per_run":8,"alloc_bytes_per_run":9}`: measureReply{[]float64{1}, []float64{2}, 3, 4, 5, 6, 7, 8, 9},
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
		"→supports": func() any { return new(supportsRequest) }, "←supports": func() any { return new(supportsReply) },
		"→compile": func() any { return new(compileRequest) }, "←compile": func() any { return new(compileReply) },
		"→run": func() any { return new(sessionRequest) }, "←run": func() any { return new(runReply) },
		"→measure": func() any { return new(measureRequest) }, "←measure": func() any { return new(measureReply) },
		"→outputs": func() any { return new(sessionRequest) }, "←outputs": func() any { return new(outputsReply) },
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
