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
	line("fp8", "%s", "of a GPU "+stateOf(c.FP8.Available, because(c.FP8.Reason)))
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
	list := func(name string, list []Capability) {
		for i, text := range capabilities(list) {
			if i > 0 {
				name = ""
			}
			line("%-10s%s", name, text)
		}
	}
	if !e.Available {
		list("requires: ", e.Required)
	}
	list("optional: ", e.Optional)
}

// capabilities writes a line for each that has a reason, "library missing (provider_unavailable)", and for those in a row that are in one state,
// "cgo, worker met".
func capabilities(list []Capability) (lines []string) {
	for i := 0; i < len(list); i++ {
		c := list[i]
		if c.Reason != nil {
			lines = append(lines, fmt.Sprintf("%s %s (%s)", c.Name, c.State, *c.Reason))
			continue
		}
		names := []string{c.Name}
		for ; i+1 < len(list) && list[i+1].State == c.State && list[i+1].Reason == nil; i++ {
			names = append(names, list[i+1].Name)
		}
		lines = append(lines, strings.Join(names, ", ")+" "+string(c.State))
	}
	return lines
}

func (c Cuda) writeText(line func(name, format string, args ...any)) {
	head := fmt.Sprintf("%d devices", c.DeviceCount)
	if c.DeviceCount == 1 {
		head = "1 device"
	}
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
		what, now := deviceParts(d)
		line("", "  device %d: %s", d.Index, strings.Join(what, ", "))
		if len(now) > 0 {
			line("", "            %s", strings.Join(now, ", "))
		}
	}
}

// deviceParts says what a device is and how it stands. What it did not tell is left out.
func deviceParts(d env.DeviceState) (what, now []string) {
	what = []string{d.Name}
	add := func(parts *[]string, told bool, format string, args ...any) {
		if told {
			*parts = append(*parts, fmt.Sprintf(format, args...))
		}
	}
	const gib = 1 << 30
	add(&what, d.ComputeCapability != "", "compute capability %s", d.ComputeCapability)
	add(&what, d.SMs > 0, "%d multiprocessors", d.SMs)
	add(&what, d.MIG == "on", "MIG on")
	add(&now, d.MemoryBytes > 0, "%.1f of %.1f GiB free", float64(d.MemoryFreeBytes)/gib, float64(d.MemoryBytes)/gib)
	add(&now, d.SMClockMHz > 0, "SM clock %d of %d MHz", d.SMClockMHz, d.MaxSMClockMHz)
	add(&now, d.MemoryClockMHz > 0, "memory clock %d MHz", d.MemoryClockMHz)
	add(&now, d.PowerLimitW > 0, "power limit %.0f W", d.PowerLimitW)
	return what, now
}
