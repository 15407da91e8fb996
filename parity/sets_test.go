package parity

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
)

// found are detections of one image, in ROWS rows.
func found(rows int, list ...detection) tensor.List {
	boxes, scores := make([]float32, 4*rows), make([]float32, rows)
	classes := make([]int64, rows)
	for i := range rows {
		classes[i] = -1
		if i < len(list) {
			for k, v := range list[i].box {
				boxes[4*i+k] = float32(v)
			}
			scores[i], classes[i] = float32(list[i].score), list[i].class
		}
	}
	return tensor.List{
		{Name: "boxes", Tensor: tensor.Must(tensor.Of(boxes, 1, rows, 4))},
		{Name: "scores", Tensor: tensor.Must(tensor.Of(scores, 1, rows))},
		{Name: "class_ids", Tensor: tensor.Must(tensor.Of(classes, 1, rows))},
		{Name: "valid_counts", Tensor: tensor.Must(tensor.Of([]int64{int64(len(list))}, 1))},
	}
}

func at(x, width, score float64, class int64) detection {
	return detection{box: box{x, 0, x + width, 100}, score: score, class: class}
}

func TestCountSets(t *testing.T) {
	a, b := at(0, 100, 0.9, 1), at(200, 100, 0.8, 2)
	for _, c := range []struct {
		name      string
		ref, cand []detection
		want      SetCount
	}{
		{"the same", []detection{a, b}, []detection{a, b}, SetCount{2, 2, 2}},
		{"another order", []detection{a, b}, []detection{b, a}, SetCount{2, 2, 2}},
		{"another class", []detection{a}, []detection{at(0, 100, 0.9, 3)}, SetCount{0, 1, 1}},
		{"an IoU of 0.96", []detection{a}, []detection{at(0, 96, 0.9, 1)}, SetCount{1, 1, 1}},
		{"an IoU of 0.94", []detection{a}, []detection{at(0, 94, 0.9, 1)}, SetCount{0, 1, 1}},
		{"two for one", []detection{a}, []detection{at(0, 98, 0.9, 1), at(0, 99, 0.8, 1)}, SetCount{1, 1, 2}},
		{"each takes what it overlaps most", []detection{at(0, 98, 0.9, 1), a}, []detection{a, at(0, 98, 0.8, 1)}, SetCount{2, 2, 2}},
		{"below the score", []detection{a, at(0, 300, 0.049, 1)}, []detection{a}, SetCount{1, 1, 1}},
		{"none", nil, nil, SetCount{}},
	} {
		if got := CountSets(found(3, c.ref...), found(3, c.cand...)); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	if got := CountSets(found(3, a), found(4, a)); got != (SetCount{}) {
		t.Errorf("outputs of other shapes: %+v", got)
	}
}

func TestBinomialTail(t *testing.T) {
	for _, c := range []struct {
		n, k int
		p    float64
		want float64
	}{
		{10, 0, 0.5, 1}, {10, 10, 0.5, 1.0 / 1024}, {10, 9, 0.5, 11.0 / 1024}, {2, 1, 0.01, 0.0199}, {3, 4, 0.5, 0},
	} {
		if got := binomialTail(c.n, c.k, c.p); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("P(X ≥ %d) of %d at %g: %g, want %g", c.k, c.n, c.p, got, c.want)
		}
	}
}

// TestSetsOfAMatrix: a cell fails for what cannot be an accident, the sum of the cells for less, and few detections tell nothing.
func TestSetsOfAMatrix(t *testing.T) {
	full := func(lost, of int) tensor.List {
		var list []detection
		for i := range of {
			d := at(float64(1000*i), 100, 0.5, 1)
			if i < lost {
				d = at(float64(1000*i), 50, 0.5, 1)
			}
			list = append(list, d)
		}
		return found(100, list...)
	}
	low := Column{"ort", backends.FP16}
	loose := Policy{"loose", 0, func(string, Class) Tolerance { return Tolerance{Abs: 1e9} }}
	for _, c := range []struct {
		name  string
		lost  []int // detections of 100 without a partner, by case
		of    int
		cells string
		want  string
	}{
		{"all", []int{0, 0}, 100, "pass pass", "pass ort/fp16 vs reference/fp64, 2 cases: F1 1.0000, 200 pairs of 200 and 200 detections (want F1 0.99)"},
		{"as many as may", []int{1, 1}, 100, "pass pass", "pass ort/fp16 vs reference/fp64, 2 cases: F1 0.9900, 198 pairs of 200 and 200 detections (want F1 0.99)"},
		{"a few more", []int{2, 1}, 100, "pass pass", "unverified ort/fp16 vs reference/fp64, 2 cases: F1 0.9850, 197 pairs of 200 and 200 detections (want F1 0.99): too few detections to tell"},
		{"a few in each of many", []int{4, 4, 4, 4, 4, 4, 4, 4}, 100, "pass pass pass pass pass pass pass pass", "fail ort/fp16 vs reference/fp64, 8 cases: F1 0.9600, 768 pairs of 800 and 800 detections (want F1 0.99): too many detections have no partner"},
		{"too many in one", []int{12, 0}, 100, "fail pass", "unverified ort/fp16 vs reference/fp64, 2 cases: F1 0.9400, 188 pairs of 200 and 200 detections (want F1 0.99): too few detections to tell"},
		{"nothing to find", []int{0}, 0, "pass", "unverified ort/fp16 vs reference/fp64, 1 case: no detections (want F1 0.99): too few detections to tell"},
	} {
		spec := MatrixSpec{Columns: []Column{ref64, low}, Policies: []Policy{loose}}
		answers := map[string]evidence.Run{}
		for i, lost := range c.lost {
			name := string(rune('a' + i))
			spec.Cases = append(spec.Cases, Case{Name: name})
			answers[name+" reference/fp64"] = evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: full(0, c.of)}
			answers[name+" ort/fp16"] = evidence.Run{Outcome: evidence.Outcome{State: evidence.Measured}, Outputs: full(lost, c.of)}
		}
		spec.Runner = &scripted{answers: answers}
		m, err := Run(context.Background(), spec)
		if err != nil {
			t.Fatal(err)
		}
		var cells []string
		for i := range m.Cells {
			cells = append(cells, string(m.Cells[i].State))
		}
		if got := strings.Join(cells, " "); got != c.cells {
			t.Errorf("%s: the cells are %s, want %s", c.name, got, c.cells)
		}
		if got := string(m.Sets[0].State) + " " + m.Sets[0].String(); len(m.Sets) != 1 || got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if m.Passed() != strings.HasPrefix(c.want, "pass") {
			t.Errorf("%s: exit code %d", c.name, m.ExitCode())
		}
	}
}

// TestNoise: errors that no element shows count together.
func TestNoise(t *testing.T) {
	ref := make([]float32, 1000)
	small, large := make([]float32, 1000), make([]float32, 1000)
	for i := range ref {
		ref[i] = float32(i%7) - 3
		sign := float32(1 - 2*(i%2))
		small[i], large[i] = ref[i]+0.001*sign, ref[i]+0.003*sign
	}
	tol := Tolerance{Abs: 0.01, Noise: 1e-3} // the reference's root mean square is 2
	for _, c := range []struct {
		cand []float32
		want string
	}{
		{ref, ""}, {small, ""}, {large, "the noise is 0.0015 of the reference, more than allowed: abs 0.01, noise 0.001"},
	} {
		r := Compare(tensor.Must(tensor.Of(ref, 1000)), tensor.Must(tensor.Of(c.cand, 1000)), tol)
		if got := r.failure(); got != c.want || r.Passed != (c.want == "") {
			t.Errorf("%q, passed %t, want %q", got, r.Passed, c.want)
		}
	}
	few := Tolerance{Abs: 0.01, Noise: 1e-3, NoiseOf: 16} // a number near 0 may be off by all of it
	for _, n := range []int{1, 15, 16} {
		x := tensor.New(tensor.Float32, n)
		tensor.Data[float32](x)[0] = 1e-3
		if r := Compare(tensor.New(tensor.Float32, n), x, few); r.Passed != (n < 16) {
			t.Errorf("noise of %d elements: passed %t", n, r.Passed)
		}
	}
	zeros := tensor.New(tensor.Float32, 4)
	if r := Compare(zeros, zeros, tol); !r.Passed {
		t.Errorf("zeros against zeros: %s", r.failure())
	}
	if r := Compare(zeros, tensor.Must(tensor.Of([]float32{0, 0, 0, 1e-6}, 4)), tol); r.Passed {
		t.Error("any noise beside zeros passes")
	}
}
