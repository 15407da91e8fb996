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
	"github.com/apex-x/apexx/backends/model"
	"github.com/apex-x/apexx/backends/reference"
	"github.com/apex-x/apexx/backends/tensor"
	"github.com/apex-x/apexx/reports"
)

// validate checks a value's JSON against a schema of package reports.
func validate(t *testing.T, schema []byte, value any) {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	add := func(text []byte) string {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		id := document.(map[string]any)["$id"].(string)
		if err := compiler.AddResource(id, document); err != nil {
			t.Fatal(err)
		}
		return id
	}
	ids := map[*byte]string{&reports.CapsSchema[0]: add(reports.CapsSchema), &reports.RunSchema[0]: add(reports.RunSchema)}
	compiled, err := compiler.Compile(ids[&schema[0]])
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
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

// TestOnce runs the reference and checks that its report has the published form and the budgets' sums.
func TestOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		set  []string
		used [3]float64 // of b1, b2, b3 per image: 2 L0 tiles at 0.8, splits at 1
	}{
		"default":    {nil, [3]float64{1.6, 2, 0}},
		"one tile":   {[]string{"routing.budget_b1=0.8"}, [3]float64{0.8, 1, 0}},
		"no tiles":   {[]string{"routing.budget_b1=0"}, [3]float64{0, 0, 0}},
		"no nesting": {[]string{"model.disable_nesting=true"}, [3]float64{1.6, 0, 0}},
		"dense":      {[]string{"model.force_dense_routing=true", "routing.budget_b1=0", "routing.budget_b2=1"}, [3]float64{1.6, 1, 0}},
		"depth 2":    {[]string{"model.nesting_depth=2", "model.kmax_l2=24", "routing.budget_b3=3"}, [3]float64{1.6, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			c := fakeCase(t, tt.set...)
			c.Image = noise(1, 2, 3, 128, 256)
			c.Decode.ScoreThreshold, c.Decode.MaxDetections = 0, 3
			r, err := Once(context.Background(), reference.New(), c.Model, c.Input, c.Decode, backends.Options{Precision: backends.FP64, Taps: []string{"all"}})
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			r.Report.RuntimeCaps = DetectCaps(context.Background())
			validate(t, reports.RunSchema, r.Report)
			for i, level := range []string{"b1", "b2", "b3"} {
				if got, want := r.Report.Budgets[level].Used, 2*tt.used[i]; got < want-1e-9 || got > want+1e-9 {
					t.Errorf("%s used %g, want %g", level, got, want)
				}
			}
			if len(r.Report.Images) != 2 || len(r.Report.Images[1].Detections) != 3 || r.Report.EffectiveDType != "fp64" {
				t.Errorf("%+v", r.Report)
			}
			for _, o := range model.OutputNames {
				if got := r.Outputs.Get(o); got == nil || r.Report.Digests[o] != reports.TensorSHA256(got) {
					t.Errorf("the digest of %s is %q", o, r.Report.Digests[o])
				}
			}
			if slices.ContainsFunc(r.Outputs, func(n tensor.Named) bool { return r.Report.Digests[n.Name] != "" && strings.HasPrefix(n.Name, "tap.") }) {
				t.Error("a tap is among the digests")
			}
			if scene := r.Scene(1); scene.Picture.Width != 256 || len(scene.Detections) != 3 {
				t.Errorf("scene of %d×%d", scene.Picture.Width, scene.Picture.Height)
			}
		})
	}
}

func TestOnceErrors(t *testing.T) {
	run := func(f *fake, shape ...int) error {
		c := fakeCase(t)
		c.Image = tensor.New(tensor.Float32, shape...)
		_, err := Once(context.Background(), f, c.Model, c.Input, c.Decode, backends.Options{})
		return err
	}
	if err := run(&fake{}, 1, 3, 100, 128); !errors.Is(err, ErrInput) {
		t.Errorf("a bad shape: %v", err)
	}
	broken := errors.New("broken")
	if err := run(&fake{compile: broken}, 1, 3, 128, 128); !errors.Is(err, broken) || errors.Is(err, ErrInput) {
		t.Errorf("a failing compilation: %v", err)
	}
	f := &fake{run: broken}
	if err := run(f, 1, 3, 128, 128); !errors.Is(err, broken) || f.closed != 1 {
		t.Errorf("a failing run: %v, closed %d times", err, f.closed)
	}
	f = &fake{} // its only output is the image
	if err := run(f, 1, 3, 128, 128); err == nil || !strings.Contains(err.Error(), `no output "boxes"`) || f.closed != 1 {
		t.Errorf("missing outputs: %v, closed %d times", err, f.closed)
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
			caps := DetectCaps(tt.ctx)
			validate(t, reports.CapsSchema, caps)
			var names []string
			for _, b := range caps.Backends {
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
