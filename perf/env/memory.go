package env

import "math"

// Memory returns the bytes that this process and all that it starts can have: the memory of the machine, or the least limit of the control
// groups around it where that is less. 0 where the system does not tell.
func Memory() int64 { return thisHost().usableMemory() }

func (h host) usableMemory() int64 {
	total, limit := h.memory(), h.memoryLimit()
	if total == 0 && limit == math.MaxInt64 {
		return 0
	}
	if total == 0 {
		return limit
	}
	return min(total, limit)
}
