package certify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/parity"
)

// Subject is what is certified.
type Subject struct {
	Case    string
	Backend backends.Backend // every session is a process of its own
	Options backends.Options // the base: its precision, number of threads and options of the backend
	Build   func(batch int) (*graph.Graph, error)
	Image   *tensor.Tensor // [1,3,H,W]
	Other   *tensor.Tensor // another input of that shape
}

// The variations of Take.
const (
	repeats   = 3
	processes = 2
)

var batches = []int{2, 3}

// threadCounts are 1, 2 and all, as far as they differ from what the base has.
func threadCounts(base int) []int {
	if base == 0 {
		base = runtime.GOMAXPROCS(0)
	}
	return slices.DeleteFunc(slices.Compact(slices.Sorted(slices.Values([]int{1, 2, 4}))), func(n int) bool { return n == base })
}

// Take runs a subject as the base and in every variation. What a backend refuses, such as a batch that does not fit its memory, is an
// error: a certificate says nothing of it.
func Take(ctx context.Context, s Subject) (*Entry, error) {
	t := &taking{ctx: ctx, Subject: s, entry: &Entry{Case: s.Case, Input: digest(tensor.List{{Name: "image", Tensor: s.Image}}),
		Column: parity.Column{Backend: s.Backend.Name(), Precision: s.Options.Precision}, Options: s.Options.Extra}}
	for _, part := range []func() error{t.base, t.fresh, t.beside, t.threads, t.batched} {
		if err := part(); err != nil {
			return nil, fmt.Errorf("certify %s on %s: %w", s.Case, t.entry.Column, err)
		}
	}
	return t.entry, nil
}

// taking is an entry in progress.
type taking struct {
	Subject
	ctx   context.Context
	entry *Entry
}

// claim records a variation.
func (t *taking) claim(kind Kind, variant string, outputs tensor.List) {
	d := digest(outputs)
	t.entry.Claims = append(t.entry.Claims, Claim{kind, variant, d, d == t.entry.Digest})
}

// session compiles the model for a batch and closes the session after use.
func (t *taking) session(batch int, opts backends.Options, use func(run func(image *tensor.Tensor) (tensor.List, error)) error) (err error) {
	g, err := t.Build(batch)
	if err != nil {
		return err
	}
	s, err := t.Backend.Compile(t.ctx, g, opts)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return use(func(image *tensor.Tensor) (tensor.List, error) {
		return backends.Run(t.ctx, s, tensor.List{{Name: "image", Tensor: image}})
	})
}

// base runs once, then again, and again after another input.
func (t *taking) base() error {
	return t.session(1, t.Options, func(run func(*tensor.Tensor) (tensor.List, error)) error {
		for i := range repeats + 1 {
			out, err := run(t.Image)
			if err != nil {
				return err
			}
			if i == 0 {
				t.entry.Digest = digest(out)
			} else {
				t.claim(Repeat, fmt.Sprintf("run %d", i+1), out)
			}
		}
		if _, err := run(t.Other); err != nil {
			return err
		}
		out, err := run(t.Image)
		if err == nil {
			t.claim(Stale, "after another image", out)
		}
		return err
	})
}

func (t *taking) once(kind Kind, variant string, opts backends.Options) error {
	return t.session(1, opts, func(run func(*tensor.Tensor) (tensor.List, error)) error {
		out, err := run(t.Image)
		if err == nil {
			t.claim(kind, variant, out)
		}
		return err
	})
}

func (t *taking) fresh() error {
	for i := range processes {
		if err := t.once(Process, fmt.Sprintf("process %d", i+2), t.Options); err != nil {
			return err
		}
	}
	return nil
}

// beside runs while a second session computes another input over and over.
func (t *taking) beside() error {
	return t.session(1, t.Options, func(other func(*tensor.Tensor) (tensor.List, error)) error {
		stop, ended := make(chan struct{}), make(chan error, 1)
		go func() {
			for {
				select {
				case <-stop:
					ended <- nil
					return
				default:
				}
				if _, err := other(t.Other); err != nil {
					ended <- err
					return
				}
			}
		}()
		err := t.session(1, t.Options, func(run func(*tensor.Tensor) (tensor.List, error)) error {
			for i := range repeats {
				out, err := run(t.Image)
				if err != nil {
					return err
				}
				t.claim(Beside, fmt.Sprintf("run %d", i+1), out)
			}
			return nil
		})
		close(stop)
		return errors.Join(err, <-ended)
	})
}

func (t *taking) threads() error {
	for _, n := range threadCounts(t.Options.Threads) {
		opts := t.Options
		opts.Threads = n
		if err := t.once(Threads, fmt.Sprintf("%d threads", n), opts); err != nil {
			return err
		}
	}
	return nil
}

// batched runs the image as each sample of a batch whose other samples are the other image.
func (t *taking) batched() error {
	for _, n := range batches {
		err := t.session(n, t.Options, func(run func(*tensor.Tensor) (tensor.List, error)) error {
			for position := range n {
				images := make([]*tensor.Tensor, n)
				for i := range images {
					images[i] = t.Other
				}
				images[position] = t.Image
				out, err := run(stacked(images))
				if err != nil {
					return err
				}
				sample, err := sampleOf(out, position, n)
				if err != nil {
					return err
				}
				kind := Position
				if position == 0 {
					kind = Batch
				}
				t.claim(kind, fmt.Sprintf("batch %d, position %d", n, position), sample)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// stacked joins images [1,3,H,W] along the first axis.
func stacked(images []*tensor.Tensor) *tensor.Tensor {
	shape := slices.Clone(images[0].Shape())
	shape[0] = len(images)
	out := tensor.New(tensor.Float32, shape...)
	for i, x := range images {
		copy(tensor.Data[float32](out)[i*x.Len():], tensor.Data[float32](x))
	}
	return out
}

// sampleOf returns one sample of outputs, all of which have the batch as their first axis.
func sampleOf(outputs tensor.List, at, batch int) (tensor.List, error) {
	var list tensor.List
	for _, o := range outputs {
		if o.Rank() == 0 || o.Shape()[0] != batch {
			return nil, fmt.Errorf("output %s is %v, want a first axis of %d samples", o.Name, o.Tensor, batch)
		}
		shape := slices.Clone(o.Shape())
		shape[0] = 1
		one := tensor.New(o.DType(), shape...)
		size := one.Len() * o.DType().Size()
		copy(tensor.Bytes(one), tensor.Bytes(o.Tensor)[at*size:(at+1)*size])
		list = append(list, tensor.Named{Name: o.Name, Tensor: one})
	}
	return list, nil
}

// digest is the SHA-256 of names, types, shapes and bits, in hexadecimal.
func digest(list tensor.List) string {
	h := sha256.New()
	for _, o := range list {
		fmt.Fprintf(h, "%q %s %v\n", o.Name, o.DType(), o.Shape())
		h.Write(tensor.Bytes(o.Tensor))
	}
	return hex.EncodeToString(h.Sum(nil))
}
