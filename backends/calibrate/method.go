package calibrate

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Method chooses a range from a histogram.
type Method struct {
	Name       string  // entropy, percentile or max
	Percentile float64 // of percentile, in (0, 100]
}

// The methods without a parameter.
var (
	Entropy = Method{Name: "entropy"}
	Max     = Method{Name: "max"}
)

const percentile = "percentile"

// ParseMethod reads entropy, max or percentile:P.
func ParseMethod(text string) (Method, error) {
	name, number, parametrised := strings.Cut(text, ":")
	switch {
	case !parametrised && (name == Entropy.Name || name == Max.Name):
		return Method{Name: name}, nil
	case parametrised && name == percentile:
		if p, err := strconv.ParseFloat(number, 64); err == nil && p > 0 && p <= 100 {
			return Method{percentile, p}, nil
		}
	}
	return Method{}, fmt.Errorf("unknown method %q (want entropy, max or percentile:P with P above 0 and up to 100, such as percentile:99.99; or tensorrt:entropy or tensorrt:max, TensorRT's own)", text)
}

// String is what ParseMethod reads.
func (m Method) String() string {
	if m.Name == percentile {
		return percentile + ":" + strconv.FormatFloat(m.Percentile, 'g', -1, 64)
	}
	return m.Name
}

// Range returns the magnitude up to which a value is represented; 0 for nothing but zeros.
func (m Method) Range(h *Histogram) float32 {
	switch m.Name {
	case Entropy.Name:
		return h.entropy()
	case percentile:
		return h.percentile(m.Percentile)
	}
	return h.largest
}

// percentile returns the upper edge of the first bin up to which at least p percent of all elements lie.
func (h *Histogram) percentile(p float64) float32 {
	want := p / 100 * float64(h.total)
	below := h.zeros
	if float64(below) >= want {
		return h.edge(min(1, len(h.used())))
	}
	for i, n := range h.used() {
		if below += n; float64(below) >= want {
			return h.edge(i + 1)
		}
	}
	return h.largest
}

// levels are the magnitudes that int8 tells apart.
const levels = 128

// entropy returns the range that loses the least information, as TensorRT's calibrator chooses it (S. Migacz, 8-bit Inference with
// TensorRT, GTC 2017): over all numbers i of bins from levels on, the least Kullback-Leibler divergence
//
//	D(P‖Q) = Σ p·ln(p/q)
//
// of the distribution P of the first i bins, the last of which has what saturates too, from the distribution Q that is left when
// these bins, without what saturates, are quantised to 128 levels: a level's count is spread evenly over those of its bins that are not
// empty. Equal divergences are decided for the larger range.
//
// With running sums of the counts n, of those of n·ln n, and of the bins that are not empty, a number i takes 128 steps:
// Σ p·ln q = Σ over levels P(level)·ln(n(level) / bins(level) / n(all of Q)).
func (h *Histogram) entropy() float32 {
	bins := h.used()
	if len(bins) <= levels {
		return h.largest
	}
	s := newSums(bins)
	best, at := math.Inf(1), len(bins)
	for i := levels; i <= len(bins); i++ {
		if d := s.divergence(i); d <= best {
			best, at = d, i
		}
	}
	return h.edge(at)
}

// sums are running sums over bins: element i is that of the first i.
type sums struct{ count, logs, filled []float64 }

func newSums(bins []uint64) sums {
	n := len(bins) + 1
	s := sums{make([]float64, n), make([]float64, n), make([]float64, n)}
	for i, c := range bins {
		v := float64(c)
		s.count[i+1], s.logs[i+1], s.filled[i+1] = s.count[i]+v, s.logs[i]+entropyTerm(v), s.filled[i]
		if c > 0 {
			s.filled[i+1]++
		}
	}
	return s
}

// entropyTerm is n·ln n, 0 for 0.
func entropyTerm(n float64) float64 {
	if n == 0 {
		return 0
	}
	return n * math.Log(n)
}

// divergence returns D(P‖Q) for the first i bins.
func (s sums) divergence(i int) float64 {
	all := s.count[len(s.count)-1]
	beyond, last := all-s.count[i], s.count[i]-s.count[i-1]
	if last == 0 && beyond > 0 {
		return math.Inf(1) // Q has nothing where P has what saturates
	}
	d := s.logs[i-1] + entropyTerm(last+beyond) - all*math.Log(all)
	for k := range levels {
		from, to := k*i/levels, (k+1)*i/levels
		n, filled := s.count[to]-s.count[from], s.filled[to]-s.filled[from]
		if n == 0 {
			continue
		}
		p := n
		if k == levels-1 {
			p += beyond
		}
		d -= p * math.Log(n/filled/s.count[i])
	}
	return d / all
}
