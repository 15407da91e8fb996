package measure_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf"
	"github.com/apex-x/apexx/perf/measure"
)

// labour is how long an execution of a laboured session takes.
const labour = 15 * time.Millisecond

// laboured is a session whose executions take their time, and whose lie, if it has one, has them seem to take none.
type laboured struct {
	backends.Session
	lie      string
	uploads  int
	computed int                    // upload that was computed last
	known    map[string]tensor.List // outputs by the content of the inputs
	content  string                 // of the inputs
	last     tensor.List            // outputs of the last execution
	before   tensor.List            // outputs of the one before
	took     time.Duration          // by the last execution, wherever it computed
}

// lies that a session may tell about its time.
var lies = []string{
	"late",  // Download computes
	"early", // Upload computes
	"kept",  // only the first execution after an upload computes
	"known", // only the first execution of some content computes
	"stale", // an execution gives what the one before computed
}

func (s *laboured) labour(ctx context.Context) error {
	for begin := time.Now(); time.Since(begin) < labour; {
	}
	s.computed = s.uploads
	return s.Session.Execute(ctx)
}

func (s *laboured) Upload(ctx context.Context, inputs tensor.List) error {
	s.uploads++
	s.content = fmt.Sprint(tensor.Data[float32](inputs[0].Tensor))
	if err := s.Session.Upload(ctx, inputs); err != nil || s.lie != "early" {
		return err
	}
	return s.labour(ctx)
}

func (s *laboured) Execute(ctx context.Context) error {
	defer func(begin time.Time) { s.took = time.Since(begin) }(time.Now())
	_, known := s.known[s.content]
	switch {
	case s.lie == "late":
		s.computed = 0
		return nil
	case s.lie == "early", s.lie == "kept" && s.computed == s.uploads, s.lie == "known" && known:
		return nil
	}
	if err := s.labour(ctx); err != nil {
		return err
	}
	out, err := s.Session.Download(ctx)
	s.before, s.last = s.last, out.Clone()
	s.known[s.content] = s.last
	return err
}

// LastTiming tells of what Execute itself took: a time from elsewhere may not fit into the request, which would end the session too early.
func (s *laboured) LastTiming() backends.Timing {
	t := s.Session.LastTiming()
	t.Execute = s.took
	return t
}

func (s *laboured) Download(ctx context.Context, names ...string) (tensor.List, error) {
	if s.lie == "late" && s.computed != s.uploads {
		if err := s.labour(ctx); err != nil {
			return nil, err
		}
	}
	switch {
	case s.lie == "known":
		return backends.SelectOutputs(s.known[s.content], names)
	case s.lie == "stale" && s.before != nil:
		return backends.SelectOutputs(s.before, names)
	}
	return s.Session.Download(ctx, names...)
}

// TestLiesAboutTime has sessions seem fast that are not: each is found out, by its numbers or by its outputs, in a replicate, in a block and where
// a single run is all that there is time for. One that takes its time is believed.
func TestLiesAboutTime(t *testing.T) {
	want := map[string]string{ // the state and what the detail tells; of outputs, theirs
		"":      "measured",
		"late":  "error the session computes in Download",
		"early": "error the session computes in Upload",
		"kept":  "error the session keeps results from one execution to the next",
		"known": "error the session keeps results from one execution to the next",
		"stale": "measured fail with other inputs: y",
	}
	for _, lie := range append([]string{""}, lies...) {
		for _, how := range []string{"replicate", "block", "long"} {
			t.Run(how+" "+lie, func(t *testing.T) {
				side, c := sideOf("labour"+lie+"@1"), cell(1)
				o := measure.Options{Iterations: 20, Bound: 100 * time.Millisecond}
				if err := measure.RunParity(t.Context(), side, "reference", []perf.Cell{c}, o, func(r measure.ParityRun) error { return nil }); err != nil {
					t.Fatal(err)
				}
				check := func(m perf.Measurement) error {
					got := fmt.Sprint(m.State, " ", m.Detail)
					if m.Outputs != nil && m.Outputs.Parity.State != evidence.Pass {
						got = fmt.Sprint(m.State, " ", m.Outputs.Parity.State, " ", m.Outputs.Parity.Detail)
					}
					state, detail, _ := strings.Cut(want[lie], " ")
					if how == "long" && (lie == "kept" || lie == "known") { // whose first execution of an upload is as long as it is
						state, detail = "measured", ""
					}
					if !strings.HasPrefix(got, state) || !strings.Contains(got, detail) || detail == "" && strings.TrimSpace(got) != "measured" {
						t.Errorf("%s\nwant %s", got, want[lie])
					}
					return nil
				}
				var err error
				switch how {
				case "block":
					slots := []measure.Slot{{Side: side, Cells: []perf.Cell{c}}, {Side: sideOf(""), Cells: []perf.Cell{c}}}
					err = measure.Block(t.Context(), slots, "reference", []perf.Cell{c}, o, nil, func(i int, m perf.Measurement) error {
						if i == 0 {
							return check(m)
						}
						return nil
					})
				case "long":
					o.Long, o.Iterations = map[perf.Cell]bool{c: true}, 1
					fallthrough
				default:
					err = measure.Replicate(t.Context(), side, "reference", []perf.Cell{c}, o, check)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
}
