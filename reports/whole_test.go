package reports

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
)

// many is a matrix of that many cases and one pair. The states of some cases are given; the others pass.
func many(cases int, states map[int]evidence.State) *parity.Matrix {
	column := func(p backends.Precision) parity.Column { return parity.Column{Backend: "reference", Precision: p} }
	m := &parity.Matrix{Columns: []parity.Column{column(backends.FP64), column(backends.FP32)}, Pairs: []parity.Pair{{Candidate: column(backends.FP32), Reference: column(backends.FP64)}}}
	for i := range cases {
		name := fmt.Sprintf("case %03d", i)
		state := states[i]
		if state == "" {
			state = evidence.Pass
		}
		c := parity.Cell{Case: name, Pair: m.Pairs[0], Outcome: evidence.Outcome{State: state}}
		if state.Compared() {
			c.Report = &parity.Report{State: state, Outputs: slices.Repeat([]parity.TensorReport{{Name: "output", Passed: true}}, 14)}
		}
		m.Cases, m.Cells = append(m.Cases, name), append(m.Cells, c)
	}
	return m
}

func TestWholeCases(t *testing.T) {
	span := func(from, to int) (list []int) {
		for i := from; i < to; i++ {
			list = append(list, i)
		}
		return list
	}
	states := func(s evidence.State, at ...int) map[int]evidence.State {
		m := map[int]evidence.State{}
		for _, i := range at {
			m[i] = s
		}
		return m
	}
	mixed := states(evidence.Explained, span(0, 95)...)
	maps.Copy(mixed, states(evidence.Crashed, span(700, 710)...))
	interrupted := states(evidence.Cancelled, span(200, 900)...)
	interrupted[850] = evidence.Hung
	for name, tt := range map[string]struct {
		cases  int
		states map[int]evidence.State
		want   []int
	}{
		"few":              {12, nil, span(0, 12)},
		"many that pass":   {900, nil, span(0, 24)},
		"some that do not": {900, states(evidence.Unverified, 3, 500, 899), slices.Concat(span(0, 25), []int{500, 899})},
		"none that passes": {900, states(evidence.Fail, span(0, 900)...), span(0, 100)},
		"not there":        {900, states(evidence.Unsupported, span(0, 900)...), span(0, 24)},
		"not run, one bad": {900, interrupted, slices.Concat(span(0, 24), []int{850})},
		"worse first":      {900, mixed, slices.Concat(span(0, 90), span(700, 710))},
	} {
		got := slices.Sorted(maps.Keys(wholeCases(many(tt.cases, tt.states))))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: %d cases are whole: %v\nwant %v", name, len(got), got, tt.want)
		}
	}
}

// TestPageOfManyCases holds the page to a size at which it opens, whatever there is: every cell at a glance, details of some.
func TestPageOfManyCases(t *testing.T) {
	d := &Document{Matrix: many(900, map[int]evidence.State{700: evidence.Fail, 701: evidence.Crashed})}
	report := d.Matrix.Cells[700].Report
	report.Decisions = make([]parity.Decision, 5000)
	for _, name := range d.Matrix.Cases {
		d.Images = append(d.Images, CaseImages{name, []LabelledImage{{"overlay", "png", make([]byte, 1<<20)}}})
	}
	var out bytes.Buffer
	if err := HTML(&out, d); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	for what, tt := range map[string]struct{ text, want any }{
		"cells at a glance": {strings.Count(text, `class="cell `) > 900, true},
		"cells in detail":   {strings.Count(text, "<details"), 26},
		"links to cases":    {strings.Count(text, `href="#case-`), 26},
		"links to details":  {strings.Count(text, `href="#cell-`), 26},
		"the failing case":  {strings.Contains(text, `id="case-700"`), true},
		"a passing case":    {strings.Contains(text, `id="case-899"`), false},
		"pictures":          {strings.Count(text, "<img"), 12},
		"without pictures":  {strings.Count(text, "The page has no room for the 1 pictures"), 14},
		"decisions":         {strings.Contains(text, "<li>and 4950 more, in matrix.json</li>"), true},
		"what is left out":  {strings.Contains(text, "Below are 26 of the 900 cases with their numbers and pictures"), true},
		"size":              {len(text) < 20<<20, true},
	} {
		if tt.text != tt.want {
			t.Errorf("%s: %v, want %v", what, tt.text, tt.want)
		}
	}
	if len(report.Decisions) != 5000 {
		t.Error("the page changed the report")
	}
}
