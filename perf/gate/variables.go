package gate

import (
	"cmp"
	"fmt"

	"github.com/apex-x/apexx/perf/env"
)

// Injected returns the faults that the workers of a side were made to have (worker.InjectVariable), "" for none.
func (r *Record) Injected() string { return cmp.Or(r.faults(&r.Base), r.faults(&r.Head)) }

// faults returns those of a build: its workers get the environment of the gate, and a script may set more.
func (r *Record) faults(b *Build) string {
	return cmp.Or(env.Injected(b.Variables), r.Environment.Injected())
}

// hidden says which variables of the workers keep the head's speed from being told, "" for none. A head alone that has faults is what the gate is tried with.
func (r *Record) hidden() string {
	base, head := r.faults(&r.Base), r.faults(&r.Head)
	switch {
	case base != "" && base == head:
		return fmt.Sprintf("the workers of base and head had faults injected (%s): what slows both hides what slows one", base)
	case base != "":
		return fmt.Sprintf("the workers of base had faults injected (%s): what slows them hides what slows those of the head", base)
	}
	key, was, is := env.OtherVariable(env.ByKey(r.Base.Variables), env.ByKey(r.Head.Variables))
	if key == "" {
		return ""
	}
	return fmt.Sprintf("the workers of base and head ran under different variables of the environment (%s, base %s, head %s): what these change cannot be told from what the build does",
		key, ofGate(was), ofGate(is))
}

// ofGate tells a value that a build's workers share with the gate.
func ofGate(value string) string {
	if value == env.Unset {
		return "as the gate"
	}
	return value
}
