package routing

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// referenceWeights is the weight fill of model spec 7.
func referenceWeights(params []Param) map[string][]float32 {
	weights := map[string][]float32{}
	for _, p := range params {
		code := 0
		for _, c := range p.Name {
			code += int(c)
		}
		offset := 0.0
		if len(p.Shape) == 1 && strings.HasSuffix(p.Name, "weight") {
			offset = 1
		}
		w := make([]float32, p.Size())
		for i := range w {
			w[i] = float32(offset + 0.3*math.Sin(0.37*float64(i)+0.11*float64(code)))
		}
		weights[p.Name] = w
	}
	return weights
}

type referenceRow struct{ sum, abs, first, last float64 }

func checkReference(t *testing.T, name string, out RouterOutput[float32], want [3]referenceRow) {
	t.Helper()
	for i, a := range []Array[float32]{out.U, out.S, *out.T} {
		sum, abs := sums(a.Data)
		if !slices.Equal(a.Shape, []int{2, 5}) {
			t.Errorf("%s: shape %v", name, a.Shape)
		}
		tol := 1e-5 * abs
		near(t, name+" sum", sum, want[i].sum, tol)
		near(t, name+" abs sum", abs, want[i].abs, tol)
		near(t, name+" first", float64(a.Data[0]), want[i].first, 1e-6)
		near(t, name+" last", float64(a.Data[len(a.Data)-1]), want[i].last, 1e-6)
	}
}

// The reference values G4 of model spec 7.
func TestRouterReference(t *testing.T) {
	x := wave(0, 2, 5, 12)
	mc := TinyMLPConfig{InputDim: 12, TemporalHead: true}
	mlp := must(NewTinyMLP(mc, referenceWeights(must(mc.Params())(t))))(t)
	checkReference(t, "TinyMLP", must(mlp.Forward(x))(t), [3]referenceRow{
		{-3.165809, 3.165809, -.3387538, -.2244488}, {-5.990946, 5.990946, -.6182876, -.5221126}, {-4.606217, 4.606217, -.4814305, -.3755505}})
	kc := KANConfig{InputDim: 12, TemporalHead: true}
	kan := must(NewKANLike(kc, referenceWeights(must(kc.Params())(t))))(t)
	checkReference(t, "KANLike", must(kan.Forward(x))(t), [3]referenceRow{
		{-2.214028, 2.258647, -.163819, -.02766079}, {-2.575138, 2.575138, -.1679835, -.09561116}, {-2.409143, 2.413093, -.16691, -.06201074}})
}

func TestTinyMLPByHand(t *testing.T) {
	c := TinyMLPConfig{HiddenDim: 2, NumLayers: 1}
	weights := map[string][]float32{"backbone.0.weight": {1, -2}, "backbone.0.bias": {.5, 1},
		"head_u.weight": {3, 4}, "head_u.bias": {-1}, "head_s.weight": {0, 0}, "head_s.bias": {7}}
	m := must(NewTinyMLP(c, weights))(t)
	if got := must(m.PredictUtilities([]float64{1.5, -1}))(t); !slices.Equal(got, []float64{5, 11}) {
		t.Errorf("utilities %v, want 5 and 11", got)
	}
	if got := must(m.PredictUtilities(nil))(t); len(got) != 0 {
		t.Errorf("no signals give %v", got)
	}
	out := must(m.Forward(filled(1, 1, 2, 1)))(t)
	if out.T != nil || out.S.Data[1] != 7 {
		t.Errorf("outputs %+v", out)
	}
}

func TestKANLikeByHand(t *testing.T) {
	c := KANConfig{InputDim: 2, HiddenDim: 2, NumKnots: 4}
	identity := []float64{1, 0, 0, 1}
	weights := map[string][]float64{"norm.weight": {1, 1}, "norm.bias": {0, 0}, "in_proj.weight": identity, "in_proj.bias": {0, 0},
		"spline.knot_y": {0, 1, 4, 2, -3, -1, 1, 3}, "out_proj.weight": identity, "head_u.weight": {1, 1}, "head_u.bias": {0},
		"head_s.weight": {1e6, 0}, "head_s.bias": {0}}
	k := must(NewKANLike(c, weights))(t)
	out := must(k.Forward(Array[float64]{Data: []float64{1, 3}, Shape: []int{1, 1, 2}}))(t)
	near(t, "U", out.U.Data[0], 2.0000025, 1e-9)
	if out.S.Data[0] != 20 {
		t.Errorf("S = %v, want the clip 20", out.S.Data[0])
	}
	nan, inf := math.NaN(), math.Inf(1)
	dirty := must(k.Forward(Array[float64]{Data: []float64{nan, inf, 0, 1e4}, Shape: []int{1, 2, 2}}))(t)
	if dirty.U.Data[0] != dirty.U.Data[1] {
		t.Errorf("NaN and infinity give %v, their stand-ins %v", dirty.U.Data[0], dirty.U.Data[1])
	}
}

// Huge finite inputs keep finite float32 outputs, and input_dim 1 is constant, as documented.
func TestKANLikeExtremes(t *testing.T) {
	c := KANConfig{InputDim: 2}
	k := must(NewKANLike(c, referenceWeights(must(c.Params())(t))))(t)
	out := must(k.Forward(Array[float32]{Data: []float32{1e30, -3e38}, Shape: []int{1, 1, 2}}))(t)
	if v := float64(out.U.Data[0]); !finite(v) || v == 0 {
		t.Errorf("U = %v", v)
	}
	c = KANConfig{}
	one := must(NewKANLike(c, referenceWeights(must(c.Params())(t))))(t)
	if u := must(one.PredictUtilities([]float64{-5, 0, 9}))(t); u[0] != u[1] || u[1] != u[2] {
		t.Errorf("utilities of one signal %v", u)
	}
	_, err := k.PredictUtilities([]float64{1})
	wantErr(t, err, "input_dim=1")
}

func TestSpline(t *testing.T) {
	s := must(NewSpline(1, 4, -3, 3, []float64{0, 1, 4, 2}))(t)
	for x, want := range map[float64]float64{-5: 0, -2: .5, 0: 2.5, .5: 3.25, 3: 2, 9: 2, math.Inf(1): 2, math.Inf(-1): 0} {
		v := []float64{x}
		if err := s.Apply(v); err != nil || v[0] != want {
			t.Errorf("spline(%v) = %v (%v), want %v", x, v[0], err, want)
		}
	}
	v := []float64{math.NaN()}
	if err := s.Apply(v); err != nil || v[0] != 2.5 {
		t.Errorf("spline(NaN) = %v (%v), want 2.5", v[0], err)
	}
	wantErr(t, s.Apply([]float64{1, 2}), "features")
	for _, c := range []struct {
		features, knots int
		lo, hi          float64
	}{{0, 4, 0, 1}, {1, 1, 0, 1}, {1, 4, 1, 1}, {1, 4, 0, math.NaN()}, {2, 4, 0, 1}} {
		if _, err := NewSpline(c.features, c.knots, c.lo, c.hi, make([]float64, 4)); err == nil {
			t.Errorf("spline %+v is no error", c)
		}
	}
}

func TestRouterParams(t *testing.T) {
	for _, c := range []struct {
		params []Param
		want   int
	}{
		{must(TinyMLPConfig{}.Params())(t), 1186}, {must(TinyMLPConfig{6, 16, 2, true}.Params())(t), 435},
		{must(KANConfig{InputDim: 24, TemporalHead: true}.Params())(t), 883}, {must(KANConfig{}.Params())(t), 452}, {must(KANConfig{HiddenDim: 8, NumKnots: 6}.Params())(t), 148},
	} {
		if got := ParamCount(c.params); got != c.want {
			t.Errorf("%d parameters, want %d", got, c.want)
		}
	}
	params := must(KANConfig{InputDim: 5}.Params())(t)
	weights := InitWeights[float32](params, rand.New(rand.NewPCG(1, 1)).Float64)
	for _, p := range params {
		for _, w := range weights[p.Name] {
			if p.Bound != 0 && math.Abs(float64(w)) > p.Bound {
				t.Errorf("%s starts at %v, beyond %v", p.Name, w, p.Bound)
			}
		}
	}
	near(t, "last knot", float64(weights["spline.knot_y"][7]), 3, 1e-7)
	near(t, "xavier bound", params[2].Bound, .5*math.Sqrt(6./21), 1e-15)
	if _, err := NewKANLike(KANConfig{InputDim: 5}, weights); err != nil {
		t.Error(err)
	}
}

func TestRouterErrors(t *testing.T) {
	c := TinyMLPConfig{InputDim: 2}
	weights := referenceWeights(must(c.Params())(t))
	m := must(NewTinyMLP(c, weights))(t)
	for _, x := range []Array[float32]{filled(0, 2, 2), filled(0, 1, 2, 3)} {
		if _, err := m.Forward(x); err == nil {
			t.Errorf("input of shape %v is no error", x.Shape)
		}
	}
	_, err := m.PredictUtilities(nil)
	wantErr(t, err, "input_dim=1")
	weights["extra"] = nil
	_, err = NewTinyMLP(c, weights)
	wantErr(t, err, "extra")
	delete(weights, "extra")
	weights["head_s.bias"] = []float32{1, 2}
	_, err = NewTinyMLP(c, weights)
	wantErr(t, err, "head_s.bias has 2 values")
	delete(weights, "head_s.bias")
	_, err = NewTinyMLP(c, weights)
	wantErr(t, err, "head_s.bias of shape [1] is missing")
	_, err = TinyMLPConfig{HiddenDim: -1}.Params()
	wantErr(t, err, "hidden_dim")
	_, err = KANConfig{NumKnots: 1}.Params()
	wantErr(t, err, "num_knots")
	_, err = NewKANLike(KANConfig{LogitClip: math.NaN()}, map[string][]float32{})
	wantErr(t, err, "logit_clip")
}

func TestIdentityRouter(t *testing.T) {
	in := []float64{1, 2}
	var r Router = IdentityRouter{}
	out := must(r.PredictUtilities(in))(t)
	if in[0] = 9; !slices.Equal(out, []float64{1, 2}) {
		t.Errorf("utilities %v", out)
	}
}
