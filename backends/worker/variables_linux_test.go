package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// script returns the path of a shell script that does something and becomes the worker of a spec.
func script(t *testing.T, does string, s Spec) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker")
	if err := os.WriteFile(path, fmt.Appendf(nil, "#!/bin/sh\n%s\nexec '%s'\n", does, s.Command[0]), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestWorkerVariables: what a script or Spec.Env sets for a worker is told, by the worker and by its probe, and nothing else is.
func TestWorkerVariables(t *testing.T) {
	for name, value := range map[string]string{"GOMEMLIMIT": "4GiB", "OMP_NUM_THREADS": "2", "NVIDIA_TF32_OVERRIDE": "0", "KMP_BLOCKTIME": "1"} {
		t.Setenv(name, value)
	}
	given := spec(t, "ok")
	given.Env = append(given.Env, "MALLOC_ARENA_MAX=3")
	for _, c := range []struct {
		does string
		spec Spec
		want string
	}{
		{"", spec(t, "ok"), ""},
		{"", given, "MALLOC_ARENA_MAX=3"},
		{"export GOGC=50", spec(t, "ok"), "GOGC=50"},
		{"export GOGC=50", lying(t, lie{Kind: kindHello, Path: "variables", Set: "null"}), ""}, // as before version 2.3
		{"unset GOMEMLIMIT NVIDIA_TF32_OVERRIDE; export OMP_NUM_THREADS=1 KMP_BLOCKTIME=", spec(t, "ok"),
			"GOMEMLIMIT=(unset) KMP_BLOCKTIME=(unset) NVIDIA_TF32_OVERRIDE=(unset) OMP_NUM_THREADS=1"},
		{"export NVIDIA_TF32_OVERRIDE=", spec(t, "ok"), "NVIDIA_TF32_OVERRIDE="},
		{"export SECRET=hush CUDNN_PATH=/opt CUDNN_LOGDEST_DBG=/home/jane/log", spec(t, "ok"), "CUDNN_LOGDEST_DBG=log"},
		{"", lying(t, lie{Kind: kindHello, Path: "variables", Set: `{"SECRET":"hush","GOMEMLIMIT":"4GiB","GOGC":"5\n0"}`}),
			`GOGC=5\n0 KMP_BLOCKTIME=(unset) NVIDIA_TF32_OVERRIDE=(unset) OMP_NUM_THREADS=(unset)`},
	} {
		if c.does != "" {
			c.spec.Command = []string{script(t, c.does, c.spec)}
		}
		w, err := Start(t.Context(), c.spec)
		if err != nil {
			t.Fatal(err)
		}
		told, probed := w.Variables(), Told(w.Probe(t.Context()).Facts)
		w.Close()
		if got := text(told); got != c.want || text(probed) != got {
			t.Errorf("%q: the worker tells %s, its probe %s, want %s", c.does, got, text(probed), c.want)
		}
	}
}

func text(variables []backends.Fact) string {
	var list []string
	for _, v := range variables {
		list = append(list, v.Key+"="+v.Value)
	}
	return strings.Join(list, " ")
}
