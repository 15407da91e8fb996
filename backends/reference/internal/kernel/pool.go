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

	mu   sync.Mutex // held while a loop runs; guards what follows
	job  job
	n    int64
	jobs []any // one idle job of each kind, so that a loop allocates only the first time

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
func (p *Pool) Run(n int, f func(i int)) {
	j := take[funcJob](p)
	j.f = f
	run(p, n, j)
}

type funcJob struct{ f func(i int) }

func (j *funcJob) do(_, i int) { j.f(i) }

// take locks the pool and returns its job of type J. The caller fills it, passes it to run.
func take[J any](p *Pool) *J {
	p.mu.Lock()
	for _, v := range p.jobs {
		if j, ok := v.(*J); ok {
			return j
		}
	}
	j := new(J)
	p.jobs = append(p.jobs, j)
	return j
}

// run runs a job that take returned, drops what it refers to and unlocks the pool.
func run[J any, P interface {
	*J
	job
}](p *Pool, n int, j P) {
	p.loop(n, j)
	var zero J
	*j = zero
	p.mu.Unlock()
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
