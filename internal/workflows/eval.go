package workflows

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rhysd/actionlint"
)

// unknown is a value that the evaluation cannot tell: it stands for every value at once.
type unknown struct{}

// object is a value with properties, whose names are in lower case. A property that it lacks is unknown.
type object map[string]any

// scope is what an expression can read. The value of a context or property is nil (null), bool, float64, string, object or
// unknown.
type scope struct {
	contexts object
	status   map[string]any // of success, failure and cancelled; what it lacks is unknown. always is true.
}

// eval computes an expression with the semantics of GitHub's expressions: comparison of strings ignores case, values of two
// types are compared as numbers, and the logical operators return one of their operands.
func (s scope) eval(node actionlint.ExprNode) any {
	switch n := node.(type) {
	case *actionlint.NullNode:
		return nil
	case *actionlint.BoolNode:
		return n.Value
	case *actionlint.IntNode:
		return float64(n.Value)
	case *actionlint.FloatNode:
		return n.Value
	case *actionlint.StringNode:
		return n.Value
	case *actionlint.VariableNode:
		return property(s.contexts, n.Name)
	case *actionlint.ObjectDerefNode:
		return property(s.eval(n.Receiver), n.Property)
	case *actionlint.IndexAccessNode:
		if name, ok := s.eval(n.Index).(string); ok {
			return property(s.eval(n.Operand), name)
		}
	case *actionlint.NotOpNode:
		if truth, known := truth(s.eval(n.Operand)); known {
			return !truth
		}
	case *actionlint.CompareOpNode:
		return compare(n.Kind, s.eval(n.Left), s.eval(n.Right))
	case *actionlint.LogicalOpNode:
		return logical(n.Kind, s.eval(n.Left), s.eval(n.Right))
	case *actionlint.FuncCallNode:
		return s.call(n)
	}
	return unknown{}
}

// call evaluates the functions that tell how the run went. The others are unknown.
func (s scope) call(n *actionlint.FuncCallNode) any {
	name := strings.ToLower(n.Callee)
	if name == "always" {
		return true
	}
	if v, ok := s.status[name]; ok {
		return v
	}
	return unknown{}
}

// property returns a property of a value; one of null is null.
func property(of any, name string) any {
	switch of := of.(type) {
	case nil:
		return nil
	case object:
		if v, ok := of[strings.ToLower(name)]; ok {
			return v
		}
	}
	return unknown{}
}

// truth converts a value to bool, where it is known.
func truth(v any) (value, known bool) {
	switch v := v.(type) {
	case nil:
		return false, true
	case bool:
		return v, true
	case float64:
		return v != 0 && !math.IsNaN(v), true
	case string:
		return v != "", true
	case object:
		return true, true
	}
	return false, false
}

// logical combines two values. A known operand that settles the result does so beside an unknown one.
func logical(kind actionlint.LogicalOpNodeKind, left, right any) any {
	settles := kind == actionlint.LogicalOpNodeKindOr // the truth of an operand that decides
	if l, known := truth(left); known {
		if l == settles {
			return left
		}
		return right
	}
	if r, known := truth(right); known && r == settles {
		return settles
	}
	return unknown{}
}

func compare(kind actionlint.CompareOpNodeKind, left, right any) any {
	if isUnknown(left) || isUnknown(right) || !kind.IsEqualityOp() {
		return unknown{}
	}
	return equal(left, right) == (kind == actionlint.CompareOpNodeKindEq)
}

func isUnknown(v any) bool { _, ok := v.(unknown); return ok }

func equal(left, right any) bool {
	l, lok := left.(string)
	r, rok := right.(string)
	if lok && rok {
		return strings.EqualFold(l, r)
	}
	return number(left) == number(right) // false for two NaN
}

// number converts a value to a number, NaN where it has none.
func number(v any) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		if v == "" {
			return 0
		}
		if x, err := strconv.ParseFloat(v, 64); err == nil {
			return x
		}
	}
	return math.NaN()
}

// text replaces the placeholders of a string. It is not known where a placeholder is not.
func (s scope) text(template string) (value string, known bool) {
	parts, err := segments(template)
	if err != nil {
		return "", false
	}
	var b strings.Builder
	for _, p := range parts {
		if p.node == nil {
			b.WriteString(p.literal)
			continue
		}
		switch v := s.eval(p.node).(type) {
		case nil:
		case bool, float64, string:
			fmt.Fprint(&b, v)
		default:
			return "", false
		}
	}
	return b.String(), true
}
