package worker

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// InjectVariable names the environment variable that makes a worker misbehave on purpose, so that what watches over workers
// can be tested. Its value is a list of faults, separated by semicolons:
//
//	slow=PERCENT@PATTERN   every execution takes PERCENT longer: it is followed by busy waiting
//	wrong@PATTERN          the first output of floats comes out 1 % and 0.01 larger
//
// PATTERN is matched, by the rules of path.Match, with the graph's metadata entry CellKey: * stands for any text without a slash.
const InjectVariable = "APEXX_INJECT"

// CellKey is the entry of a graph's metadata that names what the graph is measured as, such as
// reference/nano/fp32/512x512/b1/complete.
const CellKey = "apexx.cell"

// injection is what a worker does to the cells that match.
type injection struct {
	pattern string
	slower  float64 // share by which an execution is lengthened
	wrong   bool
}

// parseInjections reads the value of InjectVariable.
func parseInjections(text string) ([]injection, error) {
	var out []injection
	for _, entry := range strings.Split(text, ";") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		what, pattern, _ := strings.Cut(strings.TrimSpace(entry), "@")
		i := injection{pattern: pattern, wrong: what == "wrong"}
		percent, slow := strings.CutPrefix(what, "slow=")
		if slow {
			p, err := strconv.ParseFloat(percent, 64)
			if err != nil || !(p > 0 && p <= 1e6) {
				return nil, fmt.Errorf("%s: %q is not a percentage above 0", InjectVariable, percent)
			}
			i.slower = p / 100
		}
		if _, err := path.Match(pattern, ""); pattern == "" || err != nil || !slow && !i.wrong {
			return nil, fmt.Errorf("%s: cannot read %q (want slow=PERCENT@PATTERN or wrong@PATTERN)", InjectVariable, entry)
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
		if i.wrong {
			s = &wronged{s}
		} else {
			s = &slowed{Session: s, share: i.slower}
		}
	}
	return s, nil
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
