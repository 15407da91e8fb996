package routing

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func greedySelection(t *testing.T, level string, r GreedyResult) TileSelection {
	t.Helper()
	return must(NewTileSelection(level, r.Selected, r.Selected,
		map[string]any{"ordered_candidates": r.Candidates, "kmax_buffer": r.Buffer, "scores": r.Scores}, map[string]float64{"b1": r.Spent}))(t)
}

func goldenA(t *testing.T) TileSelectionTrace {
	r := must(Greedy([]float64{.3, 1.1, .9, .2, .8}, []float64{1, 1, 2, .5, 1.5}, 3, 3))(t)
	return TileSelectionTrace{[]TileSelection{greedySelection(t, "l0", r)}, map[string]any{"fixture": "golden_a", "seed": 7, "mode": "greedy"}}
}

func goldenB(t *testing.T) TileSelectionTrace {
	r := must(TwoStage(caseD()))(t)
	l1 := must(NewTileSelection("l1", r.L1.Indices, r.L1.Ordered, map[string]any{"split_parent_indices": r.L1.Parents,
		"split_parent_order": r.L1.ParentOrder, "l1_kmax_buffer": r.L1.Buffer}, map[string]float64{"b2": r.L1.Spent}))(t)
	return TileSelectionTrace{[]TileSelection{greedySelection(t, "l0", r.L0), l1}, map[string]any{"fixture": "golden_b", "seed": 13, "mode": "two_stage"}}
}

// The golden cases of spec 23.3: selection, trace, saved file and manifest in one chain.
func TestGoldenReplay(t *testing.T) {
	for _, c := range []struct {
		name                           string
		trace                          TileSelectionTrace
		seed                           int64
		config                         map[string]any
		text                           string
		traceSHA, file, conf, manifest string
	}{
		{"A", goldenA(t), 7, map[string]any{"profile": "quality", "kmax": 3},
			`{"run_meta":{"fixture":"golden_a","mode":"greedy","seed":7},"selections":[{"budgets_used":{"b1":3.0},"indices":[1,4,3],"level":"l0","meta":{"kmax_buffer":[1,4,3],"ordered_candidates":[1,4,2,3,0],"scores":[0.3,1.1,0.45,0.4,0.5333333333333333]},"ordered_indices":[1,4,3]}]}`,
			"9287878011b706679892f45afc3e9739188c6f40c222967d7abe7f7e2bd4d4b1", "5d57880ef9e6bb40431cf710b9bc1e22b00a5e56340060ded071cffc22880eb3",
			"d4daaabfeb65911c8513679f4144b9558db6c17bf73844691548e9abf2149c88", "d111b8671da76f9caf43b0eb8ea081133ea9025c3de4e2539197bee25f3a2a97"},
		{"B", goldenB(t), 13, map[string]any{"profile": "balanced", "kmax_l0": 3, "kmax_l1": 8},
			`{"run_meta":{"fixture":"golden_b","mode":"two_stage","seed":13},"selections":[{"budgets_used":{"b1":2.0},"indices":[0,1],"level":"l0","meta":{"kmax_buffer":[0,1,-1],"ordered_candidates":[0,1,2,3],"scores":[1.6666666666666665,1.2727272727272725,0.9,0.5833333333333334]},"ordered_indices":[0,1]},{"budgets_used":{"b2":1.2999999999999998},"indices":[2,3,6,7,0,1,4,5],"level":"l1","meta":{"l1_kmax_buffer":[0,1,5,4,7,6,2,3],"split_parent_indices":[1,0],"split_parent_order":[1,0]},"ordered_indices":[0,1,5,4,7,6,2,3]}]}`,
			"133036a356da7d70d78711f5178aeadaee84b8b0e1e6d42004b2141b02dfe80b", "b0adbfe1f615545978fcc7a982c4d37b0854319f56ce047c74eb70810c7c366b",
			"e165e57e4aaa3f2c775c4b77ee9a714ca57d609ced0f4f57194235801032b0e3", "0f3442d5146ed3da1342f1766895ff3f3ea36063dea1f178e8c7a6affb49c835"},
	} {
		if text := must(CanonicalJSON(must(c.trace.Object())(t)))(t); string(text) != c.text {
			t.Errorf("%s: trace %s, want %s", c.name, text, c.text)
		}
		if hash := must(c.trace.Hash())(t); hash != c.traceSHA {
			t.Errorf("%s: trace hash %s, want %s", c.name, hash, c.traceSHA)
		}
		path := filepath.Join(t.TempDir(), "sub", "trace.json")
		if err := c.trace.Save(path); err != nil {
			t.Fatal(err)
		}
		if hash := must(HashFile(path))(t); hash != c.file {
			t.Errorf("%s: file hash %s, want %s", c.name, hash, c.file)
		}
		if hash := must(must(LoadTrace(path))(t).Hash())(t); hash != c.traceSHA {
			t.Errorf("%s: the loaded trace has hash %s, want %s", c.name, hash, c.traceSHA)
		}
		m := must(BuildReplayManifest(ReplayInput{Seed: c.seed, Config: c.config, Artifacts: map[string]string{"trace": path}}))(t)
		if m.ConfigSHA256 != c.conf || m.ManifestSHA256 != c.manifest {
			t.Errorf("%s: config %s, manifest %s, want %s and %s", c.name, m.ConfigSHA256, m.ManifestSHA256, c.conf, c.manifest)
		}
	}
}

func TestTrace(t *testing.T) {
	trace := goldenB(t)
	trace.Selections = append(trace.Selections, TileSelection{Level: L1})
	if s, ok := trace.ForLevel(L1); !ok || len(s.Indices) != 8 {
		t.Errorf("the first l1 selection has %d tiles (%v), want 8", len(s.Indices), ok)
	}
	if _, ok := trace.ForLevel(L2); ok {
		t.Error("found a selection of level l2")
	}
	_, err := TileSelectionTrace{}.Object()
	wantErr(t, err, "must not be empty")
	_, err = TileSelectionTrace{Selections: []TileSelection{{Indices: []int{1}}}}.Object()
	wantErr(t, err, "permutation")
	for text, sub := range map[string]string{
		`[]`: "want an object", `{}`: "selections", `{"selections":[]}`: "must not be empty", `{"selections":[1]}`: "selections[0]",
		`{"selections":[{"level":"l0","indices":[],"ordered_indices":[]}],"run_meta":1}`: "run_meta", `{"selections":[{"level":"l7","indices":[],"ordered_indices":[]}]}`: "one of",
	} {
		_, err := ParseTrace([]byte(text))
		wantErr(t, err, sub)
	}
	path := filepath.Join(t.TempDir(), "bad.json")
	if err := os.WriteFile(path, []byte(`[1]`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = LoadTrace(path)
	wantErr(t, err, path)
	_, err = LoadTrace(path + "x")
	wantErr(t, err, "no such file")
}

func FuzzParseTrace(f *testing.F) {
	f.Add([]byte(`{"run_meta":{"a":1e5},"selections":[{"level":"l0","indices":[1,0],"ordered_indices":[0,1]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		trace, err := ParseTrace(data)
		if err != nil {
			return
		}
		text := must(CanonicalJSON(must(trace.Object())(t)))(t)
		again := must(ParseTrace(text))(t)
		if got := must(CanonicalJSON(must(again.Object())(t)))(t); !bytes.Equal(got, text) {
			t.Errorf("%s becomes %s", text, got)
		}
	})
}
