package perf

import (
	"strings"
	"testing"

	"github.com/apex-x/apexx/backends"
)

func TestCellNames(t *testing.T) {
	for _, scope := range Scopes {
		for _, p := range []backends.Precision{backends.FP64, backends.FP32, backends.TF32, backends.FP16, backends.BF16, backends.INT8, backends.FP8} {
			for _, backend := range backends.Known {
				c := Cell{Backend: backend, Profile: "nano", Precision: p, Height: 384, Width: 640, Batch: 4, Scope: scope}
				if got, err := ParseCell(c.String()); err != nil || got != c {
					t.Errorf("%s reads as %s, %v", c, got, err)
				}
				if want := "nano/" + string(p) + "/384x640/b4/" + string(scope); c.Workload() != want || c.String() != backend+"/"+want || c.Shape() != "384x640" {
					t.Errorf("%s: workload %s, shape %s", c, c.Workload(), c.Shape())
				}
			}
		}
	}
}

// A model that is not Apex-X has a name in the place of a profile, and one shape.
func TestModelCells(t *testing.T) {
	c := ModelCell("ort", "resnet-50_v1", backends.FP32)
	got, err := ParseCell("ort/resnet-50_v1/fp32/model")
	if err != nil || got != c || c.String() != "ort/resnet-50_v1/fp32/model" || c.Workload() != "resnet-50_v1/fp32/model" {
		t.Errorf("%s reads as %+v, %v", c, got, err)
	}
	if c.Unit() != "runs" || c.Scope.Operator() || c.Batch != 1 || (Cell{Scope: Complete}).Unit() != "images" {
		t.Errorf("%+v counts %s", c, c.Unit())
	}
	if _, err := ParseScope(string(AnyModel)); err == nil {
		t.Error("the scope of other models is one of Apex-X")
	}
}

func TestParseCellErrors(t *testing.T) {
	const form = `is not the name of a cell (want BACKEND/PROFILE/PRECISION/HxW/bN/SCOPE)`
	for name, want := range map[string]string{
		"":                                               form,
		"reference/nano/fp32/512x512/complete":           form,
		"reference/nano/fp32/512x512/4/complete":         form,
		"reference/nano/fp32/512/b1/complete":            form,
		"reference/nano/fp32/0x512/b1/complete":          form,
		"reference/nano/fp32/512x512/b0/complete":        form,
		"reference/nano/fp32/0512x512/b1/complete":       form,
		"reference/nano/fp32/1234567x512/b1/complete":    form,
		"Reference/nano/fp32/512x512/b1/complete":        form,
		"-/nano/fp32/512x512/b1/complete":                form,
		"reference/nano/fp32/512x512/b1/complete\n":      form,
		"reference/nano/fp32/512x512/b1/complete/again":  form,
		"ort/Resnet/fp32/model":                          form,
		"ort/" + strings.Repeat("n", 61) + "/fp32/model": form,
		"ort/resnet/fp32/512x512/b1/model":               `unknown scope "model"`,
		"ort/resnet/fp31/model":                          `unknown precision "fp31"`,
		"reference/nano/fp31/512x512/b1/complete":        `unknown precision "fp31"`,
		"reference/nano/fp32/512x512/b1/complet":         `unknown scope "complet" (known: network, complete, aggregate, `,
	} {
		if _, err := ParseCell(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

func TestScopes(t *testing.T) {
	for i, s := range Scopes {
		if got, err := ParseScope(string(s)); err != nil || got != s {
			t.Errorf("%s reads as %s, %v", s, got, err)
		}
		if s.Operator() != (i > 1) {
			t.Errorf("%s: operator %v", s, s.Operator())
		}
	}
}

// FuzzParseCell checks that what is read is what was written.
func FuzzParseCell(f *testing.F) {
	f.Add("reference/nano/fp32/512x512/b1/complete")
	f.Add("cuda/large/fp8/384x640/b16/tile-pack")
	f.Add("reference/nano/fp32/0512x512/b1/complete")
	f.Fuzz(func(t *testing.T, name string) {
		c, err := ParseCell(name)
		if err == nil && (c.String() != name || c.Height < 1 || c.Width < 1 || c.Batch < 1 || c.Backend+"/"+c.Workload() != name) {
			t.Errorf("%q reads as %+v", name, c)
		}
	})
}
