// Package synthetic makes annotation files and results of any size that look like those of COCO: polygons of people's accuracy, crowds,
// images without objects, detections that are moved, missed, confused and repeated. A seed makes the same files anywhere.
package synthetic

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"

	"github.com/apex-x/apexx/internal/mask"
)

// Spec says what to make.
type Spec struct {
	Images     int
	Classes    int
	Objects    float64 // on average in an image; COCO has 7
	Detections int     // in an image, those of objects first
	Noise      float64 // how far detections are off, in parts of an object's sides; 0.1 is a good detector
	Miss       float64 // share of the objects that are not found
	Ties       bool    // scores in steps of 0.1, so that many are equal
	Masks      bool    // results have masks beside boxes
	Seed       uint64
}

type object struct {
	id       int
	image    int // from 1
	class    int // from 1
	box      [4]float64
	polygons [][]float64
	runs     *mask.RLE
}

const width, height = 640, 480

// Set is a synthetic data set.
type Set struct {
	spec    Spec
	objects []object
}

// New draws the objects.
func New(spec Spec) *Set {
	rnd := rand.New(rand.NewPCG(spec.Seed, 1))
	s := &Set{spec: spec}
	for im := range spec.Images {
		for range int(rnd.ExpFloat64() * spec.Objects) {
			s.objects = append(s.objects, newObject(rnd, spec, len(s.objects)+1, im+1))
		}
	}
	return s
}

func newObject(rnd *rand.Rand, spec Spec, id, image int) object {
	o := object{id: id, image: image, class: 1 + rnd.IntN(spec.Classes)}
	size := 8 * math.Exp(3*rnd.Float64()) // half of COCO's objects are small
	w, h := min(size*(0.5+rnd.Float64()), width-2), min(size*(0.5+rnd.Float64()), height-2)
	x, y := rnd.Float64()*(width-w), rnd.Float64()*(height-h)
	o.box = [4]float64{hundredths(x), hundredths(y), hundredths(w), hundredths(h)}
	if rnd.IntN(100) == 0 {
		crowd, err := mask.FromBox(o.box, height, width)
		if err != nil {
			panic(err) // the box lies in the image
		}
		o.runs = &crowd
		return o
	}
	for range 1 + rnd.IntN(5)/4 {
		o.polygons = append(o.polygons, outline(rnd, x+w/2, y+h/2, w/2, h/2))
	}
	return o
}

// outline is a wavy ellipse of as many points as people click.
func outline(rnd *rand.Rand, x, y, a, b float64) []float64 {
	n := 8 + rnd.IntN(50)
	wave, phase := 2+float64(rnd.IntN(5)), rnd.Float64()*2*math.Pi
	xy := make([]float64, 0, 2*n)
	for i := range n {
		angle := 2 * math.Pi * float64(i) / float64(n)
		r := 0.85 + 0.15*math.Sin(wave*angle+phase)
		sin, cos := math.Sincos(angle)
		xy = append(xy, hundredths(x+a*r*cos), hundredths(y+b*r*sin))
	}
	return xy
}

func hundredths(v float64) float64 { return math.Round(v*100) / 100 }

// Annotations writes the instances file.
func (s *Set) Annotations(w io.Writer) error {
	out := bufio.NewWriterSize(w, 1<<16)
	fmt.Fprint(out, `{"info": {"description": "synthetic", "year": 2026}, "licenses": [], "images": [`)
	for i := range s.spec.Images {
		separate(out, i)
		fmt.Fprintf(out, `{"license": 3, "file_name": "%012d.jpg", "coco_url": "", "height": %d, "width": %d, "date_captured": "2013-11-14 17:02:52", "id": %d}`,
			i+1, height, width, i+1)
	}
	fmt.Fprint(out, `], "annotations": [`)
	for i, o := range s.objects {
		separate(out, i)
		out.WriteString(`{"segmentation": `)
		writeSegmentation(out, o)
		crowd := 0
		if o.runs != nil {
			crowd = 1
		}
		fmt.Fprintf(out, `, "area": %s, "iscrowd": %d, "image_id": %d, "bbox": %s, "category_id": %d, "id": %d}`,
			text(o.area()), crowd, o.image, numbers(o.box[:]), o.class, o.id)
	}
	fmt.Fprint(out, `], "categories": [`)
	for i := range s.spec.Classes {
		separate(out, i)
		fmt.Fprintf(out, `{"supercategory": "kind", "id": %d, "name": "class %d"}`, i+1, i+1)
	}
	fmt.Fprintln(out, `]}`)
	return out.Flush()
}

// area is three quarters of the box, about that of its outline.
func (o object) area() float64 { return hundredths(0.75 * o.box[2] * o.box[3]) }

func writeSegmentation(out *bufio.Writer, o object) {
	if o.runs != nil {
		fmt.Fprintf(out, `{"counts": [`)
		for i, n := range o.runs.Counts {
			separate(out, i)
			out.WriteString(strconv.Itoa(int(n)))
		}
		fmt.Fprintf(out, `], "size": [%d, %d]}`, height, width)
		return
	}
	out.WriteString("[")
	for i, xy := range o.polygons {
		separate(out, i)
		out.WriteString(numbers(xy))
	}
	out.WriteString("]")
}

// Results writes what a detector would find: for each object that is not missed one detection off by noise, and then others at random
// places, until there are as many as the specification says.
func (s *Set) Results(w io.Writer) error {
	rnd := rand.New(rand.NewPCG(s.spec.Seed, 2))
	out := bufio.NewWriterSize(w, 1<<16)
	out.WriteString("[")
	count, next := 0, 0
	for im := 1; im <= s.spec.Images; im++ {
		in := 0
		for ; next < len(s.objects) && s.objects[next].image == im; next++ {
			if o := s.objects[next]; in < s.spec.Detections && rnd.Float64() >= s.spec.Miss {
				separate(out, count)
				s.writeDetection(out, rnd, o, s.spec.Noise, 0.3+0.7*rnd.Float64())
				count, in = count+1, in+1
			}
		}
		for ; in < s.spec.Detections; in++ {
			separate(out, count)
			s.writeDetection(out, rnd, newObject(rnd, s.spec, 0, im), 0, 0.6*rnd.Float64())
			count++
		}
	}
	out.WriteString("]\n")
	return out.Flush()
}

func (s *Set) writeDetection(out *bufio.Writer, rnd *rand.Rand, o object, noise, score float64) {
	class, box := o.class, slices.Clone(o.box[:])
	if noise > 0 && rnd.IntN(20) == 0 {
		class = 1 + rnd.IntN(s.spec.Classes)
	}
	for i := range box {
		box[i] = hundredths(box[i] + noise*o.box[2+i%2]*rnd.NormFloat64())
	}
	box[2], box[3] = max(box[2], 1), max(box[3], 1)
	score = math.Round(score*1000) / 1000
	if s.spec.Ties {
		score = math.Round(score*10) / 10
	}
	fmt.Fprintf(out, `{"image_id": %d, "category_id": %d, "bbox": %s, "score": %s`, o.image, class, numbers(box), text(score))
	if s.spec.Masks {
		m, err := mask.FromPolygon(outline(rnd, box[0]+box[2]/2, box[1]+box[3]/2, box[2]/2, box[3]/2), height, width)
		if err != nil {
			panic(err) // noise keeps it near the image
		}
		fmt.Fprintf(out, `, "segmentation": {"size": [%d, %d], "counts": %s}`, height, width, quoted(m.Compressed()))
	}
	out.WriteString("}")
}

func separate(out *bufio.Writer, i int) {
	if i > 0 {
		out.WriteString(", ")
	}
}

func text(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func numbers(list []float64) string {
	out := []byte("[")
	for i, v := range list {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = strconv.AppendFloat(out, v, 'f', -1, 64)
	}
	return string(append(out, ']'))
}

// quoted writes run lengths as a JSON string: of their characters only the backslash needs an escape.
func quoted(s string) string {
	out := []byte{'"'}
	for i := range len(s) {
		if s[i] == '\\' {
			out = append(out, '\\')
		}
		out = append(out, s[i])
	}
	return string(append(out, '"'))
}
