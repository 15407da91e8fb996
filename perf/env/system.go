package env

import (
	"math"
	"strconv"
	"strings"
)

// memory returns the memory of the machine in bytes, 0 where the kernel does not tell.
func (h host) memory() int64 { return parseMemTotal(h.text("proc/meminfo")) }

// parseMemTotal reads MemTotal of /proc/meminfo, which the kernel gives in KiB.
func parseMemTotal(meminfo string) int64 {
	for line := range strings.Lines(meminfo) {
		value, ok := strings.CutPrefix(line, "MemTotal:")
		if !ok {
			continue
		}
		fields := strings.Fields(value)
		if len(fields) != 2 || fields[1] != "kB" {
			return 0
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil || kib < 0 || kib > math.MaxInt64/1024 {
			return 0
		}
		return kib * 1024
	}
	return 0
}

// load returns the load averages, zeros where the kernel does not tell.
func (h host) load() [3]float64 { return parseLoad(h.line("proc/loadavg")) }

func parseLoad(line string) [3]float64 {
	var load [3]float64
	fields := strings.Fields(line)
	if len(fields) < len(load) {
		return load
	}
	for i := range load {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil || v < 0 || math.IsInf(v, 0) || math.IsNaN(v) {
			return [3]float64{}
		}
		load[i] = v
	}
	return load
}
