package routing

import (
	"errors"
	"fmt"

	"github.com/apex-x/apexx/internal/input"
)

// TileSelectionTrace records all selections of a run. Source: spec 6.3.
type TileSelectionTrace struct {
	Selections []TileSelection // at least one; levels may repeat
	RunMeta    map[string]any  // anything that CanonicalJSON takes
}

// Object returns the JSON object form, with the keys selections and run_meta. It fails if the trace is empty or a selection
// is not valid.
func (t TileSelectionTrace) Object() (map[string]any, error) {
	if len(t.Selections) == 0 {
		return nil, errors.New("selections must not be empty")
	}
	list := make([]any, len(t.Selections))
	for i, s := range t.Selections {
		obj, err := s.Object()
		if err != nil {
			return nil, fmt.Errorf("selections[%d]: %w", i, err)
		}
		list[i] = obj
	}
	meta, err := plain(t.RunMeta, 0)
	if err != nil {
		return nil, fmt.Errorf("run_meta: %w", err)
	}
	return map[string]any{"selections": list, "run_meta": meta}, nil
}

// ForLevel returns the first selection of a level and whether there is one.
func (t TileSelectionTrace) ForLevel(level Level) (TileSelection, bool) {
	for _, s := range t.Selections {
		if s.Level == level {
			return s, true
		}
	}
	return TileSelection{}, false
}

// Hash returns the SHA-256 of the canonical JSON.
func (t TileSelectionTrace) Hash() (string, error) {
	obj, err := t.Object()
	if err != nil {
		return "", err
	}
	return HashJSON(obj)
}

// Save writes the trace as indented JSON. Folders are created; the file is written whole or not at all.
func (t TileSelectionTrace) Save(path string) error {
	obj, err := t.Object()
	if err != nil {
		return err
	}
	return saveJSON(path, obj)
}

// LoadTrace reads a file that Save wrote.
func LoadTrace(path string) (TileSelectionTrace, error) {
	data, err := input.Read(path, input.Routing)
	if err != nil {
		return TileSelectionTrace{}, err
	}
	t, err := ParseTrace(data)
	if err != nil {
		return TileSelectionTrace{}, fmt.Errorf("%s: %w", path, err)
	}
	return t, nil
}

// ParseTrace reads the JSON object form. Unknown keys are ignored; run_meta may be absent.
func ParseTrace(data []byte) (TileSelectionTrace, error) {
	fail := func(err error) (TileSelectionTrace, error) { return TileSelectionTrace{}, err }
	v, err := decodeJSON(data)
	if err != nil {
		return fail(err)
	}
	obj, err := asObject(v, "tile selection trace")
	if err != nil {
		return fail(err)
	}
	list, err := asList(obj["selections"], "selections")
	if err != nil {
		return fail(err)
	}
	if len(list) == 0 {
		return fail(errors.New("selections must not be empty"))
	}
	t := TileSelectionTrace{Selections: make([]TileSelection, len(list))}
	for i, item := range list {
		what := fmt.Sprintf("selections[%d]", i)
		entry, err := asObject(item, what)
		if err != nil {
			return fail(err)
		}
		if t.Selections[i], err = selectionFrom(entry); err != nil {
			return fail(fmt.Errorf("%s: %w", what, err))
		}
	}
	if t.RunMeta, err = optionalObject(obj, "run_meta"); err != nil {
		return fail(err)
	}
	return t, nil
}
