package parity

import (
	"fmt"
	"math"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/budget"
)

// Tolerance is the rule for floating-point elements. With d = |candidate - reference|, an element mismatches when
// d > Abs + Rel·|reference|, or with Either set when d > max(Abs, Rel·|reference|). With Angle set the rows along the last axis
// are vectors, and one mismatches when its distance from the reference exceeds Angle·‖reference‖. The zero value asks for equality.
type Tolerance struct {
	Abs, Rel float64 // ≥ 0
	Either   bool    // the larger of both bounds instead of their sum
	Angle    float64 // radians, > 0: of vectors of unit length the distance is their angle, and it shows another length too
	Unit     string  // of Abs, for people: "px" or ""

	// OfLargest, > 0, adds so much of the largest finite |reference| of the tensor to Abs: for outputs of which nobody knows the scale.
	OfLargest float64

	// Noise bounds the errors of all elements together, > 0: √(Σ(candidate - reference)²/Σreference²). Rounding noise has a level that
	// hardly depends on the input, though single elements stray far, so this is what tells two formats, or two roundings, apart.
	Noise float64

	// NoiseOf is the least number of elements of which Noise says anything. That of a single number is its relative error, which is of any size
	// where the number is near 0.
	NoiseOf int

	// MismatchRatio is the share of an object's elements, in [0,1], that may mismatch, each by at most 10 times its bound. An
	// object is a detection's mask inside its box, or what a map holds of one tile; elsewhere it is the whole tensor. Padding and
	// objects of fewer than SmallObject elements have no share.
	MismatchRatio float64
	SmallObject   int

	// Undefined says that nobody has set a tolerance: what is finite is neither right nor wrong.
	Undefined bool
}

// forgiven is by how many times its bound an element may be off that a mismatch ratio lets pass.
const forgiven = 10

// Golden is the tolerance for stored expectations of another implementation: 1e-4 absolute or 1e-3 relative.
var Golden = Tolerance{Abs: 1e-4, Rel: 1e-3, Either: true}

// allowed returns the largest error that passes beside a finite reference.
func (t Tolerance) allowed(ref float64) float64 {
	switch {
	case t.Undefined:
		return math.Inf(1)
	case t.Angle > 0:
		return t.Angle
	case t.Either:
		return max(t.Abs, t.Rel*math.Abs(ref))
	}
	return t.Abs + t.Rel*math.Abs(ref)
}

// noisy tells whether the errors of so many elements together are more than Noise allows.
func (t Tolerance) noisy(nmse Number, elements int) bool {
	return t.Noise > 0 && elements >= t.NoiseOf && !(math.Sqrt(float64(nmse)) <= t.Noise)
}

// resolve turns what depends on the reference into numbers.
func (t Tolerance) resolve(ref *tensor.Tensor) Tolerance {
	if t.OfLargest > 0 {
		t.Abs += t.OfLargest * largestMagnitude(ref)
		t.OfLargest = 0
	}
	return t
}

// largestMagnitude returns the largest finite |v| of a float tensor, 0 of an empty one.
func largestMagnitude(t *tensor.Tensor) float64 {
	if t.DType() == tensor.Float64 {
		return largestOf(tensor.Data[float64](t))
	}
	return largestOf(tensor.Data[float32](t))
}

func largestOf[T tensor.Float](values []T) float64 {
	var most T
	for _, v := range values {
		if v-v == 0 { // finite
			most = max(most, v, -v)
		}
	}
	return float64(most)
}

// limit returns the mismatch ratio that holds for an object of n elements.
func (t Tolerance) limit(n int) float64 {
	if n < t.SmallObject {
		return 0
	}
	return t.MismatchRatio
}

// budget returns the largest count of mismatches with count/n ≤ limit(n).
func (t Tolerance) budget(n int) int {
	if n == 0 {
		return 0
	}
	limit := t.limit(n)
	k := min(int(limit*float64(n)), n)
	for k < n && float64(k+1)/float64(n) <= limit {
		k++
	}
	for k > 0 && float64(k)/float64(n) > limit {
		k--
	}
	return k
}

// String renders the rule as people write it: "abs 0.02 px", "angle 0.0005 rad", or "abs 5e-05 + rel 0.0005·|ref|" with the
// noise and the mismatch ratio when there is one, ", noise 0.001, up to 10× for 0.01 % of a mask or tile of ≥ 10000 elements".
func (t Tolerance) String() string {
	var s string
	switch {
	case t.Undefined:
		return "none is defined"
	case t.Angle > 0:
		s = fmt.Sprintf("angle %g rad", t.Angle)
	case t.OfLargest > 0:
		s = fmt.Sprintf("abs %g of the largest |ref|", t.OfLargest)
	case t.Rel == 0:
		s = strings.TrimSpace(fmt.Sprintf("abs %g %s", t.Abs, t.Unit))
	case t.Either:
		s = fmt.Sprintf("abs %g or rel %g·|ref|", t.Abs, t.Rel)
	default:
		s = fmt.Sprintf("abs %g + rel %g·|ref|", t.Abs, t.Rel)
	}
	if t.Noise > 0 {
		s += fmt.Sprintf(", noise %g", t.Noise)
		if t.NoiseOf > 0 {
			s += fmt.Sprintf(" of ≥ %d elements", t.NoiseOf)
		}
	}
	if t.MismatchRatio > 0 {
		s += fmt.Sprintf(", up to %d× for %g %% of a mask or tile of ≥ %d elements", forgiven, 100*t.MismatchRatio, t.SmallObject)
	}
	return s
}

// Kind says in what an output is measured, and so which rule judges it.
type Kind uint8

// The kinds.
const (
	Features    Kind = iota // anything inside the network: absolute plus relative
	Coordinates             // of boxes, in pixels of the input: absolute, since an error of 10 px is one anywhere in the image
	Scores                  // in [0,1]: absolute
	Logits                  // before a sigmoid or softmax, and the utilities that rank tiles: absolute
	Embeddings              // vectors of unit length: by angle
)

// KindOf returns the kind of an output or tap of the model.
func KindOf(output string) Kind {
	switch {
	case output == "boxes":
		return Coordinates
	case output == "scores" || output == "mask_scores":
		return Scores
	case output == "embeddings":
		return Embeddings
	case strings.HasSuffix(output, "_logits") || strings.HasSuffix(output, "utilities") || strings.HasPrefix(output, "tap.det."):
		return Logits
	}
	return Features
}

// Class selects a column of a profile's table. It belongs to the precisions of two executions, not to the element type of their
// outputs: backends widen their outputs to float32, which would hide it.
type Class uint8

// The classes of spec/runtime.md 6.3, finest first; for a single operator no tolerance is defined in ClassINT8. In a twin class both executions compute in the
// precision, with roundings at the same declared points, so that what they differ by is no longer what the precision costs.
const (
	ClassDefault Class = iota
	ClassFP16
	ClassBF16
	ClassFP8
	ClassINT8
	TwinFP16
	TwinBF16
	TwinFP8
	TwinINT8
	// In a narrow class an execution adds products up in fewer bits than those of float32 (narrowSums).
	NarrowFP16
	NarrowTwinFP16
	NarrowFP8
	NarrowTwinFP8
)

// String returns the lower-case name of the class.
func (c Class) String() string {
	return [...]string{"default", "fp16", "bf16", "fp8", "int8", "fp16 twin", "bf16 twin", "fp8 twin", "int8 twin",
		"fp16 with sums in it", "fp16 twin with sums in it", "fp8 with sums of 14 bits", "fp8 twin with sums of 14 bits"}[c]
}

// variants are the classes of the pairs of a precision that are not judged by its own: of twins, and of executions with narrow sums.
var variants = map[Class]struct{ twin, narrow, narrowTwin Class }{
	ClassFP16: {TwinFP16, NarrowFP16, NarrowTwinFP16},
	ClassBF16: {twin: TwinBF16},
	ClassFP8:  {TwinFP8, NarrowFP8, NarrowTwinFP8},
	ClassINT8: {twin: TwinINT8},
}

// precision returns the class without regard to twins and sums: one operator, fed equal inputs, has the same tolerance in both.
func (c Class) precision() Class {
	for of, v := range variants {
		if c != ClassDefault && (c == v.twin || c == v.narrow || c == v.narrowTwin) {
			return of
		}
	}
	return c
}

// ClassOf returns the tolerance class of a precision. TF32 multiplies with the 10-bit mantissa of FP16 and shares its class.
func ClassOf(p backends.Precision) Class {
	switch p {
	case backends.FP16, backends.TF32:
		return ClassFP16
	case backends.BF16:
		return ClassBF16
	case backends.INT8:
		return ClassINT8
	case backends.FP8:
		return ClassFP8
	default:
		return ClassDefault
	}
}

// narrowSums tells whether a backend's convolutions in a precision add products up in fewer bits than those of float32. Those of TensorRT do, in fp16 in the
// format: it has kernels with sums in float32, and its builder takes none of them (each one's name says f16f16_f16f16_f16), nor is there a switch. In fp8
// all its kernels are for matrix units of which a sum has 14 bits on Hopper, though its type is float32; in int8 sums are integers, and exact. It is known
// of the backend, and not what a session says of itself, which would choose its own limits.
func narrowSums(c Column) bool {
	return c.Backend == "tensorrt" && (c.Precision == backends.FP16 || c.Precision == backends.FP8)
}

// PairClass returns the class by which a pair is judged: the coarser of both, whichever of them is the reference, or the twin class where
// both are one precision that has declared roundings. Where a side of the coarser precision has narrow sums, it is a class of its own.
func PairClass(ref, cand Column) Class {
	c := max(ClassOf(ref.Precision), ClassOf(cand.Precision))
	narrow := func(side Column) bool { return narrowSums(side) && ClassOf(side.Precision) == c }
	v, known := variants[c]
	switch twins := ref.Precision == cand.Precision; {
	case !known:
		return c
	case narrow(ref) || narrow(cand):
		if twins {
			return v.narrowTwin
		}
		return v.narrow
	case twins:
		return v.twin
	}
	return c
}

// Level says how much computation lies between the inputs and the outputs that are compared.
type Level uint8

// The levels of spec/runtime.md 6.4.
const (
	EndToEnd Level = iota // the complete model
	Op                    // one operator or module, fed equal inputs
)

// String returns the lower-case name of the level.
func (l Level) String() string { return [...]string{"e2e", "op"}[l] }

// bounds are the numbers of a profile for one level and class. Features take abs + rel·|ref|, scores abs alone. Logits take rel as
// an absolute number and embeddings as an angle, since it is the error of a value of magnitude 1.
type bounds struct{ abs, rel float64 }

// classes are the numbers of every class that has some.
type classes map[Class]bounds

// Profile is a named table of tolerances per level, class and kind: the numbers of spec/runtime.md 6.4, and pixels per class. End to end
// those of fp16 and bf16 are too tight for honest executions, and what was measured holds instead.
type Profile struct {
	name          string
	endToEnd, op  classes
	pixels        map[Class]float64 // of coordinates, at either level
	margin        float64           // how many times what was measured passes
	mismatchRatio float64           // of features and logits
	smallObject   int
	noise         float64 // of the outputs of any model in fp32
}

// The profiles, strictest first. ONNX Runtime and the reference in fp32 were seen to differ from fp64 by at most 4e-4 px, with trained
// and hashed weights of every size, and with the trained ones by 9e-7 in scores and 5e-5 in logits; a coordinate is a softplus of logits times a stride of up
// to 128 px, so that an error of 1e-2 in a logit, which fp16 may make, is about a pixel.
var (
	Quality = Profile{
		name:     "quality",
		endToEnd: classes{ClassDefault: {2e-5, 2e-4}, ClassFP16: {2e-3, 2e-2}, ClassBF16: {3e-3, 3e-2}, ClassFP8: {4e-3, 4e-2}},
		op:       classes{ClassDefault: {1e-6, 1e-5}, ClassFP16: {1e-3, 1e-2}, ClassBF16: {2e-3, 2e-2}, ClassFP8: {3e-3, 3e-2}},
		pixels:   map[Class]float64{ClassDefault: 0.01, ClassFP16: 0.5, ClassBF16: 1, ClassFP8: 2},
		margin:   1.5,
		noise:    3e-6,
	}
	Balanced = Profile{
		name:          "balanced",
		endToEnd:      classes{ClassDefault: {5e-5, 5e-4}, ClassFP16: {3e-3, 3e-2}, ClassBF16: {4e-3, 4e-2}, ClassFP8: {6e-3, 6e-2}},
		op:            classes{ClassDefault: {5e-6, 5e-5}, ClassFP16: {2e-3, 2e-2}, ClassBF16: {3e-3, 3e-2}, ClassFP8: {5e-3, 5e-2}},
		pixels:        map[Class]float64{ClassDefault: 0.02, ClassFP16: 1, ClassBF16: 2, ClassFP8: 4},
		margin:        2,
		mismatchRatio: 1e-4, smallObject: 10_000,
		noise: 1e-5,
	}
	Edge = Profile{
		name:          "edge",
		endToEnd:      classes{ClassDefault: {8e-5, 8e-4}, ClassFP16: {4e-3, 4e-2}, ClassBF16: {6e-3, 6e-2}, ClassFP8: {8e-3, 8e-2}},
		op:            classes{ClassDefault: {1e-5, 1e-4}, ClassFP16: {3e-3, 3e-2}, ClassBF16: {4e-3, 4e-2}, ClassFP8: {6e-3, 6e-2}},
		pixels:        map[Class]float64{ClassDefault: 0.05, ClassFP16: 2, ClassBF16: 4, ClassFP8: 8},
		margin:        3,
		mismatchRatio: 5e-4, smallObject: 2_000,
		noise: 3e-5,
	}
)

// ProfileNames lists the profiles in alphabetical order.
func ProfileNames() []string { return []string{Balanced.name, Edge.name, Quality.name} }

// ParseProfile returns the profile of that name, in any case and with surrounding space; "" is balanced.
func ParseProfile(name string) (Profile, error) {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "", Balanced.name:
		return Balanced, nil
	case Edge.name:
		return Edge, nil
	case Quality.name:
		return Quality, nil
	}
	return Profile{}, fmt.Errorf("unknown tolerance profile %q (want one of %s)", name, strings.Join(ProfileNames(), ", "))
}

// Name returns the profile's name.
func (p Profile) Name() string { return p.name }

// Tolerance returns the rule for a kind of output at a level and in a class; Undefined for single operators in int8, which have no numbers.
func (p Profile) Tolerance(level Level, kind Kind, class Class) Tolerance {
	if s, ok := spreads[class]; ok && level == EndToEnd {
		return s.tolerance(kind, p.margin)
	}
	class = class.precision()
	table := p.endToEnd
	if level == Op {
		table = p.op
	}
	b, ok := table[class]
	switch {
	case !ok:
		return Tolerance{Undefined: true}
	case kind == Coordinates:
		return Tolerance{Abs: p.pixels[class], Unit: "px"}
	case kind == Scores:
		return Tolerance{Abs: b.abs}
	case kind == Embeddings:
		return Tolerance{Angle: b.rel}
	case kind == Logits:
		return Tolerance{Abs: b.rel, MismatchRatio: p.mismatchRatio, SmallObject: p.smallObject}
	}
	return Tolerance{Abs: b.abs, Rel: b.rel, MismatchRatio: p.mismatchRatio, SmallObject: p.smallObject}
}

// Policy gives the tolerance of each output of a comparison. The zero Policy is the balanced profile, end to end.
type Policy struct {
	Name   string
	Factor float64 // λ of budgets that a comparison is held to beside it (Budgets), > 0; 0 for none
	For    func(output string, class Class) Tolerance
}

func (p Policy) orDefault() Policy {
	if p.For == nil {
		return Balanced.Policy(EndToEnd)
	}
	return p
}

// Policy judges every output by the profile's entry for its kind and the class.
func (p Profile) Policy(level Level) Policy {
	return Policy{p.name + " " + level.String(), budget.Factors[p.name], func(output string, class Class) Tolerance {
		return p.Tolerance(level, KindOf(output), class)
	}}
}

// AnyModel returns the policy for the outputs of a model that this package does not know, in float32 and more: whatever an output is
// called, no element is off by more than a share of the largest one, and the noise of all (Tolerance.Noise) is small. It is 1e-5 in the
// balanced profile, the noise of a float32 network of some hundred layers, and for an element ten times as much.
func (p Profile) AnyModel() Policy {
	return Policy{p.name + anyModel, budget.Factors[p.name], func(string, Class) Tolerance { return Tolerance{OfLargest: 10 * p.noise, Noise: p.noise} }}
}

// anyModel ends the name of a policy of AnyModel.
const anyModel = " any model"

// JudgesAnyModel tells a policy of Profile.AnyModel from others by its name.
func JudgesAnyModel(policy string) bool { return strings.HasSuffix(policy, anyModel) }

// GoldenPolicy judges stored expectations of another implementation, whatever the class: coordinates to 0.05 px, scores to 1e-4,
// logits to 1e-3, embeddings to 1e-3 rad, anything else by Golden.
func GoldenPolicy() Policy {
	return Policy{"golden", 0, func(output string, _ Class) Tolerance {
		switch KindOf(output) {
		case Coordinates:
			return Tolerance{Abs: 0.05, Unit: "px"}
		case Scores:
			return Tolerance{Abs: 1e-4}
		case Logits:
			return Tolerance{Abs: 1e-3}
		case Embeddings:
			return Tolerance{Angle: 1e-3}
		}
		return Golden
	}}
}

// roundingFloor is 4 float32 ULP of 1: differences below it, relative to the magnitude, are rounding whatever was observed.
const roundingFloor = 4 * 0x1p-23
