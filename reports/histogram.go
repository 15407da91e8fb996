package reports

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/apex-x/apexx/parity"
)

// The drawing of a histogram: a bar for equal elements, one per decade, one for non-finite mismatches.
const (
	barWidth, barGap = 8, 2
	barsHeight       = 30
)

// histogramSVG draws the errors of one output: bar heights are logarithmic in the count, so that a single wrong element among
// millions shows. A rule marks the absolute tolerance; bars beyond it are coloured. The title says the same in words.
func histogramSVG(o parity.TensorReport) template.HTML {
	bars := append(append([]int{o.Histogram.Zero}, o.Histogram.Decades[:]...), o.Histogram.NonFinite)
	most := 1.0
	for _, n := range bars {
		most = max(most, math.Log1p(float64(n)))
	}
	width := len(bars)*(barWidth+barGap) + barGap
	var s strings.Builder
	fmt.Fprintf(&s, `<svg class="hist" viewBox="0 0 %d %d" width="%d" height="%d" role="img"><title>%s</title>`,
		width, barsHeight+2, width, barsHeight+2, template.HTMLEscapeString(histogramWords(o)))
	fmt.Fprintf(&s, `<path class="axis" d="M0 %d.5H%d"/>`, barsHeight, width)
	for i, n := range bars {
		if n == 0 {
			continue
		}
		height := max(2, math.Log1p(float64(n))/most*(barsHeight-2))
		fmt.Fprintf(&s, `<rect class="%s" x="%d" y="%.1f" width="%d" height="%.1f"/>`,
			barClass(i, o), barGap+i*(barWidth+barGap), barsHeight-height, barWidth, height)
	}
	if atol := float64(o.Atol); atol > 0 && !math.IsInf(atol, 0) {
		decade := math.Log10(atol) - parity.FirstDecade
		x := barGap + (1+min(max(decade, 0), float64(len(o.Histogram.Decades))))*(barWidth+barGap) - barGap/2
		fmt.Fprintf(&s, `<path class="tol" d="M%.1f 0V%d"/>`, x, barsHeight)
	}
	s.WriteString(`</svg>`)
	return template.HTML(s.String())
}

// barClass colours a bar: equal elements, errors below and beyond the absolute tolerance, non-finite mismatches. Where no element has a
// tolerance of its own, as in vectors that are judged by an angle, errors have one colour.
func barClass(i int, o parity.TensorReport) string {
	switch {
	case i == 0:
		return "zero"
	case i > len(o.Histogram.Decades):
		return "bad"
	case o.Judgement == parity.ByNothing || o.Smallest != nil && o.Smallest.Angle != nil:
		return "within"
	case math.Pow10(i-1+parity.FirstDecade) >= float64(o.Atol):
		return "beyond"
	default:
		return "within"
	}
}

// histogramWords lists the filled bins: "equal: 12, 1e-07…1e-06: 40".
func histogramWords(o parity.TensorReport) string {
	var parts []string
	if n := o.Histogram.Zero; n > 0 {
		parts = append(parts, fmt.Sprintf("equal: %d", n))
	}
	last := len(o.Histogram.Decades) - 1
	for i, n := range o.Histogram.Decades {
		low := i + parity.FirstDecade
		switch {
		case n == 0:
		case i == 0:
			parts = append(parts, fmt.Sprintf("below 1e%+03d: %d", low+1, n))
		case i == last:
			parts = append(parts, fmt.Sprintf("from 1e%+03d: %d", low, n))
		default:
			parts = append(parts, fmt.Sprintf("1e%+03d…1e%+03d: %d", low, low+1, n))
		}
	}
	if n := o.Histogram.NonFinite; n > 0 {
		parts = append(parts, fmt.Sprintf("non-finite: %d", n))
	}
	if len(parts) == 0 {
		return "no elements"
	}
	return strings.Join(parts, ", ")
}
