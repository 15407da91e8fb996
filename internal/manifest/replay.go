package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// ReplayInput is what a run must have in common with another to count as its replay.
type ReplayInput struct {
	Seed      int64             // >= 0
	Config    map[string]any    // anything that CanonicalJSON takes; nil is the empty configuration
	Artifacts map[string]string // name to path of a file
	// DeterminismState describes the process, for information; it does not enter the manifest's hash. Nil leaves it out.
	DeterminismState map[string]any
}

// ArtifactHash is the path and the SHA-256 of one artifact.
type ArtifactHash struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Replay identifies a run. Two runs with equal ManifestSHA256 had equal seed, configuration and artifact bytes.
type Replay struct {
	Seed             int64                   `json:"seed"`
	Config           map[string]any          `json:"config"`
	ConfigSHA256     string                  `json:"config_sha256"`
	ArtifactHashes   map[string]ArtifactHash `json:"artifact_hashes"`
	DeterminismState map[string]any          `json:"determinism_state,omitempty"`
	ArtifactSHA256   map[string]string       `json:"artifact_sha256"`
	ManifestSHA256   string                  `json:"manifest_sha256"`
}

// BuildReplay hashes the configuration and the artifacts. The hash of the manifest is that of
// {seed, config_sha256, artifact_sha256}, so it depends neither on paths nor on the determinism state. A missing artifact is
// an error. Source: spec/routing.md 23.2.
func BuildReplay(in ReplayInput) (Replay, error) {
	if in.Seed < 0 {
		return Replay{}, fmt.Errorf("seed is %d: must be >= 0", in.Seed)
	}
	config, err := plain(in.Config, 0)
	if err != nil {
		return Replay{}, fmt.Errorf("config: %w", err)
	}
	m := Replay{Seed: in.Seed, Config: config.(map[string]any), ArtifactHashes: map[string]ArtifactHash{}, ArtifactSHA256: map[string]string{}}
	if m.ConfigSHA256, err = HashJSON(config); err != nil {
		return Replay{}, fmt.Errorf("config: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Artifacts)) {
		sum, err := HashFile(in.Artifacts[name])
		if err != nil {
			return Replay{}, fmt.Errorf("artifact %q: %w", name, err)
		}
		m.ArtifactHashes[name] = ArtifactHash{in.Artifacts[name], sum}
		m.ArtifactSHA256[name] = sum
	}
	if in.DeterminismState != nil {
		state, err := plain(in.DeterminismState, 0)
		if err != nil {
			return Replay{}, fmt.Errorf("determinism state: %w", err)
		}
		m.DeterminismState = state.(map[string]any)
	}
	if m.ManifestSHA256, err = m.hash(); err != nil {
		return Replay{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}

// JSON returns the manifest as the text of a file: keys sorted, two spaces of indentation. Unlike encoding/json it keeps integers
// and floats apart, as the digest of the configuration does.
func (m Replay) JSON() ([]byte, error) {
	files := map[string]any{}
	for name, a := range m.ArtifactHashes {
		files[name] = map[string]any{"path": a.Path, "sha256": a.SHA256}
	}
	object := map[string]any{"seed": m.Seed, "config": m.Config, "config_sha256": m.ConfigSHA256, "artifact_hashes": files,
		"artifact_sha256": m.ArtifactSHA256, "manifest_sha256": m.ManifestSHA256}
	if m.DeterminismState != nil {
		object["determinism_state"] = m.DeterminismState
	}
	return indentedJSON(object)
}

// ParseReplay reads what JSON returns and derives its digests anew: that of the configuration, and that of the manifest. The
// artifacts are the caller's to compare.
func ParseReplay(text []byte) (Replay, error) {
	var m Replay
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&m); err != nil {
		return m, fmt.Errorf("not a replay manifest: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return m, errors.New("not a replay manifest: something follows the object")
	}
	if m.Seed < 0 {
		return m, fmt.Errorf("seed is %d: must be >= 0", m.Seed)
	}
	config, err := HashJSON(m.Config)
	if err != nil {
		return m, fmt.Errorf("config: %w", err)
	}
	if config != m.ConfigSHA256 {
		return m, fmt.Errorf("the digest of its configuration is %s, it says %s", config, m.ConfigSHA256)
	}
	if len(m.ArtifactHashes) != len(m.ArtifactSHA256) {
		return m, fmt.Errorf("it lists %d artifacts with their paths and %d with their digests", len(m.ArtifactHashes), len(m.ArtifactSHA256))
	}
	for name, a := range m.ArtifactHashes {
		if m.ArtifactSHA256[name] != a.SHA256 {
			return m, fmt.Errorf("artifact %q has two digests, %s and %s", name, a.SHA256, m.ArtifactSHA256[name])
		}
	}
	sum, err := m.hash()
	if err == nil && sum != m.ManifestSHA256 {
		err = fmt.Errorf("the digest of the manifest is %s, it says %s", sum, m.ManifestSHA256)
	}
	return m, err
}

// hash is the digest of what two runs must have in common.
func (m Replay) hash() (string, error) {
	return HashJSON(map[string]any{"seed": m.Seed, "config_sha256": m.ConfigSHA256, "artifact_sha256": m.ArtifactSHA256})
}
