// Command spread measures how far sessions of low precision are from the reference in fp64, and from the reference in the same
// precision, on the 64 scenes or the first of them: what the limits of package parity for low precisions are derived from (VERDICT.md).
//
//	go run ./parity/testdata/spread [-size SIDE] [SCENES [PRECISION...]]
//
// Every session runs free, and its detections are compared as sets, and under the decisions of the reference in fp64, and what a cell of a matrix
// compares is compared; all taps too on the first four scenes. It prints, for each output, over the scenes: the largest error of an element, the median
// and the largest root mean square and noise of a scene. Beside the sessions as they are stand faults, on the reference: roundings that truncate, and another
// format that poses as one; and what is no fault but has limits of its own, those of tensorrt: fp16 whose sums are rounded to it too, and fp8 whose sums
// have 14 bits. All scenes in all precisions take one processor some forty minutes.
package main

import (
	"context"
	"flag"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/parity/paritytest"
)

func main() {
	size := flag.Int("size", builtinSize, "side of the images, a multiple of 128")
	flag.Parse()
	if err := run(*size, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "spread:", err)
		os.Exit(1)
	}
}

// builtinSize is the side of the images of the built-in cases.
const builtinSize = 512

// tapped is of how many scenes all taps are compared, which takes longer than computing them.
const tapped = 4

// inPlace ends the names of executors on the reference that are judged as tensorrt is.
const inPlace = " in the place of tensorrt"

// threads is how many processors the sessions use: the tool runs beside other work.
const threads = 1

func run(size int, args []string) error {
	images, err := fixtures.Scenes()
	if err != nil {
		return err
	}
	precisions := []backends.Precision{backends.FP16, backends.BF16, backends.TF32, backends.INT8, backends.FP8}
	if len(args) > 1 {
		precisions = nil
		for _, name := range args[1:] {
			precisions = append(precisions, backends.Precision(name))
		}
	}
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > len(images) {
			return fmt.Errorf("%q is no number of scenes, 1 to %d", args[0], len(images))
		}
		images = images[:n]
	}
	set := slices.Clone(source.BuiltinOverrides)
	if size != builtinSize {
		set = append(set, fmt.Sprintf("model.input_height=%d", size), fmt.Sprintf("model.input_width=%d", size))
	}
	request := source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: set}
	if slices.ContainsFunc(precisions, backends.Precision.Scaled) {
		request.Calibrations = fixtures.Calibrations() // of builtinSize alone
	}
	m, err := source.Open(request)
	if err != nil {
		return err
	}
	var b *bench
	for i, im := range images {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			return err
		}
		if b == nil {
			if b, err = newBench(&c, precisions); err != nil {
				return err
			}
			defer b.close()
		}
		if err := b.add(&c, i < tapped); err != nil {
			return err
		}
		fmt.Fprintf(os.Stderr, "%d of %d scenes\n", i+1, len(images))
	}
	for _, p := range b.pairs {
		p.print()
	}
	return nil
}

// bench holds the executors, the oracle first, and the pairs of them that are compared.
type bench struct {
	graph     *graph.Graph
	ranked    []string // the decisions that are replayed
	record    []string // the taps that record them
	executors []*executor
	pairs     []*pair
}

// executor is a backend with its two sessions.
type executor struct {
	name           string
	precision      backends.Precision // that it says it computes in
	free, replayed backends.Session
}

// column is what a matrix would call the executor.
func (e *executor) column() parity.Column {
	if strings.HasSuffix(e.name, inPlace) {
		return parity.Column{Backend: "tensorrt", Precision: e.precision}
	}
	return parity.Column{Backend: e.name, Precision: e.precision}
}

// outputs are those of a free session and of one under the oracle's decisions.
type outputs struct{ free, replayed, decisions tensor.List }

// newBench compiles every executor and lists the pairs.
func newBench(c *source.Case, precisions []backends.Precision) (_ *bench, err error) {
	b := &bench{}
	defer func() {
		if err != nil {
			b.close()
		}
	}()
	with := precisions[0] // any gives the graph, a scaled one the ranges with it
	if i := slices.IndexFunc(precisions, backends.Precision.Scaled); i >= 0 {
		with = precisions[i]
	}
	if b.graph, err = c.BuildGraph(with); err != nil {
		return nil, err
	}
	b.ranked = parity.RankedDecisions(b.graph)
	if b.record, err = backends.RecordTaps(b.graph, b.ranked); err != nil {
		return nil, err
	}
	on := map[string]backends.Backend{}
	for _, name := range []string{"reference", "ort"} {
		if on[name], err = execute.Open(name, execute.Options{}); err != nil {
			return nil, err
		}
	}
	oracle, err := b.compile("reference", on["reference"], b.graph, backends.FP64, backends.FP64)
	if err != nil {
		return nil, err
	}
	setting := execute.ParityCase(c).Setting
	compare := func(ref, cand int) { b.pairs = append(b.pairs, newPair(b, ref, cand, setting)) }
	emulated := map[backends.Precision]int{}
	// judge compiles an executor and pairs it with the oracle and with the emulation of the precision that it says it computes in.
	judge := func(name string, on backends.Backend, g *graph.Graph, says, computes backends.Precision) error {
		at, err := b.compile(name, on, g, says, computes)
		if err == nil {
			compare(oracle, at)
			compare(emulated[says], at)
		}
		return err
	}
	for _, p := range precisions {
		if emulated[p], err = b.compile("reference", on["reference"], b.graph, p, p); err != nil {
			return nil, err
		}
		compare(oracle, emulated[p])
		if err := judge("ort", on["ort"], b.graph, p, p); err != nil {
			return nil, err
		}
	}
	for _, p := range precisions {
		list, err := b.impostors(on["reference"], p)
		if err != nil {
			return nil, err
		}
		for _, e := range list {
			if err := judge(e.name, e.on, e.graph, p, e.computes); err != nil {
				return nil, err
			}
		}
	}
	return b, nil
}

// impostor is an executor that says it computes in one precision, and does not as it is declared.
type impostor struct {
	name     string
	on       backends.Backend
	graph    *graph.Graph
	computes backends.Precision
}

// impostors are the faults in a precision, none in int8, and what computes as tensorrt does where that has limits of its own; faults in fp8 by either limits.
func (b *bench) impostors(reference backends.Backend, p backends.Precision) ([]impostor, error) {
	if p == backends.INT8 {
		return nil, nil
	}
	truncating, err := paritytest.Truncating(b.graph, p.Format())
	if err != nil {
		return nil, err
	}
	list := []impostor{{"truncating reference", reference, truncating, backends.FP32}}
	switch p {
	case backends.FP16:
		narrow, err := paritytest.NarrowSums(b.graph)
		if err != nil {
			return nil, err
		}
		list = append(list, impostor{"sums in fp16" + inPlace, reference, narrow, backends.FP32},
			impostor{"bf16 posing as reference", reference, b.graph, backends.BF16})
	case backends.FP8:
		list = append(list, impostor{"sums of 14 bits" + inPlace, paritytest.TensorCores{Backend: reference}, b.graph, p},
			impostor{"truncating" + inPlace, reference, truncating, backends.FP32},
			impostor{"int8 posing as reference", reference, b.graph, backends.INT8},
			impostor{"int8 posing" + inPlace, reference, b.graph, backends.INT8})
	}
	return list, nil
}

// compile adds an executor and returns its place. It says that it computes in one precision, and computes in another.
func (b *bench) compile(name string, on backends.Backend, g *graph.Graph, says, computes backends.Precision) (_ int, err error) {
	e := &executor{name: name, precision: says}
	b.executors = append(b.executors, e)
	o := backends.Options{Precision: computes, Threads: threads, Taps: append(parity.DecisionTaps(b.graph), b.record...)}
	if e.free, err = on.Compile(context.Background(), g, o); err != nil {
		return 0, err
	}
	o.Taps, o.Replay = []string{"all"}, b.ranked
	e.replayed, err = on.Compile(context.Background(), g, o)
	return len(b.executors) - 1, err
}

// compared keeps of all outputs and taps those that a cell of a matrix compares.
func (b *bench) compared(all tensor.List) tensor.List {
	list := all[:len(b.graph.Outputs):len(b.graph.Outputs)]
	for _, tap := range parity.DecisionTaps(b.graph) {
		if name := "tap." + tap; all.Get(name) != nil { // not where it is an input of the replay
			list = append(list, tensor.Named{Name: name, Tensor: all.Get(name)})
		}
	}
	return list
}

func (b *bench) close() {
	for _, e := range b.executors {
		for _, s := range []backends.Session{e.free, e.replayed} {
			if s != nil {
				s.Close()
			}
		}
	}
}

// add runs a scene on every executor and compares each pair.
func (b *bench) add(c *source.Case, taps bool) error {
	all := make([]outputs, len(b.executors))
	for i, e := range b.executors {
		one, err := backends.Run(context.Background(), e.free, c.Tensors())
		if err != nil {
			return err
		}
		run := evidence.Run{Outputs: one.Clone()}
		run.SetApart(b.record)
		all[i] = outputs{free: run.Outputs, decisions: run.Decisions}
		inputs, err := backends.ReplayInputs(b.graph, b.ranked, c.Tensors(), all[0].decisions)
		if err != nil {
			return err
		}
		if one, err = backends.Run(context.Background(), e.replayed, inputs); err != nil {
			return err
		}
		if !taps {
			one = b.compared(one)
		}
		all[i].replayed = one
	}
	for _, p := range b.pairs {
		p.add(all[p.ref], all[p.cand])
	}
	return nil
}

// pair sums up, over scenes, how far a candidate is from a reference.
type pair struct {
	title                       string
	ref, cand                   int // of the bench's executors
	options                     parity.Options
	names                       []string             // of outputs and taps
	largest, angles             map[string]float64   // by name
	squares, noise              map[string][]float64 // of the scenes, by name: root mean squares, and these as shares of the reference's
	states, replays, complaints map[string]int
	sets                        parity.SetCount
	least                       float64 // the least F1 of a scene
}

func newPair(b *bench, ref, cand int, setting parity.Setting) *pair {
	r, c := b.executors[ref], b.executors[cand]
	return &pair{
		title: fmt.Sprintf("%s/%s against %s/%s", c.name, c.precision, r.name, r.precision), ref: ref, cand: cand,
		options: parity.Options{Class: parity.PairClass(r.column(), c.column()), Setting: setting},
		largest: map[string]float64{}, angles: map[string]float64{}, squares: map[string][]float64{}, noise: map[string][]float64{},
		states: map[string]int{}, replays: map[string]int{}, complaints: map[string]int{}, least: 1,
	}
}

func (p *pair) add(ref, cand outputs) {
	free := parity.CompareOutputs(ref.free, cand.free, p.options)
	p.states[string(free.State)]++
	if !free.Passed {
		p.complaints[string(free.State)+": "+free.Summary()]++
	}
	sets := parity.CountSetsAt(ref.free, cand.free, parity.SetOverlap(p.options.Class))
	p.sets.Add(sets)
	if f := sets.F1(); f < p.least {
		p.least = f
	}
	under := p.options
	under.Replayed = true
	r := parity.CompareOutputs(ref.replayed, cand.replayed, under)
	p.replays[string(r.State)]++
	policy := parity.Balanced.Policy(parity.EndToEnd)
	for _, o := range r.Outputs {
		if o.Judgement == parity.ByEquality || o.Judgement == parity.ByDecisions {
			continue
		}
		if !slices.Contains(p.names, o.Name) {
			p.names = append(p.names, o.Name)
		}
		p.largest[o.Name] = max(p.largest[o.Name], float64(o.MaxAbsErr))
		p.squares[o.Name] = append(p.squares[o.Name], float64(o.RMSErr))
		if o.TotalCount >= policy.For(o.Name, p.options.Class).NoiseOf {
			p.noise[o.Name] = append(p.noise[o.Name], math.Sqrt(float64(o.NMSE)))
		}
		if o.Smallest != nil && o.Smallest.Angle != nil {
			p.angles[o.Name] = max(p.angles[o.Name], float64(*o.Smallest.Angle))
		}
	}
}

func (p *pair) print() {
	fmt.Printf("\n%s\n  free: %v; replayed: %v; detections as sets: %v, of a scene at least %.4f\n", p.title, p.states, p.replays, p.sets, p.least)
	for reason, n := range p.complaints {
		fmt.Printf("    %d× %s\n", n, reason)
	}
	for _, name := range p.names {
		s := slices.Sorted(slices.Values(p.squares[name]))
		fmt.Printf("  %-22s largest %.2e   rms median %.2e, largest %.2e", name, p.largest[name], s[len(s)/2], s[len(s)-1])
		if n := slices.Sorted(slices.Values(p.noise[name])); len(n) > 0 {
			fmt.Printf("   noise median %.2e, largest %.2e", n[len(n)/2], n[len(n)-1])
		}
		if a := p.angles[name]; a > 0 {
			fmt.Printf("   angle %.2e", a)
		}
		fmt.Println()
	}
	p.sum()
}

// sum prints the row of the table that limits are derived from: the largest of each kind.
func (p *pair) sum() {
	kinds := map[parity.Kind]float64{}
	angle, noise, taps := 0.0, 0.0, 0.0
	for _, name := range p.names {
		if strings.HasPrefix(name, "tap.") {
			taps = max(taps, p.largest[name])
		} else {
			kinds[parity.KindOf(name)] = max(kinds[parity.KindOf(name)], p.largest[name])
		}
		angle = max(angle, p.angles[name])
		if kind := parity.KindOf(name); kind != parity.Coordinates && kind != parity.Scores && len(p.noise[name]) > 0 {
			noise = max(noise, slices.Max(p.noise[name]))
		}
	}
	fmt.Printf("  in all: boxes %.3g px, scores %.3g, logits and utilities %.3g, embeddings %.3g rad, any tap %.3g, noise of logits, embeddings and taps %.3g\n",
		kinds[parity.Coordinates], kinds[parity.Scores], kinds[parity.Logits], angle, taps, noise)
}
