package coco

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"io"
	"math"
)

// A snapshot is what was read from a file in a form that is read faster: numbers as varints, coordinates in hundredths where these are exact,
// and a checksum of all of it at the end.

// snapshotForm begins a snapshot. Whatever changes in Decode or here changes its number.
const snapshotForm = "apexx annotations 1\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errSnapshot says that a snapshot is damaged or of another form.
var errSnapshot = errors.New("it is damaged or of another version")

// The kinds of a segmentation in a snapshot.
const (
	noMask = iota
	polygonMask
	runMask
	textMask
)

// snapshot writes a data set and its problems.
func snapshot(out io.Writer, d *Dataset, p Problems) error {
	w := writer{out: out, buf: []byte(snapshotForm)}
	w.count(len(d.Images))
	for i := range d.Images {
		im := &d.Images[i]
		w.int(im.ID)
		w.text(im.FileName)
		w.count(im.Width)
		w.count(im.Height)
		w.flush(flushed)
	}
	w.count(len(d.Categories))
	for _, c := range d.Categories {
		w.int(c.ID)
		w.text(c.Name)
		w.flag(c.Stuff)
	}
	w.count(len(d.Annotations))
	for i := range d.Annotations {
		w.annotation(&d.Annotations[i])
		w.flush(flushed)
	}
	problems, err := json.Marshal(p)
	if err != nil {
		return err
	}
	w.text(string(problems))
	w.flush(0)
	w.buf = binary.LittleEndian.AppendUint32(w.buf, w.sum)
	w.flush(0)
	return w.err
}

// writer collects bytes, their checksum, and the first error of out.
type writer struct {
	out io.Writer
	buf []byte
	sum uint32
	err error
}

// flushed is how many bytes are collected before they are written.
const flushed = 1 << 16

// flush writes the bytes if there are more than least.
func (w *writer) flush(least int) {
	if len(w.buf) <= least || w.err != nil {
		return
	}
	w.sum = crc32.Update(w.sum, castagnoli, w.buf)
	_, w.err = w.out.Write(w.buf)
	w.buf = w.buf[:0]
}

func (w *writer) int(v int64)   { w.buf = binary.AppendVarint(w.buf, v) }
func (w *writer) count(n int)   { w.buf = binary.AppendUvarint(w.buf, uint64(n)) }
func (w *writer) text(s string) { w.count(len(s)); w.buf = append(w.buf, s...) }

func (w *writer) flag(b bool) {
	n := 0
	if b {
		n = 1
	}
	w.count(n)
}

// notHundredths stands before a number that is no whole number of hundredths.
const notHundredths = 1

// real writes hundredths, shifted by a bit, or notHundredths and all bits.
func (w *writer) real(v float64) {
	k := math.Round(v * 100)
	if n := int64(min(max(k, -1<<53), 1<<53)); math.Float64bits(float64(n)/100) == math.Float64bits(v) {
		w.buf = binary.AppendUvarint(w.buf, uint64(n<<1^n>>63)<<1)
		return
	}
	w.buf = binary.LittleEndian.AppendUint64(append(w.buf, notHundredths), math.Float64bits(v))
}

func (w *writer) annotation(a *Annotation) {
	w.int(a.ID)
	w.int(a.Image)
	w.int(a.Category)
	for _, v := range a.Box {
		w.real(v)
	}
	w.real(a.Area)
	w.flag(a.Crowd)
	switch s := &a.Segmentation; {
	case s.Empty():
		w.count(noMask)
	case s.Polygons != nil:
		w.count(polygonMask)
		w.count(len(s.Polygons))
		for _, xy := range s.Polygons {
			w.count(len(xy))
			for _, v := range xy {
				w.real(v)
			}
		}
	case s.Compressed != "":
		w.count(textMask)
		w.count(s.Size[0])
		w.count(s.Size[1])
		w.text(s.Compressed)
	default:
		w.count(runMask)
		w.count(s.Size[0])
		w.count(s.Size[1])
		w.count(len(s.Counts))
		for _, n := range s.Counts {
			w.count(int(n))
		}
	}
}

// restore reads what snapshot wrote. Its error is errSnapshot.
func restore(text []byte) (*Dataset, Problems, error) {
	end := len(text) - 4
	if end < len(snapshotForm) || string(text[:len(snapshotForm)]) != snapshotForm || crc32.Checksum(text[:end], castagnoli) != binary.LittleEndian.Uint32(text[end:]) {
		return nil, Problems{}, errSnapshot
	}
	r := restorer{buf: text[len(snapshotForm):end]}
	d := &Dataset{}
	for range roomFor(&r, &d.Images) {
		d.Images = append(d.Images, Image{r.int(), r.text(), r.count(), r.count()})
	}
	for range roomFor(&r, &d.Categories) {
		d.Categories = append(d.Categories, Category{r.int(), r.text(), r.count() == 1})
	}
	for range roomFor(&r, &d.Annotations) {
		d.Annotations = append(d.Annotations, r.annotation())
	}
	var p Problems
	if err := json.Unmarshal([]byte(r.text()), &p); err != nil || r.bad || len(r.buf) > 0 {
		return nil, Problems{}, errSnapshot
	}
	return d, p, nil
}

// restorer reads numbers and texts from the front of buf. Once something is missing it is bad, and everything is 0.
type restorer struct {
	buf     []byte
	bad     bool
	numbers arena[float64]
	counts  arena[uint32]
}

func (r *restorer) fail() {
	r.buf, r.bad = nil, true
}

func (r *restorer) uint() uint64 {
	if len(r.buf) > 0 && r.buf[0] < 0x80 { // most of them
		v := r.buf[0]
		r.buf = r.buf[1:]
		return uint64(v)
	}
	v, n := binary.Uvarint(r.buf)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.buf = r.buf[n:]
	return v
}

func (r *restorer) int() int64 {
	v := r.uint()
	return int64(v>>1) ^ -int64(v&1)
}

func (r *restorer) count() int {
	v := r.uint()
	if v > math.MaxInt32 {
		r.fail()
		return 0
	}
	return int(v)
}

// length is the number of what follows, each of at least a byte.
func (r *restorer) length() int {
	n := r.count()
	if n > len(r.buf) {
		r.fail()
		return 0
	}
	return n
}

// roomFor makes room for as many records as the next number says, and returns it.
func roomFor[T any](r *restorer, list *[]T) int {
	n := r.length()
	if n > 0 {
		*list = make([]T, 0, n)
	}
	return n
}

func (r *restorer) text() string {
	n := r.length()
	s := string(r.buf[:n])
	r.buf = r.buf[n:]
	return s
}

func (r *restorer) real() float64 {
	v := r.uint()
	if v != notHundredths {
		v >>= 1
		return float64(int64(v>>1)^-int64(v&1)) / 100
	}
	if len(r.buf) < 8 {
		r.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(r.buf))
	r.buf = r.buf[8:]
	return f
}

func (r *restorer) annotation() Annotation {
	a := Annotation{ID: r.int(), Image: r.int(), Category: r.int()}
	for i := range a.Box {
		a.Box[i] = r.real()
	}
	a.Area, a.Crowd = r.real(), r.count() == 1
	switch r.count() {
	case polygonMask:
		for range roomFor(r, &a.Segmentation.Polygons) {
			r.numbers.begin()
			for range r.length() {
				r.numbers.push(r.real())
			}
			a.Segmentation.Polygons = append(a.Segmentation.Polygons, r.numbers.list())
		}
	case runMask:
		a.Segmentation.Size = [2]int{r.count(), r.count()}
		r.counts.begin()
		for range r.length() {
			r.counts.push(uint32(r.uint()))
		}
		a.Segmentation.Counts = r.counts.list()
	case textMask:
		a.Segmentation.Size = [2]int{r.count(), r.count()}
		a.Segmentation.Compressed = r.text()
	}
	return a
}
