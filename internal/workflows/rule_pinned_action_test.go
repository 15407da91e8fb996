package workflows

import "testing"

func TestPinnedAction(t *testing.T) {
	const hash, digest = "de0fac2e4500dabe0009e67214ff5f5447ce83dd", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	testRule(t, "pinned-action", "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: PART\n", map[string]ruleCase{
		"hash and version":     {"x/y@" + hash + " # v1.2.3", ""},
		"action in a folder":   {"x/y/z@" + hash + " #v1.2.3", ""},
		"our own":              {"./action", ""},
		"image with digest":    {"docker://x:1@sha256:" + digest, ""},
		"tag":                  {"x/y@v1.2.3", "not pinned"},
		"branch":               {"x/y@main # v1.2.3", "not pinned"},
		"short hash":           {"x/y@" + hash[:12] + " # v1.2.3", "not pinned"},
		"long hash":            {"x/y@" + hash + "0 # v1.2.3", "not pinned"},
		"upper case":           {"x/y@DE0FAC2E4500DABE0009E67214FF5F5447CE83DD # v1.2.3", "not pinned"},
		"no version":           {"x/y@" + hash, "no version"},
		"version of a line":    {"x/y@" + hash + " # v6", "no version"},
		"another remark":       {"x/y@" + hash + " # the newest", "no version"},
		"image with tag":       {"docker://x:1", "image"},
		"image without either": {"docker://x", "image"},
	})
	testRule(t, "pinned-action", "on: push\njobs:\n  a:\n    PART\n", map[string]ruleCase{
		"called workflow":   {"uses: x/y/.github/workflows/z.yml@" + hash + " # v1.0.0", ""},
		"called by branch":  {"uses: x/y/.github/workflows/z.yml@main", "not pinned"},
		"our own workflow":  {"uses: ./.github/workflows/z.yml", ""},
		"service":           {"runs-on: ubuntu-24.04\n    services: {db: {image: postgres:18}}\n    steps: [{run: make}]", "postgres:18"},
		"pinned service":    {"runs-on: ubuntu-24.04\n    services: {db: {image: 'postgres@sha256:" + digest + "'}}\n    steps: [{run: make}]", ""},
		"container by name": {"runs-on: ubuntu-24.04\n    container: golang\n    steps: [{run: make}]", "golang"},
	})
}
