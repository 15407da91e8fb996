package parity

import (
	"fmt"
	"math"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Tolerance is the rule for floating-point elements. With d = |candidate - reference|, an element mismatches when
// d > Abs + Rel·|reference|, or with Either set when d > max(Abs, Rel·|reference|). The zero value asks for equality.
type Tolerance struct {
	Abs, Rel      float64 // ≥ 0
	Either        bool    // the larger of both bounds instead of their sum
	MismatchRatio float64 // share of a tensor's elements that may mismatch, in [0,1]
	SmallTensor   int     // a tensor of fewer elements may have no mismatch
}

// Golden is the tolerance for stored expectations of another implementation: 1e-4 absolute or 1e-3 relative.
var Golden = Tolerance{Abs: 1e-4, Rel: 1e-3, Either: true}

// allowed returns the largest error that passes beside a finite reference.
func (t Tolerance) allowed(ref float64) float64 {
	if t.Either {
		return max(t.Abs, t.Rel*math.Abs(ref))
	}
	return t.Abs + t.Rel*math.Abs(ref)
}

// limit returns the mismatch ratio that holds for n elements.
func (t Tolerance) limit(n int) float64 {
	if n < t.SmallTensor {
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

// String renders the rule as people write it: "abs 5e-05 + rel 0.0005·|ref|", with the mismatch ratio when there is one.
func (t Tolerance) String() string {
	s := fmt.Sprintf("abs %g + rel %g·|ref|", t.Abs, t.Rel)
	if t.Either {
		s = fmt.Sprintf("abs %g or rel %g·|ref|", t.Abs, t.Rel)
	}
	if t.MismatchRatio > 0 {
		s += fmt.Sprintf(", at most %g of the elements beyond it (none below %d elements)", t.MismatchRatio, t.SmallTensor)
	}
	return s
}

// Class selects a column of a profile's table. It belongs to the precision of an execution, not to the element type of its
// outputs: backends widen their outputs to float32, which would hide it.
type Class uint8

// The classes of spec/runtime.md 6.3.
const (
	ClassDefault Class = iota
	ClassFP16
	ClassBF16
	ClassINT8
	ClassFP8
)

// String returns the lower-case name of the class.
func (c Class) String() string {
	return [...]string{"default", "fp16", "bf16", "int8", "fp8"}[c]
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

// PairClass returns the class by which a candidate is judged: its own, or the reference's where its own is the default.
func PairClass(ref, cand backends.Precision) Class {
	if c := ClassOf(cand); c != ClassDefault {
		return c
	}
	return ClassOf(ref)
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

// Profile is a named table of tolerances per level and class (spec/runtime.md 6.4).
type Profile struct {
	name          string
	rows          [2][5][2]float64 // level, class, {abs, rel}
	mismatchRatio float64
	smallTensor   int
}

// The profiles, strictest first.
var (
	Quality = Profile{"quality", [2][5][2]float64{
		EndToEnd: {{2e-5, 2e-4}, {2e-3, 2e-2}, {3e-3, 3e-2}, {0, 0}, {4e-3, 4e-2}},
		Op:       {{1e-6, 1e-5}, {1e-3, 1e-2}, {2e-3, 2e-2}, {0, 0}, {3e-3, 3e-2}},
	}, 0, 0}
	Balanced = Profile{"balanced", [2][5][2]float64{
		EndToEnd: {{5e-5, 5e-4}, {3e-3, 3e-2}, {4e-3, 4e-2}, {0, 0}, {6e-3, 6e-2}},
		Op:       {{5e-6, 5e-5}, {2e-3, 2e-2}, {3e-3, 3e-2}, {0, 0}, {5e-3, 5e-2}},
	}, 1e-4, 10_000}
	Edge = Profile{"edge", [2][5][2]float64{
		EndToEnd: {{8e-5, 8e-4}, {4e-3, 4e-2}, {6e-3, 6e-2}, {0, 0}, {8e-3, 8e-2}},
		Op:       {{1e-5, 1e-4}, {3e-3, 3e-2}, {4e-3, 4e-2}, {0, 0}, {6e-3, 6e-2}},
	}, 5e-4, 2_000}
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

// Tolerance returns the entry for a level and class.
func (p Profile) Tolerance(level Level, class Class) Tolerance {
	row := p.rows[level][class]
	return Tolerance{Abs: row[0], Rel: row[1], MismatchRatio: p.mismatchRatio, SmallTensor: p.smallTensor}
}

// Policy gives the tolerance of each output of a comparison. The zero Policy is the balanced profile, end to end.
type Policy struct {
	Name string
	For  func(output string, class Class) Tolerance
}

func (p Policy) orDefault() Policy {
	if p.For == nil {
		return Balanced.Policy(EndToEnd)
	}
	return p
}

// Policy judges every output by the profile's entry for the class.
func (p Profile) Policy(level Level) Policy {
	return Policy{p.name + " " + level.String(), func(_ string, class Class) Tolerance { return p.Tolerance(level, class) }}
}

// GoldenPolicy judges every output by Golden, whatever the class.
func GoldenPolicy() Policy {
	return Policy{"golden", func(string, Class) Tolerance { return Golden }}
}

// Derived returns a policy from what a float32 run was observed to lose against a float64 run of the same graph: for each
// output, factor times the report's largest absolute error, and at least 4 float32 ULP of the output's largest magnitude.
// A report whose numbers are not finite, or that failed to compare an output, has nothing to derive from and is an error;
// an output that the report does not name must be equal.
func Derived(oracle *Report, factor float64) (Policy, error) {
	if !(factor >= 1) || math.IsInf(factor, 0) {
		return Policy{}, fmt.Errorf("a factor of %g for derived tolerances is not a finite number ≥ 1", factor)
	}
	bounds := map[string]float64{}
	for _, o := range oracle.Outputs {
		if o.Problem != "" || o.NonFiniteMismatches > 0 {
			return Policy{}, fmt.Errorf("output %s of %s against %s cannot give a tolerance: %s",
				o.Name, oracle.CandidateBackend, oracle.ReferenceBackend, o.failure())
		}
		bounds[o.Name] = max(factor*float64(o.MaxAbsErr), float64(o.maxMagnitude)*roundingFloor)
	}
	name := fmt.Sprintf("derived %g×", factor)
	return Policy{name, func(output string, _ Class) Tolerance { return Tolerance{Abs: bounds[output]} }}, nil
}

// roundingFloor is 4 float32 ULP of 1: differences below it, relative to the magnitude, are rounding whatever was observed.
const roundingFloor = 4 * 0x1p-23
