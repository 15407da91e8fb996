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
	m := &parity.Matrix{Policies: []string{"balanced e2e"}, Columns: []parity.Column{column(backends.FP64), column(backends.FP32)}, Pairs: []parity.Pair{{Candidate: column(backends.FP32), Reference: column(backends.FP64)}}}
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

// TestPageOfManyCases holds the pages to a size at which they open, whatever there is: every cell at a glance, pages of some.
func TestPageOfManyCases(t *testing.T) {
	d := &Document{Matrix: many(900, map[int]evidence.State{700: evidence.Fail, 701: evidence.Crashed})}
	report := d.Matrix.Cells[700].Report
	report.Decisions = make([]parity.Decision, 5000)
	var glance, one bytes.Buffer
	if err := HTML(&glance, d); err != nil {
		t.Fatal(err)
	}
	if err := cellHTML(&one, clean(d), 700, 0); err != nil {
		t.Fatal(err)
	}
	text := glance.String()
	for what, tt := range map[string]struct{ got, want any }{
		"cells at a glance": {strings.Count(text, `class="cell `) > 900, true},
		"links to pages":    {strings.Count(text, `href="cells/`), 26},
		"the failing case":  {strings.Contains(text, `href="cells/0701-01.html"`), true},
		"a passing case":    {strings.Contains(text, `href="cells/0900-01.html"`), false},
		"decisions":         {strings.Contains(one.String(), "<li>and 4950 more, in matrix.json</li>"), true},
		"what is left out":  {strings.Contains(text, "There are pages of 26 of the 900 cases"), true},
		"size":              {len(text) < 1<<20 && one.Len() < 1<<20, true},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v, want %v", what, tt.got, tt.want)
		}
	}
	if len(report.Decisions) != 5000 {
		t.Error("the page changed the report")
	}
}
