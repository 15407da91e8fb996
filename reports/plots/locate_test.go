package plots

import (
	"math"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/locate"
)

// someTrace is an error that grows along 60 steps, one of which is beyond its budget, and another an infinity beyond it.
func someTrace() *locate.Trace {
	t := &locate.Trace{Reference: parity.Column{Backend: "reference", Precision: backends.FP32}, Candidate: parity.Column{Backend: "cuda", Precision: backends.FP16}, Profile: "balanced", Factor: 6}
	for i := range 60 {
		s := locate.Step{Name: "step", Op: "Conv", Nodes: []string{"step"}}
		if i%7 != 3 {
			s.Local.Ratio, s.Local.Noise = parity.Number(0.2+0.1*math.Sin(float64(i))), parity.Number(1e-7*(2+math.Cos(float64(i))))
			s.Accumulated.Noise = parity.Number(1e-7 * float64(3+i))
		}
		t.Steps = append(t.Steps, s)
	}
	t.Steps[40].Name = "det_head.cls_tower.1.silu.P4"
	t.Steps[40].Local = locate.Error{Beyond: 7, Ratio: 300, Noise: 1e-3}
	t.Steps[50].Local = locate.Error{Beyond: 1, Ratio: parity.Number(math.Inf(1)), Noise: parity.Number(math.Inf(1))}
	t.Finding = &locate.Finding{Step: 40, By: "candidate"}
	return t
}

func TestLocate(t *testing.T) {
	f := Locate("scene-000001", someTrace())
	look(t, "locate", f)
	text := textOf(t, f)
	for _, want := range []string{"scene-000001: cuda/fp16 beside reference/fp32", "det_head.cls_tower.1.silu.P4", "local error over budget", "λ = 6", "beyond its budget", "the whole run"} {
		if !strings.Contains(text, want) {
			t.Errorf("the figure does not say %q in %q", want, text)
		}
	}
}

func TestLocateOfNothing(t *testing.T) {
	trace := someTrace()
	for i := range trace.Steps {
		trace.Steps[i].Local, trace.Steps[i].Accumulated = locate.Error{}, locate.Error{}
	}
	if f := Locate("equal to the bit", trace); f != nil {
		t.Error("a figure of no errors was drawn")
	}
}
