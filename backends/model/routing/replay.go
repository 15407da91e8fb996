package routing

import (
	"fmt"
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

// ReplayManifest identifies a run. Two runs with equal ManifestSHA256 had equal seed, configuration and artifact bytes.
type ReplayManifest struct {
	Seed             int64                   `json:"seed"`
	Config           map[string]any          `json:"config"`
	ConfigSHA256     string                  `json:"config_sha256"`
	ArtifactHashes   map[string]ArtifactHash `json:"artifact_hashes"`
	DeterminismState map[string]any          `json:"determinism_state,omitempty"`
	ArtifactSHA256   map[string]string       `json:"artifact_sha256"`
	ManifestSHA256   string                  `json:"manifest_sha256"`
}

// BuildReplayManifest hashes the configuration and the artifacts. The hash of the manifest is that of
// {seed, config_sha256, artifact_sha256}, so it depends neither on paths nor on the determinism state. A missing artifact is
// an error. Source: spec 23.2.
func BuildReplayManifest(in ReplayInput) (ReplayManifest, error) {
	if in.Seed < 0 {
		return ReplayManifest{}, fmt.Errorf("seed is %d: must be >= 0", in.Seed)
	}
	config, err := plain(in.Config, 0)
	if err != nil {
		return ReplayManifest{}, fmt.Errorf("config: %w", err)
	}
	m := ReplayManifest{Seed: in.Seed, Config: config.(map[string]any), ArtifactHashes: map[string]ArtifactHash{}, ArtifactSHA256: map[string]string{}}
	if m.ConfigSHA256, err = HashJSON(config); err != nil {
		return ReplayManifest{}, fmt.Errorf("config: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(in.Artifacts)) {
		sum, err := HashFile(in.Artifacts[name])
		if err != nil {
			return ReplayManifest{}, fmt.Errorf("artifact %q: %w", name, err)
		}
		m.ArtifactHashes[name] = ArtifactHash{in.Artifacts[name], sum}
		m.ArtifactSHA256[name] = sum
	}
	if in.DeterminismState != nil {
		state, err := plain(in.DeterminismState, 0)
		if err != nil {
			return ReplayManifest{}, fmt.Errorf("determinism state: %w", err)
		}
		m.DeterminismState = state.(map[string]any)
	}
	m.ManifestSHA256, err = HashJSON(map[string]any{"seed": m.Seed, "config_sha256": m.ConfigSHA256, "artifact_sha256": m.ArtifactSHA256})
	if err != nil {
		return ReplayManifest{}, fmt.Errorf("manifest: %w", err)
	}
	return m, nil
}
