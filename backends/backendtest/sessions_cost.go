package backendtest

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/apex-x/apexx/backends"
)

// clockSlack is how far two clocks may part over one execution: the resolution of a device's, and what lies between two readings.
const clockSlack = 20 * time.Microsecond

// times reads the times of a run, without those of the steps and with them. Asking for them changes no output.
func (s *sessions) times() {
	session := s.open(backends.Options{})
	want := s.run(session, s.inputs)
	s.whole(session.LastTiming())
	if n := len(session.LastTiming().Steps); n > 0 {
		s.Errorf("%d times of steps for which nobody asked", n)
	}
	stepped := s.open(backends.Options{StepTimes: true})
	s.same("with the times of steps", s.run(stepped, s.inputs), want)
	s.must(stepped.Execute(s.Context()))
	timing, plan := stepped.LastTiming(), stepped.Plan()
	s.whole(timing)
	if plan.Library != "" && len(timing.Steps) == 0 {
		return // a library may not tell
	}
	if len(timing.Steps) != len(plan.Steps) {
		s.Fatalf("%d times for %d steps", len(timing.Steps), len(plan.Steps))
	}
	sum := time.Duration(0)
	for i, d := range timing.Steps {
		if d < 0 {
			s.Errorf("step %s took %v", plan.Steps[i].Name, d)
		}
		sum += d
	}
	if most := longest(timing) + clockSlack; sum <= 0 || sum > most {
		s.Errorf("the steps took %v, the execution %v", sum, most)
	}
}

// longest is the time of an execution by the clock that times the steps.
func longest(t backends.Timing) time.Duration {
	if t.Device > 0 {
		return t.Device
	}
	return t.Execute
}

// whole checks the times of the calls.
func (s *sessions) whole(t backends.Timing) {
	s.Helper()
	if t.Upload <= 0 || t.Execute <= 0 || t.Download < 0 {
		s.Errorf("times of a run: %+v", t)
	}
	if t.Device < 0 || t.Device > t.Execute+clockSlack {
		s.Errorf("the device computed for %v in an execution of %v", t.Device, t.Execute)
	}
	if t.Total() != t.Upload+t.Execute+t.Download {
		s.Errorf("a total of %v of %+v", t.Total(), t)
	}
}

// memory holds what a session says that it holds to what it must hold, and the heap after Close to that of before, though the caller
// keeps the closed session.
func (s *sessions) memory() {
	g, inputs := s.small(nil)
	s.compile(g, backends.Options{}).Close() // what is made once in a process
	before := heap()
	session := s.compile(g, backends.Options{})
	out, err := backends.Run(s.Context(), session, inputs)
	s.must(err)
	least := int64(0)
	for _, t := range append(inputs, out...) {
		least += int64(t.Len() * t.DType().Size())
	}
	use := session.Memory()
	told := use.Host + use.Device
	if told == 0 && session.Plan().Library == "" {
		s.Error("Memory tells nothing, and there is no library that would not tell")
	}
	if told > 0 && told < least {
		s.Errorf("Memory tells of %d bytes, inputs and outputs have %d", told, least)
	}
	out = nil
	s.must(session.Close())
	if grown := heap() - before; grown > max(told/10, 256<<10) {
		s.Errorf("a closed session holds %d bytes of the heap, an open one %d", grown, told)
	}
	runtime.KeepAlive(session)
	runtime.KeepAlive(g)
}

// heap returns the bytes of live objects.
func heap() int64 {
	runtime.GC()
	runtime.GC() // what the first one finalised
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// manySessions is how many sessions have to leave nothing behind.
const manySessions = 1000

// thousand opens many sessions one after the other, in the first precision; fewer where each starts a process.
func (s *sessions) thousand() {
	if s.precision != s.options.Precisions[0] {
		s.Skip("sessions are opened the same way in every precision")
	}
	opts, many := backends.Options{Precision: s.precision, Threads: 2}, manySessions
	if s.options.Process {
		many /= 20
	}
	open := func(n int) {
		for i := range n {
			session, err := s.backend.Compile(s.Context(), s.graph, opts)
			s.must(err)
			if i%10 == 0 {
				_, err = backends.Run(s.Context(), session, s.inputs)
				s.must(err)
			}
			s.must(session.Close())
		}
	}
	open(many / 10)
	before := s.holdings(holdings{})
	open(many)
	after := s.holdings(before)
	if after.goroutines > before.goroutines || after.files > before.files || after.heap > before.heap+1<<20 || after.resident > before.resident+64<<20 {
		s.Errorf("%d sessions went from %+v to %+v", many, before, after)
	}
}

// holdings are what sessions could leave behind in this process.
type holdings struct {
	goroutines, files int
	heap, resident    int64 // bytes
}

// holdings counts. What ends in the background, such as a goroutine that was told to, has a while to come down to a target.
func (s *sessions) holdings(target holdings) (h holdings) {
	for range 1000 {
		files, _ := os.ReadDir("/proc/self/fd") // where there is none, nothing is counted
		h = holdings{goroutines: runtime.NumGoroutine(), files: len(files), heap: heap(), resident: resident()}
		if target.goroutines == 0 || h.goroutines <= target.goroutines && h.files <= target.files {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return h
}

// resident returns the resident memory of this process in bytes, 0 where the system does not tell.
func resident() int64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
