//go:build !linux && !darwin

package env

import "runtime"

func fillPlatform(*Environment) {}

func allowedProcessors() []int { return firstProcessors(runtime.NumCPU()) }
