package videotest

import (
	"math"
	"testing"
)

// TestWalk holds the sequence to what tests rely on: the disk is hidden for a while and comes back, one star passes behind
// the other, the cross leaves, and the ring comes late.
func TestWalk(t *testing.T) {
	w, err := NewWalk()
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Frames) != Length || len(w.Truth) != Length {
		t.Fatalf("%d frames, %d truths", len(w.Frames), len(w.Truth))
	}
	least, hidden, seen := map[int64]float64{}, map[int64]int{}, map[int64]int{}
	for _, frame := range w.Truth {
		for _, o := range frame {
			if _, known := least[o.ID]; !known {
				least[o.ID] = math.Inf(1)
			}
			least[o.ID] = min(least[o.ID], o.Visibility)
			seen[o.ID]++
			if o.Visibility < 0.1 {
				hidden[o.ID]++
			}
			if o.Box[0] < 0 || o.Box[1] < 0 || o.Box[2] > Side || o.Box[3] > Side || o.Box[0] >= o.Box[2] {
				t.Errorf("walker %d has the box %v", o.ID, o.Box)
			}
		}
	}
	const disk, behind, before, cross, ring, triangle = 3, 4, 5, 6, 7, 8
	if least[disk] != 0 || hidden[disk] < 8 || least[behind] > 0.3 || hidden[behind] != 0 || least[before] != 1 || seen[cross] == Length ||
		seen[ring] != Length-14 || least[triangle] != 1 {
		t.Errorf("least visible %v, hidden for %v, seen for %v", least, hidden, seen)
	}
	last := w.Truth[Length-1]
	if last[2].ID != disk || last[2].Visibility != 1 {
		t.Errorf("the disk ends as %+v", last[2])
	}
}
