package cuda

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
)

const (
	reduceAxes    = 6
	reduceThreads = 128
)

// axes are positions in memory, the innermost axis first, as the kernels take them.
type axes struct{ size, stride [reduceAxes]int64 }

type reduceArgs struct {
	x, y                  Address
	outputs, terms        int64
	kept, reduced         axes
	keptAxes, reducedAxes int32
	squares, _            int32
}

func lowerReduce(_ *compiler, s *step) error {
	op, x, y := s.Node.Op.(graph.Reduce), s.Node.In[0], s.Node.Out[0]
	args, err := newReduction(op, x.Shape)
	if err != nil {
		return err
	}
	s.launches = func(m *memory) []Launch {
		args.x, args.y = m.at(x), m.at(y)
		if args.reduced.stride[0] == 1 && args.terms >= reduceThreads/4 {
			return []Launch{launch("reduce_block", [3]int{y.Len(), 1, 1}, reduceThreads, args)}
		}
		return []Launch{linear("reduce_thread", y.Len(), reduceThreads, args)}
	}
	return nil
}

// newReduction sorts the axes of a shape into kept and reduced ones. Neighbours of a kind are one axis.
func newReduction(op graph.Reduce, shape []int) (reduceArgs, error) {
	args := reduceArgs{outputs: 1, terms: 1, squares: flag(op.Fn == graph.ReduceL2)}
	step, previous := int64(1), false
	for d := len(shape) - 1; d >= 0; d-- {
		size, reduced := int64(shape[d]), slices.Contains(op.Axes, d)
		list, count, total := &args.kept, &args.keptAxes, &args.outputs
		if reduced {
			list, count, total = &args.reduced, &args.reducedAxes, &args.terms
		}
		*total *= size
		switch {
		case *count > 0 && reduced == previous:
			list.size[*count-1] *= size
		case *count == reduceAxes:
			return args, fmt.Errorf("axes %v of %v are too many pieces", op.Axes, shape)
		default:
			list.size[*count], list.stride[*count] = size, step
			*count++
		}
		step, previous = step*size, reduced
	}
	return args, nil
}
