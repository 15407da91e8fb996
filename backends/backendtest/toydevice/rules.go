package toydevice

import "github.com/apex-x/apexx/backends/lower"

// pointwise are the element-wise operators, all of which the device has.
var pointwise = []string{"Sigmoid", "Relu", "Tanh", "Softplus", "Floor", "IsNaN", "Add", "Sub", "Mul", "Div", "Max", "Min", "Clip", "Where", "Cast", "Round"}

// kernels are all operators of the device.
var kernels = append([]string{"Conv", "GroupNormalization"}, pointwise...)

// rules say what becomes one step:
//
//  1. x·Sigmoid(x) becomes SiLU, of which no kernel has the sigmoid.
//  2. GroupNormalization of a Conv becomes ConvNorm. What the convolution gives is normalised in registers that are gone when the
//     mean is known, so it cannot be stored.
//  3. Whatever is element-wise becomes a Chain with what computes one of its operands.
var rules = []lower.Rule{
	{Name: "SiLU", Unstored: []string{"sigmoid"}, Pattern: lower.Pattern{Op: "Mul", Role: "silu", Commutes: true, In: []lower.Pattern{
		{Op: "Sigmoid", Role: "sigmoid", In: []lower.Pattern{{Role: "x"}}}, {Role: "x"},
	}}},
	{Name: "ConvNorm", Unstored: []string{"conv"}, Pattern: lower.Pattern{Op: "GroupNormalization", Role: "norm", In: []lower.Pattern{{Op: "Conv", Role: "conv"}}}},
	{Name: "Chain", Pattern: lower.Pattern{Op: "SiLU", Or: pointwise, Role: "last", Commutes: true, In: []lower.Pattern{
		{Op: "Chain", Or: append([]string{"SiLU", "ConvNorm"}, kernels...), Role: "before"},
	}}},
}
