package reference

import (
	"math"
	"runtime"
	"testing"
)

// Memory tells within 5 % what a session adds to the heap, once the graph that it was compiled from is gone.
func TestMemoryIsWhatTheHeapHolds(t *testing.T) {
	for _, c := range []struct {
		profile string
		side    int
		set     settings
	}{{"nano", 128, fp32()}, {"base", 256, fp32()}, {"base", 128, fp64()}} {
		before := heap()
		g, _ := hashedModel(t, 1, c.side, c.side, "model.profile="+c.profile)
		s := open(t, g, c.set)
		g = nil
		held := heap() - before
		if told := float64(s.Memory().Host); math.Abs(held-told) > 0.05*told {
			t.Errorf("%s at %d² in %v: Memory says %.1f MB, the heap holds %.1f MB", c.profile, c.side, c.set.float, told/1e6, held/1e6)
		}
		runtime.KeepAlive(s)
	}
}

// heap returns the bytes of live objects.
func heap() float64 {
	runtime.GC()
	runtime.GC() // what the first one finalised
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
