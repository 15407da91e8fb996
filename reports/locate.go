package reports

import (
	"cmp"
	_ "embed"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/locate"
	"github.com/apex-x/apexx/perf/env"
)

// LocateSchemaID names the version of the JSON form of a Locate.
const LocateSchemaID = "apexx.locate/2"

// LocateSchema is the JSON Schema (draft 2020-12) of a Locate, as apexx locate --json writes it.
//
//go:embed schema/locate.schema.json
var LocateSchema []byte

// Locate is where two executions of a case part.
type Locate struct {
	Schema string `json:"schema"` // LocateSchemaID
	Case   string `json:"case"`
	// Variables are those of the environment of both sides and of the oracle, as env.Environment has them.
	Variables []env.Software `json:"variables,omitempty"`
	*locate.Trace
	Reproduce string `json:"reproduce,omitempty"` // the command that shows the first step beyond its budget by itself
}

// noted is how many changes of what is executed a table tells.
const noted = 5

// nearest is how many of the steps within their budgets a table shows.
const nearest = 5

// LocateTable writes for people: the steps beyond their budgets and those that come nearest to theirs, the first of them taken apart, and
// what to do next.
func LocateTable(w io.Writer, l *Locate) error {
	l = clean(l)
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s beside %s, step by step, profile %s (λ = %g): %s\n",
		l.Case, l.Candidate, l.Reference, l.Profile, l.Factor, evidence.Verdict(evidence.ExitCode([]evidence.State{l.State}, false)))
	if l.Library != "" {
		fmt.Fprintf(&b, "%s fuses as it likes: a step here is a product and what follows it alone\n", l.Library)
	}
	at := l.shown()
	for _, v := range l.Variables {
		fmt.Fprintf(&b, "variable  %s=%s\n", v.Key, v.Value)
	}
	width := 4
	for _, i := range at {
		width = max(width, len(l.Steps[i].Op))
	}
	fmt.Fprintf(&b, "\n%5s  %-*s  %9s  %9s  %9s  %9s  %9s  name\n", "step", width, "op", "of budget", "noise", "reference", "whole run", "amplified")
	for _, i := range at {
		s := &l.Steps[i]
		fmt.Fprintf(&b, "%5d  %-*s  %9s  %9s  %9s  %9s  %9s  %s\n", i+1, width, s.Op, ratioText(&s.Local), short(float64(s.Local.Noise)),
			ratioText(&s.Reference), short(float64(s.Accumulated.Noise)), short(float64(s.Amplified)), stepText(s))
	}
	fmt.Fprintf(&b, "\n%d of %d steps are beyond their budget. \"of budget\": largest error of an element, fed the reference's values, over what rounding may\n"+
		"leave there; noise: √(Σ error²/Σ value²), of the step and of the whole run up to it; amplified: one over the other.\n", l.beyond(), len(l.Steps))
	l.writeFinding(&b)
	l.writeMinimal(&b)
	for _, c := range l.Changed[:min(noted, len(l.Changed))] {
		fmt.Fprintf(&b, "note: %s\n", c)
	}
	if n := len(l.Changed) - noted; n > 0 {
		fmt.Fprintf(&b, "note: %d more, in the JSON\n", n)
	}
	fmt.Fprintf(&b, "first answer after %s\n", l.First.Time.Round(time.Millisecond))
	_, err := io.WriteString(w, b.String())
	return err
}

// shown lists the steps of the table, in their order: those beyond their budgets, up to a screen of them, and the nearest others.
func (l *Locate) shown() []int {
	const most = 20
	var wrong, right []int
	for i := range l.Steps {
		if s := &l.Steps[i]; !s.Local.Within() || !s.Reference.Within() || s.Skipped != "" || s.Local.Unjudged != "" {
			wrong = append(wrong, i)
		} else {
			right = append(right, i)
		}
	}
	slices.SortStableFunc(right, func(i, j int) int { return cmp.Compare(l.Steps[j].Local.Ratio, l.Steps[i].Local.Ratio) })
	list := append(wrong[:min(most, len(wrong))], right[:min(nearest, len(right))]...)
	slices.Sort(list)
	return list
}

func (l *Locate) beyond() int {
	n := 0
	for i := range l.Steps {
		if !l.Steps[i].Local.Within() {
			n++
		}
	}
	return n
}

func stepText(s *locate.Step) string {
	text := s.Name
	if n := len(s.Nodes); n > 1 {
		text = fmt.Sprintf("%s … %s (%d nodes)", s.Nodes[0], s.Nodes[n-1], n)
	}
	switch {
	case s.Skipped != "":
		text += ": not computed, " + s.Skipped
	case s.Local.Wrong != "":
		text += ": " + s.Local.Wrong
	case s.Local.Unjudged != "":
		text += fmt.Sprintf(": no budget for %d of %d elements", s.Local.Unknown, s.Local.Unknown+s.Local.Elements)
	}
	return text
}

// ratioText marks what is beyond.
func ratioText(e *locate.Error) string {
	switch {
	case e.Wrong != "":
		return "wrong"
	case math.IsInf(float64(e.Ratio), 1):
		return "∞"
	}
	return short(float64(e.Ratio))
}

func short(v float64) string {
	if v == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2g", v)
}

// writeFinding says what is known of the first step beyond its budget, and what to do next.
func (l *Locate) writeFinding(b *strings.Builder) {
	if l.Finding == nil {
		switch {
		case l.Strays != "":
			fmt.Fprintf(b, "Every step is within its budget when it is fed by itself, but %s.\n", l.Strays)
		case l.State == evidence.Unverified:
			b.WriteString("No step is beyond its budget, and not every step has one: the table names those that were not judged.\n")
		case l.State == evidence.Pass:
			b.WriteString("No step is beyond its budget: what differs is rounding, gathered over the steps.\n")
		}
		return
	}
	f, s := l.Finding, &l.Steps[l.Finding.Step]
	e, who := &s.Local, l.Candidate
	if f.By == "reference" {
		e, who = &s.Reference, l.Reference
	}
	fmt.Fprintf(b, "\nfirst: step %d, %s, on %s", f.Step+1, s.Name, who)
	if e.Output != "" {
		fmt.Fprintf(b, ": element %d of %s is %.9g, want %.9g ± %.2g", e.Index, e.Output, float64(e.Got), float64(e.Want), float64(e.Allowed))
	}
	fmt.Fprintf(b, "; %d of %d elements are beyond\n", e.Beyond, e.Elements)
	if f.Node != "" {
		fmt.Fprintf(b, "node: %s (%s): %s\n", f.Node, f.Op, f.How)
	} else {
		fmt.Fprintf(b, "node: %s\n", f.How)
	}
	for _, n := range f.Inside {
		fmt.Fprintf(b, "      %-50s %-20s in the step %-9s alone %s\n", n.Node, n.Op, short(float64(n.Tapped)), short(float64(n.Alone)))
	}
	if l.Reproduce != "" {
		fmt.Fprintf(b, "next: %s\n", l.Reproduce)
	} else {
		b.WriteString("next: apexx locate with --out DIR writes this step as an ONNX file with its inputs and both results\n")
	}
}

// listed is how many trials a table shows, from the last one back.
const listed = 12

// writeMinimal says which switches remove the difference, and what was tried.
func (l *Locate) writeMinimal(b *strings.Builder) {
	m := l.Minimal
	switch {
	case m == nil:
		return
	case m.Subject == "":
		b.WriteString("\nswitches: the difference shows neither in the step by itself nor in the whole run, so that no switch can remove it\n")
		return
	case len(m.Smallest) == 0:
		fmt.Fprintf(b, "\nswitches: the difference stays with all of them, %d of %s\n", len(m.Switches), m.Side)
	default:
		fmt.Fprintf(b, "\nswitches: of %d of %s, the smallest set that removes the difference: %s\n", len(m.Switches), m.Side, strings.Join(m.Smallest, " + "))
	}
	fmt.Fprintf(b, "tried on %s:\n", m.Subject)
	if n := len(m.Trials) - listed; n > 0 {
		fmt.Fprintf(b, "      %d more, in the JSON\n", n)
	}
	for _, trial := range m.Trials[max(0, len(m.Trials)-listed):] {
		verdict := "there"
		if trial.Gone {
			verdict = "gone"
		}
		fmt.Fprintf(b, "      %-5s  %8s of budget  %s\n", verdict, ratioText(&locate.Error{Ratio: trial.Ratio}), trialText(&trial))
	}
}

// trialText names the switches of a trial, as far as a line has room.
func trialText(t *locate.Trial) string {
	const most = 3
	text := "none"
	if n := len(t.Switches); n > 0 {
		text = strings.Join(t.Switches[:min(n, most)], " + ")
		if n > most {
			text += fmt.Sprintf(" + %d more", n-most)
		}
	}
	if t.Problem != "" {
		text += ": " + t.Problem
	}
	return text
}
