package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/internal/exit"
)

// TestManifestGraph: an export of the trained weights has the ranges of the binary, at any size; one that is rounded already needs none.
func TestManifestGraph(t *testing.T) {
	for name, flags := range map[string][]string{"plain": nil, "rounded": {"--precision", "int8"}} {
		dir := t.TempDir()
		args := append([]string{"apexx", "export", "--out", dir, "--shape", "1x3x128x128"}, flags...)
		if code := run(t.Context(), args, nil, io.Discard, io.Discard); code != exit.OK {
			t.Fatalf("exit code %d", code)
		}
		g, err := manifestGraph(filepath.Join(dir, manifestFile), "", backends.INT8)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := graph.Lower(g, graph.INT8); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		_, err = manifestGraph(filepath.Join(dir, manifestFile), "nowhere.json", backends.INT8)
		if want := map[string]string{"plain": "read calibration: stat nowhere.json", "rounded": "--calibration: the model of " + dir}[name]; err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
		if _, err = manifestGraph(filepath.Join(dir, manifestFile), "", backends.FP32); err != nil {
			t.Errorf("%s: in fp32: %v", name, err)
		}
	}
}
