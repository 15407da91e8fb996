package accuracy

import (
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf"
)

// Plan says what cells are evaluated on, and how they are judged.
type Plan struct {
	DataSet DataSet `json:"data_set"`
	Policy  Policy  `json:"policy"`
}

// Check refuses a plan by which nothing could be judged. A nil one asks for nothing.
func (p *Plan) Check() error {
	if p == nil {
		return nil
	}
	if err := p.DataSet.Check(); err != nil {
		return err
	}
	return p.Policy.Validate()
}

// Of lists the cells that have detections to evaluate, in their order.
func Of(cells []perf.Cell) (out []perf.Cell) {
	for _, c := range cells {
		if c.Scope == perf.Complete {
			out = append(out, c)
		}
	}
	return out
}

// BaseOf is what a cell is compared with where no other build is: the reference in float32, on the same model and image size. What a backend
// loses in every precision alike shows against it too.
func BaseOf(c perf.Cell) perf.Cell {
	c.Backend, c.Precision, c.Batch = "reference", backends.FP32, 1
	return c
}

// Find returns the run of a cell on an arm, nil where there is none.
func Find(runs []Run, c perf.Cell, arm perf.Arm) *Run {
	for i := range runs {
		if runs[i].Cell == c && runs[i].Arm == arm {
			return &runs[i]
		}
	}
	return nil
}

// CheckRuns finds every one of the runs that are wanted once, and no other, each sound, and all of the same objects.
func (p *Plan) CheckRuns(runs []Run, wanted func(perf.Cell, perf.Arm) bool) error {
	seen := map[string]bool{}
	for i := range runs {
		r := &runs[i]
		name := fmt.Sprintf("the evaluation of %s (%s)", r.Cell, r.Arm)
		switch {
		case seen[name]:
			return fmt.Errorf("%s comes twice", name)
		case !wanted(r.Cell, r.Arm):
			return fmt.Errorf("%s was not asked for", name)
		}
		seen[name] = true
		if err := r.Check(&p.DataSet); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if first := firstFound(runs); r.Found != nil && !sameObjects(first, r.Found) {
			return fmt.Errorf("%s: %w", name, ErrOtherObjects)
		}
	}
	return nil
}

func firstFound(runs []Run) *Found {
	for i := range runs {
		if runs[i].Found != nil {
			return runs[i].Found
		}
	}
	return nil
}
