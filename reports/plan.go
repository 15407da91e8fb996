package reports

import (
	_ "embed"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
)

// PlanSchemaID names the version of the JSON form of a Plan.
const PlanSchemaID = "apexx.plan/1"

// PlanSchema is the JSON Schema (draft 2020-12) of a Plan, as apexx plan --json writes it.
//
//go:embed schema/plan.schema.json
var PlanSchema []byte

// Plan is how a backend executes the model on inputs of one shape.
type Plan struct {
	Schema    string             `json:"schema"` // PlanSchemaID
	Backend   string             `json:"backend"`
	Precision backends.Precision `json:"precision"`
	Profile   string             `json:"profile"`
	Shape     []int              `json:"shape"` // of the image
	Taps      []string           `json:"taps,omitempty"`
	HostBytes int64              `json:"host_bytes"` // what the session holds; 0 where the backend cannot tell
	DevBytes  int64              `json:"device_bytes"`
	Plan      backends.Plan      `json:"plan"`
	Times     *PlanTimes         `json:"times,omitempty"`
}

// PlanTimes are medians over executions.
type PlanTimes struct {
	Executions int             `json:"executions"`
	Execute    time.Duration   `json:"execute_ns"`         // by the host's clock
	Device     time.Duration   `json:"device_ns"`          // by the device's; 0 where there is none
	Steps      []time.Duration `json:"steps_ns,omitempty"` // of the plan's steps; none where the backend cannot tell
}

// PlanTable writes a plan for people: what there is of everything, a line per step, and every chain that a tap has split.
func PlanTable(w io.Writer, p *Plan) error {
	p = clean(p)
	var b strings.Builder
	s := p.Plan.Summary()
	fmt.Fprintf(&b, "%s %s, %s, %v: %s\n", p.Backend, p.Precision, p.Profile, p.Shape, planCounts(s))
	if s.Library != "" {
		fmt.Fprintf(&b, "%s executes the steps as it sees fit: what it fuses it does not tell\n", s.Library)
	}
	shares := p.Times != nil && len(p.Times.Steps) == len(p.Plan.Steps) && len(p.Plan.Steps) > 0
	width := 0
	for _, step := range p.Plan.Steps {
		width = max(width, len(step.Op))
	}
	for i, step := range p.Plan.Steps {
		fmt.Fprintf(&b, "%4d  ", i+1)
		if shares {
			b.WriteString(p.Times.share(i))
		}
		fmt.Fprintf(&b, "%-8s  %-*s  %s\n", step.Level, width, step.Op, covered(step))
	}
	for _, x := range s.Split {
		fmt.Fprintf(&b, "split: %s at %s, for the tap of %s\n", x.Step, x.Node, x.Value)
	}
	if a := p.Plan.Autotune; a != nil {
		b.WriteString(autotuneText(a))
	}
	if p.Times != nil {
		b.WriteString(p.Times.text(shares))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// autotuneText says where launch configurations come from, and which ones differ from the rule's.
func autotuneText(a *backends.Autotune) string {
	of := map[backends.AutotuneSource]int{}
	for _, e := range a.Entries {
		of[e.Source]++
	}
	text := fmt.Sprintf("autotune: %d launches of %d shapes: %d measured now, %d before, %d by rule\n", a.Summary.Launches, a.Summary.CacheEntries,
		of[backends.AutotuneMeasured], of[backends.AutotuneRegistry], of[backends.AutotuneHeuristic])
	if a.Cache != "" {
		text += "autotune: " + a.Cache + "\n"
	}
	return text
}

// planCounts says what a plan consists of.
func planCounts(s backends.PlanSummary) string {
	var levels []string
	nodes := 0
	for _, level := range []backends.SupportLevel{backends.Native, backends.Emulated, backends.Fallback} {
		if n := s.Nodes[level]; n > 0 {
			levels = append(levels, fmt.Sprintf("%d %s", n, level))
			nodes += n
		}
	}
	return fmt.Sprintf("%d steps for %d nodes (%s), %d folded, %d views", s.Steps, nodes, strings.Join(levels, ", "), s.Folded, s.Views)
}

// covered names the nodes of a step: its only one, or the first and the last and how many there are. A step that is not native says why.
func covered(s backends.Step) string {
	text := s.Nodes[0]
	if n := len(s.Nodes); n > 1 {
		text = fmt.Sprintf("%s … %s (%d nodes)", s.Nodes[0], s.Nodes[n-1], n)
	}
	if len(s.Aside) > 0 {
		text += ", stores " + strings.Join(s.Aside, ", ")
	}
	if s.Reason != "" && s.Reason != backends.PrecisionEmulated { // of which the heading tells
		text += ": " + string(s.Reason)
	}
	return text
}

// sum adds the steps up.
func (t *PlanTimes) sum() (sum time.Duration) {
	for _, d := range t.Steps {
		sum += d
	}
	return sum
}

// share is the time of a step and its part of all of them; in microseconds where all together are few milliseconds.
func (t *PlanTimes) share(i int) string {
	text := fmt.Sprintf("%8.3f ms", t.Steps[i].Seconds()*1e3)
	if t.sum() < 10*time.Millisecond {
		text = fmt.Sprintf("%8.1f µs", t.Steps[i].Seconds()*1e6)
	}
	return fmt.Sprintf("%s  %5.1f %%  ", text, 100*t.Steps[i].Seconds()/max(t.sum(), 1).Seconds())
}

// text says how long an execution took, and what of it the steps account for.
func (t *PlanTimes) text(steps bool) string {
	text := fmt.Sprintf("execution: %.3f ms by the host's clock", t.Execute.Seconds()*1e3)
	if t.Device > 0 {
		text += fmt.Sprintf(", %.3f ms by the device's", t.Device.Seconds()*1e3)
	}
	if steps {
		text += fmt.Sprintf("; steps: %.3f ms", t.sum().Seconds()*1e3)
	} else {
		text += "; the backend tells no times of steps"
	}
	return fmt.Sprintf("%s (medians of %d)\n", text, t.Executions)
}
