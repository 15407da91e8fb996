package caps

import (
	"fmt"
	"io"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/env"
)

// WriteText writes for people: every backend with what it lacks and what could take its place, then the machine.
func (c Caps) WriteText(w io.Writer) error {
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-12s "+format+"\n", append([]any{name}, args...)...)
	}
	for _, e := range c.Backends {
		line(e.Name, "%s", stateOf(e.Available, e.Reason))
		e.writeText(func(format string, args ...any) { line("", "  "+format, args...) })
	}
	c.Cuda.writeText(line)
	line("fp8", "%s", stateOf(c.FP8.Available, because(c.FP8.Reason)))
	line("int8", "%s", "of tensorrt "+stateOf(c.TensorRT.Int8Available, because(c.TensorRT.Int8Reason)))
	line("cpu", "%s, %d threads", c.CPU.Architecture, c.CPU.Threads)
	_, err := io.WriteString(w, b.String())
	return err
}

func stateOf(available bool, reason backends.Reason) string {
	if available {
		return "available"
	}
	return "unavailable: " + string(reason)
}

func because(r *backends.Reason) backends.Reason {
	if r == nil {
		return ""
	}
	return *r
}

func (e Backend) writeText(line func(format string, args ...any)) {
	if e.Detail != "" {
		line("%s", e.Detail)
	}
	if len(e.Precisions) > 0 {
		names := make([]string, len(e.Precisions))
		for i, p := range e.Precisions {
			names[i] = string(p)
		}
		line("precisions: %s", strings.Join(names, ", "))
	}
	for _, f := range e.Facts {
		line("%s: %s", f.Key, f.Value)
	}
	if !e.Available && len(e.Required) > 0 {
		line("requires: %s", capabilities(e.Required))
	}
	if len(e.Optional) > 0 {
		line("optional: %s", capabilities(e.Optional))
	}
}

// capabilities writes "worker met, cuda.available missing (cuda_unavailable)".
func capabilities(list []Capability) string {
	parts := make([]string, len(list))
	for i, c := range list {
		parts[i] = c.Name + " " + string(c.State)
		if c.Reason != nil {
			parts[i] += " (" + string(*c.Reason) + ")"
		}
	}
	return strings.Join(parts, ", ")
}

func (c Cuda) writeText(line func(name, format string, args ...any)) {
	head := fmt.Sprintf("%d device(s)", c.DeviceCount)
	if c.Reason != nil {
		head = string(*c.Reason)
	}
	if c.Driver != "" {
		head += ", driver " + c.Driver
	}
	if c.CUDA != "" {
		head += ", CUDA " + c.CUDA
	}
	line("gpu", "%s", head)
	if c.Detail != "" {
		line("", "  %s", c.Detail)
	}
	for _, d := range c.Devices {
		line("", "  device %d: %s", d.Index, strings.Join(deviceParts(d), ", "))
	}
}

// deviceParts leaves out what a device did not tell.
func deviceParts(d env.DeviceState) []string {
	parts := []string{d.Name}
	add := func(told bool, format string, args ...any) {
		if told {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	const gib = 1 << 30
	add(d.ComputeCapability != "", "compute capability %s", d.ComputeCapability)
	add(d.SMs > 0, "%d multiprocessors", d.SMs)
	add(d.MemoryBytes > 0, "%.1f of %.1f GiB free", float64(d.MemoryFreeBytes)/gib, float64(d.MemoryBytes)/gib)
	add(d.SMClockMHz > 0, "SM clock %d of %d MHz", d.SMClockMHz, d.MaxSMClockMHz)
	add(d.MemoryClockMHz > 0, "memory clock %d MHz", d.MemoryClockMHz)
	add(d.PowerLimitW > 0, "%.0f W", d.PowerLimitW)
	add(d.MIG == "on", "MIG on")
	return parts
}
