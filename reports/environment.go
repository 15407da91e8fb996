package reports

import (
	_ "embed"
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/perf/env"
)

// EnvironmentSchemaID names the version of the JSON form of an Environment.
const EnvironmentSchemaID = "apexx.env/1"

// EnvironmentSchema is the JSON Schema (draft 2020-12) of an Environment, as apexx env --json prints it.
//
//go:embed schema/env.schema.json
var EnvironmentSchema []byte

// Environment is what is told of a machine: its facts, the classes that it is compared in, and its software.
type Environment struct {
	Schema      string          `json:"schema"` // EnvironmentSchemaID
	Environment env.Environment `json:"environment"`
	Classes     []env.Class     `json:"classes"` // of the processors, then of every GPU
	Fingerprint string          `json:"fingerprint"`
}

// NewEnvironment classifies the machine.
func NewEnvironment(e env.Environment) *Environment {
	out := &Environment{Schema: EnvironmentSchemaID, Environment: e, Classes: []env.Class{env.Classify(e, 0, nil)}, Fingerprint: env.Fingerprint(e)}
	for i := range e.GPUs {
		out.Classes = append(out.Classes, env.Classify(e, 0, &e.GPUs[i]))
	}
	return out
}

// EnvironmentTable writes the facts for people, one per line. hashed says that the host's name and the UUIDs are pseudonyms.
func EnvironmentTable(w io.Writer, r *Environment, hashed bool) error {
	e := r.Environment
	t := factList{}
	note := ""
	if hashed && e.Host != "" {
		note = " (hashed; --identify tells the name)"
	}
	t.add("host", orUnknown(e.Host)+note)
	t.add("system", strings.TrimSpace(e.OS+"/"+e.Arch+" "+e.Kernel)+", container "+e.Container)
	t.add("cpu", orUnknown(e.CPU.Model), fmt.Sprintf("%d of %d logical processors%s", e.CPU.Cores, e.CPU.Total, quota(e.CPU)),
		"governor "+orUnknown(e.CPU.Governor), "SMT "+orUnknown(e.CPU.SMT), virtual(e.CPU))
	t.add("memory", gib(e.MemoryBytes), limit(e.MemoryLimitBytes))
	t.add("load", fmt.Sprintf("%.2f %.2f %.2f over 1, 5 and 15 minutes", e.LoadAverage[0], e.LoadAverage[1], e.LoadAverage[2]))
	t.add("program", commit(e), e.Go)
	for _, l := range e.Libraries {
		t.add(l.Key, l.Value)
	}
	for _, v := range e.Variables {
		t.add("variable", v.Key+"="+v.Value)
	}
	for _, g := range e.GPUs {
		t.addGPU(g)
	}
	switch {
	case e.GPUReason != "":
		t.add("gpu", "none: "+e.GPUReason)
		t.add("", e.GPUDetail)
	case e.GPUDetail != "":
		t.add("gpu", "unreadable: "+e.GPUDetail)
	}
	for _, c := range r.Classes {
		t.add("class", fmt.Sprintf("%s (regressions count from %.0f %%)", c.ID, 100*c.Kind.Delta()))
	}
	t.add("fingerprint", r.Fingerprint)
	return t.write(w)
}

// factList is a list of names with what is told of them.
type factList [][2]string

func (t *factList) add(name string, facts ...string) {
	var told []string
	for _, f := range facts {
		if f != "" {
			told = append(told, f)
		}
	}
	*t = append(*t, [2]string{name, strings.Join(told, ", ")})
}

func (t *factList) addGPU(g env.GPU) {
	sms, power, clock := "multiprocessors unknown", "power limit unknown", "highest clock unknown"
	if g.SMs > 0 {
		sms = fmt.Sprintf("%d multiprocessors", g.SMs)
	}
	if g.PowerLimitW > 0 {
		power = fmt.Sprintf("power limit %.0f W", g.PowerLimitW)
	}
	if g.MaxSMClockMHz > 0 {
		clock = fmt.Sprintf("highest clock %d MHz", g.MaxSMClockMHz)
	}
	t.add(fmt.Sprintf("gpu %d", g.Index), g.Name, sms, "memory "+gib(g.MemoryBytes), power, clock, "ECC "+orUnknown(g.ECC), "MIG "+orUnknown(g.MIG))
	state := "not locked"
	if g.ClocksLocked {
		state = "locked"
	}
	t.add("", "clocks "+state+" ("+g.ClocksEvidence+")", fmt.Sprintf("other processes %d", g.OtherProcesses))
	t.add("", "driver "+orUnknown(g.Driver), "UUID "+orUnknown(g.UUID))
}

func (t factList) write(w io.Writer) error {
	width := 0
	for _, row := range t {
		width = max(width, len(row[0]))
	}
	for _, row := range t {
		if _, err := fmt.Fprintf(w, "%-*s  %s\n", width, row[0], row[1]); err != nil {
			return err
		}
	}
	return nil
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

// quota says what keeps a process from the processors that it may use.
func quota(c env.CPU) string {
	var limits []string
	if c.Quota > 0 {
		limits = append(limits, fmt.Sprintf("quota %.3g", c.Quota))
	}
	if c.Procs > 0 && c.Procs != c.Cores {
		limits = append(limits, fmt.Sprintf("GOMAXPROCS %d", c.Procs))
	}
	if len(limits) == 0 {
		return ""
	}
	return " (" + strings.Join(limits, ", ") + ")"
}

func virtual(c env.CPU) string {
	if c.Virtual {
		return "virtual"
	}
	return ""
}

func gib(bytes int64) string {
	if bytes == 0 {
		return "unknown"
	}
	return fmt.Sprintf("%.1f GiB", float64(bytes)/(1<<30))
}

func limit(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return "limited to " + gib(bytes)
}

func commit(e env.Environment) string {
	switch {
	case e.Commit == "":
		return "commit unknown"
	case e.Dirty:
		return "commit " + e.Commit + " with changes"
	}
	return "commit " + e.Commit
}
