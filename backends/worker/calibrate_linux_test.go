package worker

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// batches are n uploads for addGraph(t, 3), of 0, 1, 2 and so on.
func batches(n int) []tensor.List {
	var list []tensor.List
	for i := range n {
		list = append(list, floats(3, float32(i)))
	}
	return list
}

// TestCalibrate: every input reaches the library, in its order, and what it says comes back byte for byte.
func TestCalibrate(t *testing.T) {
	defer nothingLeft(t)
	var stages []backends.Stage
	table, err := New(spec(t, "ok")).Calibrate(t.Context(), addGraph(t, 3), batches(3),
		backends.CalibrateOptions{Method: "entropy", Progress: func(s backends.Stage) { stages = append(stages, s) }})
	if err != nil {
		t.Fatal(err)
	}
	if want := "entropy 1 0\nentropy 1 3\nentropy 1 6\n"; string(table) != want {
		t.Errorf("%q, want %q", table, want)
	}
	if want := (backends.Stage{Name: "calibrating", Done: 3, Total: 3}); len(stages) != 3 || stages[2] != want {
		t.Errorf("%v", stages)
	}
}

// TestCalibrateRefused: what is missing, wrong or dead is told as for any other request.
func TestCalibrateRefused(t *testing.T) {
	defer nothingLeft(t)
	call := func(s Spec, method string, inputs []tensor.List) error {
		_, err := New(s).Calibrate(t.Context(), addGraph(t, 3), inputs, backends.CalibrateOptions{Method: method})
		return err
	}
	early := spec(t, "liar")
	early.Env = append(early.Env, lieVariable+`={"Kind":"error","Path":"code","Set":"\"unknown_kind\""}`)
	infinite := batches(2)
	tensor.Data[float32](infinite[1][0].Tensor)[0] /= 0 * tensor.Data[float32](infinite[1][0].Tensor)[1]
	for _, c := range []struct {
		name, want string
		err        error
	}{
		{"no calibrator", "backend fake is unavailable: calibrator_unavailable: its library finds no ranges by itself", call(spec(t, "plain"), "max", batches(1))},
		{"an early worker", "backend fake is unavailable: calibrator_unavailable: its worker speaks version 2.3 of the protocol, which cannot calibrate", call(early, "error", batches(1))},
		{"unavailable", "backend fake is unavailable: library_not_found", call(spec(t, "ok"), "unavailable", batches(1))},
		{"failure", "kernel 7 failed", call(spec(t, "ok"), "error", batches(1))},
		{"no input", "0 batches of 64 bytes do not fit", call(spec(t, "ok"), "max", nil)},
		{"an infinity", `input "x" has a NaN or infinity at element 0`, call(spec(t, "ok"), "max", infinite)},
		{"another shape", `input "x" is float32[4], the session was compiled for float32[3]`, call(spec(t, "ok"), "max", []tensor.List{floats(4, 0)})},
	} {
		if c.err == nil || !strings.HasPrefix(c.err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, c.err, c.want)
		}
	}
	var died *Died
	if err := call(spec(t, "ok"), "kill", batches(1)); !errors.As(err, &died) || died.Signal != syscall.SIGKILL || died.Stage != "calibrate" {
		t.Errorf("%v", err)
	}
}

// TestCalibrateLayout: whatever a request claims, the worker reads within the file of inputs.
func TestCalibrateLayout(t *testing.T) {
	w, err := Start(t.Context(), spec(t, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for name, change := range map[string]func(*calibrateRequest){
		"more batches":   func(r *calibrateRequest) { r.Batches = 3 },
		"no stride":      func(r *calibrateRequest) { r.Stride = 0 },
		"a great stride": func(r *calibrateRequest) { r.Stride = 1 << 62 },
		"a small stride": func(r *calibrateRequest) { r.Stride = 8 },
		"another input":  func(r *calibrateRequest) { r.Layout = slices.Clone(r.Layout); r.Layout[0].Name = "y" },
		"no layout":      func(r *calibrateRequest) { r.Layout = nil },
		"another format": func(r *calibrateRequest) { r.GraphFormat = "text" },
	} {
		f, r, err := w.calibration(addGraph(t, 3), batches(2))
		if err != nil {
			t.Fatal(err)
		}
		change(&r)
		var answer *Error
		if err := w.call(t.Context(), 0, kindCalibrate, r, nil); !errors.As(err, &answer) || answer.Code != CodeBadMessage {
			t.Errorf("%s: %v", name, err)
		}
		f.remove()
	}
}
