package worker

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"

	"github.com/apex-x/apexx/backends/graph"
)

// wireOp is an operator without operands: what Supports is asked about. Attributes are the fields of the operator's type in
// package graph by their names; infinities, which JSON lacks, are the strings "+Inf" and "-Inf".
type wireOp struct {
	Domain     string         `json:"domain"`
	Type       string         `json:"type"`
	Attributes map[string]any `json:"attributes,omitempty"`
}

// operators holds the list of package graph by domain and type.
var operators = func() map[[2]string]graph.Op {
	byType := map[[2]string]graph.Op{}
	for _, op := range graph.Operators() {
		byType[[2]string{op.OpDomain(), op.OpType()}] = op
	}
	return byType
}()

func toWireOp(op graph.Op) (wireOp, error) {
	w := wireOp{Domain: op.OpDomain(), Type: op.OpType(), Attributes: map[string]any{}}
	if _, ok := operators[[2]string{w.Domain, w.Type}]; !ok {
		return wireOp{}, fmt.Errorf("the worker protocol has no operator %q of domain %q", w.Type, w.Domain)
	}
	v := reflect.ValueOf(op)
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() {
			w.Attributes[f.Name] = attribute(v.Field(i))
		}
	}
	return w, nil
}

func attribute(v reflect.Value) any {
	if v.CanFloat() && (math.IsInf(v.Float(), 0) || math.IsNaN(v.Float())) {
		return fmt.Sprintf("%+v", v.Float())
	}
	return v.Interface()
}

// op rebuilds the operator. Attributes that the type does not have are ignored; absent ones are zero.
func (w wireOp) op() (graph.Op, error) {
	proto, ok := operators[[2]string{w.Domain, w.Type}]
	if !ok {
		return nil, fmt.Errorf("unknown operator %q of domain %q", w.Type, w.Domain)
	}
	v := reflect.New(reflect.TypeOf(proto)).Elem()
	v.Set(reflect.ValueOf(proto))
	for i := range v.NumField() {
		f := v.Type().Field(i)
		a, ok := w.Attributes[f.Name]
		if !ok || !f.IsExported() || f.Name == "Fn" { // Fn follows from the type
			continue
		}
		if err := setAttribute(v.Field(i), a); err != nil {
			return nil, fmt.Errorf("attribute %s of operator %q: %w", f.Name, w.Type, err)
		}
	}
	return v.Interface().(graph.Op), nil
}

func setAttribute(v reflect.Value, a any) error {
	if s, ok := a.(string); ok && v.CanFloat() {
		special, ok := map[string]float64{"+Inf": math.Inf(1), "-Inf": math.Inf(-1), "NaN": math.NaN(), "+NaN": math.NaN()}[s]
		if !ok {
			return fmt.Errorf("%q is not a number", s)
		}
		v.SetFloat(special)
		return nil
	}
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v.Addr().Interface())
}
