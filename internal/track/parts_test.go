package track

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// TestCosts holds the values of spec/train-eval.md 14.3.
func TestCosts(t *testing.T) {
	o := DefaultOptions()
	o.IoUGate, o.DistanceGate, o.IoUWeight, o.EmbeddingWeight, o.Buffer = 0.15, 0.4, 0.4, 0.6, 0
	tracks := []*state{}
	for _, d := range []Detection{at(0), at(20).looking(0, 1)} {
		s := &state{motion: newMotion(d.Box), bank: bank{size: 8}}
		s.bank.add(unit(d.Embedding))
		tracks = append(tracks, s)
	}
	detections := []Detection{at(16).looking(.02, .98), at(4).looking(.98, .02)}
	want := []float64{math.Inf(1), 0.228696, 0.228696, math.Inf(1)}
	for i, c := range costs(o, tracks, detections) {
		if c != want[i] && !(math.Abs(c-want[i]) < 1e-6) {
			t.Errorf("cost %d is %g, want %g", i, c, want[i])
		}
	}
	pairs, err := associate(o, tracks, detections)
	if want := []pair{{0, 1}, {1, 0}}; err != nil || !reflect.DeepEqual(pairs, want) {
		t.Errorf("pairs %v, %v; want %v", pairs, err, want)
	}
	o.ScoreWeight = 0.5
	if c := costs(o, tracks, detections)[1]; math.Abs(c-0.278696) > 1e-6 {
		t.Errorf("with the score's weight: %g", c)
	}
}

func TestGatesAreInclusive(t *testing.T) {
	o := DefaultOptions()
	o.Buffer, o.DistanceGate = 0, 1
	s := &state{motion: newMotion(Box{0, 0, 10, 10}), bank: bank{size: 1}}
	s.bank.add([]float64{1, 0})
	d := []Detection{at(5).looking(0, 1)} // overlap a third, distance 1
	o.IoUGate = iou(Box{0, 0, 10, 10}, d[0].Box)
	if c := costs(o, []*state{s}, d)[0]; math.IsInf(c, 1) {
		t.Error("a pair at both gates is forbidden")
	}
	o.IoUGate += 1e-9
	if c := costs(o, []*state{s}, d)[0]; !math.IsInf(c, 1) {
		t.Error("a pair below the overlap is possible")
	}
	o.IoUGate, o.DistanceGate = -1, 1-1e-9
	if c := costs(o, []*state{s}, d)[0]; !math.IsInf(c, 1) {
		t.Error("a pair beyond the distance is possible")
	}
}

func TestGreedyAndHungarianDiffer(t *testing.T) {
	inf := math.Inf(1)
	for _, c := range []struct {
		cost              []float64 // 2×2
		greedy, hungarian []pair
	}{
		{[]float64{.1, .2, .2, .9}, []pair{{0, 0}, {1, 1}}, []pair{{0, 1}, {1, 0}}},
		{[]float64{.1, .9, .8, inf}, []pair{{0, 0}}, []pair{{0, 1}, {1, 0}}}, // two pairs before one, whatever they cost
		{[]float64{inf, .9, inf, .8}, []pair{{1, 1}}, []pair{{1, 1}}},
		{[]float64{.5, .5, .5, .5}, []pair{{0, 0}, {1, 1}}, []pair{{0, 0}, {1, 1}}},
		{[]float64{inf, inf, inf, inf}, nil, nil},
	} {
		h, err := hungarian(c.cost, 2, 2)
		if g := greedy(c.cost, 2); err != nil || !reflect.DeepEqual(g, c.greedy) || !reflect.DeepEqual(h, c.hungarian) {
			t.Errorf("%v: greedy %v, hungarian %v, %v", c.cost, g, h, err)
		}
	}
}

// TestHungarianIsLexicographic compares with every choice of pairs: most pairs first, least cost second.
func TestHungarianIsLexicographic(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for range 400 {
		rows, cols := 1+r.IntN(5), 1+r.IntN(5)
		cost := make([]float64, rows*cols)
		for i := range cost {
			if cost[i] = float64(r.IntN(8)); r.IntN(2) == 0 {
				cost[i] = math.Inf(1)
			}
		}
		pairs, err := hungarian(cost, rows, cols)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for _, p := range pairs {
			sum += cost[p.track*cols+p.detection]
		}
		if n, least := mostThenLeast(cost, cols, 0, 0); len(pairs) != n || sum != least {
			t.Fatalf("%d×%d %v: %v costs %g, want %d pairs for %g", rows, cols, cost, pairs, sum, n, least)
		}
	}
}

func mostThenLeast(cost []float64, cols, row int, taken uint) (n int, sum float64) {
	if row*cols == len(cost) {
		return 0, 0
	}
	n, sum = mostThenLeast(cost, cols, row+1, taken)
	for j := range cols {
		if c := cost[row*cols+j]; taken>>j&1 == 0 && !math.IsInf(c, 1) {
			m, s := mostThenLeast(cost, cols, row+1, taken|1<<j)
			if m, s = m+1, s+c; m > n || m == n && s < sum {
				n, sum = m, s
			}
		}
	}
	return n, sum
}

func TestBankKeepsTheNewest(t *testing.T) {
	b := bank{size: 2}
	for i := range 5 {
		b.add([]float64{float64(i)})
	}
	if got := slices.Concat(b.rows...); !slices.Equal(got, []float64{4, 3}) { // rows 0, 1, 0, 1, 0 were written
		t.Errorf("rows %v", got)
	}
	b = bank{size: 3}
	b.add([]float64{1, 0})
	b.add([]float64{0, 1})
	if got := b.reference(); math.Abs(got[0]-math.Sqrt2/2) > 1e-15 || got[0] != got[1] {
		t.Errorf("reference %v", got)
	}
	if got := unit([]float32{0, 0}); got[0] != 0 || got[1] != 0 {
		t.Errorf("the unit of nothing is %v", got)
	}
}

// TestAxisIsAKalmanFilter compares the closed form with the filter in matrices (Kalman 1960).
func TestAxisIsAKalmanFilter(t *testing.T) {
	const side = 40
	a := newAxis(7, side)
	x := mat.NewVecDense(2, []float64{7, 0})
	p := mat.NewDense(2, 2, []float64{a.pp, 0, 0, a.vv})
	f := mat.NewDense(2, 2, []float64{1, 1, 0, 1})
	q := mat.NewDense(2, 2, []float64{square(positionNoise * side), 0, 0, square(velocityNoise * side)})
	r := rand.New(rand.NewPCG(11, 12))
	for step := range 50 {
		a.predict(side)
		var fp mat.Dense
		x.MulVec(f, mat.VecDenseCopyOf(x))
		fp.Mul(f, p)
		p.Mul(&fp, f.T())
		p.Add(p, q)
		if step%7 != 3 { // sometimes unseen
			z, noise := 7+2*float64(step)+r.NormFloat64(), 4.0
			a.correct(z, noise)
			s := p.At(0, 0) + noise
			gain := mat.NewVecDense(2, []float64{p.At(0, 0) / s, p.At(1, 0) / s})
			x.AddScaledVec(mat.VecDenseCopyOf(x), z-x.AtVec(0), gain)
			var kh, khp mat.Dense
			kh.Mul(gain, mat.NewDense(1, 2, []float64{1, 0}))
			khp.Mul(&kh, p)
			p.Sub(p, &khp)
		}
		got := []float64{a.position, a.velocity, a.pp, a.pv, a.vv}
		want := []float64{x.AtVec(0), x.AtVec(1), p.At(0, 0), p.At(0, 1), p.At(1, 1)}
		for i := range got {
			if math.Abs(got[i]-want[i]) > 1e-9*max(1, math.Abs(want[i])) {
				t.Fatalf("step %d: %v, want %v", step, got, want)
			}
		}
	}
	if math.Abs(a.velocity-2) > 0.2 {
		t.Errorf("velocity %g after 50 steps of 2", a.velocity)
	}
}

// TestSizeStaysUnseen lets an object shrink, as one does that disappears behind another, and predicts on.
func TestSizeStaysUnseen(t *testing.T) {
	m := newMotion(Box{0, 0, 40, 40})
	for i := range 10 {
		m.predict()
		m.correct(Box{0, 0, 40 - float64(i), 40})
	}
	before := m.box()
	for range 30 {
		m.predict()
	}
	if after := m.box(); math.Abs(after.width()-before.width()) > 1e-9 || math.Abs(after.height()-40) > 1e-9 {
		t.Errorf("a box of %g×%g is one of %g×%g after 30 frames", before.width(), before.height(), after.width(), after.height())
	}
}
