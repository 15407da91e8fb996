package routing

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Stat is a statistic of a window of the PV grid.
type Stat uint8

// The statistics. Var is the population variance (divided by n).
const (
	StatMean Stat = iota
	StatMax
	StatVar
)

var statNames = [...]string{"mean", "max", "var"}

// String returns "mean", "max" or "var".
func (s Stat) String() string {
	if int(s) >= len(statNames) {
		return fmt.Sprintf("Stat(%d)", uint8(s))
	}
	return statNames[s]
}

// ParseStat returns the statistic of a name.
func ParseStat(name string) (Stat, error) {
	if i := slices.Index(statNames[:], name); i >= 0 {
		return Stat(i), nil
	}
	return 0, fmt.Errorf("unsupported stat %q: want one of mean, max, var", name)
}

// DefaultStats returns mean, max, var.
func DefaultStats() []Stat { return []Stat{StatMean, StatMax, StatVar} }

// TileVectors describes every tile of the feature map by statistics of PV maps.
type TileVectors[T Float] struct {
	Vectors Array[T] // [B, tiles, D], D = sum of channels * number of statistics
	Bounds  [][4]int // [tiles] windows on the PV grid, see WindowBounds
	Layout  []string // [D] "map:stat:cN"
}

// AggregatePV computes statistics of named PV maps [B,C,h,w], whose C may differ, over the window of each tile of a feature
// map of ffH x ffW cells. Features run by map name ascending, then the given statistics, then channel. Sums are in T, which
// is float32 in the model; the maximum of a window with a NaN is NaN. Source: spec 17.2.
func AggregatePV[T Float](pvMaps map[string]Array[T], ffH, ffW, tile int, stats []Stat) (TileVectors[T], error) {
	names := slices.Sorted(maps.Keys(pvMaps))
	if err := checkPVMaps(pvMaps, names, stats); err != nil {
		return TileVectors[T]{}, err
	}
	shape := pvMaps[names[0]].Shape
	batch, h, w := shape[0], shape[2], shape[3]
	out := TileVectors[T]{}
	var err error
	if out.Bounds, err = WindowBounds(ffH, ffW, tile, h, w); err != nil {
		return TileVectors[T]{}, err
	}
	for _, name := range names {
		for _, stat := range stats {
			for c := range pvMaps[name].Shape[1] {
				out.Layout = append(out.Layout, fmt.Sprintf("%s:%v:c%d", name, stat, c))
			}
		}
	}
	out.Vectors = NewArray[T](batch, len(out.Bounds), len(out.Layout))
	at := 0
	for b := range batch {
		for _, window := range out.Bounds {
			for _, name := range names {
				m := pvMaps[name]
				channels := m.Shape[1]
				for _, stat := range stats {
					for c := range channels {
						plane := m.Data[(b*channels+c)*h*w:][:h*w]
						out.Vectors.Data[at] = windowStat(plane, w, window, stat)
						at++
					}
				}
			}
		}
	}
	return out, nil
}

func checkPVMaps[T Float](pvMaps map[string]Array[T], names []string, stats []Stat) error {
	if len(stats) == 0 {
		return errors.New("stat_order must not be empty: want any of mean, max, var")
	}
	for _, s := range stats {
		if int(s) >= len(statNames) {
			return fmt.Errorf("unsupported stat %v: want one of mean, max, var", s)
		}
	}
	if len(names) == 0 {
		return errors.New("PV maps must not be empty")
	}
	for _, name := range names {
		m := pvMaps[name]
		if err := m.check(fmt.Sprintf("PV maps %q", name), 4); err != nil {
			return err
		}
		if m.Shape[0] == 0 || m.Shape[2] == 0 || m.Shape[3] == 0 {
			return fmt.Errorf("PV maps %q have shape %v: batch, height and width must be > 0", name, m.Shape)
		}
		if first := pvMaps[names[0]].Shape; m.Shape[0] != first[0] || m.Shape[2] != first[2] || m.Shape[3] != first[3] {
			return fmt.Errorf("PV maps %q have shape %v and %q %v: batch, height and width must match", name, m.Shape, names[0], first)
		}
	}
	return nil
}

// windowStat computes one statistic over window (y0, y1, x0, x1) of a plane that is w wide.
func windowStat[T Float](plane []T, w int, window [4]int, stat Stat) T {
	n := T((window[1] - window[0]) * (window[3] - window[2]))
	each := func(visit func(v T)) {
		for y := window[0]; y < window[1]; y++ {
			for _, v := range plane[y*w+window[2] : y*w+window[3]] {
				visit(v)
			}
		}
	}
	if stat == StatMax {
		best := plane[window[0]*w+window[2]]
		each(func(v T) { best = max(best, v) })
		return best
	}
	var sum T
	each(func(v T) { sum += v })
	mean := sum / n
	if stat == StatMean {
		return mean
	}
	var squares T
	each(func(v T) { squares += T((v - mean) * (v - mean)) })
	return squares / n
}
