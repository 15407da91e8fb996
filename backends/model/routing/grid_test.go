package routing

import (
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func TestChildren(t *testing.T) {
	for _, c := range []struct {
		id, h, w int
		want     [4]int
	}{
		{11, 3, 4, [4]int{38, 39, 46, 47}}, {0, 3, 4, [4]int{0, 1, 8, 9}}, {5, 3, 4, [4]int{18, 19, 26, 27}},
		{47, 6, 8, [4]int{174, 175, 190, 191}}, {0, 6, 8, [4]int{0, 1, 16, 17}},
	} {
		if got := must.Get(Children(c.id, c.h, c.w))(t); got != c.want {
			t.Errorf("Children(%d, %d, %d) = %v, want %v", c.id, c.h, c.w, got, c.want)
		}
	}
	for _, c := range []struct {
		id, h, w int
		sub      string
	}{{12, 3, 4, "out of bounds"}, {-1, 3, 4, "out of bounds"}, {0, 0, 4, "must be > 0"}, {0, 1 << 20, 1 << 20, "more than"}} {
		_, err := Children(c.id, c.h, c.w)
		must.Fail(t, err, c.sub)
	}
}
