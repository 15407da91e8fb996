package env

import (
	"fmt"
	"time"
)

// clocksLocked infers whether the clocks of a device are fixed, and says from what.
//
// NVML has a call that locks the clocks (nvmlDeviceSetGpuLockedClocks, nvidia-smi --lock-gpu-clocks) and none that tells whether
// they are. Two traces can be seen:
//
//  1. Application clocks away from their default: somebody chose the clock at which programs run. Drivers that no longer have
//     application clocks (deprecated in CUDA 13) answer with an error, and the rule is silent.
//  2. A device on which nothing runs and that does not report the event gpu_idle, though it can, for as long as wait allows:
//     without a lock it would lower its clocks and say so, with one it keeps them. The wait is there because a device needs a
//     while to become idle after its last process.
//
// The limit: rule 2 needs a device that is idle as far as this process can see, so that a lock is missed while anything
// computes, and a device that an unseen process of another container uses can pass for locked. A device whose application
// clock was set to its default passes for unlocked. Whoever relies on the answer should check that SMClockMHz of the Monitor's
// samples stays put under load.
func clocksLocked(d device, wait func() bool) (locked bool, evidence string) {
	if target, standard, err := d.ApplicationClocksMHz(); err == nil && target != standard {
		return true, fmt.Sprintf("application clock %d MHz, default %d MHz", target, standard)
	}
	if supported, err := d.SupportedEventReasons(); err != nil || supported&gpuIdle == 0 {
		return false, "the device does not tell"
	}
	for {
		active, err1 := d.EventReasons()
		clock, err2 := d.SMClockMHz()
		processes, err3 := d.Processes()
		switch {
		case err1 != nil || err2 != nil || err3 != nil:
			return false, "the device does not tell"
		case active&gpuIdle != 0:
			return false, fmt.Sprintf("idle at %d MHz, clocks lowered", clock)
		case len(processes) > 0:
			return false, fmt.Sprintf("%d MHz with processes on the device, no application clock set", clock)
		case !wait():
			return true, fmt.Sprintf("idle at %d MHz, clocks not lowered", clock)
		}
	}
}

// The wait for devices to become idle: settlePolls looks, settleTime apart, for all devices together.
const (
	settlePolls = 50
	settleTime  = 100 * time.Millisecond
)

// patience returns a function that sleeps and returns true a limited number of times.
func patience(polls int, sleep func(time.Duration)) func() bool {
	return func() bool {
		if polls == 0 {
			return false
		}
		polls--
		sleep(settleTime)
		return true
	}
}
