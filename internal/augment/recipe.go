package augment

import (
	"fmt"
	"image"
	"math/rand/v2"
	"slices"
)

// Recipe says how new samples are made of those of a data set.
type Recipe struct {
	Flip   float64 // probability that a picture is mirrored, in [0,1]
	Mosaic *Mosaic // nil for samples of one picture each
	Limits Limits
	Seed   uint64
}

// Least is how many pictures a recipe needs.
func (r Recipe) Least() int {
	if r.Mosaic != nil {
		return 4
	}
	return 1
}

// Make makes the sample of a number, from 0, of the n that load reads by theirs. It begins with that of the same number, over and over;
// the other three of a mosaic are drawn. It is an error if there are fewer than Least, or if load has one.
func (r Recipe) Make(number, n int, load func(i int) (Sample, error)) (Sample, error) {
	if n < r.Least() {
		return Sample{}, fmt.Errorf("a sample is made of %d pictures, and there are %d", r.Least(), n)
	}
	rnd := rand.New(rand.NewPCG(r.Seed, uint64(number)))
	if r.Mosaic == nil {
		s, err := r.flipped(number%n, load, rnd)
		if err != nil {
			return Sample{}, err
		}
		return s.Crop(image.Rect(0, 0, s.Picture.Width, s.Picture.Height), r.Limits), nil
	}
	var four [4]Sample
	taken := []int{number % n}
	for len(taken) < len(four) {
		taken = append(taken, another(n, taken, rnd))
	}
	for i, at := range taken {
		var err error
		if four[i], err = r.flipped(at, load, rnd); err != nil {
			return Sample{}, err
		}
	}
	return r.Mosaic.Combine(four, r.Limits, rnd), nil
}

// another draws a number below n that is not taken.
func another(n int, taken []int, rnd *rand.Rand) int {
	for {
		if i := rnd.IntN(n); !slices.Contains(taken, i) {
			return i
		}
	}
}

// flipped reads a sample and mirrors it by chance. The draw is made in any case, so that what follows does not depend on it.
func (r Recipe) flipped(i int, load func(i int) (Sample, error), rnd *rand.Rand) (Sample, error) {
	s, err := load(i)
	if mirror := rnd.Float64() < r.Flip; mirror && err == nil {
		s = s.Flip()
	}
	return s, err
}
