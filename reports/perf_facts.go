package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/env"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/reports/plots"
)

// gateTitle names what was compared.
func gateTitle(r *gate.Record) string {
	if buildText(r.Base) == "" || buildText(r.Head) == "" {
		return "Performance gate"
	}
	return fmt.Sprintf("%s against %s", buildText(r.Head), buildText(r.Base))
}

// judgedAgain says what is shown of a record; "" for a run that was measured just now.
func judgedAgain(r *gate.Record) string {
	if r.Again == "" {
		return ""
	}
	return fmt.Sprintf("from its record, by apexx %s: nothing was measured for it", r.Again)
}

// buildText is a build in a few words: its revision, else its path.
func buildText(b gate.Build) string {
	if b.Revision == "" {
		return b.Path
	}
	s := plots.Shorten(b.Revision, 12)
	if b.Modified {
		s += " with changes"
	}
	return s
}

// buildFact is a build in full.
func buildFact(b gate.Build) string {
	var parts []string
	for _, p := range []string{b.Path, prefixed("version ", b.Version), prefixed("revision ", buildRevision(b)), prefixed("worker protocol ", b.Protocol)} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	for _, v := range b.Variables {
		parts = append(parts, v.Key+"="+v.Value)
	}
	return strings.Join(parts, ", ")
}

func buildRevision(b gate.Build) string {
	if b.Revision == "" {
		return ""
	}
	return buildText(b)
}

func prefixed(prefix, s string) string {
	if s == "" {
		return ""
	}
	return prefix + s
}

// facts drops what is not known.
func facts(pairs ...string) []backends.Fact {
	var list []backends.Fact
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			list = append(list, backends.Fact{Key: pairs[i], Value: pairs[i+1]})
		}
	}
	return list
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// environmentFacts describes the machine.
func environmentFacts(e env.Environment, class env.Class) []backends.Fact {
	list := facts("machine class", class.ID, "kind", string(class.Kind), "host", e.Host, "processor", cpuText(e.CPU), "governor", e.CPU.Governor, "SMT", e.CPU.SMT,
		"memory", sizeText(e.MemoryBytes), "load average", loadText(e),
		"system", strings.TrimSpace(strings.Join([]string{e.OS, e.Arch, e.Kernel}, " ")), "container", e.Container, "Go", e.Go, "commit", commitText(e))
	for _, l := range slices.Concat(e.Libraries, e.Variables) {
		list = append(list, facts(l.Key, l.Value)...)
	}
	for _, g := range e.GPUs {
		list = append(list, facts(fmt.Sprintf("GPU %d", g.Index), gpuText(g))...)
	}
	if len(e.GPUs) == 0 {
		list = append(list, facts("GPU", prefixed("none: ", e.GPUReason))...)
	}
	return list
}

func cpuText(c env.CPU) string {
	if c.Model == "" && c.Cores == 0 {
		return ""
	}
	s := fmt.Sprintf("%s, %d of %d logical processors%s", cmp.Or(c.Model, "unknown model"), c.Cores, c.Total, quota(c))
	if c.Virtual {
		s += ", virtual"
	}
	return s
}

func loadText(e env.Environment) string {
	if e.CPU.Cores == 0 && e.LoadAverage == [3]float64{} {
		return ""
	}
	return fmt.Sprintf("%.2f, %.2f, %.2f", e.LoadAverage[0], e.LoadAverage[1], e.LoadAverage[2])
}

func commitText(e env.Environment) string {
	if e.Dirty && e.Commit != "" {
		return e.Commit + " with changes"
	}
	return e.Commit
}

func gpuText(g env.GPU) string {
	parts := []string{g.Name, g.UUID, prefixed("driver ", g.Driver), fmt.Sprintf("%d SMs", g.SMs), sizeText(g.MemoryBytes),
		fmt.Sprintf("%g W", g.PowerLimitW), prefixed("ECC ", g.ECC), prefixed("MIG ", g.MIG)}
	if g.ClocksLocked {
		parts = append(parts, "clocks locked")
	}
	if g.OtherProcesses > 0 {
		parts = append(parts, fmt.Sprintf("other processes: %d", g.OtherProcesses))
	}
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
}

// sizeText renders bytes in the unit that suits them.
func sizeText(n int64) string {
	switch v := float64(n); {
	case n <= 0:
		return ""
	case v >= 1<<30:
		return fmt.Sprintf("%.1f GiB", v/(1<<30))
	case v >= 1<<20:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	case v >= 1<<10:
		return fmt.Sprintf("%.1f KiB", v/(1<<10))
	}
	return fmt.Sprintf("%d B", n)
}

// policyFacts describes how a gate decides.
func policyFacts(p gate.Policy) []backends.Fact {
	if p == (gate.Policy{}) {
		return nil
	}
	confirmation := fmt.Sprintf("%s of at most %s", counted(p.ConfirmBlocks, "fresh block"), counted(p.MaxConfirm, "candidate"))
	if p.ConfirmNS > 0 {
		confirmation += fmt.Sprintf(", meant to take %s", time.Duration(p.ConfirmNS))
	}
	return facts("the least increase that counts on processors", limitsText(p.Targets.CPU), "… on a GPU", limitsText(p.Targets.UnlockedGPU),
		"… on a GPU with locked clocks", limitsText(p.Targets.LockedGPU), "screen", counted(p.ScreenBlocks, "ABBA block")+" of every cell",
		"confirmation", confirmation, "α, the greatest p of a regression", fmt.Sprintf("%.2g", p.Alpha),
		"steps", stepScopeText(p),
		"cells with an A/A arm", fmt.Sprintf("%.3g %%", 100*p.ControlShare),
		"samples", samplesBound(p.Iterations, p.BoundNS), "threads", threadsText(p.Threads), "seed", fmt.Sprint(p.Seed))
}

// limitsText lists the limits of all metrics, and the slowdown that has to be found.
func limitsText(t gate.Target) string {
	var parts []string
	for _, k := range gate.Metrics {
		parts = append(parts, fmt.Sprintf("%s %s", k.Words(), t.Limits.Of(k).Text(k)))
	}
	return fmt.Sprintf("%s; a slowdown of %.3g %% has to be found", strings.Join(parts, ", "), 100*t.MaxResolution)
}

// stepScopeText says of which cells the steps are judged.
func stepScopeText(p gate.Policy) string {
	limit := func(t gate.Target) string { return t.Limits.Step.Text(gate.Step) }
	switch p.Steps {
	case gate.DeviceSteps:
		return fmt.Sprintf("of cells on a GPU: %s, with locked clocks %s", limit(p.Targets.UnlockedGPU), limit(p.Targets.LockedGPU))
	case gate.AllSteps:
		return fmt.Sprintf("of every cell: %s on processors, %s on a GPU, with locked clocks %s", limit(p.Targets.CPU), limit(p.Targets.UnlockedGPU), limit(p.Targets.LockedGPU))
	}
	return "not judged"
}

// samplesBound says when a process stops timing a cell.
func samplesBound(iterations int, boundNS int64) string {
	return fmt.Sprintf("at most %d, or %s of them, per process", iterations, time.Duration(boundNS))
}

func threadsText(n int) string {
	if n == 0 {
		return "the worker's GOMAXPROCS"
	}
	return fmt.Sprint(n)
}
