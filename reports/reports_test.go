package reports

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/budget"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports/internal/synthetic"
)

// runner computes outputs of a few tiles; every backend adds rounding noise of its own, and some cases go wrong in ort.
type runner struct{}

func (runner) Execute(_ context.Context, c *parity.Case, backend string, p backends.Precision) evidence.Run {
	switch c.Name + " " + backend {
	case "crash ort":
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Crashed, Signal: "SIGSEGV", Detail: "the worker ended while it ran"}}
	case "absent|<b>*case*</b> ort":
		return evidence.Run{Outcome: evidence.Outcome{State: evidence.Unsupported, Reason: "operator_unsupported", Detail: "no kernel for Scan"}}
	}
	e := evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Wall: 90 * time.Millisecond, Memory: backends.MemoryUse{Peak: 300 << 20}}
	e.Timing.Execute, e.Memory.Host = 71200*time.Microsecond, 96<<20
	noise := map[string]float64{"reference fp64": 0, "reference fp32": 2e-7, "ort fp32": 4e-7}[backend+" "+string(p)]
	rng := rand.New(rand.NewPCG(7, uint64(len(c.Name))))
	own := rand.New(rand.NewPCG(uint64(len(backend)), 3))
	logits := make([]float32, 9*16*16)
	for i := range logits {
		logits[i] = float32(6 * rng.NormFloat64() * (1 + noise*own.NormFloat64()))
	}
	utilities := []float32{0.1, 0.75, 0.5, 0.5 + 6e-8, 0.2, 0.9, 0.3, 0.4}
	order := []int64{5, 1, 3, 2, 7, -1}
	if reroutes(c) {
		utilities[6] = 0.4 - 1e-6
	}
	if backend == "ort" {
		utilities[2], utilities[3] = 0.5+6e-8, 0.5
		order[2], order[3] = 2, 3
		if reroutes(c) {
			utilities[6], order[4] = 0.4+1e-6, 6
		}
		if c.Name == "wrong" {
			logits[700] = float32(math.NaN())
			logits[3] += 0.25
		}
	}
	e.Outputs = tensor.List{
		{Name: "semantic_logits", Tensor: tensor.Must(tensor.Of(logits, 1, 9, 16, 16))},
		{Name: "utilities", Tensor: tensor.Must(tensor.Of(utilities, 1, 8))},
		{Name: "tiles_l0", Tensor: tensor.Must(tensor.Of(order, 1, 6))},
		{Name: "valid_l0", Tensor: tensor.Must(tensor.Of([]int64{5}, 1))},
	}
	if replayable(c) {
		e.Decisions = tensor.List{{Name: "tap.tiles", Tensor: tensor.Must(tensor.Of(order, 1, 6))}}
	}
	return e
}

// reroutes tells whether ONNX Runtime chooses another tile, replayable whether the choice was recorded.
func reroutes(c *parity.Case) bool   { return c.Name == "rerouted" || replayable(c) }
func replayable(c *parity.Case) bool { return strings.HasPrefix(c.Name, "replayed") }

// Replay gives what the reference's single precision gives, but for a wrong logit in one case.
func (r runner) Replay(ctx context.Context, c *parity.Case, _ string, _ backends.Precision, decisions tensor.List) evidence.Run {
	e := r.Execute(ctx, c, "reference", backends.FP32)
	if c.Name == "replayed, wrong" {
		tensor.Data[float32](e.Outputs.Get("semantic_logits"))[7] += 0.25
	}
	return e
}

// Budget gives every logit eight roundings of itself, and the utilities enough for the tile that gives way; in one case two, which explains the tile
// and not all of the error. It fails for one case.
func (r runner) Budget(ctx context.Context, c *parity.Case, _ budget.Run, _ tensor.List, _ []string) (tensor.List, error) {
	if c.Name == "rerouted" {
		return nil, errors.New("no rule derives the error of operator Scan")
	}
	of, spreads := 0x1p-21, tensor.List(nil)
	if c.Name == "replayed" {
		of = 0x1p-23
	}
	for _, o := range r.Execute(ctx, c, "reference", backends.FP64).Outputs {
		s := tensor.New(tensor.Float64, o.Shape()...)
		for i, v := range o.Float64s() {
			tensor.Data[float64](s)[i] = of * math.Abs(v)
		}
		spreads = append(spreads, tensor.Named{Name: o.Name, Tensor: s})
	}
	return spreads, nil
}

func sample(t testing.TB) *Document {
	t.Helper()
	spec := parity.MatrixSpec{Name: "sample", Runner: runner{}, Replayer: runner{}, Budgets: runner{}, Columns: []parity.Column{
		{Backend: "reference", Precision: backends.FP64}, {Backend: "reference", Precision: backends.FP32}, {Backend: "ort", Precision: backends.FP32}}}
	for _, n := range []string{"photo/astronaut", "wrong", "rerouted", "replayed", "replayed, wrong", "crash", "absent|<b>*case*</b>"} {
		spec.Cases = append(spec.Cases, parity.Case{Name: n, Setting: parity.Setting{GridHeight: 2, GridWidth: 4}})
	}
	m, err := parity.Run(context.Background(), spec)
	if err != nil {
		t.Fatal(err)
	}
	of := func(pair int, n parity.SetCount, state evidence.State, detail string) parity.SetVerdict {
		m.Cells[pair].Sets = &n
		return parity.SetVerdict{Pair: m.Pairs[pair], Cases: 5, SetCount: n, F1: parity.Number(n.F1()), Least: 0.99, State: state, Detail: detail}
	}
	m.Sets = []parity.SetVerdict{
		of(0, parity.SetCount{Pairs: 300, Reference: 300, Candidate: 301}, evidence.Pass, ""),
		of(1, parity.SetCount{}, evidence.Unverified, "too few detections to tell"), // whose share is no number
	}
	a, b := samplePicture(0), samplePicture(1)
	return &Document{
		Title: "Reference and ONNX Runtime", When: time.Date(2026, 2, 11, 9, 30, 0, 0, time.UTC), Version: "v0.1.0", Matrix: m,
		Command: "apexx matrix --backends reference,ort --precisions fp32,fp64 --report out",
		Where:   []backends.Fact{{Key: "host", Value: "linux/amd64, 2 cores"}, {Key: "onnxruntime", Value: "1.30.0"}},
		Images: []CaseGallery{{"photo/astronaut", []LabelledImage{{"reference/fp64", "png", encode(t, a)}, {"ort/fp32", "png", encode(t, b)}},
			[]PairImages{{m.Pairs[1], []LabelledImage{{"difference ×32", "png", encode(t, DiffImage(a, b, 32))}}}}}},
	}
}

// samplePicture is a scene of a sky, a disc and a box; with shade 1 the disc is a little brighter.
func samplePicture(shade uint8) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, 192, 128))
	for y := range 128 {
		for x := range 192 {
			c := color.RGBA{uint8(x), uint8(90 + y), 160, 255}
			if dx, dy := x-70, y-60; dx*dx+dy*dy < 900 {
				c = color.RGBA{230 + 4*shade, 190, 70, 255}
			}
			if (x == 38 || x == 102) && y > 28 && y < 92 || (y == 28 || y == 92) && x >= 38 && x <= 102 {
				c = color.RGBA{255, 40, 40, 255}
			}
			img.SetRGBA(x, y, c)
		}
	}
	return img
}

func encode(t testing.TB, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestJSONFollowsItsSchema(t *testing.T) {
	schemaDoc, err := jsonschema.UnmarshalJSON(bytes.NewReader(MatrixSchema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("matrix.json", schemaDoc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("matrix.json")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := JSON(&out, sample(t)); err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(&out)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(value); err != nil {
		t.Error(err)
	}
	top := value.(map[string]any)
	if len(top["reports"].([]any)) != 21 || len(top["cells"].([]any)) != 21 || top["exit_code"] != json.Number("1") {
		t.Errorf("%d reports, %d cells, exit code %v", len(top["reports"].([]any)), len(top["cells"].([]any)), top["exit_code"])
	}
	top["surprise"] = true
	if schema.Validate(value) == nil {
		t.Error("the schema accepts an unknown key")
	}
}

func TestMarkdown(t *testing.T) {
	var out bytes.Buffer
	if err := Markdown(&out, sample(t)); err != nil {
		t.Fatal(err)
	}
	goldenfile.Check(t, "matrix.md", out.Bytes())
}

func TestTable(t *testing.T) {
	d := sample(t)
	for _, c := range []struct {
		name string
		opt  TableOptions
	}{{"table-100.txt", TableOptions{}}, {"table-60.txt", TableOptions{Width: 60}}, {"table-color.txt", TableOptions{Color: true}}} {
		var out bytes.Buffer
		if err := Table(&out, d, c.opt); err != nil {
			t.Fatal(err)
		}
		goldenfile.Check(t, c.name, out.Bytes())
		if !c.opt.Color && strings.Contains(out.String(), "\x1b") {
			t.Errorf("%s has escape sequences", c.name)
		}
	}
}

// The pages refer to nothing but each other, run nothing, and show every cell: all at a glance, and each on a page of its own.
func TestHTMLIsSelfContained(t *testing.T) {
	d := sample(t)
	links, details, pictures := 0, 0, 0
	check := func(name string, write func(w io.Writer) error) {
		var out bytes.Buffer
		if err := write(&out); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		for _, m := range regexp.MustCompile(`(?i)(?:src|href|action|data)\s*=\s*"([^"]*)"`).FindAllStringSubmatch(text, -1) {
			if regexp.MustCompile(`^cells/[0-9]{4}-[0-9]{2}\.html$`).MatchString(m[1]) && name == "index" {
				links++
			} else if m[1] != "../index.html" && !strings.HasPrefix(m[1], "data:") {
				t.Errorf("%s refers to %q", name, m[1])
			}
		}
		for _, bad := range []string{"<script", "@import", "url(", "http://", "https://", "ZgotmplZ", "<no value>", "<b>*case*"} {
			if strings.Contains(text, bad) {
				t.Errorf("%s contains %q", name, bad)
			}
		}
		details += strings.Count(text, "<details")
		pictures += strings.Count(text, "data:image/png;base64,")
	}
	check("index", func(w io.Writer) error { return HTML(w, d) })
	for i := range d.Matrix.Cases {
		for j := range d.Matrix.Pairs {
			check(cellPage(i, j), func(w io.Writer) error { return cellHTML(w, clean(d), i, j) })
		}
	}
	if links != 21 || details != 21 {
		t.Errorf("%d links and %d details, want one for each of 21 cells", links, details)
	}
	if pictures != 2+3 { // of the pair of which both drew, and of the other pairs of these columns
		t.Errorf("%d pictures, want 5", pictures)
	}
}

// TestHostileNamesAreShownAsTheyAre puts every hostile text where a name or message goes, in every form of the matrix that people or
// runners read.
func TestHostileNamesAreShownAsTheyAre(t *testing.T) {
	for _, text := range append(synthetic.Hostile, "::error::x", "##[error]x", "\x1b]0;title\x07") {
		d := sample(t)
		d.Title, d.Command, d.Matrix.Cases[1] = text, text, text
		d.Where = append(d.Where, backends.Fact{Key: "libraries", Value: text})
		for i := range d.Matrix.Cells {
			c := &d.Matrix.Cells[i]
			if c.Detail = text; c.Case == "wrong" {
				c.Case = text
			}
		}
		for name, write := range map[string]func(io.Writer) error{
			"HTML":     func(w io.Writer) error { return HTML(w, d) },
			"page":     func(w io.Writer) error { return cellHTML(w, clean(d), 1, 0) },
			"JUnit":    func(w io.Writer) error { return MatrixJUnit(w, d) },
			"Markdown": func(w io.Writer) error { return Markdown(w, d) },
			"table":    func(w io.Writer) error { return Table(w, d, TableOptions{}) },
		} {
			var out bytes.Buffer
			if err := write(&out); err != nil {
				t.Fatal(err)
			}
			shown := out.String()
			if !utf8.ValidString(shown) || strings.ContainsFunc(shown, func(r rune) bool { return r != '\n' && !unicode.IsGraphic(r) }) {
				t.Errorf("%s of %.40q has characters that are not to be printed", name, text)
			}
			if regexp.MustCompile(`(?m)^\s*::|##\[`).MatchString(shown) || name == "HTML" && strings.Contains(shown, "<script") {
				t.Errorf("%s of %.40q has a command", name, text)
			}
		}
	}
}

func TestHistogramWords(t *testing.T) {
	var o parity.TensorReport
	o.Atol = 1e-4
	o.Histogram.Zero, o.Histogram.NonFinite = 5, 1
	o.Histogram.Decades[0], o.Histogram.Decades[7], o.Histogram.Decades[9], o.Histogram.Decades[15] = 1, 2, 3, 4
	const want = "equal: 5, below 1e-12: 1, 1e-06…1e-05: 2, 1e-04…1e-03: 3, from 1e+02: 4, non-finite: 1"
	if got := histogramWords(o); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for i, want := range map[int]string{0: "zero", 1: "within", 8: "within", 9: "within", 10: "beyond", 16: "beyond", 17: "bad"} {
		if got := barClass(i, o); got != want {
			t.Errorf("bar %d is %s, want %s", i, got, want)
		}
	}
}

func TestDiffImage(t *testing.T) {
	a, b := image.NewRGBA(image.Rect(0, 0, 2, 1)), image.NewRGBA(image.Rect(5, 5, 8, 6))
	a.SetRGBA(0, 0, color.RGBA{100, 10, 200, 255})
	b.SetRGBA(5, 5, color.RGBA{90, 13, 0, 255})
	a.SetRGBA(1, 0, color.RGBA{7, 7, 7, 255})
	b.SetRGBA(6, 5, color.RGBA{7, 7, 7, 255})
	d := DiffImage(a, b, 4).(*image.RGBA)
	for x, want := range []color.RGBA{{40, 12, 255, 255}, {0, 0, 0, 255}, {255, 0, 255, 255}} {
		if got := d.RGBAAt(x, 0); got != want {
			t.Errorf("pixel %d is %v, want %v", x, got, want)
		}
	}
}

func TestWriteDir(t *testing.T) {
	dir := t.TempDir()
	paths, err := WriteDir(dir, sample(t))
	if err != nil || len(paths) != 7+21 {
		t.Fatalf("%d files, %v", len(paths), err)
	}
	stale, kept := filepath.Join(dir, "cells", "9999-01.html"), filepath.Join(dir, "cells", "notes.txt")
	for _, path := range []string{stale, kept} {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := WriteDir(dir, sample(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a page of an earlier matrix stays: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := WriteDir(filepath.Join(dir, "absent"), sample(t)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

// A bar is coloured as beyond the tolerance where elements have one.
func TestBarClass(t *testing.T) {
	angle := parity.Number(0.001)
	for name, c := range map[string]struct {
		o    parity.TensorReport
		want string
	}{
		"below":     {parity.TensorReport{Judgement: parity.ByTolerance, Atol: 1e-2}, "within"},
		"beyond":    {parity.TensorReport{Judgement: parity.ByTolerance, Atol: 1e-6}, "beyond"},
		"integers":  {parity.TensorReport{Judgement: parity.ByEquality}, "beyond"},
		"an angle":  {parity.TensorReport{Judgement: parity.ByTolerance, Smallest: &parity.SmallestRule{Angle: &angle}}, "within"},
		"by nobody": {parity.TensorReport{Judgement: parity.ByNothing}, "within"},
	} {
		if got := barClass(10, c.o); got != c.want { // 1e-4 to 1e-3
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
