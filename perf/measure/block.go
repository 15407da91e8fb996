package measure

import (
	"cmp"
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/apex-x/apexx/perf"
)

// Slot is one process of a block.
type Slot struct {
	Side  Side
	Cells []perf.Cell // that it measures, in the block's order; none: no process
}

// slice is how long one process of a block samples before it is the next one's turn, as far as single runs allow it. The speed
// of a shared machine wanders over tenths of a second and more: taking turns within that time has all processes see the same
// machine, where measuring one after the other compares one moment with another.
const slice = 20 * time.Millisecond

// leastTurns is how many turns a cell takes in each process, however short its runs are, unless its time is over before.
const leastTurns = 8

// Block measures cells of one backend in several fresh processes at once, none of which ever samples beside another. They take
// turns of a slice, round after round; those whose turn it is not are stopped. With slots that read the same from both ends
// (base, head, head, base) a drift within a round cancels, and each side runs as often right after the other as after itself.
// All go through the cells in one order: each is compiled and run once in all of them, side by side as far as that is fair, before
// the first samples it, and ends in all of them before the next begins. OnTurn, where it is set, is called before each turn. A slot's
// measurements go to emit, whose error ends the block. So does a process that does not go away (Beside); when Block returns anything else, none of it is left.
func Block(ctx context.Context, slots []Slot, backend string, cells []perf.Cell, o Options, onTurn func(slot int), emit func(slot int, m perf.Measurement) error) (err error) {
	processes := make([]*process, len(slots))
	all := make([]int, len(slots))
	for i, s := range slots {
		processes[i], all[i] = &process{side: s.Side, backend: backend, options: o}, i
	}
	defer func() {
		sideBySide(all, len(all), func(i int) { processes[i].end() })
		err = cmp.Or(err, besideAny(processes))
	}()
	lanes := lanesOf(backend, o)
	for order, c := range cells {
		if err := besideAny(processes); err != nil {
			return err
		}
		var taking []int
		work := make([]Workload, len(slots))
		for i, s := range slots {
			if !slices.Contains(s.Cells, c) {
				continue
			}
			var err error
			if work[i], err = s.Side.Workloads.Of(ctx, c); err != nil {
				return err
			}
			taking = append(taking, i)
		}
		timings := make([]*timing, len(slots))
		sideBySide(taking, lanes, func(i int) {
			processes[i].resume()
			timings[i] = processes[i].prepare(ctx, c, work[i])
			processes[i].pause()
		})
		first := lanes
		if perf.OnDevice(backend) { // which all of them share
			first = 1
		}
		sideBySide(taking, first, func(i int) {
			processes[i].resume()
			timings[i].firstRun(ctx)
			processes[i].pause()
		})
		takeTurns(taking, onTurn, func(i int, yield func()) {
			processes[i].resume()
			timings[i].run(ctx, func() {
				processes[i].pause()
				yield()
				processes[i].resume()
			})
			processes[i].pause()
		})
		takeSteps(ctx, taking, timings, lanes, onTurn)
		if err := context.Cause(ctx); err != nil {
			return err
		}
		for _, i := range taking {
			m, err := timings[i].verified(ctx)
			if err != nil {
				return err
			}
			m.Order = order
			if err := emit(i, m); err != nil {
				return err
			}
		}
	}
	return nil
}

// besideAny returns the error of a process that does not go away.
func besideAny(processes []*process) error {
	for _, p := range processes {
		if p.beside != nil {
			return p.beside
		}
	}
	return nil
}

// lanesOf says how many processes of a block prepare a cell at once. A compiler that may choose kernels by timing them on a device needs it for itself; that
// of our own kernels does so only where an option asks it to tune.
func lanesOf(backend string, o Options) int {
	if perf.OnDevice(backend) && (backend != perf.OwnKernels || len(o.Extra[backend]) > 0) {
		return 1
	}
	return runtime.GOMAXPROCS(0)
}

// takeSteps times the steps of a cell where that was asked for, when all its processes have given their samples: the sessions that tell them are
// compiled side by side, and take turns as the timed ones did.
func takeSteps(ctx context.Context, taking []int, timings []*timing, lanes int, onTurn func(slot int)) {
	stepping := map[int]*steps{}
	var asked []int
	for _, i := range taking {
		if s := timings[i].stepping(i); s != nil {
			stepping[i], asked = s, append(asked, i)
		}
	}
	sideBySide(asked, lanes, func(i int) {
		process := timings[i].process
		process.resume()
		stepping[i].open(ctx)
		process.pause()
	})
	takeTurns(asked, onTurn, func(i int, yield func()) {
		process := timings[i].process
		process.resume()
		stepping[i].run(ctx, func() {
			process.pause()
			yield()
			process.resume()
		})
		process.pause()
	})
}

// sideBySide runs do for every slot, several at a time.
func sideBySide(slots []int, lanes int, do func(slot int)) {
	free := make(chan struct{}, max(lanes, 1))
	var all sync.WaitGroup
	for _, i := range slots {
		free <- struct{}{}
		all.Go(func() {
			do(i)
			<-free
		})
	}
	all.Wait()
}

// takeTurns runs do for every slot, one at a time: a slot goes on until it yields or ends, then it is the next one's turn, in
// the order of the list, round after round.
func takeTurns(slots []int, onTurn func(slot int), do func(slot int, yield func())) {
	type turn struct{ begin, end chan bool } // end tells whether the slot wants another turn
	turns := map[int]turn{}
	for _, i := range slots {
		t := turn{make(chan bool), make(chan bool)}
		turns[i] = t
		go func() {
			<-t.begin
			do(i, func() {
				t.end <- true
				<-t.begin
			})
			t.end <- false
		}()
	}
	for waiting := slices.Clone(slots); len(waiting) > 0; {
		waiting = slices.DeleteFunc(waiting, func(i int) bool {
			if onTurn != nil {
				onTurn(i)
			}
			turns[i].begin <- true
			return !<-turns[i].end
		})
	}
}
