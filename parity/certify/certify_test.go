package certify

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/goldenfile"
)

// twice is a model of two operators.
func twice(batch int) (*graph.Graph, error) {
	b := graph.NewBuilder("twice")
	x := b.Input("image", graph.Type{DType: tensor.Float32, Shape: []int{batch, 3, 4, 4}})
	b.Output("sum", b.Add1("sum", graph.Binary{Fn: graph.Add}, x, b.Add1("half", graph.Unary{Fn: graph.Sigmoid}, x)))
	return b.Build()
}

func image(seed uint64) *tensor.Tensor {
	r := rand.New(rand.NewPCG(seed, 1))
	t := tensor.New(tensor.Float32, 1, 3, 4, 4)
	for i := range tensor.Data[float32](t) {
		tensor.Data[float32](t)[i] = r.Float32()
	}
	return t
}

// faulty changes the bits of a session's outputs by what it saw before, how it was made, or how many samples it computes.
type faulty struct {
	backends.Backend
	wrong func(s *history, out []float32)
	made  int
}

// history is what a fault may depend on.
type history struct {
	session, runs, threads, batch int
	last                          float32 // of the input before
}

func (f *faulty) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	s, err := f.Backend.Compile(ctx, g, opts)
	f.made++
	return &faultySession{s, f, history{session: f.made, threads: opts.Threads, batch: g.Inputs[0].Shape[0]}}, err
}

type faultySession struct {
	backends.Session
	of *faulty
	history
}

func (s *faultySession) Upload(ctx context.Context, inputs tensor.List) error {
	defer func() { s.last = tensor.Data[float32](inputs[0].Tensor)[0] }()
	s.of.wrong(&s.history, nil)
	return s.Session.Upload(ctx, inputs)
}

func (s *faultySession) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	if err != nil {
		return nil, err
	}
	out = out.Clone()
	s.runs++
	s.of.wrong(&s.history, tensor.Data[float32](out[0].Tensor))
	return out, nil
}

// TestKinds finds a fault of each kind by the claims of that kind, and an honest backend has all of them.
func TestKinds(t *testing.T) {
	off := func(when bool, out []float32) {
		if when && out != nil {
			out[len(out)-1] += 1
		}
	}
	first := tensor.Data[float32](image(1))[0]
	for _, c := range []struct {
		name  string
		wrong func(h *history, out []float32)
		kinds []Kind
	}{
		{"honest", func(*history, []float32) {}, nil},
		{"from run to run", func(h *history, out []float32) { off(h.runs == 2, out) }, []Kind{Repeat, Beside, Position}},
		{"of the image before", func() func(h *history, out []float32) {
			stale := false
			return func(h *history, out []float32) {
				if out == nil {
					stale = h.last != 0 && h.last != first
					return
				}
				off(stale, out)
			}
		}(), []Kind{Stale}},
		{"from process to process", func(h *history, out []float32) { off(h.session == 2, out) }, []Kind{Process}},
		{"of threads", func(h *history, out []float32) { off(h.threads == 1, out) }, []Kind{Threads}},
		{"of the batch", func(h *history, out []float32) {
			if h.batch > 1 && out != nil {
				out[0] += 1
			}
		}, []Kind{Batch}},
	} {
		e, err := Take(t.Context(), Subject{Case: c.name, Backend: &faulty{Backend: reference.New(), wrong: c.wrong}, Options: backends.Options{Precision: backends.FP32, Threads: 2}, Build: twice, Image: image(1), Other: image(2)})
		if err != nil {
			t.Fatal(err)
		}
		var kinds []Kind
		for _, k := range Kinds {
			if slices.ContainsFunc(e.Claims, func(x Claim) bool { return x.Kind == k && !x.Same }) {
				kinds = append(kinds, k)
			}
			if !slices.ContainsFunc(e.Claims, func(x Claim) bool { return x.Kind == k }) {
				t.Errorf("%s: there is no claim of the kind %s", c.name, k)
			}
		}
		if c.name != "of the image before" && !slices.Equal(kinds, c.kinds) || c.name == "of the image before" && !slices.Contains(kinds, Stale) {
			t.Errorf("a fault %s shows in %v, want %v", c.name, kinds, c.kinds)
		}
	}
}

func some() *Certificate {
	d := strings.Repeat("0123456789abcdef", 4)
	other := strings.Repeat("f", 64)
	c := &Certificate{Schema: SchemaID, Config: d, Weights: d, Facts: []Fact{{"cpu", "one"}}, Entries: []Entry{
		{Case: "coffee", Input: d, Digest: d, Claims: []Claim{{Repeat, "run 2", d, true}, {Stale, "after another image", d, true}, {Process, "process 2", d, true}, {Beside, "run 1", d, true}, {Threads, "1 threads", other, false}, {Batch, "batch 2, position 0", d, true}}},
		{Case: "astronaut", Input: d, Digest: other, Claims: []Claim{{Repeat, "run 2", d, false}, {Stale, "after another image", other, true}, {Process, "process 2", other, true}, {Beside, "run 1", other, true}}},
	}}
	for i := range c.Entries {
		c.Entries[i].Column.Backend, c.Entries[i].Column.Precision = "ort", backends.FP32
	}
	c.Seal()
	return c
}

func TestText(t *testing.T) {
	var b strings.Builder
	c := some()
	if err := c.Text(&b); err != nil || c.Deterministic() {
		t.Error(err, c.Deterministic())
	}
	c.Entries = c.Entries[:1]
	b.WriteString("\n")
	if err := c.Text(&b); err != nil || !c.Deterministic() {
		t.Error(err, c.Deterministic())
	}
	goldenfile.Check(t, "certificate.txt", b.String())
}

func TestCompare(t *testing.T) {
	now := some()
	if list := Compare(some(), now); len(list) > 0 {
		t.Errorf("equal certificates differ: %v", list)
	}
	now.Entries[0].Claims[2].Same, now.Entries[0].Claims[0].Variant = false, "run 9"
	now.Entries[1].Digest, now.Weights = "00", "00"
	now.Entries[1].Input = ""
	text := strings.Join(Compare(some(), now), "\n") + "\n"
	now.Entries = now.Entries[1:]
	now.Entries[0].Input = some().Entries[1].Input
	text += strings.Join(Compare(some(), now), "\n") + "\n"
	less := some()
	less.Entries[0].Claims, less.Entries = less.Entries[0].Claims[:4], less.Entries[:1]
	goldenfile.Check(t, "compare.txt", text+strings.Join(Compare(less, some()), "\n")+"\n")
}

func TestRead(t *testing.T) {
	text, err := json.Marshal(some())
	if err != nil {
		t.Fatal(err)
	}
	if c, err := Read(strings.NewReader(string(text))); err != nil || len(Compare(some(), c)) > 0 {
		t.Errorf("%v", err)
	}
	if _, err := Read(strings.NewReader(string(text) + "{}")); err == nil {
		t.Error("something follows, and is passed over")
	}
	for name, change := range map[string][2]string{
		"another schema":              {`apexx.certificate/1`, `apexx.certificate/9`},
		"other facts":                 {`"value":"one"`, `"value":"two"`},
		"a kind of claim less":        {`"kind":"process"`, `"kind":"threads"`},
		"a claim twice":               {`"kind":"batch","variant":"batch 2, position 0"`, `"kind":"repeat","variant":"run 2"`},
		"a case twice":                {`"case":"astronaut"`, `"case":"coffee"`},
		"a claim that contradicts":    {`"same":true`, `"same":false`},
		"a kind that there is not":    {`"kind":"process"`, `"kind":"luck"`},
		"a key that there is not":     {`"modified"`, `"Modified2"`},
		"not JSON":                    {`{"schema"`, `["schema"`},
		"a column that there is not":  {`"column":"ort/fp32"`, `"column":"ort"`},
		"entries without their case,": {`"entries":[`, `"entries":[],"unknown":[`},
	} {
		if _, err := Read(strings.NewReader(strings.Replace(string(text), change[0], change[1], 1))); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}
