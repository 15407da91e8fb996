//go:build tensorrt && linux

package driver_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/tensorrt"
	"github.com/apex-x/apexx/backends/tensorrt/driver"
)

// faultVariable says what goes wrong in the libraries of testdata. Where it is set, the test binary runs on them.
const faultVariable = "FAKE_FAULT"

// fakes builds the libraries of testdata into a folder. What they are compiled with has compiled this package, too, but on a device there is no compiler.
func fakes(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("c++"); err != nil {
		t.Skip("there is no C++ compiler")
	}
	dir := t.TempDir()
	for _, lib := range []struct{ name, compiler, source string }{
		{"libcuda.so.1", "cc", "testdata/fake_cuda.c"}, {"libnvinfer.so.10", "c++", "testdata/fake_tensorrt.cpp"}, {"libnvonnxparser.so.10", "c++", "testdata/fake_tensorrt.cpp"},
	} {
		compile(t, []string{lib.compiler, "-fPIC", "-shared", "-o", filepath.Join(dir, lib.name)}, lib.source)
	}
	if err := os.WriteFile(filepath.Join(dir, "libnvinfer_builder_resource.so.10.6.0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// compile runs a compiler on sources, which are asked for here as well, so that no result of another state of theirs is taken for this test's.
func compile(t *testing.T, compiler []string, sources ...string) {
	t.Helper()
	for _, path := range sources {
		if _, err := os.Stat(path); err != nil {
			t.Fatal(err)
		}
	}
	args := slices.Concat(compiler[1:], []string{"-O1", "-w"}, sources, []string{"-ldl", "-pthread"})
	if out, err := exec.Command(compiler[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", sources, err, out)
	}
}

// TestCalibrator: the shim hands the builder every batch and takes its table, ends the build then, and tells what fails; where TensorRT ends the process, or would
// when an engine is loaded, that is an error, and the process goes on.
func TestCalibrator(t *testing.T) {
	dir := fakes(t)
	for _, c := range []struct{ fault, method, want string }{
		{"none", "max", "TRT-100600-MinMaxCalibration x: 3cc1830" /* 3/127 */},
		{"none", "entropy", "TRT-100600-EntropyCalibration2 x: 3cc1830"},
		{"table", "max", "backend tensorrt is unavailable: engine_build_failed: calibrating: the builder gave nothing and did not say why"},
		{"input", "max", "backend tensorrt is unavailable: engine_build_failed: calibrating: TensorRT asks for an input y, which the network has not"},
		{"memory", "max", "backend tensorrt is unavailable: device_memory_exhausted: calibrating: CUDA_ERROR_OUT_OF_MEMORY (2) from cuMemAlloc"},
		{"copy", "max", "backend tensorrt is unavailable: device_memory_exhausted: calibrating: CUDA_ERROR_OUT_OF_MEMORY (2) from cuMemcpyHtoDAsync"},
		{"batch", "max", "backend tensorrt is unavailable: engine_build_failed: calibrating: there is no input x of 12 bytes in batch 1"},
		{"few", "max", "backend tensorrt is unavailable: engine_build_failed: calibrating: TensorRT asked for 1 of 3 batches"},
		{"cancel", "max", "context canceled"},
		{"builder", "max", "backend tensorrt is unavailable: builder_unavailable: calibrating: TensorRT gives no builder and does not say why"},
		{"runtime", "load", "backend tensorrt is unavailable: library_load_failed: loading the engine: createInferRuntime: Error Code 6: API Usage Error (CUDA initialization failure with error: 35)"},
		{"none", "load", "backend tensorrt is unavailable: library_load_failed: loading the engine: TensorRT gives no runtime and does not say why"},
		{"end", "max", "backend tensorrt is unavailable: builder_unavailable: calibrating: CUDA initialization failure with error: 35"},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestCalibratorHere$", "-test.v")
		cmd.Env = append(os.Environ(), faultVariable+"="+c.fault, "FAKE_METHOD="+c.method, "APEXX_TRT_LIB="+dir, "LD_LIBRARY_PATH="+dir, "APEXX_TRT_PLUGIN_LIB=none")
		out, err := cmd.CombinedOutput()
		if text := strings.Join(strings.Fields(string(out)), " "); err != nil || !strings.Contains(text, "said twice: "+c.want) {
			t.Errorf("%s %s: %v, want %s:\n%s", c.fault, c.method, err, c.want, out)
		}
	}
}

// TestCalibratorHere is the other process of TestCalibrator.
func TestCalibratorHere(t *testing.T) {
	fault := os.Getenv(faultVariable)
	if fault == "" || os.Getenv("FAKE_METHOD") == "plugins" {
		t.Skip("it runs for TestCalibrator")
	}
	lib, err := driver.New().Open()
	if err != nil {
		t.Fatal(err)
	}
	var inputs []tensor.List
	for i := range 3 {
		n := 3
		if fault == "batch" && i == 1 {
			n = 4
		}
		x := tensor.New(tensor.Float32, n)
		tensor.Data[float32](x)[i] = -float32(i + 1)
		inputs = append(inputs, tensor.List{{Name: "x", Tensor: x}})
	}
	said := func() string {
		if os.Getenv("FAKE_METHOD") == "load" {
			_, err := lib.Load([]byte("engine"), tensorrt.LoadOptions{})
			return err.Error()
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		table, err := lib.Calibrate(ctx, tensorrt.Calibration{Model: []byte("model"), Method: os.Getenv("FAKE_METHOD"), Inputs: inputs, Progress: func(backends.Stage) {
			if fault == "cancel" {
				cancel()
			}
		}})
		if err != nil {
			return err.Error()
		}
		return string(table)
	}
	if once, twice := said(), said(); once != twice || strings.Contains(once, "backend tensorrt is unavailable") && strings.Contains(once, "\n") {
		t.Errorf("%s, and then %s", once, twice)
	} else {
		t.Log("said twice:", twice)
	}
	if _, err := lib.Build(t.Context(), tensorrt.Build{Model: []byte("model")}); fault == "end" && !strings.Contains(err.Error(), "builder_unavailable") {
		t.Errorf("a build after it: %v", err)
	}
}

// TestPlugins: the library of plugins is opened if it has the interface, and was built with headers that the TensorRT of this machine serves. Its digest is that of its
// file where it tells none.
func TestPlugins(t *testing.T) {
	dir := fakes(t)
	whole, part := filepath.Join(dir, "libapexx-tensorrt.so"), filepath.Join(dir, "part.so")
	for path, flags := range map[string][]string{whole: nil, part: {"-DWITHOUT_FAULTS"}} {
		args := append(flags, "-O1", "-fPIC", "-shared", "-o", path, "testdata/fake_plugins.c")
		if out, err := exec.Command("cc", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	for _, c := range []struct{ fault, plugins, want string }{
		{"fine", whole, "TilePack 1 apexx, fields tile_size mode, required mode, a digest of 64"},
		{"abi", whole, "plugin_mismatch: the plugins: " + whole + " has the interface 2, this worker knows 1"},
		{"headers", whole, "plugin_mismatch: the plugins: " + whole + " was built with the headers of TensorRT 10.15, and the library is 10.6"},
		{"none", whole, "plugin_mismatch: the plugins: " + whole + ": the library was built without TensorRT's headers"},
		{"taken", whole, "plugin_mismatch: the plugins: " + whole + ": the registry did not take the plugin TilePack: another one of this name is there"},
		{"fine", part, "plugin_mismatch: the plugins: " + part + " has no function apexx_plugins_take_fault"},
		{"fine", filepath.Join(dir, "libnvinfer_builder_resource.so.10.6.0"), "library_load_failed: the plugins: "},
		{"fine", filepath.Join(dir, "nothing"), "no plugins: APEXX_TRT_PLUGIN_LIB is "},
	} {
		cmd := exec.Command(os.Args[0], "-test.run=^TestPluginsHere$", "-test.v")
		cmd.Env = append(os.Environ(), faultVariable+"="+c.fault, "FAKE_METHOD=plugins", "APEXX_TRT_LIB="+dir, "LD_LIBRARY_PATH="+dir, "APEXX_TRT_PLUGIN_LIB="+c.plugins)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "said: "+c.want) && !strings.Contains(string(out), "unavailable: "+c.want) {
			t.Errorf("%s %s: %v, want %s:\n%s", c.fault, c.plugins, err, c.want, out)
		}
	}
}

// TestPluginsHere is the other process of TestPlugins.
func TestPluginsHere(t *testing.T) {
	if os.Getenv("FAKE_METHOD") != "plugins" {
		t.Skip("it runs for TestPlugins")
	}
	lib, err := driver.New().Open()
	switch {
	case err != nil:
		t.Log("said:", err)
	case len(lib.Facts().Plugins) == 0:
		t.Log("said: no plugins:", lib.Facts().WithoutPlugin)
	default:
		f := lib.Facts()
		p := f.Plugins[0]
		t.Logf("said: %s %s %s, fields %s, required %s, a digest of %d", p.Name, p.Version, p.Namespace, strings.Join(p.Fields, " "), strings.Join(p.Required, " "), len(f.PluginDigest))
	}
}
