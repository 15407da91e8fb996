package env

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/worker"
)

// Variables returns those variables of an environment (os.Environ) that change what workers compute or how fast: worker.Variables.
func Variables(environ []string) []Software {
	var list []Software
	for _, v := range worker.Variables(environ) {
		list = append(list, Software(v))
	}
	return list
}

// VariablesOf returns those in which a backend's worker runs under another environment than this program (worker.Worker.Variables), with keys such as
// cuda:GOGC.
func VariablesOf(backend string, told []backends.Fact) []Software {
	var list []Software
	for _, v := range told {
		list = append(list, Software{backend + ":" + v.Key, v.Value})
	}
	return list
}

// ToldOf returns what VariablesOf made entries of, of a backend.
func ToldOf(backend string, variables []Software) []backends.Fact {
	var told []backends.Fact
	for _, v := range variables {
		if name, ok := strings.CutPrefix(v.Key, backend+":"); ok {
			told = append(told, backends.Fact{Key: name, Value: v.Value})
		}
	}
	return told
}

// Measured returns the environment of a record of some backends: without the variables of the workers of others.
func (e Environment) Measured(names ...string) Environment {
	e.Variables = slices.DeleteFunc(slices.Clone(e.Variables), func(v Software) bool {
		backend, _, ofWorker := strings.Cut(v.Key, ":")
		return ofWorker && !slices.Contains(names, backend)
	})
	return e
}

// Injected returns the faults of Injected of its variables.
func (e Environment) Injected() string { return Injected(e.Variables) }

// Injected returns the faults that workers were made to have (worker.InjectVariable), "" for none: what was measured so tries the tools and says nothing
// of a build.
func Injected(variables []Software) string {
	for _, v := range variables {
		if backends.Injects(v.Key) && v.Value != worker.Unset {
			return v.Value
		}
	}
	return ""
}

// ByKey returns variables, or versions, as a map.
func ByKey(list []Software) map[string]string {
	var m map[string]string
	for _, v := range list {
		if m == nil {
			m = map[string]string{}
		}
		m[v.Key] = v.Value
	}
	return m
}

// Unset stands for the value of a variable that is not recorded.
const Unset = "unset"

// OtherVariable returns the first variable (ByKey) that is another now than before, with both values, quoted or Unset; "" where all are the same. A fault
// that is injected now is what a tool is tried with: it counts as none. One that was injected before is no measure of anything, and counts also where it
// is the same.
func OtherVariable(before, now map[string]string) (key, was, is string) {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(now))
	slices.Sort(keys)
	for _, key := range keys {
		was, is := quoted(before, key), quoted(now, key)
		switch {
		case backends.Injects(key) && was == Unset:
		case backends.Injects(key), was != is:
			return key, was, is
		}
	}
	return "", "", ""
}

// quoted returns the quoted value of a variable, or Unset.
func quoted(variables map[string]string, key string) string {
	if value, set := variables[key]; set {
		return strconv.Quote(value)
	}
	return Unset
}
