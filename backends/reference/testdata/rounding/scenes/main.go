// Command scenes compares the detections of the 64 scenes in a low precision, or on another backend in it, with those of
// the reference in fp32: as sets, since near ties change places.
//
//	go run ./backends/reference/testdata/rounding/scenes reference/fp16 reference/bf16 ort/fp16
//
// It prints F1 = 2·pairs / (detections in fp32 + detections in the other), over all scenes. Detections have a score of at least 0.05. A
// pair has one class and an IoU of at least 0.95; the best of fp32 chooses first.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/fixtures"
	"github.com/apex-x/apexx/internal/execute"
	"github.com/apex-x/apexx/internal/source"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "scenes:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	m, err := source.Open(source.ModelRequest{Embedded: fixtures.NanoWeights(), Set: source.BuiltinOverrides})
	if err != nil {
		return err
	}
	images, err := fixtures.Scenes()
	if err != nil {
		return err
	}
	var cases []source.Case
	for _, im := range images {
		c, err := m.PictureCase(im.Name, im.Data, model.DefaultDecode())
		if err != nil {
			return err
		}
		cases = append(cases, c)
	}
	full, err := detectAll(m, cases, "reference/fp32")
	if err != nil {
		return err
	}
	for _, name := range names {
		low, err := detectAll(m, cases, name)
		if err != nil {
			return err
		}
		pairs, total, other := 0, 0, 0
		for i := range cases {
			pairs, total, other = pairs+match(full[i], low[i]), total+len(full[i]), other+len(low[i])
		}
		fmt.Printf("%-14s F1 %.4f  %d pairs of %d detections in fp32, %d in it\n", name, 2*float64(pairs)/float64(total+other), pairs, total, other)
	}
	return nil
}

type detection struct {
	box   [4]float32
	class int64
}

// detectAll runs every case in a session of BACKEND/PRECISION.
func detectAll(m *source.Model, cases []source.Case, name string) ([][]detection, error) {
	backend, precision, _ := strings.Cut(name, "/")
	b, err := execute.Open(backend, execute.Options{})
	if err != nil {
		return nil, err
	}
	g, err := m.Graph(cases[0].Options(model.DefaultDecode()))
	if err != nil {
		return nil, err
	}
	session, err := b.Compile(context.Background(), g, backends.Options{Precision: backends.Precision(precision)})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	var all [][]detection
	for _, c := range cases {
		outputs, err := backends.Run(context.Background(), session, c.Tensors())
		if err != nil {
			return nil, err
		}
		var found []detection
		boxes, classes := tensor.Data[float32](outputs.Get("boxes")), tensor.Data[int64](outputs.Get("class_ids"))
		for i, score := range tensor.Data[float32](outputs.Get("scores")) {
			if score >= 0.05 {
				found = append(found, detection{[4]float32(boxes[4*i:]), classes[i]})
			}
		}
		all = append(all, found)
	}
	return all, nil
}

// match counts the pairs; the detections come in descending order of their scores.
func match(full, low []detection) (pairs int) {
	taken := make([]bool, len(low))
	for _, a := range full {
		best, at := float32(0.95), -1
		for i, b := range low {
			if v := iou(a.box, b.box); !taken[i] && a.class == b.class && v >= best {
				best, at = v, i
			}
		}
		if at >= 0 {
			taken[at] = true
			pairs++
		}
	}
	return pairs
}

func iou(a, b [4]float32) float32 {
	area := func(x [4]float32) float32 { return (x[2] - x[0]) * (x[3] - x[1]) }
	w := min(a[2], b[2]) - max(a[0], b[0])
	h := min(a[3], b[3]) - max(a[1], b[1])
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (area(a) + area(b) - w*h)
}
