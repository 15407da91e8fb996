package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs loops on a fixed set of goroutines. One loop runs at a time; further callers wait for their turn. A loop body must not
// start another loop on its own pool.
type Pool struct {
	threads int
	wake    chan struct{}
	done    chan struct{}

	mu     sync.Mutex // held while a loop runs; guards what follows
	job    job
	n      int64
	places []any // a *J for each type J of jobs seen so far, so that a loop allocates only the first time

	next atomic.Int64
	busy atomic.Int64
}

// A job is a loop body with its arguments.
type job interface {
	// do computes item i. No two concurrent calls have the same worker number, which is in [0, Pool.Threads()).
	do(worker, i int)
}

// NewPool starts a pool of the given number of threads, the caller of Run being one of them. Zero or less means GOMAXPROCS.
func NewPool(threads int) *Pool {
	if threads <= 0 {
		threads = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: threads, wake: make(chan struct{}, threads), done: make(chan struct{}, 1)}
	for worker := 1; worker < threads; worker++ {
		go p.serve(worker)
	}
	return p
}

// Threads returns the number of threads, at least 1.
func (p *Pool) Threads() int { return p.threads }

// Close ends the pool's goroutines. The pool must be idle and must not be used afterwards.
func (p *Pool) Close() { close(p.wake) }

// Run calls f(i) once for each i in [0, n), in no particular order and concurrently on the pool's threads, and returns when all calls
// have returned. Items are handed out one by one, so unequal ones balance. It allocates nothing itself. f must not panic.
func (p *Pool) Run(n int, f func(i int)) { run(p, n, funcJob{f}) }

type funcJob struct{ f func(i int) }

func (j *funcJob) do(_, i int) { j.f(i) }

// run runs the items [0, n) of a job on the pool. It keeps a place for each kind of job, in which it clears what it referred to.
func run[J any, P interface {
	*J
	job
}](p *Pool, n int, j J) {
	p.mu.Lock()
	defer p.mu.Unlock()
	place := placeFor[J](p)
	*place = j
	p.loop(n, P(place))
	var zero J
	*place = zero
}

// placeFor returns the place for jobs of type J. The pool must be locked.
func placeFor[J any](p *Pool) *J {
	for _, v := range p.places {
		if place, ok := v.(*J); ok {
			return place
		}
	}
	place := new(J)
	p.places = append(p.places, place)
	return place
}

func (p *Pool) loop(n int, j job) {
	helpers := min(p.threads, n) - 1
	if helpers <= 0 {
		for i := range n {
			j.do(0, i)
		}
		return
	}
	p.job, p.n = j, int64(n)
	p.next.Store(0)
	p.busy.Store(int64(helpers))
	for range helpers {
		p.wake <- struct{}{}
	}
	p.drain(0)
	if !p.reclaim() {
		<-p.done
	}
	p.job = nil
}

// reclaim takes back the wake-ups of threads that have not started, for which there is nothing left to do, and reports whether no
// thread is busy. On a loaded machine that saves waiting for one to be scheduled.
func (p *Pool) reclaim() bool {
	for {
		select {
		case <-p.wake:
			if p.busy.Add(-1) == 0 {
				return true
			}
		default:
			return false
		}
	}
}

func (p *Pool) serve(worker int) {
	for range p.wake {
		p.drain(worker)
		if p.busy.Add(-1) == 0 {
			p.done <- struct{}{}
		}
	}
}

func (p *Pool) drain(worker int) {
	for {
		i := p.next.Add(1) - 1
		if i >= p.n {
			return
		}
		p.job.do(worker, int(i))
	}
}
