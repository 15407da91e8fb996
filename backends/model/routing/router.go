package routing

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// Router predicts one utility per tile from one signal per tile, in the same order. Learned routers need an input dimension
// of 1 for it; with richer inputs use their Forward.
type Router interface {
	PredictUtilities(signals []float64) ([]float64, error)
}

// IdentityRouter takes the signals for utilities.
type IdentityRouter struct{}

// PredictUtilities returns a copy of the signals.
func (IdentityRouter) PredictUtilities(signals []float64) ([]float64, error) {
	return append([]float64{}, signals...), nil
}

// Param is a parameter of a learned router, in the order in which initial values are drawn.
type Param struct {
	Name  string // as in weight files, relative to the router
	Shape []int
	Bound float64   // initial values are uniform in ±Bound; if 0, they are:
	Row   []float64 // element i starts as Row[i mod len(Row)]
}

// Size returns the number of elements.
func (p Param) Size() int {
	n := 1
	for _, s := range p.Shape {
		n *= s
	}
	return n
}

// ParamCount returns the number of elements of all parameters.
func ParamCount(params []Param) int {
	n := 0
	for _, p := range params {
		n += p.Size()
	}
	return n
}

// InitWeights draws initial values in the order of params; uniform returns numbers in [0,1).
func InitWeights[T Float](params []Param, uniform func() float64) map[string][]T {
	weights := make(map[string][]T, len(params))
	for _, p := range params {
		w := make([]T, p.Size())
		for i := range w {
			if p.Bound != 0 {
				w[i] = T(p.Bound * (2*uniform() - 1))
			} else {
				w[i] = T(p.Row[i%len(p.Row)])
			}
		}
		weights[p.Name] = w
	}
	return weights
}

// checkWeights requires exactly the parameters, each of its size.
func checkWeights[T Float](weights map[string][]T, params []Param) error {
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		w, ok := weights[p.Name]
		if !ok {
			return fmt.Errorf("parameter %s of shape %v is missing", p.Name, p.Shape)
		}
		if len(w) != p.Size() {
			return fmt.Errorf("parameter %s has %d values: want %d, shape %v", p.Name, len(w), p.Size(), p.Shape)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		if !known[name] {
			return fmt.Errorf("parameter %s is not one of this router", name)
		}
	}
	return nil
}

// RouterOutput holds [B,K] values per tile: utility U, split utility S, and temporal score T where the router has that head.
type RouterOutput[T Float] struct {
	U, S Array[T]
	T    *Array[T]
}

// linear is y = W*x + bias with W [out,in]; a nil bias is zero.
type linear[T Float] struct{ weight, bias []T }

// apply writes into y, whose length is the number of outputs.
func (l linear[T]) apply(y, x []T) {
	for o := range y {
		var sum T
		for i, v := range x {
			sum += T(l.weight[o*len(x)+i] * v)
		}
		if l.bias != nil {
			sum += l.bias[o]
		}
		y[o] = sum
	}
}

// heads are the output layers shared by the learned routers.
type heads[T Float] struct {
	u, s linear[T]
	t    *linear[T]
}

func newHeads[T Float](weights map[string][]T, temporal bool) heads[T] {
	h := heads[T]{u: linearOf(weights, "head_u"), s: linearOf(weights, "head_s")}
	if temporal {
		t := linearOf(weights, "head_t")
		h.t = &t
	}
	return h
}

func linearOf[T Float](weights map[string][]T, name string) linear[T] {
	return linear[T]{weights[name+".weight"], weights[name+".bias"]}
}

// headParams lists the parameters of the heads, of hidden inputs each.
func headParams(hidden int, temporal bool, weightBound, biasBound float64) []Param {
	names := []string{"head_u", "head_s"}
	if temporal {
		names = append(names, "head_t")
	}
	var params []Param
	for _, name := range names {
		params = append(params, Param{name + ".weight", []int{1, hidden}, weightBound, zeroRow}, Param{name + ".bias", []int{1}, biasBound, zeroRow})
	}
	return params
}

var zeroRow = []float64{0}

// forward runs encode on every tile of x [B,K,D] and the heads on its result, with outputs held in ±clip.
func (h heads[T]) forward(x Array[T], inputDim int, clip T, encode func(x []T) []T) (RouterOutput[T], error) {
	if err := x.check("router inputs", 3); err != nil {
		return RouterOutput[T]{}, err
	}
	if x.Shape[2] != inputDim {
		return RouterOutput[T]{}, fmt.Errorf("router inputs have shape %v: want a last axis of input_dim %d", x.Shape, inputDim)
	}
	batch, k := x.Shape[0], x.Shape[1]
	out := RouterOutput[T]{U: NewArray[T](batch, k), S: NewArray[T](batch, k)}
	if h.t != nil {
		t := NewArray[T](batch, k)
		out.T = &t
	}
	one := make([]T, 1)
	head := func(l linear[T], features []T) T {
		l.apply(one, features)
		return min(max(one[0], -clip), clip)
	}
	for i := range batch * k {
		features := encode(x.Data[i*inputDim : (i+1)*inputDim])
		out.U.Data[i], out.S.Data[i] = head(h.u, features), head(h.s, features)
		if h.t != nil {
			out.T.Data[i] = head(*h.t, features)
		}
	}
	return out, nil
}

// predict is PredictUtilities of a learned router.
func predict[T Float](signals []float64, inputDim int, forward func(Array[T]) (RouterOutput[T], error)) ([]float64, error) {
	if inputDim != 1 {
		return nil, fmt.Errorf("utilities from one signal per tile need a router with input_dim=1, this has %d: use Forward", inputDim)
	}
	x := NewArray[T](1, len(signals), 1)
	for i, v := range signals {
		x.Data[i] = T(v)
	}
	out, err := forward(x)
	if err != nil {
		return nil, err
	}
	utilities := make([]float64, len(signals))
	for i, u := range out.U.Data {
		utilities[i] = float64(u)
	}
	return utilities, nil
}

// inf is a clip that lets everything pass.
func inf[T Float]() T { return T(math.Inf(1)) }

// dimension returns v, or the default where v is 0, and rejects negative sizes.
func dimension(name string, v, byDefault int) (int, error) {
	if v == 0 {
		return byDefault, nil
	}
	if v < 0 || v > 1<<16 {
		return 0, fmt.Errorf("%s is %d: must be > 0 and at most %d", name, v, 1<<16)
	}
	return v, nil
}
