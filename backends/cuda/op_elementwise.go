package cuda

import (
	"fmt"
	"math"
	"slices"

	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/lower"
	"github.com/apex-x/apexx/backends/tensor"
)

const elementThreads = 256

type unaryArgs struct {
	x, y      Address
	n         int64
	function  int32
	low, high float32
	_         int32
}

// unaryFunctions lists the functions in the order of the kernel's enumeration.
var unaryFunctions = []string{"Sigmoid", "Relu", "Tanh", "Softplus", "Floor", "Clip", "SiLU"}

func lowerUnary(c *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	args := unaryArgs{n: int64(y.Len()), function: int32(slices.Index(unaryFunctions, s.Node.Op.OpType()))}
	if op, ok := s.Node.Op.(graph.Clip); ok {
		args.low, args.high = float32(op.Low), float32(op.High)
	}
	s.Allow(x)
	if err := c.lowerAside(s); err != nil {
		return err
	}
	s.launches = func(m *memory) []Launch {
		args.x, args.y = m.at(x), m.at(y)
		return []Launch{linear("unary", y.Len(), elementThreads, args)}
	}
	return nil
}

type isNaNArgs struct {
	x, y Address
	n    int64
}

func lowerIsNaN(_ *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	s.launches = func(m *memory) []Launch {
		return []Launch{linear("is_nan", y.Len(), elementThreads, isNaNArgs{m.at(x), m.at(y), int64(y.Len())})}
	}
	return nil
}

type roundArgs struct {
	x, y Address
	n    int64
	to   rounding
}

// rounding is to a format, as the kernels take it. The zero value rounds nothing.
type rounding struct {
	leastNormal, magnet, limit float32
	drop                       int32
}

// significand is the number of bits of a float32's precision.
const significand = 24

func newRounding(f graph.Format) (rounding, error) {
	l, err := f.Layout()
	if err != nil {
		return rounding{}, err
	}
	return rounding{
		leastNormal: float32(math.Ldexp(1, l.MinExponent)),
		magnet:      float32(math.Ldexp(1, significand-1+l.MinExponent-l.Significand+1)),
		limit:       float32(math.Ldexp(1, l.MaxExponent+1)), // infinite where the format has the range of float32
		drop:        int32(significand - l.Significand),
	}, nil
}

// roundingOf is that of a node, none where there is no node.
func roundingOf(round *lower.Node) rounding {
	if round == nil {
		return rounding{}
	}
	r, err := newRounding(round.Op.(graph.Round).To)
	if err != nil {
		panic(err) // the graph has been validated
	}
	return r
}

func lowerRound(_ *compiler, s *step) error {
	to, err := newRounding(s.Node.Op.(graph.Round).To)
	if err != nil {
		return err
	}
	x, y := s.Node.In[0], s.Node.Out[0]
	s.Allow(x)
	s.launches = func(m *memory) []Launch {
		return []Launch{linear("round_format", y.Len(), elementThreads, roundArgs{m.at(x), m.at(y), int64(y.Len()), to})}
	}
	return nil
}

type binaryArgs struct {
	x0, x1, y   Address
	nest        nest
	function, _ int32
}

var binaryFunctions = []graph.BinaryFn{graph.Add, graph.Sub, graph.Mul, graph.Div, graph.Max, graph.Min}

func lowerBinary(_ *compiler, s *step) error {
	a, b, y := s.Node.In[0], s.Node.In[1], s.Node.Out[0]
	kernel, ok := map[tensor.DType]string{tensor.Float32: "binary_f32", tensor.Int32: "binary_i32", tensor.Int64: "binary_i64"}[y.DType]
	if !ok {
		return fmt.Errorf("no arithmetic on %v", y.DType)
	}
	n, err := newNest(y.Shape, a.Shape, b.Shape)
	if err != nil {
		return err
	}
	args := binaryArgs{nest: n, function: int32(slices.Index(binaryFunctions, s.Node.Op.(graph.Binary).Fn))}
	s.Allow(a)
	s.Allow(b)
	s.launches = func(m *memory) []Launch {
		args.x0, args.x1, args.y = m.at(a), m.at(b), m.at(y)
		return []Launch{linear(kernel, y.Len(), elementThreads, args)}
	}
	return nil
}

type whereArgs struct {
	condition, x0, x1, y Address
	nest                 nest
}

func lowerWhere(_ *compiler, s *step) error {
	condition, a, b, y := s.Node.In[0], s.Node.In[1], s.Node.In[2], s.Node.Out[0]
	n, err := newNest(y.Shape, condition.Shape, a.Shape, b.Shape)
	if err != nil {
		return err
	}
	s.Allow(a)
	s.Allow(b)
	s.launches = func(m *memory) []Launch {
		args := whereArgs{m.at(condition), m.at(a), m.at(b), m.at(y), n}
		return []Launch{linear(byWidth("where", y), y.Len(), elementThreads, args)}
	}
	return nil
}

// byWidth returns the name of the kernel for elements of the width of v's.
func byWidth(kernel string, v *lower.Value) string {
	return fmt.Sprintf("%s_%d", kernel, 8*v.DType.Size())
}

type castArgs struct {
	x, y     Address
	n        int64
	from, to int32
}

// elementTypes lists the types in the order of the kernel's enumeration.
var elementTypes = []tensor.DType{tensor.Float32, tensor.Int32, tensor.Int64, tensor.Bool}

func lowerCast(_ *compiler, s *step) error {
	x, y := s.Node.In[0], s.Node.Out[0]
	if x.DType == y.DType {
		y.ViewOf(x, 0)
		return nil
	}
	from, to := slices.Index(elementTypes, x.DType), slices.Index(elementTypes, y.DType)
	if from < 0 || to < 0 {
		return fmt.Errorf("no conversion from %v to %v", x.DType, y.DType)
	}
	s.launches = func(m *memory) []Launch {
		return []Launch{linear("cast", y.Len(), elementThreads, castArgs{m.at(x), m.at(y), int64(y.Len()), int32(from), int32(to)})}
	}
	return nil
}
