package routing

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"testing"
)

func TestNewTileSelection(t *testing.T) {
	s := must(NewTileSelection(" L1 ", []int{3, 1, 2}, []int{1, 2, 3}, map[string]any{"name": "debug", "grid": []int{4, 4}}, map[string]float64{"b2": 3.5, "b_total": 7}))(t)
	text := must(indentedJSON(must(s.Object())(t)))(t)
	want := `{
  "budgets_used": {
    "b2": 3.5,
    "b_total": 7.0
  },
  "indices": [
    3,
    1,
    2
  ],
  "level": "l1",
  "meta": {
    "grid": [
      4,
      4
    ],
    "name": "debug"
  },
  "ordered_indices": [
    1,
    2,
    3
  ]
}
`
	if string(text) != want {
		t.Errorf("file form:\n%s\nwant:\n%s", text, want)
	}
	empty := must(NewTileSelection("l0", nil, nil, nil, nil))(t)
	if got := must(indentedJSON(must(empty.Object())(t)))(t); !bytes.Contains(got, []byte(`"indices": [],`)) || !bytes.Contains(got, []byte(`"meta": {},`)) {
		t.Errorf("empty containers:\n%s", got)
	}
}

func TestNewTileSelectionErrors(t *testing.T) {
	for _, c := range []struct {
		level            string
		indices, ordered []int
		meta             map[string]any
		budgets          map[string]float64
		sub              string
	}{
		{"l3", nil, nil, nil, nil, "one of"}, {"l0", []int{-1}, []int{-1}, nil, nil, "non-negative"}, {"l0", []int{1}, []int{-1}, nil, nil, "non-negative"},
		{"l0", []int{1, 1}, []int{1}, nil, nil, "permutation"}, {"l0", []int{1, 1, 2}, []int{1, 2, 2}, nil, nil, "permutation"},
		{"l0", nil, nil, map[string]any{"x": math.NaN()}, nil, "finite"}, {"l0", nil, nil, nil, map[string]float64{"b": math.Inf(1)}, "finite"},
		{"l0", nil, nil, nil, map[string]float64{"b": -1}, "non-negative"},
	} {
		_, err := NewTileSelection(c.level, c.indices, c.ordered, c.meta, c.budgets)
		wantErr(t, err, c.sub)
	}
	_, err := NewTileSelection("l0", nil, nil, map[string]any{"f": struct{}{}}, nil)
	if !errors.Is(err, ErrType) {
		t.Errorf("a struct in meta gives %v, want a type error", err)
	}
}

func TestParseTileSelection(t *testing.T) {
	s := must(ParseTileSelection([]byte(`{"level": "L0", "indices": [2.0, " 7 ", "-0"], "ordered_indices": [0, 2, 7], "extra": 1,
		"budgets_used": {"a": "1e1", "b": " 2 ", "c": "1_0", "d": -0.0}}`)))(t)
	if !slices.Equal(s.Indices, []int{2, 7, 0}) || s.BudgetsUsed["a"] != 10 || s.BudgetsUsed["b"] != 2 || s.BudgetsUsed["c"] != 10 || !math.Signbit(s.BudgetsUsed["d"]) {
		t.Errorf("parsed %+v", s)
	}
	with := func(index, budget string) string {
		return `{"level":"l0","indices":[` + index + `],"ordered_indices":[` + index + `],"budgets_used":{"b":` + budget + `}}`
	}
	for _, index := range []string{`true`, `2.5`, `"1.0"`, `"+1"`, `null`, `""`, `1e30`, `123456789012345678901234567890`, `[]`, `"1_0"`} {
		_, err := ParseTileSelection([]byte(with(index, "0")))
		wantErr(t, err, "indices[0]")
	}
	_, err := ParseTileSelection([]byte(with(`"-3"`, "0")))
	wantErr(t, err, "non-negative")
	for _, budget := range []string{`true`, `null`, `"ten"`, `"_1"`, `"1__0"`, `"0x10"`, `""`, `{}`} {
		_, err := ParseTileSelection([]byte(with("1", budget)))
		wantErr(t, err, `budgets_used "b"`)
	}
	for _, budget := range []string{`"inf"`, `"1e999"`, `"nan"`, `1e999`} {
		_, err := ParseTileSelection([]byte(with("1", budget)))
		wantErr(t, err, "finite")
	}
	for text, sub := range map[string]string{
		`[]`: "want an object", `{}`: "level", `{"level":1}`: "want a string", `{"level":"l0"}`: "indices", `{"level":"l0","indices":[]}`: "ordered_indices",
		`{"level":"l0","indices":[],"ordered_indices":[],"meta":[]}`: "meta", `{"level":"l0","indices":[],"ordered_indices":[],"budgets_used":null}`: "budgets_used",
		`{"level":"l9","indices":[],"ordered_indices":[]}`: "one of",
	} {
		_, err := ParseTileSelection([]byte(text))
		wantErr(t, err, sub)
	}
}

// What parses has an object form that parses to the same canonical text.
func FuzzParseTileSelection(f *testing.F) {
	f.Add([]byte(`{"level":"l0","indices":[2.0," 7 "],"ordered_indices":[7,2],"meta":{"a":[1,2.5,null]},"budgets_used":{"a":"1_0"}}`))
	f.Add([]byte(`{"level":" L2","indices":[],"ordered_indices":[]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseTileSelection(data)
		if err != nil {
			return
		}
		text := must(CanonicalJSON(must(s.Object())(t)))(t)
		again := must(ParseTileSelection(text))(t)
		if got := must(CanonicalJSON(must(again.Object())(t)))(t); !bytes.Equal(got, text) {
			t.Errorf("%s becomes %s", text, got)
		}
	})
}
