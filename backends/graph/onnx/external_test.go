package onnx

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// weighty is a graph with constants of every kind: two large ones, one of them float64 and one used twice, a large one of integers, and small ones.
func weighty(t testing.TB) *graph.Graph {
	b := graph.NewBuilder("weighty")
	x := b.Input("x", f32(3, 131))
	large, wide := ramp(3, 131), tensor.New(tensor.Float64, 300)
	for i := range tensor.Data[float64](wide) {
		tensor.Data[float64](wide)[i] = math.Sqrt(float64(i))
	}
	w := b.Const("large", large)
	y := b.Add1("sum", graph.Binary{Fn: graph.Add}, x, w)
	y = b.Add1("product", graph.Binary{Fn: graph.Mul}, y, w)
	y = b.Add1("small", graph.Binary{Fn: graph.Add}, y, b.Const("bias", ramp(131)))
	b.Output("y", y)
	b.Output("z", b.Add1("wider", graph.Unary{Fn: graph.Identity}, b.Const("wide", wide)))
	indices := tensor.New(tensor.Int64, 400)
	b.Output("g", b.Add1("gather", graph.Gather{Axis: 0}, b.Const("table", ramp(7)), b.Const("indices", indices)))
	return build(t, b)
}

func written(t testing.TB, g *graph.Graph) (model, weights []byte, places Places) {
	t.Helper()
	var w bytes.Buffer
	places, err := WriteWeights(&w, g)
	if err != nil {
		t.Fatal(err)
	}
	model, err = Marshal(g, WriteOptions{Form: Plain, External: places})
	if err != nil {
		t.Fatal(err)
	}
	return model, w.Bytes(), places
}

// TestExternalWeights gives a graph back whose large constants are views of the file of weights, each at a multiple of 64 bytes; what is
// written of it again has the same bytes.
func TestExternalWeights(t *testing.T) {
	g := weighty(t)
	model, weights, places := written(t, g)
	if len(places) != 2 || len(weights) != 1600+2400 || bytes.Contains(model, weights[:1000]) {
		t.Errorf("%d constants in %d bytes of weights", len(places), len(weights))
	}
	back, found, err := ReadExternal(model, weights)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := describeGraph(back), describeGraph(g); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	views := 0
	for _, v := range back.Constants() {
		offset, there := found[v.Const]
		if !there {
			continue
		}
		views++
		if offset%weightsAlignment != 0 {
			t.Errorf("%s lies at %d", v.Name, offset)
		}
		weights[offset+3] ^= 1 // a bit of the first element's exponent, or of the mantissa
		if v.Name == "large" && tensor.Data[float32](v.Const)[0] == tensor.Data[float32](g.Constants()[0].Const)[0] {
			t.Errorf("%s is a copy", v.Name)
		}
		weights[offset+3] ^= 1
	}
	if views != 2 {
		t.Errorf("%d constants are views, want 2", views)
	}
	again, err := Marshal(back, WriteOptions{Form: Plain, External: found})
	if err != nil || !bytes.Equal(again, model) {
		t.Errorf("written again it has other bytes (%v)", err)
	}
}

// TestExternalWeightsCopied has places at which the machine cannot view elements: they are copied.
func TestExternalWeightsCopied(t *testing.T) {
	g := weighty(t)
	model, weights, _ := written(t, g)
	crooked := append(make([]byte, 1, len(weights)+1), weights...)[1:]
	back, found, err := ReadExternal(model, crooked)
	if err != nil || len(found) != 0 || describeGraph(back) != describeGraph(g) {
		t.Errorf("%d views, %v", len(found), err)
	}
}

// TestExternalLies refuses places that the file of weights does not have, whatever they claim.
func TestExternalLies(t *testing.T) {
	model, weights, _ := written(t, weighty(t))
	edited := func(old, by string) []byte {
		t.Helper()
		if len(old) != len(by) || !bytes.Contains(model, []byte(old)) {
			t.Fatalf("%q does not become %q", old, by)
		}
		return bytes.Replace(model, []byte(old), []byte(by), 1)
	}
	for name, c := range map[string]struct {
		model, weights []byte
		want           string
	}{
		"no weights":        {model, nil, `constant "large": its data are 1572 bytes at 0 of a file of 0, want 1572 bytes`},
		"cut":               {model, weights[:3999], `constant "wide": its data are 2400 bytes at 1600 of a file of 3999`},
		"beyond":            {edited("1600", "1664"), weights, "2400 bytes at 1664 of a file of 4000"},
		"no number":         {edited("1600", "-600"), weights, `offset of external data is "-600", want a number of bytes`},
		"octal":             {edited("1600", "0x64"), weights, `offset of external data is "0x64"`},
		"another length":    {edited("2400", "2392"), weights, "its data are 2392 bytes"},
		"another file":      {edited("weights", "WEIGHTS"), weights, `its data are in the file "WEIGHTS", want weights`},
		"another folder":    {edited("weights", "../wxyz"), weights, `its data are in the file "../wxyz"`},
		"read without them": {nil, nil, `its data are in an external file, "weights", which is not supported`},
	} {
		_, _, err := ReadExternal(c.model, c.weights)
		if c.model == nil {
			_, err = Read(model)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

// FuzzReadExternal reads any model with any weights: what is accepted can be read through.
func FuzzReadExternal(f *testing.F) {
	model, weights, _ := written(f, weighty(f))
	f.Add(model, weights)
	f.Add(model, weights[:100])
	f.Add(bytes.Replace(model, []byte("1600"), []byte("9999"), 1), weights)
	f.Fuzz(func(t *testing.T, model, weights []byte) {
		g, places, err := ReadExternal(model, weights)
		if err != nil {
			return
		}
		for _, v := range g.Constants() {
			_ = v.Const.Float64s()
		}
		for c, offset := range places {
			if offset < 0 || offset+int64(rawSize(c)) > int64(len(weights)) {
				t.Fatalf("%v lies at %d of %d", c, offset, len(weights))
			}
		}
	})
}
