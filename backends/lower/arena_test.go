package lower

import (
	"math/rand/v2"
	"testing"
)

// peak is the lower bound of an arena: the most that is needed at one time.
func peak(blocks []*block, steps int) int {
	most := 0
	for i := range steps {
		sum := 0
		for _, b := range blocks {
			if b.first <= i && i <= b.last {
				sum += b.size
			}
		}
		most = max(most, sum)
	}
	return most
}

func TestPlaceKeepsBlocksApart(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		steps, blocks := 1+r.IntN(40), []*block{}
		for range 1 + r.IntN(60) {
			first := r.IntN(steps)
			blocks = append(blocks, &block{size: r.IntN(1000), first: first, last: min(steps-1, first+r.IntN(8))})
		}
		const align = 16
		total := place(blocks, align, nil)
		for i, a := range blocks {
			if a.offset%align != 0 || a.offset+a.size > total {
				t.Fatalf("block %+v in an arena of %d", a, total)
			}
			for _, b := range blocks[:i] {
				if a.overlapsInTime(b, nil) && a.offset < b.offset+b.size && b.offset < a.offset+a.size {
					t.Fatalf("blocks %+v and %+v overlap", a, b)
				}
			}
		}
		if bound := peak(blocks, steps); total > 2*bound {
			t.Errorf("%d blocks take %d, needed at one time are %d", len(blocks), total, bound)
		}
	}
}

func TestPlaceReusesMemory(t *testing.T) {
	chain := []*block{{size: 64, first: 0, last: 1}, {size: 64, first: 1, last: 2}, {size: 64, first: 2, last: 3}, {size: 32, first: 3, last: 4}, {size: 32, first: 4, last: 5}}
	if total := place(chain, 16, nil); total != 128 {
		t.Errorf("a chain of 64-element values takes %d, want two of them", total)
	}
	if total := place(nil, 16, nil); total != 0 {
		t.Errorf("nothing takes %d", total)
	}
}

// Steps that may overlap do not share memory, though one comes after the other in the order: here 1 needs 0, and 2 needs nothing.
func TestPlaceKeepsStepsApartThatMayOverlap(t *testing.T) {
	before := func(step, other int) bool { return step == 0 && other == 1 }
	blocks := []*block{{size: 64, first: 0, last: 0, users: []int{0}}, {size: 64, first: 1, last: 1, users: []int{1}}, {size: 64, first: 2, last: 2, users: []int{2}}}
	if total := place(blocks, 16, before); total != 128 || blocks[0].offset != blocks[1].offset || blocks[2].offset == blocks[0].offset {
		t.Errorf("%d bytes, offsets %d, %d, %d; want 128, the first two in one place", total, blocks[0].offset, blocks[1].offset, blocks[2].offset)
	}
}
