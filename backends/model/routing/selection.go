package routing

import (
	"fmt"
	"maps"
	"slices"
)

// TileSelection records the tiles that one level ran, and on what grounds. Source: spec 6.
type TileSelection struct {
	Level       Level
	Indices     []int              // tile ids in the order of selection; >= 0, may repeat
	Ordered     []int              // the same ids in the order of packing
	Meta        map[string]any     // anything that CanonicalJSON takes
	BudgetsUsed map[string]float64 // finite, >= 0
}

// NewTileSelection checks and copies its arguments: the level is one of l0, l1, l2 (case and surrounding space ignored), ids
// are non-negative, ordered is a permutation of indices, meta has a JSON form, budgets are finite and non-negative.
func NewTileSelection(level string, indices, ordered []int, meta map[string]any, budgets map[string]float64) (TileSelection, error) {
	l, err := ParseLevel(level)
	if err != nil {
		return TileSelection{}, err
	}
	return TileSelection{l, indices, ordered, meta, budgets}.checked()
}

// checked returns a copy in normal form: no nil, meta plain.
func (s TileSelection) checked() (TileSelection, error) {
	if err := s.Level.check(); err != nil {
		return TileSelection{}, err
	}
	for _, list := range []struct {
		name string
		ids  []int
	}{{"indices", s.Indices}, {"ordered_indices", s.Ordered}} {
		for i, id := range list.ids {
			if id < 0 {
				return TileSelection{}, fmt.Errorf("%s[%d] is %d: must be non-negative", list.name, i, id)
			}
		}
	}
	if !slices.Equal(slices.Sorted(slices.Values(s.Indices)), slices.Sorted(slices.Values(s.Ordered))) {
		return TileSelection{}, fmt.Errorf("ordered_indices %v must be a permutation of indices %v", s.Ordered, s.Indices)
	}
	meta, err := plain(s.Meta, 0)
	if err != nil {
		return TileSelection{}, fmt.Errorf("meta: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(s.BudgetsUsed)) {
		if v := s.BudgetsUsed[name]; !finite(v) || v < 0 {
			return TileSelection{}, fmt.Errorf("budgets_used %q is %v: must be finite and non-negative", name, v)
		}
	}
	out := TileSelection{Level: s.Level, Indices: append([]int{}, s.Indices...), Ordered: append([]int{}, s.Ordered...),
		Meta: meta.(map[string]any), BudgetsUsed: maps.Clone(s.BudgetsUsed)}
	if out.BudgetsUsed == nil {
		out.BudgetsUsed = map[string]float64{}
	}
	return out, nil
}

// Object returns the JSON object form, with the keys level, indices, ordered_indices, meta and budgets_used.
func (s TileSelection) Object() (map[string]any, error) {
	c, err := s.checked()
	if err != nil {
		return nil, err
	}
	return map[string]any{"level": c.Level.String(), "indices": c.Indices, "ordered_indices": c.Ordered, "meta": c.Meta, "budgets_used": c.BudgetsUsed}, nil
}

// ParseTileSelection reads the JSON object form. Ids may be integers, floats of integral value or strings of digits; budgets
// may be numbers or strings that hold one. Unknown keys are ignored; meta and budgets_used may be absent.
func ParseTileSelection(data []byte) (TileSelection, error) {
	v, err := decodeJSON(data)
	if err != nil {
		return TileSelection{}, err
	}
	obj, err := asObject(v, "tile selection")
	if err != nil {
		return TileSelection{}, err
	}
	return selectionFrom(obj)
}

// selectionFrom checks in the order of spec 6.2.
func selectionFrom(obj map[string]any) (TileSelection, error) {
	fail := func(err error) (TileSelection, error) { return TileSelection{}, err }
	level, err := asString(obj["level"], "level")
	if err != nil {
		return fail(err)
	}
	indices, err := asIndices(obj["indices"], "indices")
	if err != nil {
		return fail(err)
	}
	ordered, err := asIndices(obj["ordered_indices"], "ordered_indices")
	if err != nil {
		return fail(err)
	}
	meta, err := optionalObject(obj, "meta")
	if err != nil {
		return fail(err)
	}
	used, err := optionalObject(obj, "budgets_used")
	if err != nil {
		return fail(err)
	}
	budgets := make(map[string]float64, len(used))
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if budgets[name], err = asLooseNumber(used[name], fmt.Sprintf("budgets_used %q", name)); err != nil {
			return fail(err)
		}
	}
	return NewTileSelection(level, indices, ordered, meta, budgets)
}

func asIndices(v any, what string) ([]int, error) {
	list, err := asList(v, what)
	if err != nil {
		return nil, err
	}
	out := make([]int, len(list))
	for i, item := range list {
		if out[i], err = asIndex(item, fmt.Sprintf("%s[%d]", what, i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}
