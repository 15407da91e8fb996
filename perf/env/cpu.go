package env

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// cpu describes the processor. Cores is the number of online processors in the affinity mask, or the control groups' quota
// rounded up where that is less.
func (h host) cpu() CPU {
	info := parseCPUInfo(h.text("proc/cpuinfo"))
	online := parseCPUList(h.line("sys/devices/system/cpu/online"))
	allowed := h.allowed()
	c := CPU{
		Model: info.model, Total: len(online), Quota: h.cpuQuota(), Cores: len(allowed), Procs: h.procs(), Governor: h.governor(allowed),
		Virtual: info.hypervisor || h.line("sys/hypervisor/type") != "" || h.exists("proc/device-tree/hypervisor"),
	}
	if c.Total == 0 {
		c.Total = max(info.processors, runtime.NumCPU())
	}
	if c.Quota > 0 {
		c.Cores = min(c.Cores, int(math.Ceil(c.Quota)))
	}
	switch h.line("sys/devices/system/cpu/smt/active") {
	case "1":
		c.SMT = "on"
	case "0":
		c.SMT = "off"
	}
	return c
}

// governor returns the frequency governors of the given processors, several joined by "+".
func (h host) governor(processors []int) string {
	var names []string
	for _, p := range processors {
		name := h.line(fmt.Sprintf("sys/devices/system/cpu/cpu%d/cpufreq/scaling_governor", p))
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return strings.Join(names, "+")
}

// cpuInfo is what /proc/cpuinfo tells.
type cpuInfo struct {
	model      string
	processors int
	hypervisor bool
}

// parseCPUInfo reads /proc/cpuinfo. x86 names the model, other architectures under other keys; 64-bit ARM gives the numbers of
// implementer and part (Arm Architecture Reference Manual, MIDR_EL1) alone.
func parseCPUInfo(text string) cpuInfo {
	var info cpuInfo
	var models []string
	add := func(model string) {
		if model != "" && !slices.Contains(models, model) {
			models = append(models, model)
		}
	}
	implementer := ""
	for line := range strings.Lines(text) {
		key, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "processor":
			info.processors++
		case "model name", "cpu model", "cpu", "uarch":
			add(value)
		case "CPU implementer":
			implementer = value
		case "CPU part":
			add("arm " + implementer + ":" + value)
		case "flags":
			info.hypervisor = info.hypervisor || slices.Contains(strings.Fields(value), "hypervisor")
		}
	}
	info.model = strings.Join(models, " + ")
	return info
}

// mostProcessors is more than any kernel supports; a list that goes beyond it is damaged.
const mostProcessors = 1 << 16

// parseCPUList reads a list such as 0-3,8 into its numbers, ascending and unique; nil where it is not one.
func parseCPUList(list string) []int {
	var out []int
	for part := range strings.SplitSeq(list, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		a, err1 := strconv.Atoi(low)
		b, err2 := strconv.Atoi(high)
		if err1 != nil || err2 != nil || a < 0 || b < a || b >= mostProcessors {
			return nil
		}
		for p := a; p <= b; p++ {
			out = append(out, p)
		}
		if len(out) > mostProcessors {
			return nil
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// firstProcessors returns the numbers from 0 to n-1.
func firstProcessors(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}
