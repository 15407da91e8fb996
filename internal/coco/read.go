package coco

import (
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/apex-x/apexx/internal/input"
	"github.com/apex-x/apexx/internal/printable"
)

// Options of reading.
type Options struct {
	Strict bool          // refuse a file with any problem
	Each   func(Problem) // called with every problem, in the order in which they are found; nil for nothing
}

// Read reads an instances file: an object with images, annotations and categories, in any order. The problems are those of records
// that were left out or mended; strictly they are an error, *StrictError. A file that is no JSON or no such object is an error too.
// Every error names the file.
func Read(path string, o Options) (*Dataset, Problems, error) {
	f, err := input.Open(path, input.Annotations)
	if err != nil {
		return nil, Problems{}, err
	}
	defer f.Close()
	d, problems, err := Decode(f, o)
	if err != nil {
		return nil, problems, fmt.Errorf("%s: %w", printable.Line(path), err)
	}
	return d, problems, nil
}

// Decode is Read for a stream.
func Decode(in io.Reader, o Options) (*Dataset, Problems, error) {
	r := newReader(in, o)
	err := r.file(map[string]func() error{"images": r.images, "annotations": r.annotations, "categories": r.categories})
	if err == nil {
		err = r.finish()
	}
	if err != nil {
		return nil, r.problems, err
	}
	r.relate()
	if o.Strict && r.problems.Count > 0 {
		return nil, r.problems, &StrictError{r.problems}
	}
	return &r.data, r.problems, nil
}

// reader collects records and what is wrong with them.
type reader struct {
	*scanner
	strict   bool
	data     Dataset
	places   [3][]int32 // of the kept images, categories and annotations in their lists
	problems Problems
	each     func(Problem)
	others   []string // lists of the file that are read over

	record  record
	numbers arena[float64]
	counts  arena[uint32]
}

func newReader(in io.Reader, o Options) *reader {
	return &reader{scanner: newScanner(in), strict: o.Strict, each: o.Each}
}

// tell files a problem.
func (r *reader) tell(p Problem) {
	r.problems.add(p)
	if r.each != nil {
		r.each(p)
	}
}

// file reads an object with some lists, all of which it must have.
func (r *reader) file(lists map[string]func() error) error {
	if c, err := r.next(); err != nil {
		return err
	} else if c != '{' {
		return fmt.Errorf("the file is %s, want an object with the lists %s", kindOf(c), keys(lists))
	}
	seen := map[string]bool{}
	err := r.object(func(key []byte) error {
		name := string(key)
		read, ok := lists[name]
		switch {
		case ok && seen[name]:
			return fmt.Errorf("%s is given twice", name)
		case ok:
			seen[name] = true
			if c, err := r.next(); err != nil {
				return err
			} else if c != '[' {
				return fmt.Errorf("%s is %s, want a list", name, kindOf(c))
			}
			return read()
		case r.strict && name != "info" && name != "licenses" && !slices.Contains(r.others, name):
			r.tell(Problem{Record: "the file", Field: name, Text: "is no key of this kind of file"})
		}
		return r.skip()
	})
	if err != nil {
		return err
	}
	for name := range lists {
		if !seen[name] {
			return fmt.Errorf("the file has no list %s; want %s", name, keys(lists))
		}
	}
	return nil
}

func keys(lists map[string]func() error) string {
	var names []string
	for name := range lists {
		names = append(names, name)
	}
	slices.SortFunc(names, cmp.Compare)
	text := names[0]
	for i, name := range names[1:] {
		if i == len(names)-2 {
			text += " and " + name
		} else {
			text += ", " + name
		}
	}
	return text
}

// arena hands out slices of large blocks, so that millions of short lists cost neither their own allocations nor room to grow.
type arena[T any] struct {
	block []T // len is what was handed out, or is being collected
	start int // of the list being collected
}

const arenaBlock = 1 << 16

// begin starts a list.
func (a *arena[T]) begin() { a.start = len(a.block) }

// push adds to the list.
func (a *arena[T]) push(v T) {
	if len(a.block) == cap(a.block) {
		list := a.block[a.start:]
		a.block = append(make([]T, 0, max(arenaBlock, 2*len(list))), list...)
		a.start = 0
	}
	a.block = append(a.block, v)
}

// list returns what was pushed since begin.
func (a *arena[T]) list() []T { return a.block[a.start:len(a.block):len(a.block)] }

// drop takes it back.
func (a *arena[T]) drop() { a.block = a.block[:a.start] }
