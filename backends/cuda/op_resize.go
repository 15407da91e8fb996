package cuda

import (
	"math"

	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

type resizeArgs struct {
	x, y, rows, columns  Address
	n                    int64
	inH, inW, outH, outW int32
}

func lowerResize(_ *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	inH, inW, outH, outW := x.Shape[2], x.Shape[3], y.Shape[2], y.Shape[3]
	if inH == outH && inW == outW {
		y.ViewOf(x, 0) // every source coordinate is a cell centre
		return nil
	}
	rows, columns := s.samples(inH, outH), s.samples(inW, outW)
	s.launches = func(m *memory) []Launch {
		args := resizeArgs{m.at(x), m.at(y), m.at(rows), m.at(columns), int64(y.Len()), int32(inH), int32(inW), int32(outH), int32(outW)}
		return []Launch{linear("resize", y.Len(), elementThreads, args)}
	}
	return nil
}

// samples returns the table of an axis: for each output coordinate the two input coordinates and the weight of the second, whose source is
// max(0, (out+0.5)·inputs/outputs - 0.5).
func (s *step) samples(inputs, outputs int) *lower.Value {
	t := tensor.New(tensor.Int32, outputs, 3)
	d := tensor.Data[int32](t)
	for i := range outputs {
		at := max(0, (float64(i)+0.5)*float64(inputs)/float64(outputs)-0.5)
		lo := min(int(math.Floor(at)), inputs-1)
		d[3*i], d[3*i+1] = int32(lo), int32(min(lo+1, inputs-1))
		d[3*i+2] = int32(math.Float32bits(float32(at - float64(lo))))
	}
	return s.table(t)
}
