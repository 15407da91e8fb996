package manifest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/apex-x/apexx/backends/model/routing"
	"github.com/apex-x/apexx/internal/must"
)

func TestReplayManifest(t *testing.T) {
	m := must.Get(BuildReplay(ReplayInput{}))(t)
	if want := "72bfaa004dfc306b8e7183c906f7f26252372952508cca2bcac50d15a440d733"; m.ManifestSHA256 != want {
		t.Errorf("empty manifest %s, want %s", m.ManifestSHA256, want)
	}
	path := filepath.Join(t.TempDir(), "trace.json")
	if err := os.WriteFile(path, []byte("{\"selected\":[0,1,2]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := ReplayInput{Seed: 11, Config: map[string]any{"profile": "quality", "kmax": 32}, Artifacts: map[string]string{"trace": path},
		DeterminismState: map[string]any{"seed": "11"}}
	m = must.Get(BuildReplay(in))(t)
	if m.ConfigSHA256 != "335bb680f7cf41e4ba4950198e8a9fb7ed29ec7ee11aa7557065ce86d164d894" ||
		m.ArtifactSHA256["trace"] != "3fb47ee22aa98bc91ef85f4e267743ccdf5d019ae2e6ea929855f2ae4f72a73e" ||
		m.ManifestSHA256 != "2309c635ba82fb5a9e9f65bfbdd687e8e191425bcea77cc34567f59695dbd334" {
		t.Errorf("manifest %+v", m)
	}
	text := must.Get(json.Marshal(m))(t)
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) != 7 {
		t.Errorf("JSON %s (%v), want 7 keys", text, err)
	}
	moved := filepath.Join(filepath.Dir(path), "moved.json")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	_, err := BuildReplay(in)
	must.Fail(t, err, `artifact "trace"`)
	in.Artifacts["trace"], in.DeterminismState = moved, nil
	if again := must.Get(BuildReplay(in))(t); again.ManifestSHA256 != m.ManifestSHA256 || again.DeterminismState != nil {
		t.Errorf("path or determinism state changed the manifest: %+v", again)
	}
	_, err = BuildReplay(ReplayInput{Seed: -1})
	must.Fail(t, err, "must be >= 0")
}

// The golden cases of spec/routing.md 23.3: selection, record, its file and manifest in one chain.
func TestGoldenReplay(t *testing.T) {
	level := func(name string, r routing.GreedyResult) map[string]any {
		return map[string]any{"level": name, "indices": r.Selected, "ordered_indices": r.Selected, "budgets_used": map[string]any{"b1": r.Spent},
			"meta": map[string]any{"ordered_candidates": r.Candidates, "kmax_buffer": r.Buffer, "scores": r.Scores}}
	}
	a := must.Get(routing.Greedy([]float64{.3, 1.1, .9, .2, .8}, []float64{1, 1, 2, .5, 1.5}, 3, 3))(t)
	b := must.Get(routing.TwoStage(routing.TwoStageParams{Utilities: []float64{1.5, 1.4, .9, .7}, Costs: []float64{.9, 1.1, 1, 1.2}, SplitUtilities: []float64{.2, .8, .6, .1},
		SplitOverheads: []float64{.6, .7, .5, .9}, B1: 2.1, B2: 1.4, KMaxL0: 3, KMaxL1: 8, GridH: 2, GridW: 2}))(t)
	split := map[string]any{"level": "l1", "indices": b.L1.Indices, "ordered_indices": b.L1.Ordered, "budgets_used": map[string]any{"b2": b.L1.Spent},
		"meta": map[string]any{"split_parent_indices": b.L1.Parents, "split_parent_order": b.L1.ParentOrder, "l1_kmax_buffer": b.L1.Buffer}}
	for _, c := range []struct {
		fixture, mode            string
		seed                     int64
		selections               []any
		config                   map[string]any
		text                     string
		hash, file, conf, record string
	}{
		{"golden_a", "greedy", 7, []any{level("l0", a)}, map[string]any{"profile": "quality", "kmax": 3},
			`{"run_meta":{"fixture":"golden_a","mode":"greedy","seed":7},"selections":[{"budgets_used":{"b1":3.0},"indices":[1,4,3],"level":"l0","meta":{"kmax_buffer":[1,4,3],"ordered_candidates":[1,4,2,3,0],"scores":[0.3,1.1,0.45,0.4,0.5333333333333333]},"ordered_indices":[1,4,3]}]}`,
			"9287878011b706679892f45afc3e9739188c6f40c222967d7abe7f7e2bd4d4b1", "5d57880ef9e6bb40431cf710b9bc1e22b00a5e56340060ded071cffc22880eb3",
			"d4daaabfeb65911c8513679f4144b9558db6c17bf73844691548e9abf2149c88", "d111b8671da76f9caf43b0eb8ea081133ea9025c3de4e2539197bee25f3a2a97"},
		{"golden_b", "two_stage", 13, []any{level("l0", b.L0), split}, map[string]any{"profile": "balanced", "kmax_l0": 3, "kmax_l1": 8},
			`{"run_meta":{"fixture":"golden_b","mode":"two_stage","seed":13},"selections":[{"budgets_used":{"b1":2.0},"indices":[0,1],"level":"l0","meta":{"kmax_buffer":[0,1,-1],"ordered_candidates":[0,1,2,3],"scores":[1.6666666666666665,1.2727272727272725,0.9,0.5833333333333334]},"ordered_indices":[0,1]},{"budgets_used":{"b2":1.2999999999999998},"indices":[2,3,6,7,0,1,4,5],"level":"l1","meta":{"l1_kmax_buffer":[0,1,5,4,7,6,2,3],"split_parent_indices":[1,0],"split_parent_order":[1,0]},"ordered_indices":[0,1,5,4,7,6,2,3]}]}`,
			"133036a356da7d70d78711f5178aeadaee84b8b0e1e6d42004b2141b02dfe80b", "b0adbfe1f615545978fcc7a982c4d37b0854319f56ce047c74eb70810c7c366b",
			"e165e57e4aaa3f2c775c4b77ee9a714ca57d609ced0f4f57194235801032b0e3", "0f3442d5146ed3da1342f1766895ff3f3ea36063dea1f178e8c7a6affb49c835"},
	} {
		trace := map[string]any{"selections": c.selections, "run_meta": map[string]any{"fixture": c.fixture, "seed": c.seed, "mode": c.mode}}
		if text := must.Get(CanonicalJSON(trace))(t); string(text) != c.text {
			t.Errorf("%s: %s, want %s", c.fixture, text, c.text)
		}
		if hash := must.Get(HashJSON(trace))(t); hash != c.hash {
			t.Errorf("%s: hash %s, want %s", c.fixture, hash, c.hash)
		}
		path := filepath.Join(t.TempDir(), "trace.json")
		if err := os.WriteFile(path, must.Get(indentedJSON(trace))(t), 0o600); err != nil {
			t.Fatal(err)
		}
		m := must.Get(BuildReplay(ReplayInput{Seed: c.seed, Config: c.config, Artifacts: map[string]string{"trace": path}}))(t)
		if m.ArtifactSHA256["trace"] != c.file || m.ConfigSHA256 != c.conf || m.ManifestSHA256 != c.record {
			t.Errorf("%s: file, configuration and manifest %s, %s, %s, want %s, %s, %s", c.fixture, m.ArtifactSHA256["trace"], m.ConfigSHA256, m.ManifestSHA256, c.file, c.conf, c.record)
		}
	}
}
