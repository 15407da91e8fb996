package routing

import (
	"fmt"
	"maps"
	"slices"
)

// LevelCost is what one tile of a level costs, in any one unit. Source: spec 7.1.
type LevelCost struct {
	Cheap          float64 // coarse path alone; finite, >= 0
	Heavy          float64 // refined path; finite, > Cheap
	PackOverhead   float64 // finite, >= 0, as the two below
	UnpackOverhead float64
	SplitOverhead  float64 // of replacing the tile by its four children
}

// IO returns the overhead of packing and unpacking.
func (c LevelCost) IO() float64 { return c.PackOverhead + c.UnpackOverhead }

// heavy is the cost of the refined path with or without IO.
func (c LevelCost) heavy(includeIO bool) float64 {
	if includeIO {
		return c.Heavy + c.IO()
	}
	return c.Heavy
}

// field returns the field of a JSON name, nil if there is none.
func (c *LevelCost) field(name string) *float64 {
	switch name {
	case "c_cheap":
		return &c.Cheap
	case "c_heavy":
		return &c.Heavy
	case "pack_overhead":
		return &c.PackOverhead
	case "unpack_overhead":
		return &c.UnpackOverhead
	case "split_overhead":
		return &c.SplitOverhead
	}
	return nil
}

var costFields = [...]string{"c_cheap", "c_heavy", "pack_overhead", "unpack_overhead", "split_overhead"}

func (c LevelCost) check() error {
	for _, name := range costFields {
		if v := *c.field(name); !finite(v) || v < 0 {
			return fmt.Errorf("%s is %v: must be >= 0 and finite", name, v)
		}
	}
	if c.Heavy <= c.Cheap {
		return fmt.Errorf("c_heavy is %v: must be > c_cheap, which is %v", c.Heavy, c.Cheap)
	}
	return nil
}

// DefaultLevelCost returns the cost that every level has in the default model.
func DefaultLevelCost() LevelCost { return LevelCost{Cheap: 0.2, Heavy: 1, SplitOverhead: 1} }

// CostModel holds the costs of the three levels and the calibrations applied to them. Make one with [NewCostModel] or
// [ParseCostModel]. Source: spec 7.2.
type CostModel struct {
	levels  [3]LevelCost
	history []CalibrationRecord
}

// NewCostModel returns a model with the given costs, or with defaults for an empty map. Names ignore case and surrounding
// space; l0, l1, and l2 must all be present. Unlike the original, two spellings of one level are an error.
func NewCostModel(levels map[string]LevelCost) (*CostModel, error) {
	m := &CostModel{}
	if len(levels) == 0 {
		for _, l := range Levels {
			m.levels[l] = DefaultLevelCost()
		}
		return m, nil
	}
	var seen [3]bool
	for _, name := range slices.Sorted(maps.Keys(levels)) {
		l, err := ParseLevel(name)
		if err != nil {
			return nil, fmt.Errorf("cost levels must be l0, l1, and l2: %w", err)
		}
		if seen[l] {
			return nil, fmt.Errorf("cost level %v is given twice; the second spelling is %q", l, name)
		}
		if err := levels[name].check(); err != nil {
			return nil, fmt.Errorf("cost of level %v: %w", l, err)
		}
		seen[l], m.levels[l] = true, levels[name]
	}
	if seen != [3]bool{true, true, true} {
		return nil, fmt.Errorf("cost levels are %v: want l0, l1, and l2", slices.Sorted(maps.Keys(levels)))
	}
	return m, nil
}

// Level returns the cost of a tile of level l.
func (m *CostModel) Level(l Level) (LevelCost, error) {
	if err := l.check(); err != nil {
		return LevelCost{}, err
	}
	return m.levels[l], nil
}

// Cheap returns the cost of n tiles of the coarse path, n >= 0.
func (m *CostModel) Cheap(l Level, n int) (float64, error) {
	return m.times(l, n, func(c LevelCost) float64 { return c.Cheap })
}

// Heavy returns the cost of n refined tiles, with packing and unpacking if includeIO.
func (m *CostModel) Heavy(l Level, n int, includeIO bool) (float64, error) {
	return m.times(l, n, func(c LevelCost) float64 { return c.heavy(includeIO) })
}

// Delta returns what refining n tiles costs more than the coarse path: Heavy - Cheap.
func (m *CostModel) Delta(l Level, n int, includeIO bool) (float64, error) {
	heavy, err := m.Heavy(l, n, includeIO)
	if err != nil {
		return 0, err
	}
	cheap, err := m.Cheap(l, n)
	return heavy - cheap, err
}

// Split returns the overhead of splitting n tiles.
func (m *CostModel) Split(l Level, n int) (float64, error) {
	return m.times(l, n, func(c LevelCost) float64 { return c.SplitOverhead })
}

func (m *CostModel) times(l Level, n int, unit func(LevelCost) float64) (float64, error) {
	c, err := m.Level(l)
	if err != nil {
		return 0, err
	}
	if n < 0 {
		return 0, fmt.Errorf("%d tiles of level %v: must be >= 0", n, l)
	}
	return float64(float64(n) * unit(c)), nil
}

// Expected returns the sum over tiles of p*heavy + (1-p)*cheap, where p is the probability of refinement, in [0,1]; NaN is
// an error, which the original lets pass.
func (m *CostModel) Expected(l Level, probabilities []float64, includeIO bool) (float64, error) {
	c, err := m.Level(l)
	if err != nil {
		return 0, err
	}
	return expectedCost(probabilities, c.heavy(includeIO), c.Cheap)
}

// Float is the type of probabilities and utilities.
type Float interface{ float32 | float64 }

// ExpectedCost returns the sum over tiles of p*heavy + (1-p)*cheap, in float64. p must be in [0,1]; the tensor form of the
// original took a NaN for 0. cheap must be finite and >= 0, heavy finite and > cheap. Source: spec 14.
func ExpectedCost[T Float](probabilities []T, heavy, cheap float64) (float64, error) {
	if !finite(cheap) || cheap < 0 {
		return 0, fmt.Errorf("c_cheap is %v: must be >= 0 and finite", cheap)
	}
	if !finite(heavy) || heavy <= cheap {
		return 0, fmt.Errorf("c_heavy is %v: must be > c_cheap, which is %v, and finite", heavy, cheap)
	}
	return expectedCost(probabilities, heavy, cheap)
}

func expectedCost[T Float](probabilities []T, heavy, cheap float64) (float64, error) {
	total := 0.0
	for i, v := range probabilities {
		p := float64(v)
		if !(p >= 0 && p <= 1) {
			return 0, fmt.Errorf("probability %v of tile %d: must be in [0, 1]", p, i)
		}
		total += float64(p*heavy) + float64((1-p)*cheap)
	}
	return total, nil
}

// CostCounts says how many tiles of each level take each path. Absent levels count 0.
type CostCounts struct{ Heavy, Cheap, Split map[Level]int }

// Total returns the cost of all tiles: for l0, l1 and l2 in turn, heavy + cheap + split.
func (m *CostModel) Total(counts CostCounts, includeIO bool) (float64, error) {
	for _, c := range []map[Level]int{counts.Heavy, counts.Cheap, counts.Split} {
		for _, l := range slices.Sorted(maps.Keys(c)) {
			if err := l.check(); err != nil {
				return 0, err
			}
		}
	}
	total := 0.0
	for _, l := range Levels {
		heavy, err := m.Heavy(l, counts.Heavy[l], includeIO)
		if err != nil {
			return 0, err
		}
		cheap, err := m.Cheap(l, counts.Cheap[l])
		if err != nil {
			return 0, err
		}
		split, err := m.Split(l, counts.Split[l])
		if err != nil {
			return 0, err
		}
		total += heavy
		total += cheap
		total += split
	}
	return total, nil
}
