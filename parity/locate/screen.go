package locate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// At most screened steps are judged before all others: those that are farther apart than a share of the farthest. Honest steps are within that of
// each other, and far from a fault.
const (
	screened = 4
	outlying = 1.0 / 32
)

// screen judges the steps that stand out, and answers with the first of them that is beyond its budget: long before exact results and
// budgets of all steps are there. It needs two forward passes, one of each side, and some per cent of a third.
func (t *trace) screen() error {
	units := t.suspects()
	if len(units) == 0 {
		return nil
	}
	return t.pass("steps that stand out", func() error {
		exact, err := t.exactly(units)
		if err != nil {
			return err
		}
		values := byName(exact)
		for _, u := range units {
			bounds := t.exactInputs(u)
			if err := t.spread(u, values, bounds); err != nil {
				return err
			}
			if u.step.Skipped != "" {
				continue
			}
			if err := t.judgeUnit(u, bounds); err != nil {
				return err
			}
		}
		if at, by := t.first(); at >= 0 {
			t.First = Answer{Step: at, Time: time.Since(t.start)}
			if t.spec.OnFirst != nil {
				t.spec.OnFirst(&t.Steps[at], by)
			}
		}
		return nil
	})
}

// suspects lists the units whose sides are farthest apart, in units of what a step like it rounds, in their order.
func (t *trace) suspects() []*unitTrace {
	type suspect struct {
		at    int
		apart float64
	}
	var list []suspect
	for i, u := range t.units {
		s := suspect{at: i}
		for _, v := range u.Outputs {
			if got := t.got[v.Name]; sameType(got, v) == nil {
				s.apart = max(s.apart, apart(got, t.teacher[v], roundings(u)))
			}
		}
		if s.apart > 0 {
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b suspect) int { return cmp.Compare(b.apart, a.apart) })
	list = slices.DeleteFunc(list[:min(screened, len(list))], func(s suspect) bool { return s.apart < outlying*list[0].apart })
	slices.SortFunc(list, func(a, b suspect) int { return cmp.Compare(a.at, b.at) })
	units := make([]*unitTrace, len(list))
	for i, s := range list {
		units[i] = t.units[s.at]
	}
	return units
}

// roundings is how many of them make an element of a unit's values, roughly: the terms of its products.
func roundings(u *unitTrace) float64 {
	n := 1.0
	for _, node := range u.Nodes {
		n++
		if isProduct(node) {
			n += float64(budget.Terms(node))
		}
	}
	return n
}

// apart is the largest difference of two values over u·√n of the element and of the root mean square of all; infinite for integers,
// booleans and numbers that are not finite, where they differ.
func apart(a, b *tensor.Tensor, n float64) float64 {
	switch {
	case tensor.Identical(a, b):
		return 0
	case !a.DType().IsFloat():
		return math.Inf(1)
	case a.DType() == tensor.Float32 && b.DType() == tensor.Float32:
		return farthest(tensor.Data[float32](a), tensor.Data[float32](b)) / (budget.Unit * math.Sqrt(n))
	}
	return farthest(a.Float64s(), b.Float64s()) / (budget.Unit * math.Sqrt(n))
}

// farthest is the largest |x-y|/(|y| + rms y), infinite where only one of both is finite, or they are not and differ.
func farthest[T tensor.Float](x, y []T) (most float64) {
	var squares float64
	for _, v := range y {
		squares += float64(v) * float64(v)
	}
	size := math.Sqrt(squares / float64(max(len(y), 1)))
	for i, v := range x {
		if v == y[i] {
			continue
		}
		d := math.Abs(float64(v) - float64(y[i]))
		if !(d <= math.MaxFloat64) {
			return math.Inf(1)
		}
		most = max(most, d/(math.Abs(float64(y[i]))+size))
	}
	return most
}
