package execute

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFileDigests takes the executable of a worker as its file: another build is another file.
func TestFileDigests(t *testing.T) {
	path := filepath.Join(t.TempDir(), "apexx-cuda")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("APEXX_WORKER_CUDA", path)
	t.Setenv("APEXX_WORKER_TENSORRT", filepath.Join(t.TempDir(), "nowhere"))
	digest := func() string {
		got, err := FileDigests(t.Context(), []string{"reference", "cuda", "tensorrt"})
		if err != nil || len(got) != 1 {
			t.Fatalf("%v, %v, want a digest of cuda alone", got, err)
		}
		return got["cuda"]
	}
	write("#!/bin/sh\nexit 1\n")
	first := digest()
	write("#!/bin/sh\nexit 2\n")
	if second := digest(); second == first {
		t.Error("two builds have one digest")
	}
}
