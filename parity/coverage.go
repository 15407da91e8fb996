package parity

import (
	"fmt"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends/tensor"
)

// Coverage says how much of an output was compared. Expected is Compared plus what is left out.
type Coverage struct {
	Expected int        `json:"expected"` // elements of the reference
	Compared int        `json:"compared"` // elements that a tolerance, equality or the decisions judged
	LeftOut  []Omission `json:"left_out,omitempty"`
}

// Omission is what was left out of an image for one cause.
type Omission struct {
	Cause    string `json:"cause"`
	Image    int    `json:"image"`
	Elements int    `json:"elements"`
}

// The causes of omissions.
const (
	causeRerouted = "other tiles were computed"
	causeBroken   = "the detections contradict themselves"
	causeAlone    = "detections without a partner"
	causeEdge     = "boxes of which an edge rounds to another cell"
	causeCells    = "cells of a rounded edge"
	causeNoRule   = "no tolerance is defined"
)

// coverageOf adds up the coverage of the essential outputs, by cause and image.
func coverageOf(outputs []TensorReport) Coverage {
	var all Coverage
	for i := range outputs {
		if !essential(outputs[i].Name) {
			continue
		}
		c := &outputs[i].Coverage
		all.Expected += c.Expected
		all.Compared += c.Compared
		for _, o := range c.LeftOut {
			same := func(p Omission) bool { return p.Cause == o.Cause && p.Image == o.Image }
			if at := slices.IndexFunc(all.LeftOut, same); at >= 0 {
				all.LeftOut[at].Elements += o.Elements
			} else {
				all.LeftOut = append(all.LeftOut, o)
			}
		}
	}
	return all
}

// String renders what was left out: "1200 of 3200 elements compared, without 2000 of image 0: other tiles were computed"; "" where
// all were compared.
func (c Coverage) String() string {
	if len(c.LeftOut) == 0 {
		return ""
	}
	var parts []string
	for _, o := range c.LeftOut {
		parts = append(parts, fmt.Sprintf("without %d of image %d: %s", o.Elements, o.Image, o.Cause))
	}
	return fmt.Sprintf("%d of %d elements compared, %s", c.Compared, c.Expected, strings.Join(parts, ", "))
}

// share is how many of the items of an image an output was compared on: detections where its rows are such, else the image itself.
type share struct{ items, compared int }

// essential tells whether a cell holds without an output. Taps help to tell what happened; every other output is a result.
func essential(output string) bool { return !strings.HasPrefix(output, "tap.") }

// lost tells whether so much was left out that nothing can be said of the image: half of its items or more, and at least one.
func (s share) lost() bool { return s.compared < s.items && 2*s.compared <= s.items }

// unverified says for the essential outputs which images lost the larger part of an output, "" where none did.
func unverified(outputs []TensorReport) string {
	var names []string
	images := map[int]bool{}
	cause := ""
	for i := range outputs {
		o := &outputs[i]
		if !essential(o.Name) {
			continue
		}
		for _, image := range o.lost {
			images[image] = true
			if !slices.Contains(names, o.Name) {
				names = append(names, o.Name)
			}
		}
		if len(o.lost) > 0 && cause == "" && len(o.Coverage.LeftOut) > 0 {
			cause = o.Coverage.LeftOut[0].Cause
		}
	}
	if len(names) == 0 {
		return ""
	}
	var list []int
	for image := range images {
		list = append(list, image)
	}
	slices.Sort(list)
	return fmt.Sprintf("%s of %s not compared: %s", strings.Join(names, ", "), imagesOf(list), cause)
}

func imagesOf(list []int) string {
	if len(list) == 1 {
		return fmt.Sprintf("image %d", list[0])
	}
	return "images " + joined(list)
}

// objectsOf divides an output into what a mismatch ratio counts in: the mask of each detection inside its box, the tiles of level
// 0 in a map, or the whole tensor.
func objectsOf(output string, ref *tensor.Tensor, set Setting) objects {
	s := ref.Shape()
	switch {
	case output == "mask_logits" && len(s) == 4 && ref.DType().IsFloat():
		return masksOf(ref)
	case len(s) == 4 && set.GridHeight > 0 && set.GridWidth > 0 && s[2]%set.GridHeight == 0 && s[3]%set.GridWidth == 0:
		return tilesOf(s, set.GridHeight, set.GridWidth)
	}
	return objects{}
}

// masksOf makes an object of what each mask [h,w] holds beside the fill value outside the box.
func masksOf(ref *tensor.Tensor) objects {
	plane := ref.Shape()[2] * ref.Shape()[3]
	of := objects{at: func(flat int) int {
		if element(ref, flat) == maskFill {
			return -1
		}
		return flat / plane
	}, size: make([]int, ref.Len()/max(plane, 1))}
	for flat := range ref.Len() {
		if element(ref, flat) != maskFill {
			of.size[flat/plane]++
		}
	}
	return of
}

// tilesOf makes an object of what all channels of a map [B,C,h,w] hold of each tile of an image.
func tilesOf(s []int, gridH, gridW int) objects {
	h, w := s[2], s[3]
	tileH, tileW := h/gridH, w/gridW
	of := objects{at: func(flat int) int {
		x, y := flat%w, flat/w%h
		return (flat/(s[1]*h*w)*gridH+y/tileH)*gridW + x/tileW
	}, size: make([]int, s[0]*gridH*gridW)}
	for i := range of.size {
		of.size[i] = s[1] * tileH * tileW
	}
	return of
}
