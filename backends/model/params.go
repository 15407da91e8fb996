package model

import (
	"github.com/apex-x/apexx/backends/model/weights"
	"github.com/apex-x/apexx/backends/tensor"
)

// Parameters are weights as tensors, made once and shared by every graph that is built from them.
type Parameters map[string]*tensor.Tensor

// FromSet wraps a set of weights; the values are shared.
func FromSet(s *weights.Set) Parameters {
	p := make(Parameters, len(s.Names()))
	for _, name := range s.Names() {
		t, _ := s.Get(name)
		p[name] = tensor.Must(tensor.Of(t.Data, t.Shape...))
	}
	return p
}

// Tensor implements Weights.
func (p Parameters) Tensor(name string) *tensor.Tensor { return p[name] }
