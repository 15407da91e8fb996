package mask

import (
	"fmt"
	"math"
	"slices"
)

// MaxCoordinate bounds the coordinates of a polygon, in pixels on both sides of 0.
const MaxCoordinate = 1 << 20

// upsampling is how many steps of the polygon's grid make a pixel.
const upsampling = 5

// CheckPolygon tells whether x, y, x, y, … are at least three points with possible coordinates.
func CheckPolygon(xy []float64) error {
	if len(xy) < 6 || len(xy)%2 != 0 {
		return fmt.Errorf("%d numbers, want x and y of at least three points", len(xy))
	}
	for i, v := range xy {
		if !(math.Abs(v) <= MaxCoordinate) {
			return fmt.Errorf("number %d is %v, want it finite and within ±%d", i, v, MaxCoordinate)
		}
	}
	return nil
}

// FromPolygon rasterises a closed polygon x, y, x, y, … as COCO does: its outline is walked on a grid of upsampling steps a pixel, and
// where it passes the middle of a column, it starts or ends a run there. It is an error for CheckPolygon or CheckSize.
func FromPolygon(xy []float64, height, width int) (RLE, error) {
	if err := CheckSize(height, width); err != nil {
		return RLE{}, fmt.Errorf("the image has %w", err)
	}
	if err := CheckPolygon(xy); err != nil {
		return RLE{}, err
	}
	c := crossings{height: height, width: width}
	n := len(xy) / 2
	x, y := onGrid(xy[0]), onGrid(xy[1])
	for i := range n {
		j := (i + 1) % n
		toX, toY := onGrid(xy[2*j]), onGrid(xy[2*j+1])
		c.edge(x, y, toX, toY)
		x, y = toX, toY
	}
	return c.runs(), nil
}

// onGrid rounds a coordinate to a step of the grid. Like the cast of C it cuts towards 0, so that negative ones are rounded up.
func onGrid(v float64) int { return int(float64(upsampling*v) + 0.5) }

// crossings collects where an outline crosses the middles of columns, as positions in the column-major mask.
type crossings struct {
	height, width int
	at            []uint32
	lastX, lastY  int
	started       bool
}

// edge walks from one point of the grid to another, a step at a time along the longer side.
func (c *crossings) edge(x1, y1, x2, y2 int) {
	dx, dy := x2-x1, y2-y1
	steps := max(dx, -dx, dy, -dy)
	if steps == 0 {
		c.point(x1, y1)
		return
	}
	// The line is always computed from its lower end, so that an edge gives the same points in both directions.
	alongX := max(dx, -dx) >= max(dy, -dy)
	reversed := alongX && dx < 0 || !alongX && dy < 0
	if reversed {
		x1, y1, dx, dy = x2, y2, -dx, -dy
	}
	slope := float64(dx) / float64(steps)
	if alongX {
		slope = float64(dy) / float64(steps)
	}
	for i := range steps + 1 {
		t := i
		if reversed {
			t = steps - i
		}
		if alongX {
			c.point(x1+t, int(float64(y1)+float64(slope*float64(t))+0.5))
		} else {
			c.point(int(float64(x1)+float64(slope*float64(t))+0.5), y1+t)
		}
	}
}

// point takes the next point of the outline.
func (c *crossings) point(x, y int) {
	if c.started && x != c.lastX {
		c.cross(x, y)
	}
	c.started, c.lastX, c.lastY = true, x, y
}

// cross notes a step of the outline from one column of the grid to the next where this passes the middle of a pixel.
func (c *crossings) cross(x, y int) {
	column := x - 1
	if x < c.lastX {
		column = x
	}
	at := (float64(column)+0.5)/upsampling - 0.5
	if at != math.Floor(at) || at < 0 || at > float64(c.width-1) {
		return
	}
	row := (float64(min(y, c.lastY))+0.5)/upsampling - 0.5
	row = math.Ceil(min(max(row, 0), float64(c.height)))
	c.at = append(c.at, uint32(int(at)*c.height+int(row)))
}

// runs makes run lengths of the sorted crossings. A run of length 0 joins its neighbours.
func (c *crossings) runs() RLE {
	slices.Sort(c.at)
	var b Builder
	last := uint32(0)
	for i, at := range append(c.at, uint32(c.height*c.width)) {
		b.Add(i%2 == 1, int(at-last))
		last = at
	}
	return b.RLE(c.height, c.width)
}
