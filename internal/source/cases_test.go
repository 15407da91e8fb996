package source

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/config"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/safetensors"
)

// small is a model that opens quickly.
func small(t testing.TB) *Model {
	return open(t, ModelRequest{Weights: "hashed:1", Set: []string{"model.profile=nano", "model.num_classes=2"}})
}

func TestLoadCases(t *testing.T) {
	scores := safetensors.FromFloat32("out.scores", []int{1, 1}, []float32{0.5})
	tap := safetensors.FromFloat64("tap.fpn.P3", []int{2}, []float64{1, 2})
	ids := safetensors.FromInt64("out.class_ids", []int{1, 1}, []int64{7})
	dir := write(t, map[string][]byte{
		"b.png":                  pngOf(t, 100, 50),
		"a.JPG":                  pngOf(t, 10, 10), // content decides the format
		"a.case.yaml":            []byte("config: {routing: {budget_b1: 1.5}}\ndecode: {max_detections: 7}\n"),
		"notes.txt":              []byte("not a case"),
		"lonely.case.yaml":       []byte("no case has that name"),
		"._a.JPG":                []byte("what macOS keeps beside a.JPG"),
		".DS_Store":              nil,
		".cache/x.png":           []byte("not read"),
		"sub/also.safetensors":   tensorsOf(t, nil, gray2("scores")), // no image, and nothing names it
		"sub/deep/t.safetensors": tensorsOf(t, map[string]string{"score_threshold": "0.25", "max_detections": "9", "note": "x"}, gray(1, 3, 128, 128), scores, tap, gray2("other")),
		"sub/deep/case.yaml":     []byte("config:\n  routing:\n    budget_b1: 1.5\ndecode:\n  max_detections: 5\n  iou_threshold: 0.5\n  pre_nms_topk: 11\n"),
		"sub/p.png":              pngOf(t, 10, 10),
		"sub/p.case.yaml":        []byte("expected: want/p.safetensors\n"),
		"sub/want/p.safetensors": tensorsOf(t, nil, gray2("scores"), gray2("tiles_l2"), ids), // no image: not a case
	})
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	d := model.DefaultDecode()
	for _, folder := range []string{dir, dir + "/", link} {
		loaded, err := LoadCases(folder, small(t), d)
		if err != nil {
			t.Fatal(err)
		}
		cases := loaded.Cases
		if want := []string{".DS_Store", "._a.JPG", ".cache/", "lonely.case.yaml", "notes.txt", "sub/also.safetensors"}; !slices.Equal(loaded.LeftOut, want) {
			t.Errorf("%s: left out %q, want %q", folder, loaded.LeftOut, want)
		}
		byName := map[string]Case{}
		var names []string
		for _, c := range cases {
			byName[c.Name], names = c, append(names, c.Name)
		}
		if want := []string{"a", "b", "sub/deep/t", "sub/p"}; !slices.Equal(names, want) {
			t.Fatalf("%s: cases %q, want %q", folder, names, want)
		}
		if c := byName["b"]; c.Decode != d || c.Expected != nil || c.Picture == nil || !slices.Equal(c.Image.Shape(), []int{1, 3, 128, 128}) {
			t.Errorf("b: %+v", c)
		}
		if c := byName["a"]; c.Model.Config.Routing.BudgetB1 != 1.5 || c.Decode.MaxDetections != 7 || c.Decode.ScoreThreshold != d.ScoreThreshold {
			t.Errorf("a: budget %g, %+v", c.Model.Config.Routing.BudgetB1, c.Decode)
		}
		if byName["a"].Model != byName["sub/deep/t"].Model || byName["a"].Model == byName["b"].Model {
			t.Error("cases with one configuration do not share a model")
		}
		deep := byName["sub/deep/t"]
		if want := (model.Decode{ScoreThreshold: 0.25, PreNMSTopK: 11, IoUThreshold: 0.5, MaxDetections: 5}); deep.Decode != want {
			t.Errorf("sub/deep/t: %+v, want %+v: the case file goes over the metadata", deep.Decode, want)
		}
		if got := describeList(deep.Expected); got != "float32[1 1] scores, float64[2] tap.fpn.P3" {
			t.Errorf("sub/deep/t expects %s", got)
		}
		if got := describeList(byName["sub/p"].Expected); got != "int64[1 1] class_ids, float32[1] scores, float32[1] tiles_l2" {
			t.Errorf("sub/p expects %s", got)
		}
	}
}

// gray2 is a tensor that is neither image nor expectation.
func gray2(name string) safetensors.Tensor {
	return safetensors.FromFloat32(name, []int{1}, []float32{1})
}

func describeList(list tensor.List) string {
	var parts []string
	for _, n := range list {
		parts = append(parts, n.Tensor.String()+" "+n.Name)
	}
	return strings.Join(parts, ", ")
}

func TestLoadCasesErrors(t *testing.T) {
	image := tensorsOf(t, nil, gray(1, 3, 128, 128))
	picture := pngOf(t, 8, 8)
	tests := []struct {
		name  string
		files map[string][]byte
		want  []string
	}{
		{"empty", nil, []string{"holds no PNG"}},
		{"expectations alone", map[string][]byte{"a.safetensors": tensorsOf(t, nil, gray2("out.scores"))}, []string{"holds no PNG"}},
		{"one name twice", map[string][]byte{"d/a.png": picture, "d/a.safetensors": image}, []string{"d/a.png", "d/a.safetensors", "rename"}},
		{"unknown key", map[string][]byte{"a.png": picture, "case.yaml": []byte("confg: {}\n")}, []string{"a.png", "case.yaml", "confg"}},
		{"unknown decode key", map[string][]byte{"a.png": picture, "case.yaml": []byte("decode: {top: 1}\n")}, []string{"case.yaml", "top"}},
		{"unknown section", map[string][]byte{"a.png": picture, "case.yaml": []byte("config: {modle: {profile: nano}}\n")}, []string{"case.yaml", "modle"}},
		{"unknown configuration key", map[string][]byte{"a.png": picture, "a.case.yaml": []byte("config: {model: {profil: nano}}\n")}, []string{"a.case.yaml", "model.profil"}},
		{"bad configuration value", map[string][]byte{"a.png": picture, "case.yaml": []byte("config: {model: {kmax_l0: -4}}\n")}, []string{"case.yaml", "model.kmax_l0", "-4"}},
		{"section is a list", map[string][]byte{"a.png": picture, "case.yaml": []byte("config: [1]\n")}, []string{"case.yaml"}},
		{"not YAML", map[string][]byte{"a.png": picture, "case.yaml": []byte("{{{")}, []string{"case.yaml"}},
		{"two documents", map[string][]byte{"a.png": picture, "case.yaml": []byte("decode: {}\n---\ndecode: {}\n")}, []string{"case.yaml", "more than one"}},
		{"huge case file", map[string][]byte{"a.png": picture, "case.yaml": make([]byte, input.CaseSettings.Max+1)}, []string{"case.yaml is larger than the 1 MiB that the settings of a case may have"}},
		{"threshold", map[string][]byte{"a.png": picture, "case.yaml": []byte("decode: {score_threshold: 2}\n")}, []string{"a.png", "score threshold 2"}},
		{"NaN threshold", map[string][]byte{"a.png": picture, "case.yaml": []byte("decode: {iou_threshold: .nan}\n")}, []string{"IoU threshold NaN"}},
		{"fractional count", map[string][]byte{"a.png": picture, "case.yaml": []byte("decode: {max_detections: 2.5}\n")}, []string{"case.yaml", "2.5"}},
		{"missing expectations", map[string][]byte{"a.png": picture, "case.yaml": []byte("expected: none.safetensors\n")}, []string{"expected outputs", "none.safetensors"}},
		{"empty expectations", map[string][]byte{"a.png": picture, "a.case.yaml": []byte("expected: e.safetensors\n"), "e.safetensors": tensorsOf(t, nil, gray2("score"))}, []string{"e.safetensors", "out.NAME"}},
		{"metadata", map[string][]byte{"a.safetensors": tensorsOf(t, map[string]string{"pre_nms_topk": "many"}, gray(1, 3, 128, 128))}, []string{"a.safetensors", "pre_nms_topk", "many"}},
		{"metadata out of range", map[string][]byte{"a.safetensors": tensorsOf(t, map[string]string{"iou_threshold": "1e9"}, gray(1, 3, 128, 128))}, []string{"IoU threshold"}},
		{"image of another shape", map[string][]byte{"a.safetensors": tensorsOf(t, nil, gray(3, 128, 128))}, []string{"a.safetensors", "want [B,3,H,W]"}},
		{"odd size", map[string][]byte{"a.safetensors": tensorsOf(t, nil, gray(1, 3, 128, 100))}, []string{"a.safetensors", "128×100", "multiples of 128"}},
		{"truncated tensors", map[string][]byte{"sub/a.safetensors": image[:90]}, []string{"sub/a.safetensors"}},
		{"not a picture", map[string][]byte{"a.png": []byte("text")}, []string{"a.png", "not a PNG or JPEG"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := LoadCases(write(t, tt.files), small(t), model.DefaultDecode())
			wantError(t, err, tt.want...)
		})
	}
	dir := write(t, map[string][]byte{"a.png": picture})
	for _, path := range []string{filepath.Join(dir, "a.png"), filepath.Join(dir, "none")} {
		_, err := LoadCases(path, small(t), model.DefaultDecode())
		wantError(t, err, "cases:", path)
	}
}

func TestLoadCasesUnreadable(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root reads everything")
	}
	dir := write(t, map[string][]byte{"a.png": pngOf(t, 8, 8), "sub/b.png": pngOf(t, 8, 8)})
	if err := os.Chmod(filepath.Join(dir, "sub"), 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(filepath.Join(dir, "sub"), 0o755) })
	_, err := LoadCases(dir, small(t), model.DefaultDecode())
	wantError(t, err, "sub", "permission denied")
}

// TestCaseNamesAreFitToBePrinted loads names that would write commands and control characters where they are shown.
func TestCaseNamesAreFitToBePrinted(t *testing.T) {
	picture := pngOf(t, 8, 8)
	dir := write(t, map[string][]byte{"a\n::error file=x::pwned.png": picture, "::b.png": picture, "\x1b[2Jc.png": picture, "d\xff.png": picture, "e\u202egnp.txt": nil})
	folder, err := LoadCases(dir, small(t), model.DefaultDecode())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range folder.Cases {
		names = append(names, c.Name)
	}
	if want := []string{`\x1b[2Jc`, `\x3a:b`, `a\n::error file=x::pwned`, `d\xff`}; !slices.Equal(names, want) {
		t.Errorf("names %q, want %q", names, want)
	}
	if want := `1 file is left out, as cases are PNG, JPEG and safetensors files with an image, and not hidden: e\u202egnp.txt`; folder.Remark() != want {
		t.Errorf("remark %q, want %q", folder.Remark(), want)
	}
	_, err = LoadCases(write(t, map[string][]byte{"a\n.png": picture, `a\n.png`: picture}), small(t), model.DefaultDecode())
	wantError(t, err, `a\n.png and a\n.png would both be the case a\n; rename one`)
	_, err = LoadCases(write(t, map[string][]byte{"a\n.png": []byte("text")}), small(t), model.DefaultDecode())
	wantError(t, err, `case a\n.png: `)
}

// TestInputsOfAllCasesAreBounded fills the room for inputs with pictures of 128×128, which take 3 bytes a pixel and 12 as a tensor.
func TestInputsOfAllCasesAreBounded(t *testing.T) {
	l := caseLoader{room: 2 * 15 * 128 * 128}
	in, err := small(t).PictureInput("x", &picture.Picture{Width: 128, Height: 128, Pix: make([]byte, 3*128*128)})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.hold(in); err != nil {
			t.Error(err)
		}
	}
	wantError(t, l.hold(in), "the inputs of all cases take more than 8 GiB; divide the folder, or make the pictures smaller")
}

func TestRemark(t *testing.T) {
	for _, tt := range []struct {
		left []string
		want string
	}{
		{nil, ""},
		{[]string{"a.gif"}, "1 file is left out, as cases are PNG, JPEG and safetensors files with an image, and not hidden: a.gif"},
		{strings.Fields("1 2 3 4 5 6 7"), "7 files are left out, as cases are PNG, JPEG and safetensors files with an image, and not hidden: 1, 2, 3, 4, 5 and 2 more"},
	} {
		if got := (Folder{LeftOut: tt.left}).Remark(); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}

// TestCaseConfigValues checks that a case's values reach the configuration as a configuration file's do.
func TestCaseConfigValues(t *testing.T) {
	base := []string{"model.profile=nano"}
	tests := []struct {
		text string // under config:
		bad  string // the key that the error names, "" for none
	}{
		{"{routing: {budget_b1: 6.0}}", ""},
		{"{routing: {budget_b1: 6}}", ""},
		{"{routing: {budget_b1: 1e-3}}", ""},
		{"{routing: {budget_b1: '6'}}", "routing.budget_b1"},
		{"{routing: {budget_b1: .inf}}", "routing.budget_b1"},
		{"{routing: {budget_b1: null}}", "routing.budget_b1"},
		{"{model: {kmax_l0: 6}}", ""},
		{"{model: {kmax_l0: 6.0}}", "model.kmax_l0"},
		{"{model: {kmax_l0: 99999999999999999999}}", "model.kmax_l0"},
		{"{model: {kmax_l0: 2020-01-01}}", "model.kmax_l0"},
		{"{model: {disable_ssm: true}}", ""},
		{"{model: {disable_ssm: 1}}", "model.disable_ssm"},
		{"{model: {disable_ssm: 'true'}}", "model.disable_ssm"},
		{"{model: {order_mode: \"l2r\"}}", ""},
		{"{model: {order_mode: \"l2r # = : '\"}}", "model.order_mode"},
		{"{model: {order_mode: \"a\\nb\\u00e9\\\\\"}}", "model.order_mode"},
		{"{model: {pv_channels: [64, 128, 192]}}", ""},
		{"{model: {pv_channels: [64, '128', 192]}}", "model.pv_channels"},
		{"\n  model:\n    pv_channels:\n      - 64 # first\n      - 128\n      - 192\n", ""},
		{"{model: {order_mode: {a: b}}}", "model.order_mode"},
		{"{routing: {budget_b1: &x 3, budget_b2: *x}}", "routing.budget_b2"},
		{"{routing: }", ""},
		{"{}", ""},
		{"", ""},
	}
	for _, tt := range tests {
		c, err := parseCase([]byte("config: " + tt.text))
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		overrides, err := c.overrides()
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		got, err := config.Parse(nil, slices.Concat(base, overrides))
		if tt.bad != "" {
			wantError(t, err, tt.bad)
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		text := strings.TrimSpace(tt.text)
		if text == "{routing: }" || text == "" {
			text = "{}"
		}
		if tt.text != "" && tt.text[0] == '\n' {
			text = tt.text
		}
		want, err := config.Parse([]byte(text), base)
		if err != nil {
			t.Fatalf("%s as a configuration file: %v", text, err)
		}
		a, _ := got.Digest()
		b, _ := want.Digest()
		if a != b {
			t.Errorf("%s: a case gives another configuration than a file", tt.text)
		}
	}
}

func TestDecodeOf(t *testing.T) {
	d := model.DefaultDecode()
	if got, err := decodeOf(nil, d); err != nil || got != d {
		t.Errorf("no metadata: %+v, %v", got, err)
	}
	meta := map[string]string{"score_threshold": "0.5", "iou_threshold": "0.25", "pre_nms_topk": "3", "max_detections": "4"}
	if got, err := decodeOf(meta, d); err != nil || got != (model.Decode{ScoreThreshold: 0.5, IoUThreshold: 0.25, PreNMSTopK: 3, MaxDetections: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	for key, bad := range map[string]string{"score_threshold": "x", "iou_threshold": "", "pre_nms_topk": "1.5", "max_detections": "99999999999999999999"} {
		one := maps.Clone(meta)
		one[key] = bad
		_, err := decodeOf(one, d)
		wantError(t, err, key, bad)
	}
}

func TestPictureCase(t *testing.T) {
	m := small(t)
	c, err := m.PictureCase("p", pngOf(t, 10, 10), model.DefaultDecode())
	if err != nil || c.Name != "p" || c.Model != m || c.Picture == nil {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = m.PictureCase("p", []byte("x"), model.DefaultDecode())
	wantError(t, err, "case p", "not a PNG")
	if _, err := m.WithDefaults(BuiltinOverrides); err != nil {
		t.Error(err)
	}
}

// FuzzParseCase feeds case files and their overrides to the configuration: neither may panic, and what they accept must
// be valid.
func FuzzParseCase(f *testing.F) {
	for _, seed := range []string{"", "config: {model: {profile: nano}}", "decode: {score_threshold: 0.1, max_detections: 3}\nexpected: x",
		"config: {routing: {budget_b1: &a 3, budget_b2: *a}}", "config: {model: {pv_channels: [1, [2]]}}", "a: b", "{{{", "---\n---\n",
		"config: {model: {order_mode: \"a\\nb\"}}", "config: {model: {<<: {profile: nano}}}", "? [a]\n: b", "config: {? {a: b} : c}"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<12 {
			return
		}
		c, err := parseCase(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		overrides, err := c.overrides()
		if err != nil {
			return
		}
		for _, o := range overrides {
			if !strings.Contains(o, "=") {
				t.Errorf("override %q has no value", o)
			}
		}
		if cfg, err := config.Parse(nil, overrides); err == nil {
			if again, err := config.Parse(nil, overrides); err != nil || again.Model.Profile != cfg.Model.Profile {
				t.Errorf("the second time: %v", err)
			}
		}
	})
}

// TestReasons tells of every file that is no case why.
func TestReasons(t *testing.T) {
	f := Folder{LeftOut: []string{".git/", "._a.png", "sub/case.yaml", "a.case.yaml", "weights.safetensors", "notes.txt"}}
	want := []LeftOut{{".git/", "hidden"}, {"._a.png", "hidden"}, {"sub/case.yaml", "settings of no case"}, {"a.case.yaml", "settings of no case"},
		{"weights.safetensors", "no tensor of the name image in it"}, {"notes.txt", "neither PNG, JPEG nor safetensors"}}
	if got := f.Reasons(); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if got := (Folder{}).Reasons(); len(got) != 0 {
		t.Errorf("of no files %v", got)
	}
}
