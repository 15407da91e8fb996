package kernel

import "math"

// Act is an activation that follows a normalisation.
type Act int

const (
	// None leaves the value as it is.
	None Act = iota
	// SiLU is v·sigmoid(v).
	SiLU
)

// GroupNormAct computes y = act((x - mean)·invstd·scale + shift), with the mean and inverse standard deviation of each group from st,
// whose Finish must have run, and scale and shift per channel. x and y are [batch, channels, spatial] as st has them and may be the
// same slice. SiLU is within 2.5 units in the last place in float32 and 4 in float64, where it is 0 below -708.
func GroupNormAct[T Float](p *Pool, x, y []T, st *Stats, scale, shift []T, act Act, isa ISA) {
	n := st.batch * st.channels
	j := normJob[T]{x: x[:n*st.spatial], y: y[:n*st.spatial], st: st, scale: scale, shift: shift, act: act, isa: supported(isa)}
	j.planes = planesPerTask(st.spatial)
	run(p, ceilDiv(n, j.planes), j)
}

type normJob[T Float] struct {
	x, y         []T
	st           *Stats
	scale, shift []T
	act          Act
	isa          ISA
	planes       int
}

func (j *normJob[T]) do(_, i int) {
	st := j.st
	for plane := i * j.planes; plane < min((i+1)*j.planes, st.batch*st.channels); plane++ {
		lo, hi := plane*st.spatial, (plane+1)*st.spatial
		a := normOf(st, j.scale, j.shift, plane/st.channels, plane%st.channels)
		affineAct(j.y[lo:hi], j.x[lo:hi], a, j.act, j.isa)
	}
}

// affine is v -> (v - mean)·gain + shift.
type affine[T Float] struct{ mean, gain, shift T }

func (a affine[T]) of(v T) T { return T((v-a.mean)*a.gain) + a.shift }

// normOf returns the normalisation of channel c of sample b.
func normOf[T Float](st *Stats, scale, shift []T, b, c int) affine[T] {
	g := b*st.groups + c/st.groupC
	return affine[T]{T(st.gmean[g]), T(st.ginv[g] * float64(scale[c])), shift[c]}
}

func affineActPortable[T Float](y, x []T, a affine[T], act Act) {
	y = y[:len(x)]
	switch act {
	case SiLU:
		for i, v := range x {
			y[i] = siluOf(a.of(v))
		}
	default:
		for i, v := range x {
			y[i] = a.of(v)
		}
	}
}

// GroupNormReGLU normalises x [batch, 2·C, spatial] with the statistics st of all its channels and scale and shift [2·C], and gates
// the first C channels a with the last C channels b: y = a·max(b, 0) + residual. y and residual are [batch, C, spatial] and may be the
// same slice; residual may be nil. x must not overlap y.
func GroupNormReGLU[T Float](p *Pool, x, residual, y []T, st *Stats, scale, shift []T, isa ISA) {
	n := st.batch * st.channels / 2
	j := regluJob[T]{x: x[:2*n*st.spatial], y: y[:n*st.spatial], st: st, scale: scale, shift: shift, isa: supported(isa)}
	if residual != nil {
		j.residual = residual[:n*st.spatial]
	}
	j.planes = planesPerTask(st.spatial)
	run(p, ceilDiv(n, j.planes), j)
}

type regluJob[T Float] struct {
	x, residual, y []T
	st             *Stats
	scale, shift   []T
	isa            ISA
	planes         int
}

func (j *regluJob[T]) do(_, i int) {
	st, half, n := j.st, j.st.channels/2, j.st.spatial
	for plane := i * j.planes; plane < min((i+1)*j.planes, st.batch*half); plane++ {
		b, c := plane/half, plane%half
		xa, xb := j.x[(b*st.channels+c)*n:][:n], j.x[(b*st.channels+half+c)*n:][:n]
		var r []T
		if j.residual != nil {
			r = j.residual[plane*n : (plane+1)*n]
		}
		na, nb := normOf(st, j.scale, j.shift, b, c), normOf(st, j.scale, j.shift, b, half+c)
		affineGate(j.y[plane*n:(plane+1)*n], xa, xb, r, na, nb, j.isa)
	}
}

func affineGatePortable[T Float](y, xa, xb, residual []T, na, nb affine[T]) {
	y, xb = y[:len(xa)], xb[:len(xa)]
	for i, v := range xa {
		g := na.of(v) * max(nb.of(xb[i]), 0)
		if residual != nil {
			g = T(g) + residual[i]
		}
		y[i] = g
	}
}

func siluOf[T Float](v T) T { return T(float64(v) * Logistic(float64(v))) }

// Logistic is the sigmoid 1/(1 + e^-v) of one number, arranged so that e^-|v| never overflows.
func Logistic(v float64) float64 {
	if v < 0 {
		e := math.Exp(v)
		return e / (1 + e)
	}
	return 1 / (1 + math.Exp(-v))
}
