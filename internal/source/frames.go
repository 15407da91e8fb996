package source

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apex-x/apexx/internal/picture"
	"github.com/apex-x/apexx/internal/printable"
)

// Frames are the pictures of a sequence, all of one size.
type Frames struct {
	Paths         []string // in the order of the sequence
	Width, Height int
}

// OpenFrames lists the PNG and JPEG files of a folder in natural order: frame2 before frame10. Hidden files, other files and
// folders in it are no frames. Every header is read, so that a frame of another size, or a file that is no picture, costs no
// work; what is damaged further on shows when it is loaded. Errors are one line and name the file.
func OpenFrames(dir string) (*Frames, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("frames: %w", err)
	}
	f, from := &Frames{}, map[string]string{}
	for _, e := range entries {
		if name := e.Name(); !e.IsDir() && !strings.HasPrefix(name, ".") && IsPicture(name) {
			f.Paths = append(f.Paths, filepath.Join(dir, name))
			if other, dup := from[stem(name)]; dup {
				return nil, fmt.Errorf("frames: %s and %s would both be the frame %s; rename one", printable.Line(other), printable.Line(name), printable.Line(stem(name)))
			}
			from[stem(name)] = name
		}
	}
	if len(f.Paths) == 0 {
		return nil, fmt.Errorf("frames: %s holds no PNG or JPEG file", printable.Line(dir))
	}
	slices.SortFunc(f.Paths, func(a, b string) int { return compareNatural(filepath.Base(a), filepath.Base(b)) })
	for i, path := range f.Paths {
		w, h, err := picture.Size(path)
		if err != nil {
			return nil, fmt.Errorf("frame %d: %w", i+1, err)
		}
		if i == 0 {
			f.Width, f.Height = w, h
		}
		if w != f.Width || h != f.Height {
			return nil, fmt.Errorf("frame %d: %s has %d×%d pixels and the frames before it %d×%d; want one size throughout",
				i+1, printable.Line(path), w, h, f.Width, f.Height)
		}
	}
	return f, nil
}

// compareNatural orders names as people count: a run of digits by its value, everything else byte by byte, and names that are
// equal in that, such as 1 and 01, byte by byte as a whole.
func compareNatural(a, b string) int {
	x, y := a, b
	for x != "" && y != "" {
		dx, dy := digits(x), digits(y)
		order := cmp.Compare(x[0], y[0])
		nx, ny := 1, 1
		if dx != "" && dy != "" {
			vx, vy := strings.TrimLeft(dx, "0"), strings.TrimLeft(dy, "0")
			order = cmp.Or(cmp.Compare(len(vx), len(vy)), strings.Compare(vx, vy))
			nx, ny = len(dx), len(dy)
		}
		if order != 0 {
			return order
		}
		x, y = x[nx:], y[ny:]
	}
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(a, b))
}

// digits returns the digits that s begins with.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
