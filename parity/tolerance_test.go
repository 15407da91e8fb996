package parity

import (
	"errors"
	"testing"

	"github.com/apex-x/apexx/backends"
)

// The table of spec/runtime.md 6.4, row by row, but for the rows of fp16 and bf16 end to end.
func TestProfilesMatchTheTable(t *testing.T) {
	for _, c := range []struct {
		p     Profile
		level Level
		rows  [5][2]float64
		ratio float64
		small int
	}{
		{Quality, Op, [5][2]float64{{1e-6, 1e-5}, {1e-3, 1e-2}, {2e-3, 2e-2}, {0, 0}, {3e-3, 3e-2}}, 0, 0},
		{Quality, EndToEnd, [5][2]float64{{2e-5, 2e-4}, {2e-3, 2e-2}, {3e-3, 3e-2}, {0, 0}, {4e-3, 4e-2}}, 0, 0},
		{Balanced, Op, [5][2]float64{{5e-6, 5e-5}, {2e-3, 2e-2}, {3e-3, 3e-2}, {0, 0}, {5e-3, 5e-2}}, 1e-4, 10000},
		{Balanced, EndToEnd, [5][2]float64{{5e-5, 5e-4}, {3e-3, 3e-2}, {4e-3, 4e-2}, {0, 0}, {6e-3, 6e-2}}, 1e-4, 10000},
		{Edge, Op, [5][2]float64{{1e-5, 1e-4}, {3e-3, 3e-2}, {4e-3, 4e-2}, {0, 0}, {6e-3, 6e-2}}, 5e-4, 2000},
		{Edge, EndToEnd, [5][2]float64{{8e-5, 8e-4}, {4e-3, 4e-2}, {6e-3, 6e-2}, {0, 0}, {8e-3, 8e-2}}, 5e-4, 2000},
	} {
		for at, class := range []Class{ClassDefault, ClassFP16, ClassBF16, ClassINT8, ClassFP8} {
			want := Tolerance{Abs: c.rows[at][0], Rel: c.rows[at][1], MismatchRatio: c.ratio, SmallObject: c.small}
			if class == ClassINT8 { // its zeros are no numbers that anything could meet
				want = Tolerance{Undefined: true}
			}
			if _, measured := spreads[class]; measured && c.level == EndToEnd {
				continue
			}
			if got := c.p.Tolerance(c.level, Features, class); got != want {
				t.Errorf("%s %v %v: %+v, want %+v", c.p.Name(), c.level, class, got, want)
			}
		}
	}
}

// TestLeastF1 lists what detections have to reach as sets: twice what was seen to have no partner may have none, and whole per cents count.
func TestLeastF1(t *testing.T) {
	for class, want := range map[Class]float64{ClassFP16: 0.99, TwinFP16: 0.99, ClassBF16: 0.97, TwinBF16: 0.98, ClassFP8: 0.94, TwinFP8: 0.99, ClassINT8: 0.95, TwinINT8: 0.99,
		NarrowFP16: 0.99, NarrowTwinFP16: 0.99, NarrowFP8: 0.94, NarrowTwinFP8: 0.98} {
		if got, asSets := leastF1(class); got != want || !asSets {
			t.Errorf("%v: %v, %t, want %v", class, got, asSets, want)
		}
	}
	if _, asSets := leastF1(ClassDefault); asSets {
		t.Error("fp32 is judged as sets")
	}
	for class, want := range map[Class]float64{ClassFP16: 0.95, TwinBF16: 0.95, ClassFP8: 0.5, NarrowTwinFP8: 0.5, TwinINT8: 0.5} {
		if got := SetOverlap(class); got != want {
			t.Errorf("%v: a pair overlaps by %v, want %v", class, got, want)
		}
	}
}

// Coordinates, scores, logits and embeddings have rules without a relative part, coarser with the class and the profile.
func TestUnits(t *testing.T) {
	for _, c := range []struct {
		output string
		class  Class
		want   [3]string // quality, balanced, edge
	}{
		{"boxes", ClassDefault, [3]string{"abs 0.01 px", "abs 0.02 px", "abs 0.05 px"}},
		{"boxes", ClassFP16, [3]string{"abs 0.251 px", "abs 0.334 px", "abs 0.501 px"}},
		{"boxes", TwinFP16, [3]string{"abs 0.063 px", "abs 0.084 px", "abs 0.126 px"}},
		{"boxes", ClassBF16, [3]string{"abs 1.77 px", "abs 2.36 px", "abs 3.54 px"}},
		{"boxes", ClassFP8, [3]string{"abs 3.9 px", "abs 5.2 px", "abs 7.8 px"}},
		{"scores", ClassDefault, [3]string{"abs 2e-05", "abs 5e-05", "abs 8e-05"}},
		{"embeddings", NarrowFP16, [3]string{"angle 0.0228 rad, noise 0.0106 of ≥ 16 elements", "angle 0.0304 rad, noise 0.0142 of ≥ 16 elements", "angle 0.0456 rad, noise 0.0213 of ≥ 16 elements"}},
		{"semantic_logits", NarrowTwinFP16, [3]string{"abs 0.189, noise 0.00833 of ≥ 16 elements", "abs 0.252, noise 0.0111 of ≥ 16 elements", "abs 0.378, noise 0.0167 of ≥ 16 elements"}},
		{"tap.det.quality.P7", TwinFP8, [3]string{"abs 2.1, noise 0.0945 of ≥ 16 elements", "abs 2.8, noise 0.126 of ≥ 16 elements", "abs 4.2, noise 0.189 of ≥ 16 elements"}},
		{"tap.det.quality.P7", NarrowTwinFP8, [3]string{"abs 3.13, noise 0.147 of ≥ 16 elements", "abs 4.18, noise 0.196 of ≥ 16 elements", "abs 6.27, noise 0.294 of ≥ 16 elements"}},
		{"mask_scores", ClassFP16, [3]string{"abs 0.0048", "abs 0.0064", "abs 0.0096"}},
		{"semantic_logits", TwinBF16, [3]string{"abs 0.345, noise 0.0193 of ≥ 16 elements", "abs 0.46, noise 0.0258 of ≥ 16 elements", "abs 0.69, noise 0.0387 of ≥ 16 elements"}},
		{"embeddings", ClassFP16, [3]string{"angle 0.0231 rad, noise 0.0084 of ≥ 16 elements", "angle 0.0308 rad, noise 0.0112 of ≥ 16 elements", "angle 0.0462 rad, noise 0.0168 of ≥ 16 elements"}},
		{"embeddings", ClassDefault, [3]string{"angle 0.0002 rad", "angle 0.0005 rad", "angle 0.0008 rad"}},
		{"utilities", ClassDefault, [3]string{"abs 0.0002", "abs 0.0005, up to 10× for 0.01 % of a mask or tile of ≥ 10000 elements",
			"abs 0.0008, up to 10× for 0.05 % of a mask or tile of ≥ 2000 elements"}},
		{"tap.pv.P3", ClassDefault, [3]string{"abs 2e-05 + rel 0.0002·|ref|", "abs 5e-05 + rel 0.0005·|ref|, up to 10× for 0.01 % of a mask or tile of ≥ 10000 elements",
			"abs 8e-05 + rel 0.0008·|ref|, up to 10× for 0.05 % of a mask or tile of ≥ 2000 elements"}},
		{"semantic_logits", ClassINT8, [3]string{"abs 4.41, noise 0.3 of ≥ 16 elements", "abs 5.88, noise 0.4 of ≥ 16 elements", "abs 8.82, noise 0.6 of ≥ 16 elements"}},
	} {
		for i, p := range []Profile{Quality, Balanced, Edge} {
			if got := p.Policy(EndToEnd).For(c.output, c.class).String(); got != c.want[i] {
				t.Errorf("%s, %v, %s: %s, want %s", c.output, c.class, p.Name(), got, c.want[i])
			}
		}
	}
}

func TestParseProfile(t *testing.T) {
	for in, want := range map[string]string{"": "balanced", " Quality ": "quality", "EDGE": "edge", "balanced": "balanced"} {
		if p, err := ParseProfile(in); err != nil || p.Name() != want {
			t.Errorf("%q: %v, %v", in, p.Name(), err)
		}
	}
	if _, err := ParseProfile("fast"); err == nil || err.Error() != `unknown tolerance profile "fast" (want one of balanced, edge, quality)` {
		t.Errorf("%v", err)
	}
}

func TestClassComesFromThePrecision(t *testing.T) {
	for _, c := range []struct {
		ref, cand backends.Precision
		want      Class
	}{
		{backends.FP64, backends.FP32, ClassDefault},
		{backends.FP32, backends.FP16, ClassFP16},
		{backends.FP16, backends.FP32, ClassFP16},
		{backends.FP16, backends.BF16, ClassBF16},
		{backends.FP32, backends.TF32, ClassFP16},
		{"", backends.INT8, ClassINT8},
		{backends.FP8, backends.FP64, ClassFP8},
		{backends.BF16, backends.FP16, ClassBF16},
		{backends.INT8, backends.FP8, ClassINT8},
		{backends.FP16, backends.FP16, TwinFP16},
		{backends.TF32, backends.TF32, TwinFP16},
		{backends.TF32, backends.FP16, ClassFP16},
		{backends.BF16, backends.BF16, TwinBF16},
		{backends.INT8, backends.INT8, TwinINT8},
		{backends.FP8, backends.FP8, TwinFP8},
		{backends.INT8, backends.FP16, ClassINT8},
		{backends.FP32, backends.FP32, ClassDefault},
	} {
		if got := PairClass(Column{"a", c.ref}, Column{"b", c.cand}); got != c.want {
			t.Errorf("%s against %s: %v, want %v", c.cand, c.ref, got, c.want)
		}
	}
	for _, a := range backends.Precisions {
		for _, b := range backends.Precisions {
			for _, backend := range []string{"ort", "tensorrt"} {
				x, y := Column{"reference", a}, Column{backend, b}
				if PairClass(x, y) != PairClass(y, x) {
					t.Errorf("%v against %v is judged otherwise than %v against %v", x, y, y, x)
				}
			}
		}
	}
}

// TensorRT's sums are narrow where it computes in fp16 and fp8, on either side and on both, if that is the coarser precision of the pair.
func TestClassOfNarrowSums(t *testing.T) {
	for _, c := range []struct {
		ref, cand string
		want      Class
	}{
		{"reference/fp64", "tensorrt/fp16", NarrowFP16},
		{"tensorrt/fp16", "cuda/tf32", NarrowFP16},
		{"reference/fp16", "tensorrt/fp16", NarrowTwinFP16},
		{"tensorrt/fp16", "tensorrt/fp16", NarrowTwinFP16},
		{"reference/fp16", "cuda/fp16", TwinFP16},
		{"reference/fp64", "tensorrt/fp32", ClassDefault},
		{"reference/bf16", "tensorrt/bf16", TwinBF16},
		{"tensorrt/fp16", "reference/int8", ClassINT8},
		{"tensorrt/fp16", "reference/bf16", ClassBF16},
		{"reference/fp64", "tensorrt/fp8", NarrowFP8},
		{"tensorrt/fp8", "reference/fp16", NarrowFP8},
		{"tensorrt/fp16", "reference/fp8", ClassFP8},
		{"ort-cuda/fp8", "tensorrt/fp8", NarrowTwinFP8},
		{"ort/fp8", "ort-cuda/fp8", TwinFP8},
		{"tensorrt/fp8", "reference/int8", ClassINT8},
		{"reference/int8", "tensorrt/int8", TwinINT8},
	} {
		var ref, cand Column
		if err := errors.Join(ref.UnmarshalText([]byte(c.ref)), cand.UnmarshalText([]byte(c.cand))); err != nil {
			t.Fatal(err)
		}
		if got := PairClass(ref, cand); got != c.want {
			t.Errorf("%v against %v: %v, want %v", cand, ref, got, c.want)
		}
	}
}

func TestMismatchBudget(t *testing.T) {
	for _, c := range []struct {
		p    Profile
		n    int
		want int
	}{
		{Quality, 1 << 20, 0}, {Balanced, 9_999, 0}, {Balanced, 10_000, 1}, {Balanced, 19_999, 1}, {Balanced, 30_000, 3},
		{Edge, 1_999, 0}, {Edge, 2_000, 1}, {Edge, 1_000_000, 500}, {Edge, 0, 0},
	} {
		if got := c.p.Tolerance(EndToEnd, Features, ClassDefault).budget(c.n); got != c.want {
			t.Errorf("%s with %d elements: %d, want %d", c.p.Name(), c.n, got, c.want)
		}
	}
}

func TestGoldenTakesTheLargerBound(t *testing.T) {
	for _, c := range []struct {
		ref, cand float64
		pass      bool
	}{
		{0, 1e-4, true}, {0, 1.01e-4, false}, {10, 10.0099, true}, {10, 10.0101, false}, {0.05, 0.0501001, false},
	} {
		if got := Compare(f64(c.ref), f64(c.cand), Golden).Passed; got != c.pass {
			t.Errorf("%g against %g: %v", c.cand, c.ref, got)
		}
	}
}
