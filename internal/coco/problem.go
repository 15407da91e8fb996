package coco

import (
	"fmt"
	"strings"

	"github.com/apex-x/apexx/internal/printable"
)

// Problem is something wrong with a record of a file.
type Problem struct {
	Record  string // such as "annotations[17] (id 918)"
	Field   string // such as "bbox"; "" for the whole record
	Text    string // what was found and what is wanted
	LeftOut bool   // the record cannot be used
}

// String is one line: record, field and text.
func (p Problem) String() string {
	text := p.Record
	if p.Field != "" {
		text += ", " + p.Field
	}
	text += ": " + p.Text
	if p.LeftOut {
		text += " (left out)"
	}
	return printable.Line(text)
}

// Problems are those of a file, in the order in which they were found: the first of them, and how many there are.
type Problems struct {
	List    []Problem // at most maxProblems
	Count   int
	LeftOut int // records that cannot be used
}

// maxProblems bounds the list: a file that is wrong throughout is as well described by its beginning.
const maxProblems = 1000

func (p *Problems) add(q Problem) {
	p.Count++
	if len(p.List) < maxProblems {
		p.List = append(p.List, q)
	}
}

// String counts them: "3 problems, 1 record left out".
func (p Problems) String() string {
	plural := func(n int) string {
		if n == 1 {
			return ""
		}
		return "s"
	}
	return fmt.Sprintf("%d problem%s, %d record%s left out", p.Count, plural(p.Count), p.LeftOut, plural(p.LeftOut))
}

// StrictError refuses a file for its problems.
type StrictError struct{ Problems }

// Error names the first problem and counts the others.
func (e *StrictError) Error() string {
	first := e.List[0]
	first.LeftOut = false
	if e.Count == 1 {
		return first.String()
	}
	return fmt.Sprintf("%v (and %d more)", first, e.Count-1)
}

// Lines writes at most most problems, one a line, and the number of the others.
func (p Problems) Lines(most int) string {
	var out strings.Builder
	for i, q := range p.List {
		if i == most {
			break
		}
		fmt.Fprintln(&out, q)
	}
	if n := p.Count - most; n > 0 {
		fmt.Fprintf(&out, "and %d more problems\n", n)
	}
	return out.String()
}

// Merge adds the problems of another file.
func (p *Problems) Merge(q Problems) {
	p.Count, p.LeftOut = p.Count+q.Count, p.LeftOut+q.LeftOut
	p.List = append(p.List, q.List[:min(len(q.List), maxProblems-len(p.List))]...)
}
