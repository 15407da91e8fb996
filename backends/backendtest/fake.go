package backendtest

import (
	"context"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

// Fake is a session that computes its outputs with a function, for tests of what uses sessions. Plan and Memory are those of the session
// inside.
type Fake struct {
	backends.Session
	Run func(ctx context.Context, inputs tensor.List) (tensor.List, error)

	progress    backends.Progress
	inputs, out tensor.List
	timing      backends.Timing
}

// took keeps how long a call took.
func took(d *time.Duration, start time.Time) { *d = time.Since(start) }

// LastTiming tells what the calls of this session took, whatever the function ran inside.
func (f *Fake) LastTiming() backends.Timing { return f.timing }

// Upload keeps a copy of the inputs, whatever they are.
func (f *Fake) Upload(_ context.Context, inputs tensor.List) error {
	defer took(&f.timing.Upload, time.Now())
	if err := f.progress.Uploading(); err != nil {
		return err
	}
	f.inputs = inputs.Clone()
	f.progress.Uploaded()
	return nil
}

// Execute calls the function.
func (f *Fake) Execute(ctx context.Context) (err error) {
	defer took(&f.timing.Execute, time.Now())
	if err := f.progress.Executing(); err != nil {
		return err
	}
	if f.out, err = f.Run(ctx, f.inputs); err == nil {
		f.progress.Executed()
	}
	return err
}

// Download returns what the function returned last.
func (f *Fake) Download(_ context.Context, names ...string) (tensor.List, error) {
	return f.progress.Download(f.out, names, &f.timing, nil)
}

// Close ends the session inside.
func (f *Fake) Close() error {
	f.progress.Close()
	return f.Session.Close()
}
