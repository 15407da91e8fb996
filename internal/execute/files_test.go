package execute

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/worker"
)

// librariesVariable makes the test binary a worker of the backend tensorrt that opens the libraries of a folder.
const librariesVariable = "APEXX_TEST_LIBRARIES"

func init() {
	misbehave = append(misbehave, func() (bool, error) {
		dir := os.Getenv(librariesVariable)
		if dir == "" {
			return false, nil
		}
		return true, worker.ServeStdio(context.Background(), withLibraries{reference.New(), dir})
	})
}

type withLibraries struct {
	backends.Backend
	dir string
}

func (withLibraries) Name() string { return "tensorrt" }

func (b withLibraries) Probe(context.Context) backends.Availability {
	return backends.Availability{Available: true, Facts: []backends.Fact{
		{Key: "version", Value: "10.6.0"}, {Key: "library", Value: filepath.Join(b.dir, "libnvinfer.so.10")},
		{Key: "plugin_library", Value: filepath.Join(b.dir, "libapexx-tensorrt.so")}, {Key: "parser_library", Value: filepath.Join(b.dir, "gone.so")},
	}}
}

// TestFileDigests takes the executable of a worker, and the libraries that the worker tells of: another build is another file.
func TestFileDigests(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	write("broken", "#!/bin/sh\nexit 1\n")
	write("libnvinfer.so.10", "infer")
	write("libapexx-tensorrt.so", "plugins")
	t.Setenv("APEXX_WORKER_CUDA", filepath.Join(dir, "broken"))
	t.Setenv("APEXX_WORKER_TENSORRT", self)
	t.Setenv(librariesVariable, dir)
	digests := func() map[string]string {
		got, err := FileDigests(t.Context(), []string{"reference", "cuda", "tensorrt"})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"cuda", "tensorrt", "tensorrt library", "tensorrt plugin_library"}
		if have := slices.Sorted(maps.Keys(got)); !slices.Equal(have, want) {
			t.Fatalf("digests of %q, want of %q", have, want)
		}
		return got
	}
	first := digests()
	write("broken", "#!/bin/sh\nexit 2\n")
	write("libapexx-tensorrt.so", "other plugins")
	second := digests()
	for key := range first {
		if changed := key == "cuda" || key == "tensorrt plugin_library"; (first[key] != second[key]) != changed {
			t.Errorf("%s: %s and then %s; changed: %t", key, first[key], second[key], changed)
		}
	}
}

// TestCertifyFactsNameNoPath: a certificate has the digests of libraries and workers, not where they lie.
func TestCertifyFactsNameNoPath(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	t.Setenv("APEXX_WORKER_TENSORRT", self)
	t.Setenv(librariesVariable, dir)
	seen := map[string]bool{}
	for _, f := range CertifyFacts(t.Context(), []string{"tensorrt"}) {
		seen[f.Key] = true
		if filepath.IsAbs(f.Value) {
			t.Errorf("%s is the path %s", f.Key, f.Value)
		}
	}
	for _, key := range []string{"tensorrt.library_sha256", "tensorrt.plugin_library_sha256", "tensorrt.worker_sha256"} {
		if !seen[key] {
			t.Errorf("there is no %s", key)
		}
	}
}
