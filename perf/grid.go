package perf

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
)

// Size is the size of an image in pixels.
type Size struct{ Height, Width int }

// Grid is the cells of every combination of its lists.
type Grid struct {
	Backends   []string
	Profiles   []string
	Precisions []backends.Precision
	Sizes      []Size
	Batches    []int
	Scopes     []Scope
}

// Cells multiplies the lists out, backend by backend and scopes last; a grid with an empty list has none.
func (g Grid) Cells() []Cell {
	var cells []Cell
	for _, backend := range g.Backends {
		for _, profile := range g.Profiles {
			for _, precision := range g.Precisions {
				cells = g.appendWorkloads(cells, Cell{Backend: backend, Profile: profile, Precision: precision})
			}
		}
	}
	return cells
}

// appendWorkloads appends a cell for every size, batch and scope.
func (g Grid) appendWorkloads(cells []Cell, c Cell) []Cell {
	for _, size := range g.Sizes {
		for _, batch := range g.Batches {
			for _, scope := range g.Scopes {
				c.Height, c.Width, c.Batch, c.Scope = size.Height, size.Width, batch, scope
				cells = append(cells, c)
			}
		}
	}
	return cells
}

// ParseSize reads HEIGHTxWIDTH, such as 512x512.
func ParseSize(s string) (Size, error) {
	h, w, ok := strings.Cut(s, "x")
	height, err1 := strconv.Atoi(h)
	width, err2 := strconv.Atoi(w)
	if !ok || err1 != nil || err2 != nil || height < 1 || width < 1 {
		return Size{}, fmt.Errorf("%q is not a size (want HEIGHTxWIDTH, such as 512x512)", s)
	}
	return Size{height, width}, nil
}

// ParseBatch reads a batch size.
func ParseBatch(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0, fmt.Errorf("%q is not a batch size of 1 or more", s)
	}
	return n, nil
}
