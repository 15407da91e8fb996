package worker

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// InjectVariable names the environment variable that makes a worker misbehave on purpose, so that what watches over workers
// can be tested. Its value is a list of faults, separated by semicolons:
//
//	slow=PERCENT@PATTERN        every execution takes PERCENT longer: it is followed by busy waiting
//	slow=PERCENT#STEP@PATTERN   one step does, in sessions that tell the times of their steps
//	wrong@PATTERN               the first output of floats comes out 1 % and 0.01 larger
//	wrong#NODE@PATTERN          the first constant of floats that a node of the graph reads is 1 % larger
//	wrong#NODE unless OPTION=VALUE,…@PATTERN
//	                            it is, but in sessions of all of these options
//
// PATTERN is matched, by the rules of path.Match, with the graph's metadata entry CellKey: * stands for any text without a slash. STEP is the name
// of a step of the plan, or a number from 0 to below 1: the step at that share of the plan. OPTION is precision, threads, tap (one of them), or an
// option of the backend (of a list, one member).
const InjectVariable = backends.InjectVariable

// CellKey is the entry of a graph's metadata that names what the graph is measured as, such as
// reference/nano/fp32/512x512/b1/complete.
const CellKey = "apexx.cell"

// Named returns a backend whose sessions are those of a cell: what InjectVariable asks for of that cell happens to them.
func Named(b backends.Backend, cell string) backends.Backend { return &named{b, cell} }

type named struct {
	backends.Backend
	cell string
}

// Compile implements backends.Backend.
func (n *named) Compile(ctx context.Context, g *graph.Graph, opts backends.Options) (backends.Session, error) {
	of := *g
	of.Metadata = maps.Clone(g.Metadata)
	if of.Metadata == nil {
		of.Metadata = map[string]string{}
	}
	of.Metadata[CellKey] = n.cell
	return n.Backend.Compile(ctx, &of, opts)
}

// injection is what a worker does to the cells that match.
type injection struct {
	pattern string
	slower  float64 // share by which an execution is lengthened
	step    string  // … or this step of it alone; "" for all of it
	wrong   bool
	node    string // … or what this node reads is; "" for an output
	unless  []condition
}

// parseInjections reads the value of InjectVariable.
func parseInjections(text string) ([]injection, error) {
	var out []injection
	for _, entry := range strings.Split(text, ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		what, pattern, _ := strings.Cut(strings.TrimSpace(entry), "@")
		what, at, one := strings.Cut(what, "#")
		i := injection{pattern: pattern, wrong: what == "wrong"}
		percent, slow := strings.CutPrefix(what, "slow=")
		conditional := true
		if i.wrong {
			i.node, i.unless, conditional = parseNode(at)
		} else {
			i.step = at
		}
		if slow {
			p, err := strconv.ParseFloat(percent, 64)
			if err != nil || !(p > 0 && p <= 1e6) {
				return nil, fmt.Errorf("%s: %q is not a percentage above 0", InjectVariable, percent)
			}
			i.slower = p / 100
		}
		if _, err := path.Match(pattern, ""); pattern == "" || err != nil || !slow && !i.wrong || one && i.step == "" && i.node == "" || !conditional {
			return nil, fmt.Errorf("%s: cannot read %q (want slow=PERCENT@PATTERN, slow=PERCENT#STEP@PATTERN, wrong@PATTERN, wrong#NODE@PATTERN or "+
				"wrong#NODE unless OPTION=VALUE,…@PATTERN)", InjectVariable, entry)
		}
		out = append(out, i)
	}
	return out, nil
}

// CheckInjections reads the value of InjectVariable for those who are going to measure cells of these names: a list that cannot be read is an
// error, and so is a fault that none of them would have.
func CheckInjections(text string, cells []string) error {
	list, err := parseInjections(text)
	if err != nil {
		return err
	}
	for _, i := range list {
		if !slices.ContainsFunc(cells, i.matches) {
			return fmt.Errorf("%s: %q matches no cell that is measured, such as %s (* is any text without a slash)", InjectVariable, i.pattern, cells[0])
		}
	}
	return nil
}

// matches tells whether a cell has the fault.
func (i injection) matches(cell string) bool {
	match, _ := path.Match(i.pattern, cell) // parseInjections checked the pattern
	return match
}

// inject wraps a session in the faults that the environment asks for; without any it returns the session.
func inject(s backends.Session, cell string) (backends.Session, error) {
	list, err := parseInjections(os.Getenv(InjectVariable))
	if err != nil {
		return nil, badInput(err)
	}
	for _, i := range list {
		if !i.matches(cell) {
			continue
		}
		switch {
		case i.node != "": // before the session was compiled
		case i.wrong:
			s = &wronged{s}
		case i.step != "":
			at, err := stepAt(s.Plan(), i.step)
			if err != nil {
				return nil, badInput(err)
			}
			s = &slowedStep{Session: s, share: i.slower, at: at}
		default:
			s = &slowed{Session: s, share: i.slower}
		}
	}
	return s, nil
}

// stepAt finds the step that a fault names, by its name or by its share of the plan.
func stepAt(p backends.Plan, step string) (int, error) {
	if at := slices.IndexFunc(p.Steps, func(s backends.Step) bool { return s.Name == step }); at >= 0 {
		return at, nil
	}
	share, err := strconv.ParseFloat(step, 64)
	if err != nil || !(share >= 0 && share < 1) || len(p.Steps) == 0 {
		return 0, fmt.Errorf("%s: the plan has no step %q, and it is no number from 0 to below 1", InjectVariable, step)
	}
	return int(share * float64(len(p.Steps))), nil
}

// slowedStep lengthens one step by a share of its own duration, in a session that tells how long that is. One that does not cannot be lengthened by
// the right amount, and is left as it is.
type slowedStep struct {
	backends.Session
	share  float64
	at     int
	timing backends.Timing
}

func (s *slowedStep) Execute(ctx context.Context) error {
	err := s.Session.Execute(ctx)
	s.timing = s.Session.LastTiming()
	if err != nil || s.at >= len(s.timing.Steps) {
		return err
	}
	s.timing.Steps = slices.Clone(s.timing.Steps)
	extra := time.Duration(s.share * float64(s.timing.Steps[s.at]))
	for start := time.Now(); time.Since(start) < extra && ctx.Err() == nil; {
	}
	s.timing.Steps[s.at] += extra
	s.timing.Execute += extra
	if s.timing.Device > 0 {
		s.timing.Device += extra
	}
	return nil
}

// LastTiming tells of the longer step.
func (s *slowedStep) LastTiming() backends.Timing {
	t := s.Session.LastTiming()
	t.Execute, t.Device, t.Steps = s.timing.Execute, s.timing.Device, s.timing.Steps
	return t
}

// slowed lengthens every execution by a share of its own duration.
type slowed struct {
	backends.Session
	share float64
	steps []time.Duration // as they are told
}

func (s *slowed) Execute(ctx context.Context) error {
	start := time.Now()
	err := s.Session.Execute(ctx)
	ran := time.Now()
	extra := s.longer(ran.Sub(start)) - ran.Sub(start)
	for time.Since(ran) < extra && ctx.Err() == nil {
	}
	return err
}

func (s *slowed) longer(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (1 + s.share))
}

// LastTiming tells of every part of an execution that it took longer.
func (s *slowed) LastTiming() backends.Timing {
	t := s.Session.LastTiming()
	t.Execute, t.Device = s.longer(t.Execute), s.longer(t.Device)
	s.steps = s.steps[:0]
	for _, d := range t.Steps {
		s.steps = append(s.steps, s.longer(d))
	}
	if t.Steps != nil {
		t.Steps = s.steps
	}
	return t
}

// wronged falsifies the first output of floats that is downloaded.
type wronged struct{ backends.Session }

func (s *wronged) Download(ctx context.Context, names ...string) (tensor.List, error) {
	out, err := s.Session.Download(ctx, names...)
	if err != nil {
		return nil, err
	}
	out = out.Clone()
	for _, t := range out {
		switch t.DType() {
		case tensor.Float32:
			falsify(tensor.Data[float32](t.Tensor))
			return out, nil
		case tensor.Float64:
			falsify(tensor.Data[float64](t.Tensor))
			return out, nil
		}
	}
	return out, nil
}

func falsify[T float32 | float64](x []T) {
	for i := range x {
		x[i] = x[i]*1.01 + 0.01
	}
}
