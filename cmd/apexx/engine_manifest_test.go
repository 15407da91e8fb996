package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/internal/atomicfile"
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
		_, err = manifestGraph(filepath.Join(dir, manifestFile), "", backends.FP32)
		if said := err != nil && strings.HasSuffix(err.Error(), "was exported in int8"); said != (name == "rounded") {
			t.Errorf("%s: in fp32: %v", name, err)
		}
	}
}

// TestManifestRanges: a file of ranges with other layers in float32 than its profile has now is stale for an exported model, too.
func TestManifestRanges(t *testing.T) {
	dir := t.TempDir()
	if code := run(t.Context(), []string{"apexx", "export", "--out", dir, "--shape", "1x3x128x128"}, nil, io.Discard, io.Discard); code != exit.OK {
		t.Fatalf("exit code %d", code)
	}
	text, err := os.ReadFile("../../fixtures/calibration/nano.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err := calibrate.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	check := func(name, want string, key calibrate.Key) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := atomicfile.WriteFile(path, 0o644, calibrate.New(key, f.Ranges).Write); err != nil {
			t.Fatal(err)
		}
		_, err := manifestGraph(filepath.Join(dir, manifestFile), path, backends.INT8)
		if (err == nil) != (want == "") || err != nil && !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
	check("own.json", "", f.Key)
	stale := f.Key
	stale.Wide = stale.Wide[1:]
	check("wide.json", "it is another model's, by wide; calibrate again", stale)
	stale = f.Key
	stale.Profile = "edge"
	check("edge.json", "it is another model's, by wide; calibrate again", stale)
	stale.Profile = "other"
	check("other.json", `unknown precision profile "other" (want quality, balanced or edge)`, stale)
}
