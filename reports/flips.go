package reports

import (
	"image"
	"image/color"
	"math"
	"slices"
)

// Colours of what the reference or the candidate alone has, two that people with any common colour blindness can tell apart.
var (
	referenceOnly = color.NRGBA{86, 180, 233, 255}
	candidateOnly = color.NRGBA{230, 159, 0, 255}
)

// samePlace is the least overlap (IoU) of two boxes of one class that count as one detection.
const samePlace = 0.9

// FlipImage draws what one of two scenes of a picture has and the other has not: tiles dashed, boxes of detections of any score in a frame, on the
// darkened picture. It is nil where both have the same.
func FlipImage(ref, cand Scene) *image.NRGBA {
	tilesRef, tilesCand := without(ref.Tiles, cand.Tiles, sameTile), without(cand.Tiles, ref.Tiles, sameTile)
	boxesRef, boxesCand := without(ref.Detections, cand.Detections, sameDetection), without(cand.Detections, ref.Detections, sameDetection)
	if len(tilesRef)+len(tilesCand)+len(boxesRef)+len(boxesCand) == 0 {
		return nil
	}
	img := ref.Picture.Image()
	for i, v := range img.Pix {
		if i%4 != 3 {
			img.Pix[i] = v / 2
		}
	}
	unit := max(1, int(math.Round(float64(max(ref.Picture.Width, ref.Picture.Height))/512)))
	for _, side := range []struct {
		tiles []TileBox
		boxes []Detection
		color color.NRGBA
	}{{tilesRef, boxesRef, referenceOnly}, {tilesCand, boxesCand, candidateOnly}} {
		for _, t := range side.tiles {
			dashed(img, t.Box, 3*unit, 6*unit, side.color)
		}
		for _, d := range side.boxes {
			if box, finite := d.bounds(); finite {
				outline(img, box, 2*unit, side.color)
				label(img, box, d.caption(), unit, side.color)
			}
		}
	}
	return img
}

// without returns the items of a list that have no like in another, each of which is the like of one alone.
func without[T any](list, others []T, same func(a, b T) bool) []T {
	var rest []T
	left := slices.Clone(others)
	for _, v := range list {
		if at := slices.IndexFunc(left, func(o T) bool { return same(v, o) }); at >= 0 {
			left = slices.Delete(left, at, at+1)
		} else {
			rest = append(rest, v)
		}
	}
	return rest
}

func sameTile(a, b TileBox) bool { return a == b }

func sameDetection(a, b Detection) bool {
	x, okX := a.bounds()
	y, okY := b.bounds()
	return a.ClassID == b.ClassID && okX && okY && overlap(x, y) >= samePlace
}

// overlap is the intersection of two boxes over their union, 1 of two equal ones without an area.
func overlap(a, b [4]float64) float64 {
	if a == b {
		return 1
	}
	area := func(w, h float64) float64 { return max(w, 0) * max(h, 0) }
	both := area(min(a[2], b[2])-max(a[0], b[0]), min(a[3], b[3])-max(a[1], b[1]))
	union := area(a[2]-a[0], a[3]-a[1]) + area(b[2]-b[0], b[3]-b[1]) - both
	if union <= 0 {
		return 0
	}
	return both / union
}
