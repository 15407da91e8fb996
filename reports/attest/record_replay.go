package attest

import (
	"fmt"

	"github.com/apex-x/apexx/internal/manifest"
	"github.com/apex-x/apexx/reports"
)

// replayRecord is the replay manifest of the release.
type replayRecord struct{ manifest.Replay }

func readReplay(data []byte) (record, error) {
	m, err := manifest.ParseReplay(data)
	return replayRecord{m}, err
}

func (p replayRecord) items() []string { return []string{ReplayManifest} }
func (p replayRecord) tests() []test   { return nil }

func (p replayRecord) origin() origin {
	commit, _ := p.DeterminismState["commit"].(string)
	modified, _ := p.DeterminismState["modified"].(bool)
	return origin{build: &reports.Build{Revision: commit, Modified: modified}}
}

// judge holds the manifest against the released model: the same configuration, and the same exported file.
func (p replayRecord) judge(r *rules) (Status, string) {
	switch {
	case r.onnx == "":
		return Fail, "there is no export manifest to hold it against"
	case p.ConfigSHA256 != r.model.Config:
		return Fail, fmt.Sprintf("its configuration is %.12s, that of the released model %.12s", p.ConfigSHA256, r.model.Config)
	case p.ArtifactSHA256[ReplayExport] != r.onnx:
		return Fail, fmt.Sprintf("its %s is not the released model", ReplayExport)
	}
	return Pass, fmt.Sprintf("manifest %.12s of %d files", p.ManifestSHA256, len(p.ArtifactSHA256))
}

// ReplayExport is the name of the exported model in a replay manifest.
const ReplayExport = "export"
