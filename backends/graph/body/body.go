package body

import "github.com/apex-x/apexx/backends/graph"

// For returns the body of op for inputs of the types in, in which an absent optional input has an Invalid DType. Operators
// that need no body (every standard one but GroupNormalization) have none: nil, nil.
func For(op graph.Op, in []graph.Type) (*Function, error) {
	return nil, nil
}
