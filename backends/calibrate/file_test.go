package calibrate

import (
	"bytes"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// TestGoverningFormats holds the formats that other programs know to the vectors of spec/runtime.md 16.
func TestGoverningFormats(t *testing.T) {
	key := cacheKey(strings.Repeat("a", 64), "edge", "dataset-v1", []plugin{{"TilePack", "apexx", "1"}}, nil)
	if want := "9591000547af1d009ac2fcc9d7151e2ac491f905727f004802b7154361b4af47"; key != want {
		t.Errorf("cache key %s, want %s", key, want)
	}
	data := DataVersion([]*tensor.Tensor{tensor.New(tensor.Float32, 1, 4)})
	if want := "76771ac69669b3d73a6017c0d04094c5e20bf876a1ebabbb995b55fff663911d"; data != want {
		t.Errorf("data version %s, want %s", data, want)
	}
	if tuple([]int{4}) != "(4,)" {
		t.Error(tuple([]int{4}))
	}
}

// TestDataVersion: every input counts, the last of many too.
func TestDataVersion(t *testing.T) {
	var inputs []*tensor.Tensor
	for range 64 {
		inputs = append(inputs, tensor.New(tensor.Float32, 1, 4))
	}
	before := DataVersion(inputs)
	tensor.Data[float32](inputs[63])[3] = 1
	if DataVersion(inputs) == before {
		t.Error("another last input has the same version")
	}
}

func sampleFile() *File {
	key := Key{Source: Source{Config: "c0", Weights: "w0", Export: "e0", Operators: Operators{"apexx", 2}, Profile: "edge", Wide: []string{"last"}},
		Method: "max", Data: "scenes-1", Shape: []int{1, 3, 512, 512}}
	return New(key, map[string]float32{"image": 1, "features": 5.389946, "nothing": 0})
}

func written(t testing.TB, f *File) string {
	t.Helper()
	var b bytes.Buffer
	if err := f.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFile(t *testing.T) {
	text := written(t, sampleFile())
	goldenfile.Check(t, "file.json", text)
	f, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if again := written(t, f); again != text {
		t.Errorf("read and written:\n%s", again)
	}
	if c := f.Calibration(); c.Ranges["features"] != 5.389946 || len(c.Wide) != 1 {
		t.Errorf("%+v", c)
	}
}

// TestDamagedFiles: every line names what is wrong.
func TestDamagedFiles(t *testing.T) {
	text := written(t, sampleFile())
	var lines strings.Builder
	for _, c := range []struct{ name, old, new string }{
		{"empty", text, ""},
		{"cut", text[len(text)/2:], ""},
		{"a table of TensorRT", text, "TRT-100600-EntropyCalibration2\nimage: 3c010a14\n"},
		{"another schema", SchemaID, "apexx.calibration/9"},
		{"an unknown key", `"cache_key"`, `"cash_key"`},
		{"something behind it", "}\n", "}\n{}\n"},
		{"a changed range", "5.389946", "5.389947"},
		{"a negative range", "5.389946", "-5.389946"},
		{"a range beyond float32", "5.389946", "1e60"},
		{"another node kept wide", `"last"`, `"first"`},
		{"no ranges", text[strings.Index(text, `"ranges"`):strings.Index(text, `"content`)], "\"ranges\": {},\n  "},
		{"another profile", `"edge"`, `"quality"`},
		{"another export", `"e0"`, `"e1"`},
	} {
		_, err := Parse([]byte(strings.Replace(text, c.old, c.new, 1)))
		if err == nil {
			t.Errorf("%s passes", c.name)
			continue
		}
		lines.WriteString(c.name + ": " + err.Error() + "\n")
	}
	goldenfile.Check(t, "damaged.txt", lines.String())
}

func TestAnotherModel(t *testing.T) {
	f := sampleFile()
	if err := f.Check(f.Key.Source); err != nil {
		t.Error(err)
	}
	other := Source{Config: "c1", Weights: "w1", Export: "e1", Operators: Operators{"apexx", 3}, Profile: "edge", Wide: []string{"first"}}
	if err := f.Check(other); err == nil || err.Error() != "it is another model's, by config_sha256, weights_sha256, onnx_sha256, operators, wide; calibrate again" {
		t.Error(err)
	}
	key := f.Key
	key.Method, key.Data, key.Shape, key.Profile = "entropy", "scenes-2", []int{1, 3, 256, 256}, "quality"
	key.Variables = map[string]string{"NVIDIA_TF32_OVERRIDE": "0"}
	if parts := strings.Join(f.Key.Differences(key), " "); parts != "precision_profile method data_version shape variables" {
		t.Error(parts)
	}
}

// TestVariables: ranges that were found under other variables of the environment have another key, and those of workers with faults fit nothing.
func TestVariables(t *testing.T) {
	plain := sampleFile()
	for name, want := range map[string]string{"GOGC": "", "APEXX_INJECT": "it was found with faults injected (wrong@*); calibrate again",
		"cuda:APEXX_INJECT": "it was found with faults injected (wrong@*); calibrate again"} {
		key := plain.Key
		key.Variables = map[string]string{name: "wrong@*"}
		f := New(key, plain.Ranges)
		if f.Cache == plain.Cache || f.Content == plain.Content {
			t.Errorf("%s: the same digests as without", name)
		}
		if err := f.Check(plain.Key.Source); (want == "") != (err == nil) || err != nil && err.Error() != want {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}

// TestFits: a graph that needs a range that there is not.
func TestFits(t *testing.T) {
	b := graph.NewBuilder("g")
	x := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{2, 2}})
	b.Output("last", b.Add1("last", graph.Gemm{}, x, b.Const("weight", tensor.New(tensor.Float32, 2, 2))))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ranges map[string]float32
		wide   []string
		want   string
	}{
		{map[string]float32{"image": 1}, nil, ""},
		{nil, []string{"last"}, ""},
		{map[string]float32{"images": 1}, nil, `it has no range of the value "image"; calibrate again`},
	} {
		if err := New(Key{Source: Source{Wide: c.wide}}, c.ranges).Fits(g); (err == nil) != (c.want == "") || err != nil && err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c, err, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	text := written(f, sampleFile())
	f.Add([]byte(text))
	f.Add([]byte("{}"))
	f.Add([]byte(`{"schema":"` + SchemaID + `","ranges":{"a":1e39}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		file, err := Parse(text)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n") {
				t.Errorf("an error of several lines: %q", err)
			}
			return
		}
		again, err := Parse([]byte(written(t, file)))
		if err != nil || written(t, again) != written(t, file) {
			t.Errorf("what was read is not read again: %v", err)
		}
	})
}
