package measure

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/backends/worker"
)

// The samples of a session time Execute again and again on what was uploaded once. That is the time of the model if Execute computes all of
// it, every time, before it returns. A session that computes in Upload, or when Download asks for the outputs, or once for an upload or for
// equal ones, would pass for a fast one. So a timed session also runs on inputs that it has never seen, and the parts of that run are held
// against its samples. A machine that is busy holds up what it likes: a session whose parts do not fit has further tries, and is what its best ones
// say it is.
const (
	leastShare = 2. / 3                 // that an execution has to be of the time for which the session seems to compute
	unequal    = 0.25                   // of another download that the first after an execution may take longer
	held       = 100 * time.Microsecond // what passes by any clock within the worker
	again      = 2                      // downloads beside the first: one may be held up
	leastTries = 10                     // before a session is believed to lie,
	triesTime  = time.Second            // and what they have to take at the least
)

// allowance is what a clock may show of transfers: by how many times an upload may take longer than checking and copying its inputs takes here,
// and what is added to any. Within the worker an upload is that and what a device needs. From here it is two processes and a file as well.
type allowance struct {
	copies float64
	held   time.Duration
}

var (
	insideAllows  = allowance{copies: 4, held: held}
	outsideAllows = allowance{copies: 8, held: 5 * time.Millisecond}
)

// inferring is a session that is timed part by part; *worker.Session is one.
type inferring interface {
	session
	Upload(ctx context.Context, inputs tensor.List) error
	Download(ctx context.Context, names ...string) (tensor.List, error)
	LastTiming() backends.Timing
}

// freshness gathers what runs on new inputs take, part by part, in ns: the least of all tries.
type freshness struct {
	session inferring
	graph   *graph.Graph
	feeds   Feeds
	begin   time.Time // of the first try
	tries   int

	fresh, repeated float64 // an execution on new inputs, and one on the same: of the try in which they are nearest to what they should be
	copying         float64 // what checking and copying the inputs takes here
	outside, inside transfers
}

// transfers are the times of transfers by one clock: of this end, or the backend's own.
type transfers struct {
	upload        float64
	first, second float64 // downloads of the outputs of one execution: the first one, and another
}

func newFreshness(s inferring, w Workload) *freshness {
	inf := math.Inf(1)
	never := transfers{inf, inf, inf}
	return &freshness{session: s, graph: w.Graph, feeds: w.Feeds, begin: time.Now(), fresh: inf, copying: inf, outside: never, inside: never}
}

// give uploads inputs that the session has not seen: the other feed, and from then on both in turn, of which an element is a little more.
func (f *freshness) give(ctx context.Context) error {
	inputs := f.feeds[other]
	if f.tries > 0 {
		inputs = nudged(f.feeds[feed(f.tries+1)%feeds], f.tries)
	}
	f.tries++
	begin := time.Now()
	if err := backends.CheckInputs(f.graph, inputs); err != nil {
		return err
	}
	inputs.Clone()
	f.copying = min(f.copying, float64(time.Since(begin)))
	begin = time.Now()
	err := f.session.Upload(ctx, inputs)
	f.outside.upload = min(f.outside.upload, float64(time.Since(begin)))
	f.inside.upload = min(f.inside.upload, float64(f.session.LastTiming().Upload))
	return err
}

// run executes once and tells how long that took.
func (f *freshness) run(ctx context.Context) (float64, error) {
	g, err := f.session.Measure(ctx, worker.GroupOptions{Span: worker.ExecuteAlone, Calls: 1, Samples: 1, Bound: 1})
	if err != nil {
		return 0, err
	}
	return g.Host[0], nil
}

// executed takes a pair of executions: on new inputs, and on the same.
func (f *freshness) executed(fresh, repeated float64) {
	if fresh-repeated/leastShare < f.fresh-f.repeated/leastShare {
		f.fresh, f.repeated = fresh, repeated
	}
}

// take downloads the outputs several times, and returns what it got first.
func (f *freshness) take(ctx context.Context) (got tensor.List, err error) {
	for i := range 1 + again {
		begin := time.Now()
		out, err := f.session.Download(ctx)
		if err != nil {
			return nil, err
		}
		f.outside.downloaded(i == 0, time.Since(begin))
		f.inside.downloaded(i == 0, f.session.LastTiming().Download)
		if i == 0 {
			got = out.Clone()
		}
	}
	return got, nil
}

func (t *transfers) downloaded(first bool, took time.Duration) {
	if first {
		t.first = min(t.first, float64(took))
	} else {
		t.second = min(t.second, float64(took))
	}
}

// retry is another try of everything.
func (f *freshness) retry(ctx context.Context) error {
	if err := f.give(ctx); err != nil {
		return err
	}
	fresh, err := f.run(ctx)
	if err != nil {
		return err
	}
	repeated, err := f.run(ctx)
	if err != nil {
		return err
	}
	f.executed(fresh, repeated)
	_, err = f.take(ctx)
	return err
}

// judge has tries until everything fits samples of a median of so many ns, or until nobody can believe any more that it would.
func (f *freshness) judge(ctx context.Context, sample float64) error {
	for {
		wrong := f.check(sample)
		if wrong == nil || f.tries >= leastTries && time.Since(f.begin) >= triesTime {
			return wrong
		}
		if err := f.retry(ctx); err != nil {
			return err
		}
	}
}

// check says which part takes longer than it should beside samples of a median of so many ns; nil where none does.
func (f *freshness) check(sample float64) error {
	of := func(ns float64) time.Duration { return time.Duration(ns).Round(time.Microsecond) }
	if f.fresh > f.repeated/leastShare+float64(held) {
		return fmt.Errorf("an execution on new inputs takes %v and one on the same inputs %v: "+
			"the session keeps results from one execution to the next (%d tries)", of(f.fresh), of(f.repeated), f.tries)
	}
	for _, clock := range []struct {
		transfers
		allowance
	}{{f.inside, insideAllows}, {f.outside, outsideAllows}} {
		hidden := sample*(1/leastShare-1) + float64(clock.held)
		if clock.first > (1+unequal)*clock.second+hidden {
			return fmt.Errorf("the first download after an execution takes %v, another one %v and an execution %v: "+
				"the session computes in Download (%d tries)", of(clock.first), of(clock.second), of(sample), f.tries)
		}
		if most := clock.copies*f.copying + hidden; clock.upload > most {
			return fmt.Errorf("an upload takes %v, where checking and copying its inputs explains %v, and an execution %v: "+
				"the session computes in Upload (%d tries)", of(clock.upload), of(most), of(sample), f.tries)
		}
	}
	return nil
}

// nudged returns inputs that differ from those given by n units in the last place of one number, so that a session cannot know them and
// what it computes takes as long.
func nudged(inputs tensor.List, n int) tensor.List {
	out := slices.Clone(inputs)
	for i, in := range out {
		if in.DType() != tensor.Float32 || in.Len() == 0 {
			continue
		}
		t := in.Tensor.Clone()
		x := &tensor.Data[float32](t)[0]
		for range n {
			*x = math.Nextafter32(*x, 1)
		}
		out[i].Tensor = t
		return out
	}
	return out
}
