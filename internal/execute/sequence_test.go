package execute

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/graph"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
)

// TestSequenceEqualsOnce runs two inputs in one session and compares with runs of their own.
func TestSequenceEqualsOnce(t *testing.T) {
	ctx := context.Background()
	m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: []string{"model.profile=nano", "model.num_classes=5"}})
	if err != nil {
		t.Fatal(err)
	}
	a, b := source.Input{Image: noise(1, 1, 3, 128, 128)}, source.Input{Image: noise(2, 1, 3, 128, 128)}
	g, err := m.Graph(a.Options(model.DefaultDecode()))
	if err != nil {
		t.Fatal(err)
	}
	s, err := OpenSequence(ctx, reference.New(), g, backends.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []source.Input{a, b, a} {
		out, timing, err := s.Run(ctx, in.Tensors())
		once, err2 := Once(ctx, reference.New(), m, in, model.DefaultDecode(), backends.Options{})
		if err = errors.Join(err, err2); err != nil || !evidence.Identical(out, once.Outputs) || timing.Execute <= 0 || s.Compile <= 0 {
			t.Errorf("%v, %+v", err, timing)
		}
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, _, err := s.Run(ctx, a.Tensors()); !errors.Is(err, backends.ErrClosed) || exit.Code(err) != exit.Internal {
		t.Errorf("after Close: %v", err)
	}
}

// broken is a backend whose sessions panic, or end with the error.
type broken struct {
	backends.Backend
	err error
}

func (b broken) Compile(ctx context.Context, g *graph.Graph, o backends.Options) (backends.Session, error) {
	s, err := b.Backend.Compile(ctx, g, o)
	return brokenSession{s, b.err}, err
}

type brokenSession struct {
	backends.Session
	err error
}

func (s brokenSession) Execute(context.Context) error {
	if s.err == nil {
		panic("index out of range")
	}
	return s.err
}

func TestSequenceTellsHowARunEnded(t *testing.T) {
	m, err := source.Open(source.ModelRequest{Weights: "hashed:7", Set: []string{"model.profile=nano", "model.num_classes=5"}})
	if err != nil {
		t.Fatal(err)
	}
	in := source.Input{Image: noise(1, 1, 3, 128, 128)}
	g, err := m.Graph(in.Options(model.DefaultDecode()))
	if err != nil {
		t.Fatal(err)
	}
	run := func(ctx context.Context, b backends.Backend, inputs tensor.List) error {
		s, err := OpenSequence(context.Background(), b, g, backends.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		_, _, err = s.Run(ctx, inputs)
		return err
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for name, c := range map[string]struct {
		err  error
		code int
		text string
	}{
		"panic":        {run(context.Background(), broken{Backend: reference.New()}, in.Tensors()), exit.Internal, "index out of range"},
		"error":        {run(context.Background(), broken{reference.New(), errors.New("no kernel")}, in.Tensors()), exit.Internal, "no kernel"},
		"interruption": {run(cancelled, broken{reference.New(), errors.New("pipe closed")}, in.Tensors()), exit.Interrupted, "pipe closed"},
		"wrong input":  {run(context.Background(), reference.New(), nil), exit.Internal, "inputs"},
	} {
		if c.err == nil || exit.Code(c.err) != c.code || !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%s: %v, code %d", name, c.err, exit.Code(c.err))
		}
	}
	if _, err := OpenSequence(context.Background(), reference.New(), g, backends.Options{Precision: "int4"}); exit.Code(err) != exit.Unavailable {
		t.Errorf("int4: %v", err)
	}
}
