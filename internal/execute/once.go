package execute

import (
	"context"
	"errors"
	"fmt"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/internal/source"
	"github.com/apex-x/apexx/parity/evidence"
)

// ErrInput marks an input that the model does not accept.
var ErrInput = errors.New("bad input")

// Once compiles the model for an input and runs it once. How that ended is in the evidence; the only errors are those of an input that
// the model does not take, which wrap ErrInput, and of a model that is not calibrated for the precision, an *backends.Unavailable.
func Once(ctx context.Context, b backends.Backend, m *source.Model, in source.Input, d model.Decode, opts backends.Options) (*evidence.Run, error) {
	g, err := GraphIn(m, b.Name(), in.Options(d), opts.Precision)
	if missing := (*backends.Unavailable)(nil); errors.As(err, &missing) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInput, err)
	}
	r := evidence.Collect(ctx, b, g, in.Tensors(), opts, 1)
	return &r, nil
}
