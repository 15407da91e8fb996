package reports_test

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
	"github.com/apex-x/apexx/reports"
)

// TestCommittedEvidence reads every matrix, gate and sweep under baselines: what was measured on machines that nobody has at hand stays readable, and no
// check of a record refuses an honest one. Records of earlier schemas are refused for what they lack.
func TestCommittedEvidence(t *testing.T) {
	readers := map[string]func(io.Reader) error{
		"matrix": func(from io.Reader) error { _, err := reports.ReadMatrix(from); return err },
		"gate":   func(from io.Reader) error { _, err := gate.Read(from); return err },
		"sweep":  func(from io.Reader) error { _, err := sweep.Read(from); return err },
	}
	files, err := filepath.Glob("../baselines/evidence/*/*.json*")
	if err != nil {
		t.Fatal(err)
	}
	for kind, check := range readers {
		read := 0
		for _, path := range files {
			if !strings.Contains(filepath.Base(path), kind) {
				continue
			}
			err := check(strings.NewReader(unpacked(t, path)))
			if err == nil {
				read++
			} else if !strings.HasPrefix(err.Error(), "its schema is apexx."+kind+"/") {
				t.Errorf("%s: %v", path, err)
			}
		}
		if read == 0 {
			t.Errorf("no %s is of the present schema", kind)
		}
	}
}

func unpacked(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var from io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		if from, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	text, err := io.ReadAll(from)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
