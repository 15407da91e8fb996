//go:build tensorrt && linux

package driver_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/safetensors"
)

// TestPeer: the program that times TensorRT alone says what it measured, and that an engine is no peer which computes something else, or not the same each time.
func TestPeer(t *testing.T) {
	dir := fakes(t)
	program := filepath.Join(dir, "tensorrt-peer")
	compile(t, []string{"c++", "-std=c++20", "-o", program}, "../peer/peer.cpp", "shim.cpp")
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, content := range map[string][]byte{"model": []byte("model"), "other": []byte("other"), "short": {1, 2, 3}, "long": bytes.Repeat([]byte{9}, 20)} {
		if err := os.WriteFile(file(name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tensors := func(name string, list ...safetensors.Tensor) string {
		var b bytes.Buffer
		if err := safetensors.Write(&b, nil, list); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file(name), b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		return file(name)
	}
	x, y := safetensors.FromFloat32("x", []int{3}, []float32{1, 2, 3}), safetensors.FromFloat32("tap.y", []int{3}, []float32{2, 4, 6})
	inputs, expected := tensors("inputs", x), tensors("expected", x, y)
	tensors("four", safetensors.FromFloat32("x", []int{4}, []float32{1, 2, 3, 4}))
	tensors("int", safetensors.FromInt64("x", []int{3}, []int64{1, 2, 3}))

	for _, c := range []struct {
		engine string
		flags  string // FILE=: that of the folder
		code   int
		want   string // of what it says, and for 0 of the JSON
	}{
		{"right", "", 0, `{"peer": "tensorrt-10.6.0", "mode": "graph", "dtype": "float16", "batch": 3, "size": 0, "scope": "network", "p50_ms": 500, "p95_ms": 950, "device": "Fake GPU", ` +
			`"p10_ms": 100, "p90_ms": 900, "runs": 1000, "level": 3, "network_layers": 7, "engine_layers": 2, "build_s": `},
		{"right", "--dtype float32 --level 0", 0, `"error": 0, "error_of": ""`},
		{"synchronises", "", 0, `"mode": "enqueue"`},
		{"wrong", "--dtype float32", 1, "y is off by 0.0133630"},
		{"wrong", "", 0, `"error": 0.0133630`},
		{"infinite", "", 1, "y is off by null, more than 0.05: this is another network"},
		{"changes", "", 1, "the outputs of the last run are not those of the first"},
		{"right", "--dtype int8", 2, "--dtype is int8, want float32 or float16"},
		{"right", "--level 10", 2, "--level is 10, want 0 to 5"},
		{"right", "--tf32 on", 2, "unknown flag --tf32; known are --dtype --expected "},
		{"right", "--level", 2, "--level needs a value"},
		{"right", "--inputs DIR/none", 2, "none: No such file or directory"},
		{"right", "--inputs DIR/short", 2, "short is no safetensors file"},
		{"right", "--inputs DIR/long", 2, "long is no safetensors file"},
		{"right", "--inputs DIR/four", 2, "four: x is not of 3 float32, as the network's"},
		{"right", "--inputs DIR/int", 2, "int: x is not of 3 float32, as the network's"},
		{"right", "--expected DIR/inputs", 2, "inputs has no tensor y"},
		{"right", "--library DIR/none.so", 5, "opening TensorRT: " /* what the loader says */},
		{"right", "--model DIR/other", 6, "other: the parser refuses it"},
		{"right", "--timings DIR/none/cache", 2, "none/cache: No such file or directory"},
		{"right", "--json DIR/none/peer.json", 6, "peer.json: No such file or directory"},
	} {
		args := []string{"--library", file("libnvinfer.so.10"), "--model", file("model"), "--inputs", inputs, "--expected", expected, "--json", file("peer.json"), "--timings", file("timings")}
		args = append(args, strings.Fields(strings.ReplaceAll(c.flags, "DIR", dir))...)
		cmd := exec.Command(program, args...)
		cmd.Env = append(os.Environ(), "LD_LIBRARY_PATH="+dir, "FAKE_ENGINE="+c.engine)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != c.code || !strings.Contains(string(out), c.want) {
			t.Errorf("%s %s: exit %d, want %d and %s:\n%s", c.engine, c.flags, cmd.ProcessState.ExitCode(), c.code, c.want, out)
		}
	}
	if kept, err := os.ReadFile(file("timings")); string(kept) != "engine" {
		t.Errorf("the timing cache: %q, %v", kept, err)
	}
}
