package reports

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/calibrate"
	"github.com/apex-x/apexx/internal/printable"
)

// CalibrationText writes what ranges were found with, and the ranges, the greatest first.
func CalibrationText(w io.Writer, f *calibrate.File) error {
	var b strings.Builder
	k := f.Key
	fmt.Fprintf(&b, "%d ranges by %s, key %s\n", len(f.Ranges), printable.Line(k.Method), f.Cache)
	fmt.Fprintf(&b, "model    config sha256 %.12s, weights sha256 %.12s, onnx sha256 %.12s\n", k.Config, k.Weights, k.Export)
	fmt.Fprintf(&b, "data     version %s, shape %v\n", printable.Line(k.Data), k.Shape)
	fmt.Fprintf(&b, "profile  %s, %d products in float32\n", printable.Line(k.Profile), len(k.Wide))
	for _, name := range slices.Sorted(maps.Keys(k.Variables)) {
		fmt.Fprintf(&b, "variable %s=%s\n", printable.Line(name), printable.Line(k.Variables[name]))
	}
	names := slices.SortedFunc(maps.Keys(f.Ranges), func(x, y string) int { return cmp.Or(cmp.Compare(f.Ranges[y], f.Ranges[x]), cmp.Compare(x, y)) })
	for _, name := range names {
		fmt.Fprintf(&b, "%12.6g  %s\n", f.Ranges[name], printable.Line(name))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// rangePair is the range of a value in two calibrations.
type rangePair struct {
	name string
	a, b float32
}

// octaves is how many times the second range is twice the first: log2(b/a), infinite where one of them is 0.
func (p rangePair) octaves() float64 { return math.Log2(float64(p.b) / float64(p.a)) }

// equal tells ranges between which no value of int8, whose last level is 127, moves by more than a hundredth of a level, as those do not that other kernels
// computed.
func (p rangePair) equal() bool {
	return math.Abs(float64(p.a)-float64(p.b)) <= float64(max(p.a, p.b))/127/100
}

// CalibrationDifferences writes which ranges of two calibrations differ, those first that differ most. It tells whether anything does.
func CalibrationDifferences(w io.Writer, a, b *calibrate.File) (differ bool, err error) {
	var text strings.Builder
	if parts := a.Key.Differences(b.Key); len(parts) > 0 {
		fmt.Fprintf(&text, "the keys differ, by %s\n", strings.Join(parts, ", "))
	}
	var pairs []rangePair
	for name, r := range a.Ranges {
		if other, both := b.Ranges[name]; both {
			if p := (rangePair{name, r, other}); !p.equal() {
				pairs = append(pairs, p)
			}
		}
	}
	slices.SortFunc(pairs, func(x, y rangePair) int {
		return cmp.Or(cmp.Compare(math.Abs(y.octaves()), math.Abs(x.octaves())), cmp.Compare(x.name, y.name))
	})
	for _, p := range pairs {
		fmt.Fprintf(&text, "%12.6g  %12.6g  %+8.3f octaves  %s\n", p.a, p.b, p.octaves(), printable.Line(p.name))
	}
	first, second := alone(a, b), alone(b, a)
	fmt.Fprintf(&text, "%d ranges differ, %d are equal, %d are in the first alone, %d in the second alone\n", len(pairs), len(a.Ranges)-first-len(pairs), first, second)
	_, err = io.WriteString(w, text.String())
	return len(pairs)+first+second > 0, err
}

// alone counts the values that one calibration has and another lacks.
func alone(f, other *calibrate.File) (n int) {
	for name := range f.Ranges {
		if _, both := other.Ranges[name]; !both {
			n++
		}
	}
	return n
}
