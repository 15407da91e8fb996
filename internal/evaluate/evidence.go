package evaluate

import (
	"fmt"
	"slices"

	"github.com/apex-x/apexx/internal/coco"
)

// What is compared has a text, from which every number and interval can be computed again without the data set and without running a model. It
// is strict: what no pairing could have given is refused.

// MarshalText writes the pairs as text.
func (m *Matches) MarshalText() ([]byte, error) {
	var p packer
	p.uint(uint64(len(m.Images)))
	for _, id := range m.Images {
		p.uint(uint64(id))
	}
	p.uint(uint64(len(m.series)))
	for class, list := range m.series {
		p.uint(uint64(m.Classes.IDs[class]))
		p.string(m.Classes.Names[class])
		p.bool(m.Classes.Stuff[class])
		p.class(&list)
	}
	return p.text()
}

// class writes column by column: what is alike lies together. Detections are the same in every stratum.
func (p *packer) class(list *[len(Ranges)]series) {
	all := list[0].found
	p.uint(uint64(len(all)))
	for _, f := range all {
		p.uint(uint64(f.image))
	}
	for _, f := range all {
		p.float(f.score)
	}
	for i := range list {
		for _, f := range list[i].found {
			p.uint(uint64(f.right))
		}
		for _, f := range list[i].found {
			p.uint(uint64(f.ignored))
		}
		p.uint(uint64(len(list[i].objects)))
		for _, o := range list[i].objects {
			p.uint(uint64(o.image))
			p.uint(uint64(o.count))
		}
	}
}

// UnmarshalText reads what MarshalText wrote. Images and classes ascend by their ids, detections descend by their scores, a class has at most
// 100 detections in an image, and in no image are more right at a threshold than it has objects.
func (m *Matches) UnmarshalText(text []byte) error {
	u := unpack(text)
	*m = Matches{Images: make([]int64, u.count("the number of images"))}
	for i := range m.Images {
		if m.Images[i] = int64(u.uint()); i > 0 && m.Images[i] <= m.Images[i-1] {
			u.fail("the image %d follows %d", m.Images[i], m.Images[i-1])
		}
	}
	d := coco.Dataset{Categories: make([]coco.Category, u.count("the number of classes"))}
	m.series = make([][len(Ranges)]series, len(d.Categories))
	for class := range d.Categories {
		c := coco.Category{ID: int64(u.uint()), Name: u.string()}
		c.Stuff = u.below(2, "the kind of a class") == 1
		if class > 0 && c.ID <= d.Categories[class-1].ID {
			u.fail("the class %d follows %d", c.ID, d.Categories[class-1].ID)
		}
		d.Categories[class] = c
		u.class(&m.series[class], len(m.Images))
		if u.err != nil {
			break
		}
	}
	m.Classes = d.Mapping()
	if err := u.end(); err != nil {
		return fmt.Errorf("pairs of detections and objects: %w", err)
	}
	return nil
}

func (u *unpacker) class(list *[len(Ranges)]series, images int) {
	all := make([]found, u.count("the number of detections"))
	ranks := map[int32]int{}
	for i := range all {
		image := int32(u.below(images, "the image of a detection"))
		if ranks[image] == mostFound {
			u.fail("an image has more than %d detections of a class", mostFound)
		}
		all[i].image, all[i].rank = image, uint8(ranks[image])
		ranks[image]++
	}
	for i := range all {
		if all[i].score = u.float(); all[i].score-all[i].score != 0 || i > 0 && all[i].score > all[i-1].score {
			u.fail("the score %v follows a lower one, or is none", all[i].score)
		}
	}
	for i := range list {
		list[i] = series{found: slices.Clone(all)}
		u.stratum(&list[i], images)
	}
}

// stratum reads what is right and ignored of the detections, and the objects.
func (u *unpacker) stratum(s *series, images int) {
	for i := range s.found {
		s.found[i].right = uint16(u.below(1<<thresholdCount, "what is right of a detection"))
	}
	for i := range s.found {
		s.found[i].ignored = uint16(u.below(1<<thresholdCount, "what is ignored of a detection"))
	}
	s.objects = make([]objects, u.count("the number of images with objects"))
	left := map[int32][thresholdCount]int32{} // objects of an image that no detection has found
	for i := range s.objects {
		o := objects{int32(u.below(images, "the image of objects")), int32(u.below(1<<31-1, "the number of objects"))}
		if o.count == 0 || i > 0 && o.image <= s.objects[i-1].image {
			u.fail("image %d with %d objects is out of place", o.image, o.count)
		}
		s.objects[i] = o
		var counts [thresholdCount]int32
		for t := range counts {
			counts[t] = o.count
		}
		left[o.image] = counts
	}
	for _, f := range s.found {
		counts := left[f.image]
		for t := range counts {
			if f.right&^f.ignored&(1<<t) != 0 {
				counts[t]--
			}
			if counts[t] < 0 {
				u.fail("image %d has more right detections than objects", f.image)
				return
			}
		}
		left[f.image] = counts
	}
}

// SameObjects tells whether two results are of the same images, classes and objects.
func SameObjects(a, b *Matches) bool {
	return slices.Equal(a.Images, b.Images) && slices.Equal(a.Classes.IDs, b.Classes.IDs) &&
		slices.EqualFunc(a.series, b.series, func(x, y [len(Ranges)]series) bool {
			for i := range x {
				if !slices.Equal(x[i].objects, y[i].objects) {
					return false
				}
			}
			return true
		})
}

// MarshalText writes the counts as text.
func (s *Semantic) MarshalText() ([]byte, error) {
	var p packer
	p.uint(uint64(len(s.images)))
	for _, image := range s.images {
		p.uint(uint64(len(image)))
		for _, c := range image {
			for _, n := range []int64{int64(c.label), c.both, c.predicted, c.truth} {
				p.uint(uint64(n))
			}
		}
	}
	return p.text()
}

// mostPixels bounds what a label has of an image.
const mostPixels = 1 << 40

// UnmarshalText reads what MarshalText wrote. Labels ascend, both sides of an image have as many pixels, and they share no more of a label
// than either has.
func (s *Semantic) UnmarshalText(text []byte) error {
	u := unpack(text)
	*s = Semantic{images: make([][]labelCount, u.count("the number of images"))}
	for i := range s.images {
		image := make([]labelCount, u.count("the number of labels"))
		sum := int64(0)
		for k := range image {
			c := labelCount{label: uint8(u.below(256, "a label")), both: int64(u.below(mostPixels, "the pixels")),
				predicted: int64(u.below(mostPixels, "the pixels")), truth: int64(u.below(mostPixels, "the pixels"))}
			if c.both > min(c.predicted, c.truth) || k > 0 && c.label <= image[k-1].label {
				u.fail("image %d, label %d: %d pixels of %d and %d", i, c.label, c.both, c.predicted, c.truth)
			}
			image[k] = c
			sum += c.predicted - c.truth
		}
		if sum != 0 {
			u.fail("image %d: one side has %d pixels more", i, sum)
		}
		s.images[i] = image
	}
	if err := u.end(); err != nil {
		return fmt.Errorf("labels: %w", err)
	}
	return nil
}

// MarshalText writes the counts as text.
func (p *Panoptic) MarshalText() ([]byte, error) {
	var out packer
	out.uint(uint64(len(p.stuff)))
	for _, stuff := range p.stuff {
		out.bool(stuff)
	}
	out.uint(uint64(len(p.images)))
	for _, image := range p.images {
		out.uint(uint64(len(image)))
		for _, c := range image {
			for _, n := range []int{c.class, c.right, c.wrong, c.missed} {
				out.uint(uint64(n))
			}
			out.float(c.overlap)
		}
	}
	return out.text()
}

// UnmarshalText reads what MarshalText wrote. Classes ascend, and the overlap of a right segment is above 0.5 and at most 1.
func (p *Panoptic) UnmarshalText(text []byte) error {
	u := unpack(text)
	*p = Panoptic{stuff: make([]bool, u.count("the number of classes"))}
	for i := range p.stuff {
		p.stuff[i] = u.below(2, "the kind of a class") == 1
	}
	p.images = make([][]segmentCount, u.count("the number of images"))
	for i := range p.images {
		image := make([]segmentCount, u.count("the number of classes of an image"))
		for k := range image {
			c := segmentCount{class: u.below(len(p.stuff), "a class"), right: u.below(1<<31, "the segments"), wrong: u.below(1<<31, "the segments"),
				missed: u.below(1<<31, "the segments"), overlap: u.float()}
			const rounding = 1e-9
			least, most := float64(c.right)*(0.5-rounding), float64(c.right)*(1+rounding)
			if !(c.overlap >= least && c.overlap <= most) || k > 0 && c.class <= image[k-1].class {
				u.fail("image %d, class %d: %d right segments overlap by %v", i, c.class, c.right, c.overlap)
			}
			image[k] = c
		}
		p.images[i] = image
	}
	if err := u.end(); err != nil {
		return fmt.Errorf("segments: %w", err)
	}
	return nil
}

// Len is the number of images.
func (s *Semantic) Len() int { return len(s.images) }

// Len is the number of images.
func (p *Panoptic) Len() int { return len(p.images) }

// Classes is the number of classes.
func (p *Panoptic) Classes() int { return len(p.stuff) }
