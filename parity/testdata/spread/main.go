// Command spread measures how far sessions of low precision are from the reference in fp64, and from the reference in the same
// precision, on the 64 scenes or the first of them: what the limits of package parity for tf32, fp16 and bf16 are derived from (VERDICT.md).
//
//	go run ./parity/testdata/spread [SCENES]
//
// Every session runs free, and its detections are compared as sets, and under the decisions of the reference in fp64, and all outputs are
// compared. It prints, for each output, over the scenes: the largest error of an element, the median and the largest root mean square of
// a scene. Beside the sessions as they are stand two faults, on the reference: roundings that truncate, and the next coarser format.
package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"

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
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "spread:", err)
		os.Exit(1)
	}
}

// tapped is of how many scenes all taps are compared; they take much memory.
const tapped = 4

// bench holds the cases and what the oracle makes of them.
type bench struct {
	graph  *graph.Graph
	cases  []source.Case
	oracle []outputs
	ranked []string
}

// outputs are those of a free session and of one under the oracle's decisions.
type outputs struct{ free, replayed, decisions tensor.List }

func run(args []string) error {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		return err
	}
	images, err := fixtures.Scenes()
	if err != nil {
		return err
	}
	b := &bench{}
	if len(args) > 0 {
		n, err := strconv.Atoi(args[0])
		if err != nil || n < 1 || n > len(images) {
			return fmt.Errorf("%q is no number of scenes, 1 to %d", args[0], len(images))
		}
		images = images[:n]
	}
	for _, im := range images {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			return err
		}
		b.cases = append(b.cases, c)
	}
	if b.graph, err = m.Graph(b.cases[0].Options(model.DefaultDecode())); err != nil {
		return err
	}
	b.ranked = parity.RankedDecisions(b.graph)
	if b.oracle, err = b.session("reference", b.graph, backends.FP64); err != nil {
		return err
	}
	precisions := []backends.Precision{backends.FP16, backends.BF16, backends.TF32}
	emulated := map[backends.Precision][]outputs{}
	for _, p := range precisions {
		if emulated[p], err = b.session("reference", b.graph, p); err != nil {
			return err
		}
		ort, err := b.session("ort", b.graph, p)
		if err != nil {
			return err
		}
		b.print("reference", p, backends.FP64, b.oracle, emulated[p])
		b.print("ort", p, backends.FP64, b.oracle, ort)
		b.print("ort", p, p, emulated[p], ort)
	}
	for _, p := range precisions {
		truncating, err := paritytest.Truncating(b.graph, p.Format())
		if err != nil {
			return err
		}
		wrong, err := b.session("reference", truncating, backends.FP32)
		if err != nil {
			return err
		}
		b.print("truncating reference", p, backends.FP64, b.oracle, wrong)
		b.print("truncating reference", p, p, emulated[p], wrong)
	}
	b.print("bf16 posing as reference", backends.FP16, backends.FP64, b.oracle, emulated[backends.BF16])
	b.print("bf16 posing as reference", backends.FP16, backends.FP16, emulated[backends.FP16], emulated[backends.BF16])
	return nil
}

// session runs every case free and, once there is an oracle, under its decisions.
func (b *bench) session(name string, g *graph.Graph, p backends.Precision) ([]outputs, error) {
	ctx := context.Background()
	backend, err := execute.Open(name, execute.Options{})
	if err != nil {
		return nil, err
	}
	record, err := backends.RecordTaps(b.graph, b.ranked)
	if err != nil {
		return nil, err
	}
	taps := append(parity.DecisionTaps(b.graph), record...)
	free, err := backend.Compile(ctx, g, backends.Options{Precision: p, Taps: taps})
	if err != nil {
		return nil, err
	}
	defer free.Close()
	replayed, err := backend.Compile(ctx, g, backends.Options{Precision: p, Taps: []string{"all"}, Replay: b.ranked})
	if err != nil {
		return nil, err
	}
	defer replayed.Close()
	var all []outputs
	for i, c := range b.cases {
		one, err := free.Run(ctx, c.Tensors())
		if err != nil {
			return nil, err
		}
		run := evidence.Run{Outputs: clone(one)}
		run.SetApart(record)
		o := outputs{free: run.Outputs, decisions: run.Decisions}
		if b.oracle != nil {
			o.decisions = b.oracle[i].decisions
		}
		inputs, err := backends.ReplayInputs(b.graph, b.ranked, c.Tensors(), o.decisions)
		if err != nil {
			return nil, err
		}
		if one, err = replayed.Run(ctx, inputs); err != nil {
			return nil, err
		}
		if i >= tapped {
			one = one[:len(b.graph.Outputs)]
		}
		o.replayed = clone(one)
		all = append(all, o)
	}
	return all, nil
}

func clone(list tensor.List) tensor.List {
	var out tensor.List
	for _, o := range list {
		out = append(out, tensor.Named{Name: o.Name, Tensor: o.Tensor.Clone()})
	}
	return out
}

// print compares a session of precision p with the reference's in precision of.
func (b *bench) print(name string, p, of backends.Precision, ref, cand []outputs) {
	fmt.Printf("\n%s/%s against reference/%s\n", name, p, of)
	setting := execute.ParityCase(&b.cases[0]).Setting
	largest, squares, angles, relative := map[string]float64{}, map[string][]float64{}, map[string]float64{}, map[string]float64{}
	var names []string
	states, replays, reasons := map[string]int{}, map[string]int{}, map[string]int{}
	var sets parity.SetCount
	for i := range b.cases {
		opt := parity.Options{Class: parity.PairClass(of, p), Setting: setting}
		one := parity.CompareOutputs(ref[i].free, cand[i].free, opt)
		states[string(one.State)]++
		if !one.Passed {
			reasons[string(one.State)+": "+one.Summary()]++
		}
		sets.Add(parity.CountSets(ref[i].free, cand[i].free))
		opt.Replayed = true
		r := parity.CompareOutputs(ref[i].replayed, cand[i].replayed, opt)
		replays[string(r.State)]++
		for _, o := range r.Outputs {
			if o.Judgement == parity.ByEquality || o.Judgement == parity.ByDecisions {
				continue
			}
			if !slices.Contains(names, o.Name) {
				names = append(names, o.Name)
			}
			largest[o.Name] = max(largest[o.Name], float64(o.MaxAbsErr))
			squares[o.Name] = append(squares[o.Name], float64(o.RMSErr))
			relative[o.Name] = max(relative[o.Name], math.Sqrt(float64(o.NMSE)))
			if o.Smallest != nil && o.Smallest.Angle != nil {
				angles[o.Name] = max(angles[o.Name], float64(*o.Smallest.Angle))
			}
		}
	}
	fmt.Printf("  free: %v; replayed: %v; detections as sets: %v\n", states, replays, sets)
	for reason, n := range reasons {
		fmt.Printf("    %d× %s\n", n, reason)
	}
	for _, name := range names {
		s := slices.Sorted(slices.Values(squares[name]))
		fmt.Printf("  %-22s largest %.2e   rms median %.2e, largest %.2e, of the reference's %.2e", name, largest[name], s[len(s)/2], s[len(s)-1], relative[name])
		if a := angles[name]; a > 0 {
			fmt.Printf("   angle %.2e", a)
		}
		fmt.Println()
	}
}
