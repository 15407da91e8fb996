package source

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/safetensors"
)

// embedded is what a command asks for without flags.
var embedded = ModelRequest{Embedded: fixtures.NanoWeights()}

func open(t testing.TB, r ModelRequest) *Model {
	t.Helper()
	m, err := Open(r)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// write puts files into a new folder; names may have folders.
func write(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// pngOf is an encoded picture of one colour.
func pngOf(t testing.TB, w, h int) []byte {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range img.Pix {
		img.Pix[i] = 255
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tensorsOf is a safetensors file.
func tensorsOf(t testing.TB, meta map[string]string, list ...safetensors.Tensor) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := safetensors.Write(&b, meta, list); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// gray is an image tensor of zeros.
func gray(shape ...int) safetensors.Tensor {
	n, _ := tensor.Elements(shape)
	return safetensors.FromFloat32("image", shape, make([]float32, n))
}

// wantError checks that an error has all the parts.
func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", parts)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("the error lacks %q: %v", p, err)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := write(t, map[string][]byte{"nano.safetensors": fixtures.NanoWeights(), "large.yaml": []byte("model:\n  profile: large\n"),
		"sized.yaml": []byte("model:\n  num_classes: 8\n  input_width: 640\n"),
		"empty.yaml": nil})
	in := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name    string
		request ModelRequest
		profile string
		classes int
		sized   bool
	}{
		{"embedded", embedded, "nano", 8, false},
		{"a file's metadata name profile and classes", ModelRequest{Weights: in("nano.safetensors")}, "nano", 8, false},
		{"hashed with the defaults", ModelRequest{Weights: "hashed:1"}, "small", 80, false},
		{"hashed with overrides", ModelRequest{Weights: "hashed:1", Set: []string{"model.profile=nano", "model.num_classes=3"}}, "nano", 3, false},
		{"hashed with a file", ModelRequest{Weights: "hashed:1", Config: in("large.yaml")}, "large", 80, false},
		{"an empty file", ModelRequest{Weights: "hashed:1", Config: in("empty.yaml")}, "small", 80, false},
		{"overrides go over a file", ModelRequest{Weights: "hashed:1", Config: in("large.yaml"), Set: []string{"model.profile=nano"}}, "nano", 80, false},
		{"a size by override", ModelRequest{Weights: "hashed:1", Set: []string{" model.input_height=256"}}, "small", 80, true},
		{"a size by file", ModelRequest{Weights: "hashed:1", Config: in("sized.yaml")}, "small", 8, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := open(t, tt.request)
			if c := m.Config.Model; c.Profile != tt.profile || c.NumClasses != tt.classes || m.SizeGiven != tt.sized || len(m.Classes) != tt.classes {
				t.Errorf("profile %s, %d classes, size given %t, %d names; want %+v", c.Profile, c.NumClasses, m.SizeGiven, len(m.Classes), tt)
			}
			if len(m.ConfigDigest) != 64 || len(m.WeightsDigest) != 64 {
				t.Errorf("digests %q and %q", m.ConfigDigest, m.WeightsDigest)
			}
		})
	}
	if a, b := open(t, embedded), open(t, ModelRequest{Weights: in("nano.safetensors")}); a.WeightsDigest != b.WeightsDigest || a.ConfigDigest != b.ConfigDigest {
		t.Error("the embedded weights differ from the file with the same bytes")
	}
	if a := open(t, embedded); a.Classes[0] == "class 0" {
		t.Error("the names of the classes in the weights were not taken")
	}
}

// TestClassNames takes names from weights, which may hold anything.
func TestClassNames(t *testing.T) {
	named := weights.Metadata{Classes: []string{"cat", "dog\n::error::x"}}
	if got := classNames(named, 2); !slices.Equal(got, []string{"cat", `dog\n::error::x`}) {
		t.Errorf("%q", got)
	}
	if got := classNames(named, 1); !slices.Equal(got, []string{"class 0"}) {
		t.Errorf("names of another number of classes: %q", got)
	}
}

func TestOpenErrors(t *testing.T) {
	dir := write(t, map[string][]byte{
		"nano.safetensors": fixtures.NanoWeights(), "cut.safetensors": fixtures.NanoWeights()[:5000],
		"meta.safetensors": tensorsOf(t, map[string]string{"profile": "huge"}, gray(1)),
		"bad.yaml":         []byte("model:\n  profil: nano\n"),
		"eighty.yaml":      []byte("model:\n  profile: nano\n"),
		"null.yaml":        []byte("model:\n  input_width:\n"),
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name    string
		request ModelRequest
		want    []string
	}{
		{"nothing", ModelRequest{}, []string{"hashed:SEED"}},
		{"seed", ModelRequest{Weights: "hashed:x"}, []string{"hashed:x"}},
		{"missing weights", ModelRequest{Weights: in("none")}, []string{"weights", in("none")}},
		{"truncated weights", ModelRequest{Weights: in("cut.safetensors")}, []string{in("cut.safetensors")}},
		{"metadata", ModelRequest{Weights: in("meta.safetensors")}, []string{in("meta.safetensors"), "huge", "nano"}},
		{"missing configuration", ModelRequest{Weights: "hashed:1", Config: in("none.yaml")}, []string{"configuration", in("none.yaml")}},
		{"configuration is a folder", ModelRequest{Weights: "hashed:1", Config: dir}, []string{dir}},
		{"unknown key", ModelRequest{Weights: "hashed:1", Config: in("bad.yaml")}, []string{in("bad.yaml"), "model.profil"}},
		{"a size of nothing", ModelRequest{Weights: "hashed:1", Config: in("null.yaml")}, []string{"model.input_width"}},
		{"unknown override", ModelRequest{Weights: "hashed:1", Set: []string{"model.x=1"}}, []string{"model.x"}},
		{"weights of another size", ModelRequest{Weights: in("nano.safetensors"), Set: []string{"model.profile=small"}}, []string{in("nano.safetensors"), "profile"}},
		{"weights of other classes", ModelRequest{Weights: in("nano.safetensors"), Config: in("eighty.yaml")}, []string{"8 classes", "80"}},
		{"embedded weights of other classes", ModelRequest{Embedded: fixtures.NanoWeights(), Set: []string{"model.num_classes=9"}}, []string{"embedded in the binary", "9"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.request)
			wantError(t, err, tt.want...)
		})
	}
}

// TestConfigIsReadOnce gives the configuration through a pipe, as a shell's <(…) does.
func TestConfigIsReadOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("model:\n  input_width: 256\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	path := filepath.Join("/dev/fd", strconv.Itoa(int(r.Fd())))
	if _, err := os.Stat(path); err != nil {
		t.Skipf("no /dev/fd here: %v", err)
	}
	if m := open(t, ModelRequest{Weights: "hashed:1", Config: path}); m.Config.Model.InputWidth != 256 || !m.SizeGiven {
		t.Errorf("width %d, size given %t", m.Config.Model.InputWidth, m.SizeGiven)
	}
}

func TestWith(t *testing.T) {
	r := embedded
	r.Set = []string{"routing.budget_b1=2"}
	m := open(t, r)
	if same, err := m.With(nil); err != nil || same != m {
		t.Errorf("no overrides gave another model: %v", err)
	}
	over, err := m.With([]string{"routing.budget_b1=3", "routing.budget_b2=1"})
	if err != nil || over.Config.Routing.BudgetB1 != 3 || over.Config.Routing.BudgetB2 != 1 {
		t.Errorf("With: %+v, %v", over.Config.Routing, err)
	}
	under, err := m.WithDefaults([]string{"routing.budget_b1=3", "routing.budget_b2=1"})
	if err != nil || under.Config.Routing.BudgetB1 != 2 || under.Config.Routing.BudgetB2 != 1 {
		t.Errorf("WithDefaults: %+v, %v", under.Config.Routing, err)
	}
	if m.Config.Routing.BudgetB1 != 2 || len(r.Set) != 1 {
		t.Error("the model itself changed")
	}
	if _, err := m.With([]string{"routing.budget_b1=-1"}); err == nil {
		t.Error("a bad override was accepted")
	}
}

func TestGraphCarriesDigests(t *testing.T) {
	m := open(t, ModelRequest{Weights: "hashed:1", Set: []string{"model.profile=nano", "model.num_classes=2"}})
	opts := Input{Image: tensor.New(tensor.Float32, 2, 3, 128, 256)}.Options(model.DefaultDecode())
	g, err := m.Graph(opts)
	if err != nil {
		t.Fatal(err)
	}
	if g.Metadata["apexx.config_sha256"] != m.ConfigDigest || g.Metadata["apexx.weights_sha256"] != m.WeightsDigest || g.Metadata["apexx.profile"] != "nano" {
		t.Errorf("metadata %v", g.Metadata)
	}
	if got := g.Inputs[0].Shape; !slices.Equal(got, []int{2, 3, 128, 256}) {
		t.Errorf("input %v", got)
	}
	if _, err := m.Graph(model.Options{Batch: 1, Height: 100, Width: 128, Decode: model.DefaultDecode()}); err == nil {
		t.Error("a height of 100 was accepted")
	}
}

func TestPictureInput(t *testing.T) {
	free := open(t, ModelRequest{Weights: "hashed:1", Set: []string{"model.profile=nano"}})
	fixed := open(t, ModelRequest{Weights: "hashed:1", Set: []string{"model.profile=nano", "model.input_height=256"}})
	tests := []struct {
		m             *Model
		width, height int
		want          []int
	}{
		{free, 512, 512, []int{1, 3, 512, 512}},
		{free, 1, 1, []int{1, 3, 128, 128}},
		{free, 640, 427, []int{1, 3, 384, 640}},
		{free, 192, 191, []int{1, 3, 128, 256}},
		{free, 1, 700, []int{1, 3, 640, 128}},
		{fixed, 40, 900, []int{1, 3, 256, fixed.Config.Model.InputWidth}},
	}
	for _, tt := range tests {
		p, err := picture.Decode(pngOf(t, tt.width, tt.height))
		if err != nil {
			t.Fatal(err)
		}
		in, err := tt.m.PictureInput("x", p)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(in.Image.Shape(), tt.want) || in.Picture != p || in.Name != "x" {
			t.Errorf("%d×%d: %v, want %v", tt.width, tt.height, in.Image.Shape(), tt.want)
		}
		if list := in.Tensors(); len(list) != 1 || list.Get("image") != in.Image {
			t.Errorf("tensors %v", list)
		}
		white := 0
		for _, v := range tensor.Data[float32](in.Image) {
			if v == 1 {
				white++
			} else if v != picture.Border {
				t.Fatalf("a pixel of a white picture is %g", v)
			}
		}
		if want := 3 * in.Fit.InnerWidth * in.Fit.InnerHeight; white != want {
			t.Errorf("%d×%d: %d white values, want %d", tt.width, tt.height, white, want)
		}
	}
	if _, err := free.LoadPicture(filepath.Join(t.TempDir(), "none.png")); err == nil {
		t.Error("a missing picture was read")
	}
}

func TestLoadTensors(t *testing.T) {
	nan := gray(1, 3, 2, 2)
	broken := make([]float32, 12)
	broken[7] = float32(math.Inf(1))
	nan = safetensors.FromFloat32("image", nan.Shape, broken)
	many := []safetensors.Tensor{}
	for _, name := range strings.Fields("a b c d e f g") {
		many = append(many, safetensors.FromFloat32(name, []int{1}, []float32{0}))
	}
	dir := write(t, map[string][]byte{
		"good.safetensors": tensorsOf(t, nil, gray(2, 3, 4, 8)), "nan.safetensors": tensorsOf(t, nil, nan),
		"rank.safetensors": tensorsOf(t, nil, gray(3, 4, 4)), "four.safetensors": tensorsOf(t, nil, gray(1, 4, 4, 4)),
		"none.safetensors": tensorsOf(t, nil), "other.safetensors": tensorsOf(t, nil, many...),
		"zero.safetensors": tensorsOf(t, nil, gray(0, 3, 4, 4)),
		"wide.safetensors": tensorsOf(t, nil, safetensors.FromFloat64("image", []int{1, 3, 1, 1}, make([]float64, 3))),
		"text.safetensors": []byte("not tensors at all"),
	})
	in, err := LoadTensors(filepath.Join(dir, "good.safetensors"))
	if err != nil || in.Name != "good" || in.Picture != nil || !slices.Equal(in.Image.Shape(), []int{2, 3, 4, 8}) {
		t.Errorf("%+v, %v", in, err)
	}
	for name, want := range map[string]string{
		"nan": "NaN or infinity at element 7", "rank": "want [B,3,H,W]", "four": "want [B,3,H,W]", "zero": "want [B,3,H,W]",
		"none": "it has no tensors", "other": "a, b, c, d, e and 2 more", "wide": "want F32", "text": "text.safetensors", "missing": "missing.safetensors",
	} {
		path := filepath.Join(dir, name+".safetensors")
		_, err := LoadTensors(path)
		wantError(t, err, want, path)
	}
}
