package kernel

import (
	"fmt"
	"math"
)

// statBlock is the number of consecutive pixels of one channel that are summed together. It is fixed, so that sums do not depend on
// threads or vector width; it is also the number of pixels of a convolution task.
const statBlock = 256

// Stats holds the moments that group normalisation needs of a tensor [batch, channels, spatial]: for each channel and each block of
// 256 pixels its mean and its sum of squared differences from that mean, in float64. Finish merges them in a fixed order.
type Stats struct {
	batch, groups, channels, spatial, blocks int

	mean, m2        []float64 // [batch, channels, blocks]
	gmean, ginv     []float64 // [batch, groups]
	groupC, lastLen int
}

// NewStats returns the statistics of a tensor [batch, channels, spatial] whose channels form equal groups of consecutive channels. It
// panics if groups does not divide channels.
func NewStats(batch, groups, channels, spatial int) *Stats {
	if groups <= 0 || channels%groups != 0 {
		panic(fmt.Sprintf("kernel: %d channels do not form %d equal groups", channels, groups))
	}
	blocks := (spatial + statBlock - 1) / statBlock
	n := batch * channels * blocks
	return &Stats{
		batch: batch, groups: groups, channels: channels, spatial: spatial, blocks: blocks,
		mean: make([]float64, n), m2: make([]float64, n),
		gmean: make([]float64, batch*groups), ginv: make([]float64, batch*groups),
		groupC: channels / groups, lastLen: spatial - (blocks-1)*statBlock,
	}
}

// Bytes returns the size of the moments.
func (st *Stats) Bytes() int { return 8 * 2 * (len(st.mean) + len(st.gmean)) }

// Mean returns the mean of each group, [batch·groups]. It is valid after Finish.
func (st *Stats) Mean() []float64 { return st.gmean }

// InvStd returns 1/sqrt(variance + eps) of each group, [batch·groups]. It is valid after Finish.
func (st *Stats) InvStd() []float64 { return st.ginv }

// Finish computes the mean and 1/sqrt(variance + eps) of each group from the moments of its blocks. The variance is that of the
// population. With n_i, mean_i and m2_i those of block i, mean = Σ n_i·mean_i / n and variance = Σ (m2_i + n_i·(mean_i - mean)²) / n
// (Chan, Golub and LeVeque, "Algorithms for computing the sample variance", 1983), which does not cancel when |mean| is large.
func (st *Stats) Finish(eps float64) {
	per := st.groupC * st.blocks
	n := float64(st.groupC * st.spatial)
	for g := range st.gmean {
		means, m2s := st.mean[g*per:(g+1)*per], st.m2[g*per:(g+1)*per]
		sum := 0.0
		for i := range means {
			sum += st.weight(i) * means[i]
		}
		mean := sum / n
		m2 := 0.0
		for i := range means {
			d := means[i] - mean
			m2 += m2s[i] + st.weight(i)*d*d
		}
		st.gmean[g], st.ginv[g] = mean, 1/math.Sqrt(m2/n+eps)
	}
}

// weight returns the number of pixels of the i-th block of a group.
func (st *Stats) weight(i int) float64 {
	if (i+1)%st.blocks == 0 {
		return float64(st.lastLen)
	}
	return statBlock
}

// record computes the moments of block blk of channel c of sample b from its pixels.
func record[T Float](st *Stats, b, c, blk int, pixels []T) {
	i := (b*st.channels+c)*st.blocks + blk
	st.mean[i], st.m2[i] = moments(pixels)
}

// moments returns the mean of x and Σ(x - mean)².
func moments[T Float](x []T) (mean, m2 float64) {
	if mean, m2, ok := momentsVector(x); ok {
		return mean, m2
	}
	return moments64(x)
}

// moments64 computes moments in two passes, each with four partial sums, so that an addition need not wait for the one before.
func moments64[T Float](x []T) (mean, m2 float64) {
	var s [4]float64
	i := 0
	for ; i+4 <= len(x); i += 4 {
		v := x[i : i+4]
		s[0] += float64(v[0])
		s[1] += float64(v[1])
		s[2] += float64(v[2])
		s[3] += float64(v[3])
	}
	for _, v := range x[i:] {
		s[0] += float64(v)
	}
	mean = (s[0] + s[1] + s[2] + s[3]) / float64(len(x))

	s, i = [4]float64{}, 0
	for ; i+4 <= len(x); i += 4 {
		v := x[i : i+4]
		s[0] += square(float64(v[0]) - mean)
		s[1] += square(float64(v[1]) - mean)
		s[2] += square(float64(v[2]) - mean)
		s[3] += square(float64(v[3]) - mean)
	}
	for _, v := range x[i:] {
		s[0] += square(float64(v) - mean)
	}
	return mean, s[0] + s[1] + s[2] + s[3]
}

// square is v², rounded, so that no architecture fuses it with an addition.
func square(v float64) float64 { return float64(v * v) }

// Moments computes the moments of x [batch, channels, spatial], for a tensor whose producer did not.
func Moments[T Float](p *Pool, x []T, st *Stats) {
	j := momentsJob[T]{x: x, st: st, planes: planesPerTask(st.spatial)}
	run(p, ceilDiv(st.batch*st.channels, j.planes), j)
}

type momentsJob[T Float] struct {
	x      []T
	st     *Stats
	planes int
}

func (j *momentsJob[T]) do(_, i int) {
	st := j.st
	for plane := i * j.planes; plane < min((i+1)*j.planes, st.batch*st.channels); plane++ {
		px := j.x[plane*st.spatial : (plane+1)*st.spatial]
		for blk := range st.blocks {
			record(st, plane/st.channels, plane%st.channels, blk, px[blk*statBlock:min((blk+1)*statBlock, len(px))])
		}
	}
}

// taskLen is the number of elements that a task of an elementwise loop works on, small enough for two arrays to stay in the L2 cache.
const taskLen = 16384

// planesPerTask returns how many whole planes make a task of about taskLen elements.
func planesPerTask(spatial int) int { return max(1, taskLen/max(1, spatial)) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }
