package execute

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/internal/caps"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/reports"
)

// validate checks what was detected against the published schema.
func validate(t *testing.T, detected caps.Caps) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(reports.CapsSchema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("caps.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("caps.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(detected)
	if err != nil {
		t.Fatal(err)
	}
	decoded, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(decoded); err != nil {
		t.Errorf("%v\n%.2000s", err, text)
	}
}

// How a run ended is in its evidence; only what is wrong with the input is an error.
func TestOnce(t *testing.T) {
	run := func(f *fake, shape ...int) (*evidence.Run, error) {
		c := fakeCase(t)
		c.Image = tensor.New(tensor.Float32, shape...)
		return Once(context.Background(), f, c.Model, c.Input, c.Decode, backends.Options{})
	}
	if _, err := run(&fake{}, 1, 3, 100, 128); !errors.Is(err, ErrInput) {
		t.Errorf("a bad shape: %v", err)
	}
	broken := errors.New("broken")
	for _, f := range []*fake{{compile: broken}, {run: broken}} {
		r, err := run(f, 1, 3, 128, 128)
		if err != nil || r.State != evidence.Errored || !errors.Is(r.Err, broken) || r.Outputs != nil || f.run != nil && f.closed != 1 {
			t.Errorf("%v, %+v, closed %d times", err, r, f.closed)
		}
	}
	f := &fake{}
	if r, err := run(f, 1, 3, 128, 128); err != nil || r.State != evidence.Measured || r.Err != nil || len(r.Outputs) == 0 || r.Deterministic() != nil || f.closed != 1 {
		t.Errorf("%v, %+v, closed %d times", err, r, f.closed)
	}
}

func TestOpen(t *testing.T) {
	for _, name := range backends.Known {
		b, err := Open(name, Options{})
		if err != nil || b.Name() != name {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, name := range []string{"quantum", "", "../evil", "REFERENCE"} {
		b, err := Open(name, Options{})
		if err != nil {
			continue
		}
		if a := b.Probe(context.Background()); a.Available || a.Reason == "" {
			t.Errorf("%q: %+v", name, a)
		}
	}
	if err := Serve(context.Background(), "quantum"); err == nil || !strings.Contains(err.Error(), "quantum") {
		t.Errorf("serving an unknown backend: %v", err)
	}
}

// TestDetectCaps checks that whatever the environment says, every backend has an entry and a missing one a reason.
func TestDetectCaps(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, stop := context.WithTimeout(context.Background(), -time.Second)
	defer stop()
	for name, tt := range map[string]struct {
		ctx context.Context
		env map[string]string
	}{
		"plain":              {context.Background(), nil},
		"cancelled":          {cancelled, nil},
		"late":               {late, nil},
		"missing worker":     {context.Background(), map[string]string{"APEXX_WORKER_CUDA": "/nonexistent"}},
		"not a worker":       {context.Background(), map[string]string{"APEXX_WORKER_CUDA": "/bin/true", "APEXX_WORKER_TENSORRT": "/bin/cat"}},
		"worker is a folder": {context.Background(), map[string]string{"APEXX_WORKER_CUDA": "/"}},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			detected := DetectCaps(tt.ctx)
			validate(t, detected)
			var names []string
			for _, b := range detected.Backends {
				names = append(names, b.Name)
				if b.Available != (b.Reason == "") {
					t.Errorf("%+v", b)
				}
			}
			if !slices.Equal(names, backends.Known) {
				t.Errorf("backends %q, want %q", names, backends.Known)
			}
		})
	}
}
