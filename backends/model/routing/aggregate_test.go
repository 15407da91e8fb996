package routing

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// wave is X(shape; s) of model spec 7.
func wave(s float64, shape ...int) Array[float32] {
	a := NewArray[float32](shape...)
	for i := range a.Data {
		a.Data[i] = float32(math.Sin(0.013*float64(i)+s) + 0.5*math.Cos(0.71*float64(i)))
	}
	return a
}

func sums(v []float32) (sum, abs float64) {
	for _, x := range v {
		sum += float64(x)
		abs += math.Abs(float64(x))
	}
	return sum, abs
}

func TestAggregatePV(t *testing.T) {
	m := Array[float32]{Data: []float32{0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23, 30, 31, 32, 33}, Shape: []int{1, 1, 4, 4}}
	r := must(AggregatePV(map[string]Array[float32]{"u_hat": m}, 8, 8, 4, DefaultStats()))(t)
	if got := r.Vectors.Data; !slices.Equal(got[:3], []float32{5.5, 11, 25.25}) || !slices.Equal(got[9:], []float32{27.5, 33, 25.25}) {
		t.Errorf("vectors %v", got)
	}
	if want := []string{"u_hat:mean:c0", "u_hat:max:c0", "u_hat:var:c0"}; !slices.Equal(r.Layout, want) {
		t.Errorf("layout %v, want %v", r.Layout, want)
	}
	nan := Array[float32]{Data: slices.Clone(m.Data), Shape: m.Shape}
	nan.Data[5] = float32(math.NaN())
	r = must(AggregatePV(map[string]Array[float32]{"m": nan}, 8, 8, 4, []Stat{StatMax}))(t)
	if v := r.Vectors.Data; v[0] == v[0] || v[1] != 13 {
		t.Errorf("maxima with a NaN in tile 0: %v", v)
	}
}

// The reference values G3 of model spec 7.
func TestAggregatePVReference(t *testing.T) {
	r := must(AggregatePV(map[string]Array[float32]{"b": wave(0, 1, 2, 5, 7), "a": wave(1, 1, 1, 5, 7)}, 8, 12, 4, DefaultStats()))(t)
	if !slices.Equal(r.Vectors.Shape, []int{1, 6, 9}) || strings.Join(r.Layout, " ") != "a:mean:c0 a:max:c0 a:var:c0 b:mean:c0 b:mean:c1 b:max:c0 b:max:c1 b:var:c0 b:var:c1" {
		t.Errorf("shape %v, layout %v", r.Vectors.Shape, r.Layout)
	}
	sum, _ := sums(r.Vectors.Data)
	near(t, "sum", sum, 32.13864, 1e-6)
	near(t, "last", float64(r.Vectors.Data[53]), .07740107, 1e-6)
	for i, want := range []float64{1.064317, 1.39594, .0795229, .277336, .662357, .613884, 1.0336, .0694737, .0835615} {
		near(t, r.Layout[i], float64(r.Vectors.Data[i]), want, 1e-5)
	}
}

func TestAggregatePVErrors(t *testing.T) {
	good := filled(1, 1, 1, 4, 4)
	type named = map[string]Array[float32]
	for _, c := range []struct {
		maps  named
		stats []Stat
		tile  int
		sub   string
	}{
		{named{"a": good}, nil, 4, "must not be empty"}, {named{"a": good}, []Stat{7}, 4, "unsupported stat"}, {nil, DefaultStats(), 4, "must not be empty"},
		{named{"a": filled(1, 4, 4)}, DefaultStats(), 4, "rank-4"}, {named{"a": filled(1, 1, 1, 0, 4)}, DefaultStats(), 4, "must be > 0"},
		{named{"a": good, "b": filled(1, 2, 1, 4, 4)}, DefaultStats(), 4, "must match"}, {named{"a": good, "b": filled(1, 1, 1, 4, 5)}, DefaultStats(), 4, "must match"},
		{named{"a": good}, DefaultStats(), 3, "divisible"},
	} {
		_, err := AggregatePV(c.maps, 8, 8, c.tile, c.stats)
		wantErr(t, err, c.sub)
	}
	for i, name := range statNames {
		if s := must(ParseStat(name))(t); s != Stat(i) || s.String() != name {
			t.Errorf("%s parses as %v", name, s)
		}
	}
	_, err := ParseStat("median")
	wantErr(t, err, "unsupported stat")
}
