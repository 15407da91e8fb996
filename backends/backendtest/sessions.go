package backendtest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// RunSessions checks what the contract says of a session, in each precision: the order of its calls, what it refuses, how it ends early,
// what stays where and for how long, what a tap changes, its plan, its times and its memory; and that sessions leave nothing behind.
func RunSessions(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	o = o.prepare(t, b)
	for _, p := range o.Precisions {
		for _, c := range sessionChecks {
			t.Run(string(p)+"/"+c.name, func(t *testing.T) {
				s := &sessions{T: t, backend: b, options: o, precision: p, graph: sessionGraph(t)}
				s.inputs, s.others = sessionInputs(1), sessionInputs(2)
				var err error
				s.graph, err = calibrated(p.Format(), s.graph, s.inputs)
				s.must(err)
				c.check(s)
			})
		}
	}
}

// sessionChecks are the checks of RunSessions, in the order of a session's life.
var sessionChecks = []struct {
	name  string
	check func(s *sessions)
}{
	{"plans", (*sessions).plans},
	{"order of calls", (*sessions).order},
	{"refused inputs", (*sessions).refusals},
	{"an ended context", (*sessions).ended},
	{"cancelled in the middle", (*sessions).cancelled},
	{"what stays uploaded", (*sessions).uploaded},
	{"outputs by name", (*sessions).selected},
	{"taps", (*sessions).taps},
	{"taps that there are not", (*sessions).wrongTaps},
	{"times", (*sessions).times},
	{"memory", (*sessions).memory},
	{"side by side", (*sessions).sideBySide},
	{"a thousand sessions", (*sessions).thousand},
}

// sessions checks the sessions of one backend in one precision.
type sessions struct {
	*testing.T
	backend        backends.Backend
	options        Options
	precision      backends.Precision
	graph          *graph.Graph
	inputs, others tensor.List // two different sets
}

// small returns a complete model, with the ranges of its values where the precision asks for some.
func (s *sessions) small(set []string) (*graph.Graph, tensor.List) {
	g, inputs := smallModel(s.T, set, 8)
	g, err := calibrated(s.precision.Format(), g, inputs)
	s.must(err)
	return g, inputs
}

// sessionGraph has what sessions treat in different ways: two inputs that steps would overwrite if they might, an output that is an input
// under another name, a chain that executors fuse, a constant expression, and integers.
func sessionGraph(t testing.TB) *graph.Graph {
	t.Helper()
	b := graph.NewBuilder("session")
	typ := graph.Type{DType: tensor.Float32, Shape: []int{2, 6, 9, 7}}
	x, y := b.Input("x", typ), b.Input("y", typ)
	s := seeded(3000)
	binary := func(name string, fn graph.BinaryFn, v, w *graph.Value) *graph.Value {
		return b.Add1(name, graph.Binary{Fn: fn}, v, w)
	}
	unary := func(name string, fn graph.UnaryFn, v *graph.Value) *graph.Value {
		return b.Add1(name, graph.Unary{Fn: fn}, v)
	}
	conv := b.Add1("conv", graph.Conv{Strides: [2]int{1, 1}, Pads: [4]int{1, 1, 1, 1}, Group: 1}, x, b.Const("weight", s.normal(6, 6, 3, 3)))
	norm := b.Add1("norm", graph.GroupNormalization{Groups: 2, Epsilon: 1e-5}, conv, b.Const("gain", s.normal(6)), b.Const("shift", s.normal(6)))
	act := binary("act", graph.Mul, norm, unary("sigmoid", graph.Sigmoid, norm))
	b.Output("features", binary("residual", graph.Add, act, y))
	half := binary("half", graph.Div, b.Const("one", floats(1)), b.Const("two", floats(2)))
	sum := unary("sum.relu", graph.Relu, binary("sum", graph.Add, x, y))
	b.Output("halved", binary("sum.half", graph.Mul, sum, half))
	b.Output("same", unary("x.same", graph.Identity, x))
	mean := b.Add1("mean", graph.Reduce{Fn: graph.ReduceMean, Axes: []int{2, 3}}, act)
	b.Output("best", b.Add1("select", graph.GreedySelect{Count: 3}, mean))
	g, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func sessionInputs(seed uint64) tensor.List {
	s := seeded(3100 + seed)
	return tensor.List{{Name: "x", Tensor: s.normal(2, 6, 9, 7)}, {Name: "y", Tensor: s.normal(2, 6, 9, 7)}}
}

// open compiles the graph, for one thread unless the options say otherwise: libraries whose threads wait by spinning take very long on a
// busy machine. The session is closed with the test.
func (s *sessions) open(opts backends.Options) backends.Session {
	s.Helper()
	return s.compile(s.graph, opts)
}

func (s *sessions) compile(g *graph.Graph, opts backends.Options) backends.Session {
	s.Helper()
	opts.Precision, opts.Threads = s.precision, max(opts.Threads, 1)
	session, err := s.backend.Compile(s.Context(), g, opts)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := session.Close(); err != nil {
			s.Error(err)
		}
	})
	return session
}

// must ends the check on an error.
func (s *sessions) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// run returns a copy of what a session gives for inputs.
func (s *sessions) run(session backends.Session, inputs tensor.List) tensor.List {
	s.Helper()
	out, err := backends.Run(s.Context(), session, inputs)
	s.must(err)
	return out.Clone()
}

// want is what a session without options gives for the inputs.
func (s *sessions) want(inputs tensor.List) tensor.List {
	s.Helper()
	return s.run(s.open(backends.Options{}), inputs)
}

// again executes what is uploaded and holds the outputs to want, bit for bit.
func (s *sessions) again(when string, session backends.Session, want tensor.List) {
	s.Helper()
	s.must(session.Execute(s.Context()))
	got, err := session.Download(s.Context())
	s.must(err)
	s.same(when, got, want)
}

// same holds the first outputs of a list to those of another, name by name and bit for bit.
func (s *sessions) same(when string, got, want tensor.List) {
	s.Helper()
	if len(got) < len(want) {
		s.Errorf("%s: %d outputs, want %d", when, len(got), len(want))
		return
	}
	for i, w := range want {
		if got[i].Name != w.Name || !tensor.Identical(got[i].Tensor, w.Tensor) {
			s.Errorf("%s: output %d is %s, and is or has not the %s of before", when, i, got[i].Name, w.Name)
		}
	}
}

// is holds an error to the kind that it must be of.
func (s *sessions) is(call string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: %v, want %v", call, err, want)
	}
}

// order makes calls too early, in order, and too late.
func (s *sessions) order() {
	ctx := s.Context()
	session := s.open(backends.Options{})
	early := func(when string, execute error) {
		s.Helper()
		if execute != nil {
			s.is("Execute "+when, session.Execute(ctx), execute)
		}
		_, err := session.Download(ctx)
		s.is("Download "+when, err, backends.ErrNotExecuted)
	}
	early("of a new session", backends.ErrNotUploaded)
	s.must(session.Upload(ctx, s.inputs))
	early("after Upload", nil)
	s.must(session.Execute(ctx))
	if _, err := session.Download(ctx); err != nil {
		s.Error(err)
	}
	s.must(session.Upload(ctx, s.inputs))
	early("of outputs from before an Upload", nil)
	if err := session.Upload(ctx, nil); err == nil {
		s.Error("Upload took no inputs for two")
	}
	early("after an Upload that failed", backends.ErrNotUploaded)
	for range 2 {
		s.must(session.Close())
	}
	s.is("Upload after Close", session.Upload(ctx, s.inputs), backends.ErrClosed)
	s.is("Execute after Close", session.Execute(ctx), backends.ErrClosed)
	_, err := session.Download(ctx)
	s.is("Download after Close", err, backends.ErrClosed)
	session.LastTiming()
	session.Plan()
	session.Memory()
}

// refusals gives a session every kind of input that it must refuse. What it refuses leaves nothing to execute and a session that works.
func (s *sessions) refusals() {
	session := s.open(backends.Options{})
	want := s.run(session, s.inputs)
	x, y := s.inputs[0], s.inputs[1]
	number := func(v float64) tensor.List {
		spoiled := s.inputs.Clone()
		data := tensor.Data[float32](spoiled[1].Tensor)
		data[len(data)-1] = float32(v)
		return spoiled
	}
	named := func(name string, t *tensor.Tensor) tensor.Named { return tensor.Named{Name: name, Tensor: t} }
	for _, c := range []struct {
		name   string
		inputs tensor.List
	}{
		{"none", nil}, {"one of two", tensor.List{x}}, {"one too many", tensor.List{x, y, named("z", y.Tensor)}},
		{"one twice", tensor.List{x, x}}, {"an unknown name", tensor.List{x, named("z", y.Tensor)}}, {"no tensor", tensor.List{x, named("y", nil)}},
		{"another shape of the same size", tensor.List{x, named("y", tensor.Must(y.Reshaped(6, 2, 9, 7)))}},
		{"another rank", tensor.List{x, named("y", tensor.Must(y.Reshaped(12, 9, 7)))}},
		{"fewer elements", tensor.List{x, named("y", seeded(1).normal(2, 6, 9, 6))}},
		{"another type", tensor.List{x, named("y", tensor.New(tensor.Int32, y.Shape()...))}},
		{"float64", tensor.List{x, named("y", widen(y.Tensor))}},
		{"NaN", number(math.NaN())}, {"infinity", number(math.Inf(1))}, {"negative infinity", number(math.Inf(-1))},
	} {
		if err := session.Upload(s.Context(), c.inputs); err == nil {
			s.Errorf("%s: taken", c.name)
			continue
		}
		s.is(c.name+": Execute", session.Execute(s.Context()), backends.ErrNotUploaded)
		s.same("after "+c.name, s.run(session, s.inputs), want)
	}
	turned := tensor.List{y, x}
	s.same("inputs in another order", s.run(session, turned), want)
}

// ended calls with a context that has ended. Execute tells so; Upload and Download may do their work.
func (s *sessions) ended() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	session := s.open(backends.Options{})
	want := s.run(session, s.inputs)
	s.is("Execute", session.Execute(ctx), context.Canceled)
	_, err := session.Download(s.Context())
	s.is("Download after a cancelled Execute", err, backends.ErrNotExecuted)
	s.again("what was uploaded before a cancelled Execute", session, want)
	if out, err := session.Download(ctx); err == nil {
		s.same("cancelled Download", out, want)
	} else {
		s.is("Download", err, context.Canceled)
	}
	if err := session.Upload(ctx, s.others); err != nil {
		s.is("Upload", err, context.Canceled)
	}
	s.same("after cancelled calls", s.run(session, s.inputs), want)
}

// cancelled ends contexts while a session executes. Whether it stops early or not, it works afterwards, except that a worker's session
// may be gone: then it says so.
func (s *sessions) cancelled() {
	want := s.want(s.inputs)
	session := s.open(backends.Options{})
	s.must(session.Upload(s.Context(), s.inputs))
	for i := range 20 {
		ctx, cancel := context.WithTimeout(s.Context(), time.Duration(i)*20*time.Microsecond)
		err := session.Execute(ctx)
		cancel()
		if err == nil {
			continue
		}
		s.is("Execute", err, context.DeadlineExceeded)
		if s.options.Process {
			if err := session.Execute(s.Context()); err == nil {
				continue // it was cancelled before the worker heard of it
			}
			s.must(session.Close())
			session = s.open(backends.Options{})
			s.must(session.Upload(s.Context(), s.inputs))
			continue
		}
		_, err = session.Download(s.Context())
		s.is("Download", err, backends.ErrNotExecuted)
	}
	s.again("after cancelled calls", session, want)
}

// uploaded executes one upload many times: the inputs stay what they were, whatever the steps do in place and the caller with its memory.
func (s *sessions) uploaded() {
	want, other := s.want(s.inputs), s.want(s.others)
	session := s.open(backends.Options{})
	mine := s.inputs.Clone()
	s.must(session.Upload(s.Context(), mine))
	for _, in := range mine {
		clear(tensor.Data[float32](in.Tensor))
	}
	for i := range 5 {
		s.again(fmt.Sprintf("execution %d of one upload", i), session, want)
	}
	s.same("other inputs", s.run(session, s.others), other)
	s.same("the first inputs again", s.run(session, s.inputs), want)
	if i := slices.IndexFunc(want, func(o tensor.Named) bool { return !tensor.Identical(o.Tensor, other.Get(o.Name)) }); i < 0 {
		s.Error("other inputs give the same outputs")
	}
}

// selected downloads outputs by name.
func (s *sessions) selected() {
	session := s.open(backends.Options{Taps: []string{"sum"}})
	all := s.run(session, s.inputs)
	var names []string
	for _, o := range all {
		names = append(names, o.Name)
	}
	if want := []string{"features", "halved", "same", "best", "tap.sum"}; !slices.Equal(names, want) {
		s.Errorf("outputs %q, want %q", names, want)
	}
	get := func(names ...string) {
		s.Helper()
		got, err := session.Download(s.Context(), names...)
		s.must(err)
		if len(got) != len(names) {
			s.Errorf("%q: %d outputs", names, len(got))
		}
		for i, name := range names {
			if got[i].Name != name || !tensor.Identical(got[i].Tensor, all.Get(name)) {
				s.Errorf("%q: output %d is %s, and is or has not the %s of all outputs", names, i, got[i].Name, name)
			}
		}
	}
	get("best")
	get("tap.sum", "features")
	get("same", "halved", "features", "best")
	for _, name := range []string{"nothing", "sum", "", "x"} {
		if _, err := session.Download(s.Context(), "best", name); err == nil {
			s.Errorf("Download gave the output %q", name)
		}
	}
	get("halved")
}

// sideBySide runs two sessions at once, on different inputs.
func (s *sessions) sideBySide() {
	sets := []tensor.List{s.inputs, s.others}
	want := []tensor.List{s.want(s.inputs), s.want(s.others)}
	var wait sync.WaitGroup
	for i, inputs := range sets {
		session := s.open(backends.Options{Threads: 2})
		wait.Go(func() {
			for range 10 {
				got, err := backends.Run(s.Context(), session, inputs)
				if err != nil {
					s.Error(err)
					return
				}
				s.same(fmt.Sprintf("session %d of two", i), got, want[i])
			}
		})
	}
	wait.Wait()
}
