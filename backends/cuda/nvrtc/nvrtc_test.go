//go:build cgo && linux

package nvrtc

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/kernels"
)

// library opens NVRTC, or skips: APEXX_NVRTC names the library, APEXX_CUDA_INCLUDE the folder of CUDA's headers.
func library(t *testing.T) (*Library, string) {
	t.Helper()
	headers := os.Getenv("APEXX_CUDA_INCLUDE")
	if headers == "" {
		t.Skip("APEXX_CUDA_INCLUDE does not name the folder of CUDA's headers")
	}
	l, err := Open(os.Getenv("APEXX_NVRTC"))
	if err != nil {
		t.Skip(err)
	}
	return l, headers
}

// TestCompile: the kernels compile with NVRTC, for a device with and one without the instructions of 9.0a.
func TestCompile(t *testing.T) {
	l, headers := library(t)
	for _, tt := range []struct{ file, architecture, kernel string }{
		{"norm.cu", "80", "norm_apply_f16"}, {"norm.cu", "90a", "norm_apply_bf16"}, {"ops.cu", "75", "heavy_refine"}, {"ops.cu", "90", "detect_select"}, {"conv.cu", "90a", "conv_f16_sm90_3x3_96_96"},
	} {
		code, err := l.Compile(kernels.Sources, tt.file, tt.architecture, headers)
		if err != nil {
			t.Errorf("%s for %s: %v", tt.file, tt.architecture, err)
		} else if !bytes.HasPrefix(code, []byte("\x7fELF")) || !bytes.Contains(code, []byte(tt.kernel)) {
			t.Errorf("%s for %s: %d bytes, no machine code of %s", tt.file, tt.architecture, len(code), tt.kernel)
		}
	}
}

// TestKernels: what has been compiled is kept, and taken from there the next time.
func TestKernels(t *testing.T) {
	l, headers := library(t)
	cache := t.TempDir()
	first, err := l.Kernels(75, headers, cache) // whose network kernels there are none of
	if err != nil || len(first) != 1 {
		t.Fatalf("%d images, %v", len(first), err)
	}
	second, err := l.Kernels(75, headers, cache)
	if err != nil || !bytes.Equal(first[0], second[0]) {
		t.Errorf("from the cache: %v", err)
	}
	if entries, err := os.ReadDir(cache); err != nil || len(entries) != 1 {
		t.Errorf("the cache holds %v (%v)", entries, err)
	}
}

// TestKept: what was kept is made once, and again where its file was cut, changed or emptied.
func TestKept(t *testing.T) {
	file, made := filepath.Join(t.TempDir(), "cache", "x.kernels"), 0
	if err := os.Mkdir(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	get := func(want int) {
		t.Helper()
		image, err := kept(file, func() ([]byte, error) { made++; return []byte("\x7fELF machine code"), nil })
		if err != nil || string(image) != "\x7fELF machine code" || made != want {
			t.Errorf("%q, %v, made %d times, want %d", image, err, made, want)
		}
	}
	get(1)
	get(1)
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Clone(whole)
	changed[len(changed)-1] ^= 1
	for i, text := range [][]byte{changed, whole[:len(whole)-1], whole[:32], nil, []byte("\x7fELF of an older version, without a digest")} {
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
		get(2 + i)
		get(2 + i)
	}
	if _, err := kept(file+"2", func() ([]byte, error) { return nil, errors.New("no memory") }); err == nil {
		t.Error("what could not be made was kept")
	}
	if _, err := os.Stat(file + "2"); err == nil {
		t.Error("a file of nothing")
	}
}

// TestFromEnvironment: what is asked for and not there has a reason.
func TestFromEnvironment(t *testing.T) {
	if l, _, err := FromEnvironment(func(string) string { return "" }); l != nil || err != nil {
		t.Errorf("without the variable: %v, %v", l, err)
	}
	empty := t.TempDir()
	_, err := findHeaders("", empty)
	var missing *backends.Unavailable
	if !errors.As(err, &missing) || missing.Reason != backends.HeadersNotFound || !strings.Contains(missing.Detail, empty) {
		t.Errorf("a folder without headers: %v", err)
	}
	wheel := t.TempDir()
	want := filepath.Join(wheel, "cuda_runtime", "include")
	if err := os.MkdirAll(want, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(want, neededHeader), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if got, err := findHeaders(filepath.Join(wheel, "cuda_nvrtc", "lib", "libnvrtc.so.12"), ""); got != want {
		t.Errorf("beside the library of a wheel: %q, %v; want %q", got, err, want)
	}
}

// TestErrors: a wrong source is told with the compiler's words, a missing library with its reason.
func TestErrors(t *testing.T) {
	_, err := Open("libnvrtc-of-nobody.so")
	var missing *backends.Unavailable
	if !errors.As(err, &missing) || missing.Reason != backends.LibraryNotFound || !strings.Contains(missing.Detail, "libnvrtc-of-nobody.so") {
		t.Errorf("a missing library: %v", err)
	}
	l, headers := library(t)
	_, err = l.Compile(fstest.MapFS{"x.cu": {Data: []byte("nothing")}}, "x.cu", "80", headers)
	if err == nil || !strings.Contains(err.Error(), "x.cu(1): error") {
		t.Errorf("a wrong source: %v", err)
	}
}
