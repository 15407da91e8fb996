package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/internal/goldenfile"
)

// mustParse reads overrides over the defaults.
func mustParse(t testing.TB, overrides ...string) Config {
	t.Helper()
	c, err := Parse(nil, overrides)
	if err != nil {
		t.Fatalf("%q: %v", overrides, err)
	}
	return c
}

func TestDefaultYAML(t *testing.T) {
	c := Default()
	if err := c.Validate(); err != nil {
		t.Errorf("the default is invalid: %v", err)
	}
	text, err := c.YAML()
	if err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "default.yaml", string(text))
	if empty := mustParse(t); !reflect.DeepEqual(empty, c) {
		t.Errorf("an empty file gives %+v, want %+v", empty, c)
	}
}

// Every field of the structs is in the table exactly once: a key that is missing there would silently keep its default.
func TestTableCoversTheStructs(t *testing.T) {
	var c Config
	addresses := map[any]string{}
	for _, f := range fields {
		if other, ok := addresses[f.at(&c)]; ok {
			t.Errorf("%s and %s point to the same field", f.key, other)
		}
		addresses[f.at(&c)] = f.key
	}
	root := reflect.ValueOf(&c).Elem()
	for i := range root.NumField() {
		section := root.Field(i)
		for j := range section.NumField() {
			if _, ok := addresses[section.Field(j).Addr().Interface()]; !ok {
				t.Errorf("%s.%s has no key", root.Type().Field(i).Name, section.Type().Field(j).Name)
			}
		}
	}
}

func TestProfiles(t *testing.T) {
	for _, name := range Profiles() {
		c := mustParse(t, "model.profile="+strings.ToUpper(name))
		want := profiles[name]
		if c.Model.Profile != name || !slices.Equal(c.Model.PVChannels, want.pvChannels) || !slices.Equal(c.Model.FFChannels, want.ffChannels) {
			t.Errorf("%s: got %+v", name, c.Model)
		}
	}
	c := mustParse(t)
	c.Model.PVChannels[0] = 1
	if Default().Model.PVChannels[0] == 1 {
		t.Error("configurations share a profile's list")
	}
}

// The original expanded the profile before the overrides and kept the old channels.
func TestOverriddenProfileChangesTheChannels(t *testing.T) {
	tests := []struct {
		name, source string
		overrides    []string
		pv           []int
	}{
		{"override alone", "", []string{"model.profile=base"}, []int{96, 192, 320}},
		{"over a file", "model: {profile: nano}", []string{"model.profile=small"}, []int{80, 160, 256}},
		{"last override wins", "", []string{"model.profile=base", "model.profile=large"}, []int{128, 256, 384}},
		{"the file's own list stays", "model: {pv_channels: [8, 12, 16]}", []string{"model.profile=large"}, []int{8, 12, 16}},
		{"an override's list stays", "model: {profile: nano}", []string{"model.pv_channels=[8, 12, 16]", "model.profile=large"}, []int{8, 12, 16}},
		{"an empty list means the profile's", "model: {pv_channels: []}", nil, []int{80, 160, 256}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := Parse([]byte(test.source), test.overrides)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(c.Model.PVChannels, test.pv) {
				t.Errorf("pv_channels %v, want %v", c.Model.PVChannels, test.pv)
			}
		})
	}
}

// Overrides that leave the configuration valid, and what they leave in it.
func TestAccepted(t *testing.T) {
	depth2 := []string{"model.nesting_depth=2", "model.kmax_l2=64"}
	tests := []struct {
		name      string
		overrides []string
		ok        func(c *Config) bool
	}{
		{"a blank around the key", []string{" model.num_classes =8"}, func(c *Config) bool { return c.Model.NumClasses == 8 }},
		{"a second = belongs to the value", []string{"train.output_dir=a=b"}, func(c *Config) bool { return c.Train.OutputDir == "a=b" }},
		{"YAML quotes", []string{"train.output_dir='7'"}, func(c *Config) bool { return c.Train.OutputDir == "7" }},
		{"an integer for a number", []string{"routing.budget_total=64"}, func(c *Config) bool { return c.Routing.BudgetTotal == 64 }},
		{"a list of text", []string{"train.curriculum_stages=[a, b]"}, func(c *Config) bool { return slices.Equal(c.Train.CurriculumStages, []string{"a", "b"}) }},
		{"an optional number", []string{"train.dual_delta_clip=0.5"}, func(c *Config) bool { return *c.Train.DualDeltaClip == 0.5 }},
		{"null for an optional number", []string{"train.dual_delta_clip=0.5", "train.dual_delta_clip=null"}, func(c *Config) bool { return c.Train.DualDeltaClip == nil }},
		{"cpu is reference", []string{"runtime.backend=CPU"}, func(c *Config) bool { return c.Runtime.Backend == "reference" }},
		{"an order's alias", []string{"model.order_mode=' Scan_RL '"}, func(c *Config) bool { return c.Model.OrderMode == "r2l" }},
		{"a plain order", []string{"model.order_mode=multi_direction"}, func(c *Config) bool { return c.Model.OrderMode == "multi_direction" }},
		{"depth 2", depth2, func(c *Config) bool { return c.EffectiveDepth() == 2 }},
		{"a third budget at depth 2", append(depth2, "routing.budget_b3=8"), func(c *Config) bool { return c.Routing.BudgetB3 == 8 }},
		{"depth 0", []string{"model.nesting_depth=0", "model.kmax_l1=0"}, func(c *Config) bool { return c.EffectiveDepth() == 0 }},
		{"nesting disabled", []string{"model.disable_nesting=true", "model.nesting_depth=2", "routing.budget_b3=1"}, func(c *Config) bool { return c.EffectiveDepth() == 0 }},
		{"tile sizes are free without nesting", []string{"model.disable_nesting=true", "model.tile_size_l1=5"}, func(c *Config) bool { return c.Model.TileSizeL1 == 5 }},
		{"budgets up to the sum", []string{"routing.budget_total=24"}, func(c *Config) bool { return c.Routing.BudgetTotal == 24 }},
		{"no budgets", []string{"routing.budget_b1=0", "routing.budget_b2=0"}, func(c *Config) bool { return c.Routing.BudgetB1 == 0 }},
		{"non-square input", []string{"model.input_height=384", "model.input_width=640"}, func(c *Config) bool { return c.Model.InputWidth == 640 }},
		{"another tile", []string{"model.tile_size_l0=4", "model.tile_size_l1=2", "model.input_height=96"}, func(c *Config) bool { return c.Model.InputHeight == 96 }},
		{"mask stride of a tile", []string{"model.mask_stride=128"}, func(c *Config) bool { return c.Model.MaskStride == 128 }},
		{"bounds of unit numbers", []string{"model.blend_alpha=1", "data.flip_prob=0", "routing.theta_on=1", "routing.theta_off=0"}, func(c *Config) bool { return c.Model.BlendAlpha == 1 }},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if c := mustParse(t, test.overrides...); !test.ok(&c) {
				t.Errorf("got %+v", c)
			}
		})
	}
}

// Every message of the rules is in one golden file, so that their wording is reviewed like code.
func TestRejected(t *testing.T) {
	tests := []string{ // overrides, separated by blanks; the file's own text is tested below
		"model.profile=huge", "model.profile=7", "model.profile=",
		"model.pv_channels=[1,2]", "model.pv_channels=[1,2,0]", "model.pv_channels=[1,2,9000]", "model.pv_channels=64", "model.pv_channels=[1,2,2.5]", "model.pv_channels=[[1],2,3]",
		"model.pv_strides=[4,8,16]", "model.ff_channels=[96]", "model.ff_strides=[8,-4]",
		"model.pv_stride=0", "model.ff_primary_stride=16",
		"model.tile_size_l0=-1", "model.tile_size_l0=2.5", "model.tile_size_l0=16.0", `model.tile_size_l0="16"`, "model.tile_size_l0=true", "model.tile_size_l0=null", "model.tile_size_l0={a:1}",
		"model.tile_size_l0=9223372036854775808", "model.tile_size_l0=[16]", "model.tile_size_l0=*x",
		"model.tile_size_l0=8", "model.tile_size_l1=4", "model.nesting_depth=2 model.kmax_l2=4 model.tile_size_l2=8",
		"model.kmax_l0=0", "model.kmax_l1=-1", "model.kmax_l1=0", "model.kmax_l2=5", "model.nesting_depth=0", "model.nesting_depth=2", "model.nesting_depth=3",
		"model.disable_ssm=yes", "model.disable_ssm=1",
		"model.input_height=100", "model.input_width=0", "model.input_width=65536",
		"model.num_classes=0", "model.num_classes=1e3", "model.mask_stride=3", "model.mask_stride=256",
		"model.router_backend=mlp", "model.order_mode=zigzag", "model.scan_mode=both", "model.overlap_mode=add", "model.blend_alpha=1.5",
		"routing.budget_total=0", "routing.budget_total=23.9", "routing.budget_b1=-1", "routing.budget_b1=.nan", "routing.budget_total=.inf", "routing.budget_b1=true", "routing.budget_b1=ten",
		"routing.budget_b3=1", "routing.cost_heavy=0.2", "routing.cost_cheap=-0.1", "routing.theta_on=0.45", "routing.theta_off=2", "routing.theta_split=-1",
		"train.curriculum_stages=[]", "train.curriculum_stages=all", "train.curriculum_stages=[1]", "train.mu_lr=0", "train.mu_min=-1", "train.mu_max=-1", "train.mu_init=11",
		"train.dual_delta_clip=0", "train.dual_delta_clip=x", "train.dual_deadband_ratio=1", "train.dual_error_ema_beta=1", "train.dual_lr_max_scale=0.4", "train.save_interval=0",
		"train.qat_int8=true", "train.qat_fp8=true", "train.output_dir=7",
		"data.flip_prob=1.1", "data.scale_min=0", "data.scale_max=0.5", "data.coco_val_images=null",
		"runtime.backend=triton", "runtime.fallback_policy=none", "runtime.precision_profile=best", "runtime.export_format=tflite", "runtime.trt_enable=true",
		"model.tilesize_l0=8", "model.budget_b1=3", "modle.profile=nano", "profile=nano", "model=nano", "model.profile.name=nano", "quantum.entanglement=1",
		"model.profile", "=nano", "model.profile=[", "model.profile={", "model.profile=a\n---\nb",
	}
	var out strings.Builder
	for _, overrides := range tests {
		out.WriteString("--set " + strings.ReplaceAll(strings.ReplaceAll(overrides, "\n", `\n`), " ", " --set ") + "\n")
		_, err := Parse(nil, strings.Split(overrides, " "))
		if err == nil {
			t.Errorf("%s is accepted", overrides)
			continue
		}
		if problems := (Problems)(nil); !errors.As(err, &problems) {
			t.Errorf("%s: error type %T, want Problems", overrides, err)
		}
		out.WriteString("\t" + strings.ReplaceAll(err.Error(), "\n", "\n\t") + "\n")
	}
	goldenfile.Check(t, "rejected.txt", out.String())
}

// Files that are broken as a whole, and one with many faults at once.
func TestRejectedFiles(t *testing.T) {
	aliases := "data: &a {flip_prob: 0.5}\nmodel: *a\nrouting: {<<: *a}\n"
	tests := []struct{ name, source string }{
		{"a tab", "model:\n\tprofile: nano\n"},
		{"not UTF-8", "model: \xff\n"},
		{"a list", "- model\n"},
		{"text", "model\n"},
		{"two documents", "model: {}\n---\nmodel: {}\n"},
		{"a section of text", "model: nano\nrouting: [1]\n"},
		{"unknown section", "modle: {}\nextra:\n  a: 1\n"},
		{"duplicates", "model:\n  profile: nano\n  kmax_l0: 4\n  profile: small\nmodel: {}\n"},
		{"keys that are no text", "? [a]\n: 1\nmodel:\n  ? {b: 1}\n  : 2\n  3: 4\n"},
		{"aliases", aliases},
		{"many", "model:\n  profil: nano\n  tile_size_l0: big\n  num_classes: -3\nrouting:\n  theta_on: 0.1\ndata:\n  mosaic_prob: 2\n"},
		{"a control character in a key", "model:\n  \"pro\\nfile\\u001b[31m\": 1\n"},
		{"a long value", "model:\n  profile: " + strings.Repeat("x", 500) + "\n"},
	}
	var out strings.Builder
	for _, test := range tests {
		_, err := Parse([]byte(test.source), nil)
		if err == nil {
			t.Errorf("%s: accepted", test.name)
			continue
		}
		out.WriteString(test.name + "\n\t" + strings.ReplaceAll(err.Error(), "\n", "\n\t") + "\n")
	}
	goldenfile.Check(t, "rejected_files.txt", out.String())
}

func TestOverrideRepairsTheFile(t *testing.T) {
	c, err := Parse([]byte("model: {num_classes: many}"), []string{"model.num_classes=8"})
	if err != nil || c.Model.NumClasses != 8 {
		t.Errorf("got %d, %v, want 8: the file's value is no longer looked at", c.Model.NumClasses, err)
	}
}

func TestBoundedInput(t *testing.T) {
	tests := []struct{ name, source, want string }{
		{"too large", strings.Repeat("#", maxSize+1), "larger than 1048576 bytes"},
		{"deep flow", strings.Repeat("[", 500_000), "not YAML"},
		{"deep blocks", "model:" + strings.Repeat("\n - ", 3) + strings.Repeat("- ", 200_000), ""},
		{"alias bomb", bomb(), "unknown section"},
		{"many unknown keys", "model:\n" + manyKeys(40_000), "more problems"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := Parse([]byte(test.source), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %.200v, want %q", err, test.want)
			}
			if len(err.Error()) > 20_000 {
				t.Errorf("the message has %d bytes", len(err.Error()))
			}
		})
	}
	if _, err := Parse(nil, []string{"train.output_dir=" + strings.Repeat("x", maxSize)}); err == nil {
		t.Error("an override of 1 MiB is accepted")
	}
}

// bomb is a "billion laughs": 9 levels of 9 aliases.
func bomb() string {
	var out strings.Builder
	out.WriteString("a: &a [x]\n")
	for c := 'b'; c < 'k'; c++ {
		out.WriteString(string(c) + ": &" + string(c) + " [" + strings.TrimSuffix(strings.Repeat("*"+string(c-1)+", ", 9), ", ") + "]\n")
	}
	return out.String()
}

func manyKeys(n int) string {
	var out strings.Builder
	for i := range n {
		fmt.Fprintf(&out, "  kmax_l%d: 1\n", i+10) // each close to known keys
	}
	return out.String()
}

func TestValidateNamesEverything(t *testing.T) {
	c := Default()
	c.Model.TileSizeL0 = 0
	c.Model.OrderMode = "lr" // an alias: only Parse resolves it
	c.Data.ScaleMin = 2
	err := c.Validate()
	const want = `model.tile_size_l0: found 0, want an integer in [1,16384]
model.order_mode: found "lr", want one of hilbert, multi_direction, l2r, r2l, u2d, d2u
data.scale_max: found 1.2, want at least data.scale_min (2)`
	if err == nil || err.Error() != want {
		t.Errorf("got:\n%v\nwant:\n%s", err, want)
	}
}

func TestYAMLAndParseAreInverse(t *testing.T) {
	for _, overrides := range [][]string{
		nil,
		{"model.profile=large", "train.dual_delta_clip=1e-30", "routing.budget_total=1e22"},
		{`train.output_dir="a\nb: #'\" \u00e9 \u2028"`, `train.curriculum_stages=["", "null", "- x", "0x1", "a, b]"]`},
	} {
		want := mustParse(t, overrides...)
		text, err := want.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Parse(text, nil); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, %v\nfrom\n%s", overrides, got, err, text)
		}
	}
}

func TestDigest(t *testing.T) {
	digest := func(c Config) string {
		d, err := c.Digest()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if a, b := digest(Default()), digest(mustParse(t, "model.profile=SMALL", "model.pv_channels=[80,160,256]", "runtime.backend=cpu")); a != b {
		t.Error("two spellings of one configuration have different digests")
	}
	seen := map[string]string{digest(Default()): "the default"}
	for _, override := range []string{"model.num_classes=79", "train.output_dir=x", "routing.budget_b1=15.5", "train.dual_delta_clip=1", "model.disable_ssm=true"} {
		d := digest(mustParse(t, override))
		if other, ok := seen[d]; ok {
			t.Errorf("%s has the digest of %s", override, other)
		}
		seen[d] = override
	}
}

func TestDeltaCost(t *testing.T) {
	c := Default()
	if got := c.DeltaCost(); got != 0.8 {
		t.Errorf("got %v, want 0.8", got)
	}
	c.Routing.CostCheap = 3
	if got := c.DeltaCost(); got != 1e-9 {
		t.Errorf("got %v, want the floor 1e-9", got)
	}
}
