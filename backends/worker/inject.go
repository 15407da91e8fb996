package worker

import (
	"context"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// InjectVariable names the environment variable that makes a worker misbehave on purpose, so that what watches over workers
// can be tested. Its value is a list of faults, separated by semicolons:
//
//	slow=PERCENT@PATTERN   every run takes PERCENT longer: it is followed by busy waiting
//	wrong@PATTERN          the first output of floats comes out 1 % and 0.01 larger
//
// PATTERN is matched, by the rules of path.Match, with the graph's metadata entry CellKey.
const InjectVariable = "APEXX_INJECT"

// CellKey is the entry of a graph's metadata that names what the graph is measured as, such as
// reference/nano/fp32/512x512/b1/complete.
const CellKey = "apexx.cell"

// injection is what a worker does to the cells that match.
type injection struct {
	pattern string
	slower  float64 // share by which a run is lengthened
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

// inject wraps a session in the faults that the environment asks for; without any it returns the session.
func inject(s backends.Session, cell string) (backends.Session, error) {
	list, err := parseInjections(os.Getenv(InjectVariable))
	if err != nil {
		return nil, badInput(err)
	}
	for _, i := range list {
		if match, _ := path.Match(i.pattern, cell); !match { // parse checked the pattern
			continue
		}
		clock, timed := s.(backends.DeviceTimer)
		if i.wrong {
			s = &wronged{Session: s}
		} else {
			s = &slowed{Session: s, share: i.slower}
		}
		if timed {
			s = &deviceTimed{Session: s, clock: clock, slower: i.slower}
		}
	}
	return s, nil
}

// deviceTimed keeps the device's clock of a session that is wrapped, which would look as if it had none. Its times grow with the
// session's.
type deviceTimed struct {
	backends.Session
	clock  backends.DeviceTimer
	slower float64
}

// LastDeviceTime implements backends.DeviceTimer.
func (s *deviceTimed) LastDeviceTime() time.Duration {
	return time.Duration(float64(s.clock.LastDeviceTime()) * (1 + s.slower))
}

// slowed lengthens every run by a share of its own duration.
type slowed struct {
	backends.Session
	share float64
	extra time.Duration
}

func (s *slowed) Run(ctx context.Context, in tensor.List) (tensor.List, error) {
	start := time.Now()
	out, err := s.Session.Run(ctx, in)
	ran := time.Now()
	s.extra = time.Duration(float64(ran.Sub(start)) * s.share)
	for time.Since(ran) < s.extra && ctx.Err() == nil {
	}
	return out, err
}

func (s *slowed) LastTiming() backends.Timing {
	t := s.Session.LastTiming()
	t.Execute += s.extra
	return t
}

// wronged falsifies the first output of floats.
type wronged struct{ backends.Session }

func (s *wronged) Run(ctx context.Context, in tensor.List) (tensor.List, error) {
	out, err := s.Session.Run(ctx, in)
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
