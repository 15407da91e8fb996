package backendtest

import (
	"context"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// SameBits runs a session once from end to end and then executes it again and again. It fails where one of every so many executions, from the
// first on, has an output with other bits than the first run.
func SameBits(ctx context.Context, s backends.Session, inputs tensor.List, executions, every int) error {
	first, err := backends.Run(ctx, s, inputs)
	if err != nil {
		return err
	}
	want := first.Clone()
	for i := range executions {
		if err := s.Execute(ctx); err != nil {
			return err
		}
		if i%every != 0 {
			continue
		}
		got, err := s.Download(ctx)
		if err != nil {
			return err
		}
		if name := differing(got, want); name != "" {
			return fmt.Errorf("execution %d: %s has other bits than in the first run", i, name)
		}
	}
	return nil
}

// differing returns the name of the first tensor that is not the same in another list of the same session, bit for bit; "" if there is none.
func differing(got, want tensor.List) string {
	for _, w := range want {
		if !tensor.Identical(got.Get(w.Name), w.Tensor) {
			return w.Name
		}
	}
	return ""
}
