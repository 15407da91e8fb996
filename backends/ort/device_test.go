//go:build cgo

package ort

import (
	"bytes"
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/graph/onnx"
	"github.com/apex-x/apexx/backends/tensor"
)

// fakeDriver compiles testdata/driver.c, whose device is the host's memory.
func fakeDriver(t *testing.T, flags ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	args := append(flags, "-shared", "-fPIC", "-o", path, "testdata/driver.c")
	if text, err := exec.Command(compiler(t), args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return path
}

// fakeDevice is a device of a fake driver for the library of the processor, whose memory that is.
func fakeDevice(t *testing.T) *device {
	t.Helper()
	lib, err := needsLibrary(t).open()
	if err != nil {
		t.Fatal(err)
	}
	d, err := openDriver(fakeDriver(t))
	if err != nil {
		t.Fatal(err)
	}
	return newDevice(lib.path, d, "Cpu")
}

// onFake compiles a graph for a fake device.
func onFake(t *testing.T, g *graph.Graph, d *device) (*session, error) {
	t.Helper()
	set, err := New().parse(backends.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	set.device = d
	bound := bindable(g)
	model, err := onnx.Marshal(bound, onnx.WriteOptions{Form: onnx.Inlined})
	if err != nil {
		t.Fatal(err)
	}
	return newSession(g, bound, model, set)
}

// TestDeviceSession: a session whose inputs and outputs lie in a device's memory copies them there and back, tells which nodes the processor
// runs, and gives the memory back.
func TestDeviceSession(t *testing.T) {
	b := graph.NewBuilder("g")
	x, scale, nothing := b.Input("x", f32(1, 2, 2, 2)), b.Input("scale", f32()), b.Input("nothing", f32(2, 0))
	product := b.Add1("product", graph.Binary{Fn: graph.Mul}, x, scale)
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 1, Epsilon: 1e-5}, product, b.Const("s", vector(1, 1)), b.Const("b", vector(0, 0)))
	b.Output("norm", norm)
	b.Output("product", product)
	b.Output("ids", b.Add1("cast", graph.Cast{To: tensor.Int64}, product))
	b.Output("empty", b.Add1("join", graph.Concat{Axis: 1}, nothing, nothing))
	g := build(t, b)
	d := fakeDevice(t)
	s, err := onFake(t, g, d)
	if err != nil {
		t.Fatal(err)
	}
	image := tensor.Must(vector(1, -2, 3, 4, 5, 6, 7, 8).Reshaped(1, 2, 2, 2))
	inputs := func(by float32) []tensor.Named {
		return []tensor.Named{{Name: "x", Tensor: image}, {Name: "scale", Tensor: tensor.Scalar(by)}, {Name: "nothing", Tensor: tensor.New(tensor.Float32, 2, 0)}}
	}
	host := compile(t, g, backends.Options{Threads: 1})
	for _, by := range []float32{2, -3} {
		want := run(t, host, inputs(by)...)
		for i, got := range run(t, s, inputs(by)...) {
			if got.Name != want[i].Name || got.String() != want[i].String() || !bytes.Equal(tensor.Bytes(got.Tensor), tensor.Bytes(want[i].Tensor)) {
				t.Errorf("times %v: %s is %v, want %v", by, got.Name, got.Float64s(), want[i].Float64s())
			}
		}
	}
	if one, err := s.Download(t.Context(), "ids"); err != nil || len(one) != 1 || one[0].Float64s()[2] != -9 {
		t.Errorf("%v, %v", one, err)
	}
	if _, err := s.Download(t.Context(), "nobody"); err == nil {
		t.Error("an output that there is not was downloaded")
	}
	for _, step := range s.Plan().Steps {
		if step.Level != backends.Fallback || step.Reason != backends.OnHost {
			t.Errorf("the processor runs %s, and the plan says %v %s", step.Name, step.Level, step.Reason)
		}
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Error(err)
	}
	if _, err := s.Download(t.Context()); !errors.Is(err, backends.ErrClosed) {
		t.Errorf("a closed session: %v", err)
	}
	if held := d.driver.check("held", 7777); held.Error() != "held: 0" {
		t.Error(held)
	}
}

// TestDeviceWithoutMemory: what was allocated before an allocation failed is given back.
func TestDeviceWithoutMemory(t *testing.T) {
	b := graph.NewBuilder("g")
	b.Output("y", b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Add1("sum", graph.Binary{Fn: graph.Add}, b.Input("one", f32(1)), b.Input("many", f32(1<<18)))))
	d := fakeDevice(t)
	if _, err := onFake(t, build(t, b), d); err == nil || !strings.Contains(err.Error(), "allocate 1048576 bytes on the device: CUDA_ERROR_OUT_OF_MEMORY") {
		t.Errorf("%v", err)
	}
	if held := d.driver.check("held", 7777); held.Error() != "held: 0" {
		t.Error(held)
	}
}

func TestDriverReasons(t *testing.T) {
	for name, tt := range map[string]struct {
		library string
		reason  backends.Reason
		want    string
	}{
		"no driver":    {"libcuda.so.none", backends.CudaUnavailable, "libcuda.so.none: cannot open"},
		"no device":    {fakeDriver(t, "-DBROKEN=100"), backends.CudaDeviceNotFound, "CUDA_ERROR_NO_DEVICE"},
		"none visible": {fakeDriver(t, "-DDEVICES=0"), backends.CudaDeviceNotFound, "CUDA_ERROR_NO_DEVICE"},
		"broken":       {fakeDriver(t, "-DBROKEN=999"), backends.CudaUnavailable, "CUDA_ERROR_SOMETHING"},
		"too old":      {fakeDriver(t, "-DOLD"), backends.CudaUnavailable, "has no function cuMemcpyDtoH_v2"},
	} {
		if _, err := openDriver(tt.library); reasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s %q", name, err, tt.reason, tt.want)
		}
	}
}

// TestFallbacks: nodes of bodies are their owner's, also where names have slashes of their own; what the library adds on the processor is counted, and that it tells
// nothing is told. Of a session by TensorRT what CUDA runs is elsewhere, too.
func TestFallbacks(t *testing.T) {
	b := graph.NewBuilder("g")
	v := b.Input("x", f32(2))
	for _, name := range []string{"conv", "boxes", "/a", "/a/b", "sort"} {
		v = b.Add1(name, graph.Unary{Fn: graph.Relu}, v)
	}
	b.Output("y", v)
	g := build(t, b)
	const placement = "CUDAExecutionProvider\tconv\nCPUExecutionProvider\tboxes/TopK_3\nCUDAExecutionProvider\tboxes/Mul_1\n" +
		"CPUExecutionProvider\t/a/b/Shape\nCPUExecutionProvider\tsort\nCPUExecutionProvider\tTranspose_token_40\nCPUExecutionProvider\t\nTensorrtExecutionProvider\t/a\n"
	host := map[string]backends.Reason{"boxes": backends.OnHost, "/a/b": backends.OnHost, "sort": backends.OnHost}
	also := maps.Clone(host)
	also["conv"] = backends.OnCUDAProvider
	for _, c := range []struct {
		provider  Provider
		placement string
		want      map[string]backends.Reason
		library   string
	}{
		{CUDA, placement, host, "ONNX Runtime, provider cuda, with 2 nodes of its own on the processor"},
		{TensorRT, placement, also, "ONNX Runtime, provider tensorrt, with 2 nodes of its own on the processor"},
		{CUDA, "CUDAExecutionProvider\tconv\n", nil, "ONNX Runtime, provider cuda"},
		{CUDA, "", nil, "ONNX Runtime, provider cuda, which does not tell where the nodes run"},
		{CPU, "", nil, "ONNX Runtime, provider cpu"},
	} {
		p := settings{provider: c.provider}.plan(g, fallbacksOf(g, c.provider, c.placement))
		got := map[string]backends.Reason{}
		for _, step := range p.Steps {
			if step.Level == backends.Fallback {
				got[step.Name] = step.Reason
			}
		}
		if !maps.Equal(got, c.want) || p.Library != c.library {
			t.Errorf("%s: %v in %q, want %v in %q", c.provider, got, p.Library, c.want, c.library)
		}
	}
}

// TestSlots holds the slots of the library's functions against the header of the interface, which the binding has.
func TestSlots(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/yalue/onnxruntime_go").Output()
	if err != nil {
		t.Skip(err)
	}
	program := filepath.Join(t.TempDir(), "slots")
	text, err := exec.Command(compiler(t), "-I", strings.TrimSpace(string(dir)), "-o", program, "testdata/slots.c").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	if text, err = exec.Command(program).CombinedOutput(); err != nil || !strings.HasSuffix(string(text), strconv.Itoa(apiVersion)+"\n") {
		t.Errorf("%v: %s", err, text)
	}
}

// TestLoadNeeds: the first library that a file of a provider needs and the loader does not find is told by name.
func TestLoadNeeds(t *testing.T) {
	dir := t.TempDir()
	source, vendor, file := filepath.Join(dir, "f.c"), filepath.Join(dir, "libvendor.so.13"), filepath.Join(dir, "libprovider.so")
	if err := os.WriteFile(source, []byte("int f(void) { return 0; }\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-Wl,-soname,libvendor.so.13", "-o", vendor}, {"-Wl,--no-as-needed", "-o", file, vendor}} {
		if text, err := exec.Command(compiler(t), append([]string{"-shared", "-fPIC", source}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
	}
	err := loadNeeds(CUDA, file)
	if want := "provider cuda needs libvendor.so.13: put the folder that holds it on LD_LIBRARY_PATH"; reasonOf(err) != backends.LibraryNotFound || !strings.Contains(err.Error(), want) {
		t.Errorf("%v", err)
	}
	if err := loadNeeds(CUDA, source); reasonOf(err) != backends.LibraryLoadFailed {
		t.Errorf("a text: %v", err)
	}
}

func TestMissingNeed(t *testing.T) {
	const nothing = ": cannot open shared object file: No such file or directory"
	for _, tt := range []struct {
		name, why string
		found     []string
		reason    backends.Reason
		want      string
	}{
		{"libcudnn.so.9", "libcudnn.so.9" + nothing, nil, backends.LibraryNotFound, "needs libcudnn.so.9"},
		{"libnvinfer.so.10", "libnvinfer.so.10" + nothing, nil, backends.LibraryNotFound, "needs libnvinfer.so.10"},
		{"libnvinfer.so.10", "libnvinfer.so.10" + nothing, []string{"/opt/libnvinfer.so.8.6.1"}, backends.LibraryVersionUnsupported, "needs libnvinfer.so.10, and there is /opt/libnvinfer.so.8.6.1"},
		{"libcublas.so.13", "/lib/libcublas.so.13: file too short", nil, backends.LibraryLoadFailed, "file too short"},
		{"libcublas.so.13", "libcublasLt.so.13" + nothing, nil, backends.LibraryLoadFailed, "needs libcublas.so.13: libcublasLt.so.13"},
	} {
		if err := missingNeed(TensorRT, tt.name, tt.why, tt.found); reasonOf(err) != tt.reason || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s %q", tt.name, err, tt.reason, tt.want)
		}
	}
}

func TestProviderReason(t *testing.T) {
	for text, want := range map[string]backends.Reason{
		"libonnxruntime_providers_tensorrt.so: undefined symbol: createInferBuilder_INTERNAL": backends.LibraryVersionUnsupported,
		"CUDA driver version is insufficient for CUDA runtime version":                        backends.LibraryVersionUnsupported,
		"CUDA failure 999: unknown error":                                                     backends.ProviderUnavailable,
	} {
		if got := providerReason(errors.New(text)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestProvidersHere: whatever there is on this machine, a provider on a device runs or says why not, in its own name.
func TestProvidersHere(t *testing.T) {
	for _, p := range []Provider{CUDA, TensorRT} {
		b := On(p)
		if a := b.Probe(t.Context()); a.Available {
			t.Logf("%s is available: %v", b.Name(), a.Facts)
			continue
		} else if !slices.Contains(backends.Reasons, a.Reason) || a.Detail == "" {
			t.Errorf("%s: %+v", b.Name(), a)
		}
		var missing *backends.Unavailable
		if _, err := b.Compile(t.Context(), nil, backends.Options{}); !errors.As(err, &missing) || missing.Backend != "ort-"+string(p) {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestFallback: an operator that the CUDA provider does not have runs on the processor, and the plan says so of it alone. TensorRT has it, in an
// engine of enough nodes, and on the processor nothing is elsewhere.
func TestFallback(t *testing.T) {
	b := graph.NewBuilder("g")
	v := b.Add1("floor", graph.Unary{Fn: graph.Floor}, b.Add1("relu", graph.Unary{Fn: graph.Relu}, b.Input("x", f32(3))))
	b.Output("y", b.Add1("atan", graph.Opaque{Type: "Atan", Version: 21, Outputs: []graph.Type{f32(3)}, Places: []int{0}}, v))
	g := build(t, b)
	for _, p := range Providers {
		t.Run(string(p), func(t *testing.T) {
			backend := On(p)
			if err := backend.Probe(t.Context()).Err(backend.Name()); err != nil {
				t.Skip(err)
			}
			s, err := backend.Compile(t.Context(), g, backends.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if got := run(t, s, tensor.Named{Name: "x", Tensor: vector(-1, 0, 1)})[0].Float64s(); got[0] != 0 || got[1] != 0 || !(math.Abs(got[2]-math.Pi/4) < 1e-6) {
				t.Errorf("%v", got)
			}
			for _, step := range s.Plan().Steps {
				want := backends.Native
				if p == CUDA && step.Name == "atan" {
					want = backends.Fallback
				}
				if step.Level != want || (step.Reason == backends.OnHost) != (want == backends.Fallback) {
					t.Errorf("%s: %v %s, want %v", step.Name, step.Level, step.Reason, want)
				}
			}
		})
	}
}
