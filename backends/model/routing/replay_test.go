package routing

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

func TestReplayManifest(t *testing.T) {
	m := must(BuildReplayManifest(ReplayInput{}))(t)
	if want := "72bfaa004dfc306b8e7183c906f7f26252372952508cca2bcac50d15a440d733"; m.ManifestSHA256 != want {
		t.Errorf("empty manifest %s, want %s", m.ManifestSHA256, want)
	}
	path := filepath.Join(t.TempDir(), "trace.json")
	if err := os.WriteFile(path, []byte("{\"selected\":[0,1,2]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in := ReplayInput{Seed: 11, Config: map[string]any{"profile": "quality", "kmax": 32}, Artifacts: map[string]string{"trace": path},
		DeterminismState: map[string]any{"seed": "11"}}
	m = must(BuildReplayManifest(in))(t)
	if m.ConfigSHA256 != "335bb680f7cf41e4ba4950198e8a9fb7ed29ec7ee11aa7557065ce86d164d894" ||
		m.ArtifactSHA256["trace"] != "3fb47ee22aa98bc91ef85f4e267743ccdf5d019ae2e6ea929855f2ae4f72a73e" ||
		m.ManifestSHA256 != "2309c635ba82fb5a9e9f65bfbdd687e8e191425bcea77cc34567f59695dbd334" {
		t.Errorf("manifest %+v", m)
	}
	text := must(json.Marshal(m))(t)
	var keys map[string]any
	if err := json.Unmarshal(text, &keys); err != nil || len(keys) != 7 {
		t.Errorf("JSON %s (%v), want 7 keys", text, err)
	}
	moved := filepath.Join(filepath.Dir(path), "moved.json")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	_, err := BuildReplayManifest(in)
	wantErr(t, err, `artifact "trace"`)
	in.Artifacts["trace"], in.DeterminismState = moved, nil
	if again := must(BuildReplayManifest(in))(t); again.ManifestSHA256 != m.ManifestSHA256 || again.DeterminismState != nil {
		t.Errorf("path or determinism state changed the manifest: %+v", again)
	}
	_, err = BuildReplayManifest(ReplayInput{Seed: -1})
	wantErr(t, err, "must be >= 0")
}
