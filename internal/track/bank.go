package track

import "math"

// normFloor is the least norm by which an embedding is divided.
const normFloor = 1e-6

// unit returns v at length 1, in float64.
func unit[T float32 | float64](v []T) []float64 {
	out, sum := make([]float64, len(v)), 0.0
	for i, e := range v {
		out[i] = float64(e)
		sum += float64(out[i] * out[i])
	}
	norm := max(math.Sqrt(sum), normFloor)
	for i := range out {
		out[i] /= norm
	}
	return out
}

// distance is the cosine distance of two unit vectors, in [0, 2].
func distance(a, b []float64) float64 {
	cos := 0.0
	for i := range a {
		cos += float64(a[i] * b[i])
	}
	return 1 - min(max(cos, -1), 1)
}

// bank remembers the last embeddings of a track, each of length 1.
type bank struct {
	rows [][]float64
	size int // most rows
	next int // row that is written next: the oldest once all are there
}

func (b *bank) add(embedding []float64) {
	if len(b.rows) < b.size {
		b.rows = append(b.rows, embedding)
	} else {
		b.rows[b.next] = embedding
	}
	b.next = (b.next + 1) % b.size
}

// reference is the mean of the rows at length 1.
func (b *bank) reference() []float64 {
	sum := make([]float64, len(b.rows[0]))
	for _, row := range b.rows {
		for i, v := range row {
			sum[i] += v
		}
	}
	return unit(sum)
}
