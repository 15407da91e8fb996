package reports

import (
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/model/weights"
)

// manifestOf builds the model for a configuration and describes it.
func manifestOf(t *testing.T, overrides ...string) *Manifest {
	t.Helper()
	cfg, err := config.Parse(nil, append([]string{"model.profile=nano", "model.num_classes=2"}, overrides...))
	if err != nil {
		t.Fatal(err)
	}
	decode := model.DefaultDecode()
	decode.MaxDetections = 7
	opts := model.Options{Batch: 2, Height: 128, Width: 384, Decode: decode}
	g, err := model.Build(cfg, model.FromSet(weights.Hashed(cfg, 1)), opts)
	if err != nil {
		t.Fatal(err)
	}
	m, err := NewManifest(cfg, opts, g, "model.onnx", strings.Repeat("0f", 32))
	if err != nil {
		t.Fatal(err)
	}
	m.Model = ManifestModel{strings.Repeat("1", 64), strings.Repeat("2", 64), []string{"a", "b"}}
	return m
}

func TestManifest(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	for _, overrides := range [][]string{nil, {"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b3=2"},
		{"model.disable_nesting=true"}, {"model.force_dense_routing=true", "model.kmax_l0=2"}} {
		m := manifestOf(t, overrides...)
		if err := validate(t, ManifestSchema, m); err != nil {
			t.Errorf("%v: %v", overrides, err)
		}
		if m.CreatedAtUTC != "2023-11-14T22:13:20Z" || !slices.Equal(m.InputShape, []int{2, 3, 128, 384}) || m.Decode.MaxDetections != 7 {
			t.Errorf("%+v", m)
		}
		if !slices.Equal(m.Inputs[0].Shape, m.InputShape) || m.Inputs[0].Name != "image" || m.Inputs[0].DType != "float32" {
			t.Errorf("input %+v", m.Inputs[0])
		}
		for _, o := range m.Outputs {
			if level, ok := strings.CutPrefix(o.Name, "tiles_"); ok && o.Shape[1] != m.Contracts.Kmax[level] {
				t.Errorf("%v: %s has %d columns, the contract says %d", overrides, o.Name, o.Shape[1], m.Contracts.Kmax[level])
			}
		}
		if m.Contracts.FFMap["width"] != 48 || m.Contracts.FFMap["height"] != 16 {
			t.Errorf("ff_map %v", m.Contracts.FFMap)
		}
	}
	if m := manifestOf(t, "model.force_dense_routing=true", "model.kmax_l0=2"); m.Contracts.Kmax["l0"] != 3 {
		t.Errorf("dense routing of three tiles: %v", m.Contracts.Kmax)
	}
}

func TestManifestSchemaRefuses(t *testing.T) {
	m := manifestOf(t)
	for path, to := range map[string]any{
		"schema_version": 2, "created_at_utc": "yesterday", "input_shape": []any{1, 4, 128, 128}, "artifacts/onnx_sha256": "abc",
		"artifacts": nil, "outputs": []any{}, "outputs/dtype": "float8", "contracts/nesting_depth": 3, "contracts/kmax/l0": nil,
		"opsets/apexx": nil, "decode/score_threshold": 2, "extra": 1, "model/classes": []any{}, "runtime/backend": "quantum",
	} {
		if err := validate(t, ManifestSchema, edit(t, m, path, to)); err == nil {
			t.Errorf("%s = %v is valid", path, to)
		}
	}
}

func TestManifestTime(t *testing.T) {
	cfg, err := config.Parse(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "soon")
	if _, err := NewManifest(cfg, model.Options{}, nil, "", ""); err == nil || !strings.Contains(err.Error(), `"soon"`) {
		t.Errorf("a bad time gave %v", err)
	}
}
