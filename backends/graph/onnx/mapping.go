package onnx

import (
	"fmt"
	"strconv"

	"github.com/apex-x/apexx/backends/graph"
)

// mapping translates between the fields of an operator and its ONNX node. An operator's description (table.go) calls its
// methods once for each attribute and constant input; nodeWriter turns the fields into the node, nodeReader the node into
// the fields. Errors stick.
type mapping interface {
	// in returns the type of operand i, with an Invalid DType when there is none.
	in(i int) graph.Type

	// int, bool, ints, float, float32 and string map an attribute. It is always written; read, it may be absent if there is
	// a default. A bool is an int of 0 or 1.
	int(name string, p *int, def ...int)
	bool(name string, p *bool, def ...bool)
	ints(name string, p *[]int, def ...[]int)
	float(name string, p *float64, def ...float64)
	float32(name string, p *float32)
	string(name string, p *string, def ...string)

	// fixed maps an attribute (an int, a string or []int) whose one value our operators imply; it is always written.
	fixed(name string, value any)
	// standard is fixed for a value that is ONNX's default: it is not written, and other values are refused.
	standard(name string, value any)
	// ignored passes over attributes that mean nothing in the mode at hand; they are not written.
	ignored(names ...string)

	// intsInput and floatInput map a constant input: 1-D int64, or a scalar of operand 0's type. noInput is an input that
	// must be absent. The operands of an operator come before its first such input.
	intsInput(i int, name string, p *[]int)
	floatInput(i int, name string, p *float64, def float64)
	noInput(i int)
	// floatsInput reads a constant input that is never written: other programs give in it what a field says otherwise. It
	// returns nil when the input is absent.
	floatsInput(i int, name string) []float32

	fail(err error)
}

// entry is the description of the operators of one Go type.
type entry struct {
	opTypes []string
	domain  string
	write   func(m mapping, op graph.Op)
	read    func(m mapping, opType string) graph.Op
}

// describe makes an entry of a description that reads or writes the fields of o. The operator types default to o's own.
func describe[T graph.Op](describe func(m mapping, o *T), opTypes ...string) entry {
	return describeTyped(func(m mapping, _ string, o *T) { describe(m, o) }, opTypes...)
}

// describeTyped is describe for Go types that cover several ONNX operator types.
func describeTyped[T graph.Op](describe func(m mapping, opType string, o *T), opTypes ...string) entry {
	var zero T
	if len(opTypes) == 0 {
		opTypes = []string{zero.OpType()}
	}
	return entry{
		opTypes: opTypes,
		domain:  zero.OpDomain(),
		write: func(m mapping, op graph.Op) {
			o := op.(T)
			describe(m, op.OpType(), &o)
		},
		read: func(m mapping, opType string) graph.Op {
			var o T
			describe(m, opType, &o)
			return o
		},
	}
}

// entries maps an operator type to its description; names are unique over both domains.
var entries = func() map[string]entry {
	all := map[string]entry{}
	for _, e := range table {
		for _, t := range e.opTypes {
			all[t] = e
		}
	}
	return all
}()

// exactKey prefixes the metadata entries of a node that restore parameters which an ONNX attribute, a float32, only
// approximates.
const exactKey = "apexx.exact."

// widen returns the float64 that is meant by an attribute: the number whose shortest decimal form as float32 is v's, so
// that an epsilon of 1e-5 is 1e-5 again.
func widen(v float32) float64 {
	d, err := strconv.ParseFloat(strconv.FormatFloat(float64(v), 'g', -1, 32), 64)
	if err != nil {
		panic(fmt.Sprintf("onnx: %v does not parse as formatted: %v", v, err))
	}
	return d
}
