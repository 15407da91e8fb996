package backendtest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
)

// replayConfigs are the configurations of RunReplay: every way to have decisions, and to have none. What is slow looks at those two that
// hold every decision in every form: the oracle, and beyond the first precision a decision by itself, for which a session is compiled.
var replayConfigs = []struct {
	name       string
	set        []string
	detections int
	whole      bool // holds every decision in every form
}{
	{"no nesting", []string{"model.nesting_depth=0", "model.kmax_l1=0"}, 8, false},
	{"nesting", nil, 8, false},
	{"two levels of nesting, spline router", []string{"model.nesting_depth=2", "model.kmax_l2=8", "routing.budget_b3=2", "model.router_backend=kan"}, 8, true},
	{"another order, blend", []string{"model.scan_mode=forward", "model.overlap_mode=blend", "model.blend_alpha=0.25", "model.order_mode=u2d"}, 8, true},
	{"every tile", []string{"model.force_dense_routing=true"}, 8, false},
	{"no tile", []string{"routing.budget_b1=0"}, 8, false},
	{"no detection", nil, 0, false},
}

// RunReplay checks Options.Replay on small complete models of two images: decisions that are replayed as they were made give the
// free run's outputs bit for bit; others change what follows from them, as the oracle has it, and nothing else; what cannot have
// been decided is refused. It skips where Compile says that replay cannot be had.
func RunReplay(t *testing.T, b backends.Backend, o Options) {
	t.Helper()
	o = o.prepare(t, b)
	for _, c := range replayConfigs {
		g, inputs := smallModel(t, c.set, c.detections)
		for _, p := range o.Precisions {
			t.Run(fmt.Sprintf("%s/%s", p, c.name), func(t *testing.T) {
				g, err := calibrated(p.Format(), g, inputs)
				if err != nil {
					t.Fatal(err)
				}
				r := replay{t: t, backend: b, precision: p, graph: g, inputs: inputs, oracle: c.whole, measures: o.Measures}
				r.record()
				r.everything()
				if c.whole || p == o.Precisions[0] {
					for _, d := range g.Decisions {
						r.one(d)
					}
				}
			})
		}
	}
}

// replay is the replay of one model.
type replay struct {
	t         *testing.T
	backend   backends.Backend
	precision backends.Precision
	graph     *graph.Graph
	inputs    tensor.List
	oracle    bool
	measures  bool        // see Options
	free      tensor.List // outputs of the free run, and all decisions
}

// record makes the free run.
func (r *replay) record() {
	taps, err := backends.RecordTaps(r.graph, []string{"all"})
	if err != nil {
		r.t.Fatal(err)
	}
	session := r.open(backends.Options{Taps: taps})
	defer session.Close()
	out, err := backends.Run(r.t.Context(), session, r.inputs)
	if err != nil {
		r.t.Fatal(err)
	}
	r.free = out.Clone()
}

func (r *replay) open(opts backends.Options) backends.Session {
	r.t.Helper()
	opts.Precision = r.precision
	session, err := r.backend.Compile(r.t.Context(), r.graph, opts)
	if unavailable := (*backends.Unavailable)(nil); errors.As(err, &unavailable) {
		r.t.Skip(err)
	} else if err != nil {
		r.t.Fatal(err)
	}
	return session
}

// given returns the inputs under the named decisions.
func (r *replay) given(names []string, decisions tensor.List) tensor.List {
	r.t.Helper()
	inputs, err := backends.ReplayInputs(r.graph, names, r.inputs, decisions)
	if err != nil {
		r.t.Fatal(err)
	}
	return inputs
}

// everything replays all decisions: as they were made, changed, and such as cannot have been made.
func (r *replay) everything() {
	names := []string{"all"}
	session := r.open(backends.Options{Replay: names})
	defer session.Close()
	r.expectFree(session, names)
	r.hostile(session)
	r.expectFree(session, names)
	if !r.oracle || r.precision.Format() != "" { // whole runs of a low precision part honestly: see runNodes
		return
	}
	var changed tensor.List
	for _, d := range r.graph.Decisions {
		other := r.other(d)
		if other == nil {
			other = r.made(d)
		}
		changed = append(changed, other...)
	}
	r.expectOracle(session, names, r.given(names, changed))
}

// one replays one decision: as it was made, and changed for the first image.
func (r *replay) one(d graph.Decision) {
	names := []string{d.Name()}
	session := r.open(backends.Options{Replay: names})
	defer session.Close()
	own := r.expectFree(session, names)
	if other := r.other(d); other != nil {
		out, err := backends.Run(r.t.Context(), session, r.given(names, other))
		if err != nil {
			r.t.Fatal(err)
		}
		r.compareChange(d, own, out)
	}
}

// expectFree replays the session's own decisions, which gives the free run's outputs: bit for bit, but for a backend that chooses other kernels for another graph.
// It returns what the session gives.
func (r *replay) expectFree(session backends.Session, names []string) tensor.List {
	r.t.Helper()
	out, err := backends.Run(r.t.Context(), session, r.given(names, r.free))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, got := range out {
		if free := r.free.Get(got.Name); !tensor.Identical(got.Tensor, free) && !(r.measures && near(got.Tensor, free)) {
			r.t.Errorf("under its own decisions %v: output %s differs from the free run's", names, got.Name)
		}
	}
	return out.Clone()
}

// made returns a decision as the free run has it.
func (r *replay) made(d graph.Decision) tensor.List {
	list := tensor.List{{Name: "tap." + d.Name(), Tensor: r.free.Get("tap." + d.Name())}}
	if d.Count != nil {
		list = append(list, tensor.Named{Name: "tap." + d.Count.Name, Tensor: r.free.Get("tap." + d.Count.Name)})
	}
	return list.Clone()
}

// other changes a decision for the first image: an order is reversed, of detections the last is dropped, and of tiles the last
// makes way for one that was not chosen. It returns nil where that is no change.
func (r *replay) other(d graph.Decision) tensor.List {
	list := r.made(d)
	ids := tensor.Data[int64](list[0].Tensor)[:d.Value.Shape[1]]
	switch {
	case d.Count != nil:
		count := tensor.Data[int64](list[1].Tensor)
		if count[0] == 0 {
			return nil
		}
		count[0]--
		ids[count[0]] = 0
	case len(d.Scores) == 0:
		if len(ids) < 2 {
			return nil
		}
		slices.Reverse(ids)
	default:
		free := int64(0)
		for slices.Contains(ids, free) {
			free++
		}
		if free == int64(d.Limit) {
			return nil
		}
		ids[len(ids)-1] = free
	}
	return list
}

// compareChange holds what a session computes under another decision for the first image against what it computes under its own: an output that does
// not follow from the decision and every output of the second image are the same, bit for bit, and some output is another.
func (r *replay) compareChange(d graph.Decision, own, got tensor.List) {
	follows := r.consequences(d)
	differs := false
	for _, p := range r.graph.Outputs {
		was, now := own.Get(p.Name), got.Get(p.Name)
		if tensor.Identical(was, now) {
			continue
		}
		differs = true
		if !follows[p.Value] {
			r.t.Errorf("another %s changed %s, which does not follow from it", d.Name(), p.Name)
		}
		if n := was.Len() / 2; !slices.Equal(was.Float64s()[n:], now.Float64s()[n:]) {
			r.t.Errorf("another %s for the first image changed %s of the second", d.Name(), p.Name)
		}
	}
	if !differs {
		r.t.Errorf("another %s changed nothing", d.Name())
	}
}

// consequences returns the values that are computed from a decision, and the decision itself.
func (r *replay) consequences(d graph.Decision) map[*graph.Value]bool {
	follows := map[*graph.Value]bool{d.Value: true}
	if d.Count != nil {
		follows[d.Count] = true
	}
	for _, n := range r.graph.Nodes {
		if slices.ContainsFunc(n.Inputs, func(v *graph.Value) bool { return v != nil && follows[v] }) {
			for _, v := range n.Outputs {
				follows[v] = true
			}
		}
	}
	return follows
}

// expectOracle holds what is computed under decisions against the oracle. Whole runs of a low precision part at the first sum in the
// middle between two of its numbers; RunModules compares those node by node.
func (r *replay) expectOracle(session backends.Session, names []string, inputs tensor.List) {
	if r.precision.Format() != "" {
		return
	}
	g, err := backends.Options{Replay: names}.Apply(r.graph)
	if err != nil {
		r.t.Fatal(err)
	}
	want, err := Oracle(g, inputs)
	if err != nil {
		r.t.Fatal(err)
	}
	got, err := backends.Run(r.t.Context(), session, inputs)
	if err != nil {
		r.t.Fatal(err)
	}
	for i, w := range want {
		if err := newBound(r.precision, 256).compare(got[i].Tensor, w.Tensor); err != nil {
			r.t.Errorf("under other decisions, %s: %v", w.Name, err)
		}
	}
}

// hostile gives a session what cannot have been decided.
func (r *replay) hostile(session backends.Session) {
	inputs := r.given([]string{"all"}, r.free)
	for _, d := range r.graph.Decisions {
		for _, fault := range faults(d) {
			spoiled := inputs.Clone()
			ids, count := spoiled.Get(graph.ReplayInput(d.Name())), (*tensor.Tensor)(nil)
			if d.Count != nil {
				count = spoiled.Get(graph.ReplayInput(d.Count.Name))
			}
			fault.spoil(ids, count)
			if _, err := backends.Run(r.t.Context(), session, spoiled); err == nil {
				r.t.Errorf("%s was taken with %s", d.Name(), fault.name)
			}
		}
	}
}

// fault spoils the ids and the count of a decision.
type fault struct {
	name  string
	spoil func(ids, count *tensor.Tensor)
}

// faults lists what can be wrong with a decision.
func faults(d graph.Decision) []fault {
	var list []fault
	set := func(name string, at int, v int64) {
		list = append(list, fault{name, func(ids, _ *tensor.Tensor) { tensor.Data[int64](ids)[at] = v }})
	}
	counted := func(name string, v int64) {
		list = append(list, fault{name, func(_, count *tensor.Tensor) { tensor.Data[int64](count)[1] = v }})
	}
	k := d.Value.Shape[1]
	last := 2*k - 1
	if k > 0 {
		set("an id that there is not", last, int64(d.Limit))
		set("the padding of outputs", last, -1)
		set("a huge id", last, 1<<40)
	}
	if k > 1 && d.Count == nil {
		list = append(list, fault{"an id twice", func(ids, _ *tensor.Tensor) { tensor.Data[int64](ids)[last] = tensor.Data[int64](ids)[last-1] }})
	}
	if d.Count != nil {
		counted("more than there are rows", int64(k)+1)
		counted("a negative count", -1)
	}
	return list
}

// near tells outputs that other kernels give: integers are equal, floats are so to 1e-4, of themselves where they are larger than 1.
func near(a, b *tensor.Tensor) bool {
	if a.DType() != b.DType() || !slices.Equal(a.Shape(), b.Shape()) {
		return false
	}
	if !a.DType().IsFloat() {
		return tensor.Identical(a, b)
	}
	y := b.Float64s()
	for i, x := range a.Float64s() {
		if !(math.Abs(x-y[i]) <= 1e-4*max(1, math.Abs(y[i]))) {
			return false
		}
	}
	return true
}
