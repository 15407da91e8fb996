package env

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/apex-x/apexx/perf"
)

// eventReasons names the bits of nvmlClocksEventReasons (nvml.h), with the names of nvidia-smi --query-gpu where it has them.
var eventReasons = [...]string{
	"gpu_idle", "applications_clocks_setting", "sw_power_cap", "hw_slowdown", "sync_boost", "sw_thermal_slowdown",
	"hw_thermal_slowdown", "hw_power_brake_slowdown", "display_clock_setting", "board_limit", "reliability",
}

// gpuIdle is the bit of the event reason gpu_idle.
const gpuIdle = 1 << 0

// throttleReasons are the reasons that come from heat or from the power brake, not from the setting of the device. hw_slowdown
// covers both, and the fast trigger of excessive power. sw_power_cap is not among them: a device under load that is held at
// its power limit is working as configured, and the limit is part of the class.
var throttleReasons = []string{"hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake_slowdown"}

// ReasonsUnreadable stands in a sample for event reasons that the device did not tell.
const ReasonsUnreadable = "unreadable"

// reasonNames returns the names of the bits that are set, lowest first; a bit without a name is unknown_BIT.
func reasonNames(mask uint64) []string {
	var names []string
	for ; mask != 0; mask &= mask - 1 {
		bit := bits.TrailingZeros64(mask)
		if bit < len(eventReasons) {
			names = append(names, eventReasons[bit])
		} else {
			names = append(names, fmt.Sprintf("unknown_%d", bit))
		}
	}
	return names
}

// ThrottleReasons returns the event reasons of a sample that make the block it belongs to unusable: the clocks were lowered by
// heat (sw_thermal_slowdown, hw_thermal_slowdown), by the power supply (hw_power_brake_slowdown), or by either (hw_slowdown).
func ThrottleReasons(s perf.DeviceSample) []string {
	var out []string
	for _, r := range s.EventReasons {
		if slices.Contains(throttleReasons, r) {
			out = append(out, r)
		}
	}
	return out
}
