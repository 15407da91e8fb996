package weights

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/internal/safetensors"
)

// parse makes a configuration from overrides.
func parse(t testing.TB, overrides ...string) config.Config {
	t.Helper()
	cfg, err := config.Parse(nil, overrides)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// sum counts the elements of the parameters whose name begins with one of the prefixes.
func sum(params []Param, prefixes ...string) int {
	n := 0
	for _, p := range params {
		if slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(p.Name, prefix) }) {
			n += p.Len()
		}
	}
	return n
}

// The table of spec/model.md 2.12. Its FFModule column counts FF channels = ff_channels[0], ours are pv_channels[0], so its
// paths are built on their own.
func TestParameterCounts(t *testing.T) {
	tests := []struct {
		profile          string
		pv, fpn, det, ff int
	}{
		{"nano", 636_483, 100_032, 672_949, 98_694},
		{"small", 1_031_763, 174_336, 1_192_149, 172_550},
		{"base", 1_522_275, 269_120, 1_858_805, 266_886},
		{"large", 2_534_531, 396_672, 2_672_917, 381_702},
	}
	for _, test := range tests {
		t.Run(test.profile, func(t *testing.T) {
			cfg := parse(t, "model.profile="+test.profile)
			params := Expected(cfg)
			var ff builder // one of the two equal paths
			ff.heavyPath(cfg.Model.FFChannels[0])
			got := [4]int{sum(params, "pv."), sum(params, "fpn."), sum(params, "det_head."), 2 * sum(ff.params, "")}
			if want := [4]int{test.pv, test.fpn, test.det, test.ff}; got != want {
				t.Errorf("PV, FPN, DetHead, FFModule have %v parameters, want %v", got, want)
			}
		})
	}
}

func TestNamesAreUnique(t *testing.T) {
	for _, overrides := range [][]string{
		nil,
		{"model.router_backend=kan"},
		{"model.nesting_depth=2", "model.kmax_l2=16"},
	} {
		seen := map[string]bool{}
		for _, p := range Expected(parse(t, overrides...)) {
			if seen[p.Name] {
				t.Errorf("%v: %s is listed twice", overrides, p.Name)
			}
			seen[p.Name] = true
		}
	}
}

// What a key adds to the default's parameters, and what becomes optional.
func TestExpectedFollowsTheConfiguration(t *testing.T) {
	tests := []struct {
		name      string
		overrides []string
		count     int // parameters listed
		optional  int
		has, not  string
	}{
		{"default", nil, 168, 0, "ff.l1_path.refine.norm.bias", "ff.l2_path.refine.norm.bias"},
		{"depth 0", []string{"model.nesting_depth=0", "model.kmax_l1=0"}, 168, 28, "ff.l1_path.fusion_gate.bias", "ff.l2_path.fusion_gate.bias"},
		{"nesting disabled", []string{"model.disable_nesting=true"}, 168, 28, "ff.l1_path.fusion_gate.bias", "ff.l2_path.fusion_gate.bias"},
		{"depth 2", []string{"model.nesting_depth=2", "model.kmax_l2=16"}, 196, 0, "ff.l2_path.film.mlp.0.bias", "ff.l3_path.fusion_gate.bias"},
		{"depth 2, disabled", []string{"model.nesting_depth=2", "model.disable_nesting=true"}, 196, 56, "ff.l2_path.film.mlp.0.bias", "ff.l3_path.fusion_gate.bias"},
		{"kan", []string{"model.router_backend=kan"}, 170, 0, "router.spline.knot_y", "router.backbone.0.weight"},
		{"identity", []string{"model.router_backend=identity"}, 160, 0, "pv.backbone.stem.0.weight", "router.head_u.weight"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			names := map[string]bool{}
			optional := 0
			params := Expected(parse(t, test.overrides...))
			for _, p := range params {
				names[p.Name] = true
				if p.Optional {
					optional++
				}
			}
			if len(params) != test.count || optional != test.optional {
				t.Errorf("%d parameters, %d of them optional, want %d and %d", len(params), optional, test.count, test.optional)
			}
			if !names[test.has] || names[test.not] {
				t.Errorf("%s listed %v, %s listed %v, want true and false", test.has, names[test.has], test.not, names[test.not])
			}
		})
	}
}

// The check values of DESIGN section 3.
func TestHashedCheckValues(t *testing.T) {
	set := Hashed(parse(t, "model.num_classes=8"), 123)
	tests := map[string][]float32{
		"pv.backbone.stem.0.weight":                  {-0.31914198, 0.07090183, -0.25782633},
		"det_head.cls_pred.weight":                   {-0.69155228, 0.51424915, 0.53813332},
		"det_head.cls_pred.bias":                     {-1.4053828, -1.4009594, -1.475611},
		"ff.l0_path.fusion_gate.boundary_log_weight": {0.91994613},
	}
	for name, want := range tests {
		got, ok := set.Get(name)
		if !ok || len(got.Data) < len(want) || !slices.Equal(got.Data[:len(want)], want) {
			t.Errorf("%s starts %v, want %v", name, got.Data[:min(3, len(got.Data))], want)
		}
	}
	if again := Hashed(parse(t, "model.num_classes=8"), 123); again.Digest() != set.Digest() {
		t.Error("the same seed gave other values")
	}
	if other := Hashed(parse(t, "model.num_classes=8"), 124); other.Digest() == set.Digest() {
		t.Error("another seed gave the same values")
	}
}

// A layer of gain 1 keeps the variance of its input: the weights' variance is 1/fan_in. The bound is five standard errors of
// the variance of uniform numbers, sqrt(0.8/n).
func TestHashedVariance(t *testing.T) {
	set := Hashed(parse(t), 7)
	for _, name := range []string{"pv.backbone.down_p5.0.weight", "fpn.p3_smooth.conv.weight", "track_head.embedding_mlp.0.weight"} {
		tensor, _ := set.Get(name)
		fanIn := float64(len(tensor.Data) / tensor.Shape[0])
		variance := 0.0
		for _, v := range tensor.Data {
			variance += float64(v) * float64(v) / float64(len(tensor.Data))
		}
		if limit := 5 * math.Sqrt(0.8/float64(len(tensor.Data))); math.Abs(variance*fanIn-1) > limit {
			t.Errorf("%s: variance·fan_in = %v, want 1 ± %v", name, variance*fanIn, limit)
		}
	}
}

// file renders a set, changed by edit, as a safetensors file in memory.
func file(t testing.TB, set *Set, metadata map[string]string, edit func([]safetensors.Tensor) []safetensors.Tensor) *safetensors.File {
	t.Helper()
	var tensors []safetensors.Tensor
	for _, name := range set.Names() {
		p, _ := set.Get(name)
		tensors = append(tensors, safetensors.FromFloat32(name, p.Shape, p.Data))
	}
	if edit != nil {
		tensors = edit(tensors)
	}
	var out bytes.Buffer
	if err := safetensors.Write(&out, metadata, tensors); err != nil {
		t.Fatal(err)
	}
	parsed, err := safetensors.Parse(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestFromFileInvertsWriting(t *testing.T) {
	cfg := parse(t, "model.profile=nano")
	want := Hashed(cfg, 1)
	got, err := FromFile(file(t, want, nil, nil), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest() != want.Digest() || !slices.Equal(got.Names(), want.Names()) {
		t.Error("the values changed on the way")
	}
}

// Half-precision files are read too; a bfloat16 is the upper half of a float32.
func TestFromFileReadsBFloat16(t *testing.T) {
	cfg := parse(t, "model.profile=nano")
	set := Hashed(cfg, 1)
	short := file(t, set, nil, func(tensors []safetensors.Tensor) []safetensors.Tensor {
		for i := range tensors {
			var upper []byte
			for j := 0; j < len(tensors[i].Data); j += 4 {
				upper = append(upper, tensors[i].Data[j+2], tensors[i].Data[j+3])
			}
			tensors[i].DType, tensors[i].Data = safetensors.BFloat16, upper
		}
		return tensors
	})
	got, err := FromFile(short, cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range set.Names() {
		full, _ := set.Get(name)
		rounded, _ := got.Get(name)
		for i, v := range full.Data {
			if want := math.Float32frombits(math.Float32bits(v) &^ 0xffff); rounded.Data[i] != want {
				t.Fatalf("%s[%d] is %v, want %v", name, i, rounded.Data[i], want)
			}
		}
	}
}

func TestOptionalParameters(t *testing.T) {
	full := parse(t, "model.profile=nano")
	flat := parse(t, "model.profile=nano", "model.disable_nesting=true")
	without := file(t, Hashed(full, 1), nil, func(tensors []safetensors.Tensor) []safetensors.Tensor {
		return slices.DeleteFunc(tensors, func(t safetensors.Tensor) bool { return strings.HasPrefix(t.Name, "ff.l1_path.") })
	})
	if _, err := FromFile(file(t, Hashed(full, 1), nil, nil), flat); err != nil {
		t.Errorf("with the L1 path: %v", err)
	}
	set, err := FromFile(without, flat)
	if err != nil {
		t.Errorf("without the L1 path: %v", err)
	} else if _, ok := set.Get("ff.l1_path.fusion_gate.bias"); ok {
		t.Error("a parameter that the file lacks is in the set")
	}
	var mismatch *MismatchError
	if _, err := FromFile(without, full); !errors.As(err, &mismatch) || len(mismatch.Missing) != 28 {
		t.Errorf("without the L1 path and with nesting: got %v, want 28 missing", err)
	}
}

// Every difference is in one report.
func TestMismatchGolden(t *testing.T) {
	cfg := parse(t, "model.profile=nano", "model.num_classes=8")
	bad := file(t, Hashed(cfg, 1), map[string]string{"profile": "small", "num_classes": "80"}, func(tensors []safetensors.Tensor) []safetensors.Tensor {
		tensors = slices.DeleteFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == "fpn.ff_lateral.weight" })
		for i, p := range tensors {
			switch p.Name {
			case "track_head.embedding_mlp.2.bias":
				tensors[i] = safetensors.FromFloat32(p.Name, []int{8, 8}, make([]float32, 64))
			case "router.head_u.bias":
				tensors[i] = safetensors.FromFloat64(p.Name, []int{1}, []float64{1})
			case "det_head.cls_pred.bias":
				tensors[i] = safetensors.FromFloat32(p.Name, []int{8}, []float32{0, 0, 0, float32(math.NaN()), 0, 0, 0, 0})
			case "sem_head.trunk.1.bias":
				values := make([]float32, 96)
				values[95] = float32(math.Inf(-1))
				tensors[i] = safetensors.FromFloat32(p.Name, []int{96}, values)
			}
		}
		return append(tensors, safetensors.FromFloat32("teacher.\nfpn", []int{2}, make([]float32, 2)))
	})
	const want = `the parameters do not fit the configuration: 1 missing, 1 extra, 4 bad; the file is of profile small, the configuration of nano; the file has 80 classes, the configuration 8
missing fpn.ff_lateral.weight [96 64 1 1]
extra "teacher.\nfpn" [2]
bad router.head_u.bias: found type F64, want F32, F16 or BF16
bad det_head.cls_pred.bias: element 3 is NaN, want a finite number
bad sem_head.trunk.1.bias: element 95 is -Inf, want a finite number
bad track_head.embedding_mlp.2.bias: found shape [8 8], want [64]`
	_, err := FromFile(bad, cfg)
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestParseSpec(t *testing.T) {
	tests := []struct {
		text string
		want Spec
		err  string
	}{
		{"nano.safetensors", Spec{Path: "nano.safetensors"}, ""},
		{"./hashed:1", Spec{Path: "./hashed:1"}, ""},
		{"hashed:0", Spec{Seed: 0}, ""},
		{"hashed:123", Spec{Seed: 123}, ""},
		{"hashed:0xff", Spec{Seed: 255}, ""},
		{"hashed:18446744073709551615", Spec{Seed: math.MaxUint64}, ""},
		{"", Spec{}, "found nothing"},
		{"hashed:", Spec{}, "want a seed"},
		{"hashed:-1", Spec{}, "want a seed"},
		{"hashed:1.5", Spec{}, "want a seed"},
		{"hashed:18446744073709551616", Spec{}, "want a seed"},
	}
	for _, test := range tests {
		t.Run(test.text, func(t *testing.T) {
			got, err := ParseSpec(test.text)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Fatalf("got %v, %v, want an error with %q", got, err, test.err)
				}
				return
			}
			if err != nil || got != test.want {
				t.Fatalf("got %v, %v, want %v", got, err, test.want)
			}
			if again, err := ParseSpec(got.String()); err != nil || again != got {
				t.Errorf("String gives %q, which reads as %v, %v", got, again, err)
			}
		})
	}
}

func TestMetadata(t *testing.T) {
	tests := []struct {
		entries   map[string]string
		overrides []string
		err       string
	}{
		{nil, nil, ""},
		{map[string]string{"format": "pt"}, nil, ""},
		{map[string]string{"profile": "nano", "num_classes": "2", "classes": `["disk", "ring"]`, "steps": "4066"}, []string{"model.profile=nano", "model.num_classes=2"}, ""},
		{map[string]string{"classes": `["disk", "ring"]`}, []string{"model.num_classes=2"}, ""},
		{map[string]string{"profile": "huge"}, nil, `metadata profile: found "huge", want one of nano, small, base, large`},
		{map[string]string{"profile": "nano\nruntime.backend=cuda"}, nil, "metadata profile"},
		{map[string]string{"num_classes": "0"}, nil, `metadata num_classes: found "0"`},
		{map[string]string{"num_classes": "65536"}, nil, `metadata num_classes: found "65536", want an integer in [1,65535]`},
		{map[string]string{"num_classes": "many"}, nil, `metadata num_classes: found "many"`},
		{map[string]string{"steps": "-1"}, nil, `metadata steps: found "-1"`},
		{map[string]string{"classes": `disk`}, nil, `metadata classes: found "disk", want a JSON list of 1 to 65535 names`},
		{map[string]string{"classes": `null`}, nil, "metadata classes"},
		{map[string]string{"num_classes": "3", "classes": `["disk", "ring"]`}, nil, "want 3 names, as num_classes says"},
	}
	for _, test := range tests {
		t.Run(fmt.Sprint(test.entries), func(t *testing.T) {
			got, err := ParseMetadata(test.entries)
			if test.err != "" {
				if err == nil || !strings.Contains(err.Error(), test.err) {
					t.Errorf("got %v, want %q", err, test.err)
				}
				return
			}
			if err != nil || !slices.Equal(got.Overrides(), test.overrides) {
				t.Fatalf("got %v, %v, want %v", got.Overrides(), err, test.overrides)
			}
			parse(t, got.Overrides()...)
		})
	}
}
