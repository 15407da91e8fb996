package worker

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/backends/tensor"
)

func TestParseInjections(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]", " ; ;": "[]",
		"slow=20@a/*":             "[{a/* 0.2 false}]",
		"wrong@[ab]?":             "[{[ab]? 0 true}]",
		" wrong@a ; slow=0.5@b@c": "[{a 0 true} {b@c 0.005 false}]",
		"slow=20":                 `! cannot read "slow=20"`,
		"slow=20@":                `! cannot read "slow=20@"`,
		"wrong":                   `! cannot read "wrong"`,
		"fast=20@a":               `! cannot read "fast=20@a"`,
		"wrong=1@a":               `! cannot read "wrong=1@a"`,
		"@a":                      `! cannot read "@a"`,
		"wrong@a[":                `! cannot read "wrong@a["`,
		"slow=0@a":                `! "0" is not a percentage above 0`,
		"slow=-5@a":               `! "-5" is not a percentage`,
		"slow=NaN@a":              `! "NaN" is not a percentage`,
		"slow=Inf@a":              `! "Inf" is not a percentage`,
		"slow=@a":                 `! "" is not a percentage`,
		"wrong@a;slow=x@b":        `! "x" is not a percentage`,
	} {
		got, err := parseInjections(text)
		switch want, fails := strings.CutPrefix(want, "! "); {
		case fails && (err == nil || !strings.HasPrefix(err.Error(), InjectVariable+": ") || !strings.Contains(err.Error(), want)):
			t.Errorf("%q: %v, want %s", text, err, want)
		case !fails && (err != nil || fmt.Sprint(got) != want):
			t.Errorf("%q: %v, %v, want %s", text, got, err, want)
		}
	}
}

// FuzzInjections reads any list: what is accepted can be applied to any cell.
func FuzzInjections(f *testing.F) {
	for _, s := range []string{"slow=20@*/nano/*", "wrong@a;slow=1e2@[a-z]", "slow=0x1p4@a", "wrong@\\", "slow=20@[", ";;@"} {
		f.Add(s, "reference/nano/fp32/512x512/b1/complete")
	}
	f.Fuzz(func(t *testing.T, text, cell string) {
		list, err := parseInjections(text)
		if err != nil && len(list) > 0 {
			t.Fatalf("%q: %v beside %v", text, list, err)
		}
		for _, i := range list {
			if _, err := path.Match(i.pattern, cell); err != nil || i.pattern == "" {
				t.Errorf("%q: pattern %q: %v", text, i.pattern, err)
			}
			if i.wrong == (i.slower > 0) || i.slower > 1e4 {
				t.Errorf("%q: %+v", text, i)
			}
		}
	})
}

func injecting(t *testing.T, faults string) Spec {
	s := spec(t, "ok")
	s.Env = append(s.Env, InjectVariable+"="+faults)
	return s
}

// TestInjectSlow compares two sessions in one process, one of them slowed, by their fastest runs of 5 ms: other processes can
// lengthen a run and cannot shorten it, and on a machine that is busy all the time it may take a few attempts.
func TestInjectSlow(t *testing.T) {
	w, err := Start(context.Background(), injecting(t, "slow=20@fake/*/slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	plain := compileOn(t, w, "fake/a/plain", map[string]string{"busy": "5ms"})
	slow := compileOn(t, w, "fake/a/slow", map[string]string{"busy": "5ms"})
	fastest := func(s *session, least float64) float64 {
		m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 15, Bound: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Min(m.Samples) < least {
			t.Errorf("a run took %v ns, want at least %v", slices.Min(m.Samples), least)
		}
		return slices.Min(m.Samples)
	}
	ratio := 0.0
	for range 10 {
		if ratio = fastest(slow, 6e6) / fastest(plain, 5e6); ratio > 1.17 && ratio < 1.25 {
			return
		}
	}
	t.Errorf("slowed by 20 %%: a ratio of %.3f", ratio)
}

// TestInjectSlowTiming looks at the clock that single run requests are timed by: the fake's own is 6 ns, all else was injected.
func TestInjectSlowTiming(t *testing.T) {
	s := compileFake(t, injecting(t, "slow=50@*"), "cell", map[string]string{"busy": "2ms"})
	m, err := s.Measure(context.Background(), floats(3, 1), MeasureOptions{Iterations: 5, Bound: time.Minute, Requests: true})
	if err != nil || slices.Min(m.Samples) < 1e6 {
		t.Errorf("%+v, %v: want a half of 2 ms and more", m, err)
	}
}

func TestInjectWrong(t *testing.T) {
	for cell, want := range map[string]float32{"fake/x": 2*1.01 + 0.01, "fake/y": 2} {
		s := compileFake(t, injecting(t, "wrong@*/x"), cell, nil)
		out, err := backends.Run(context.Background(), s, floats(3, 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](out[0].Tensor)[0]; got != want {
			t.Errorf("%s: 1 + 1 = %v, want %v", cell, got, want)
		}
	}
}

// TestInjectBadList compiles under a list that cannot be read. The session that was compiled already is closed: the fake ends
// its process when it is.
func TestInjectBadList(t *testing.T) {
	for close, check := range map[string]func(error) bool{
		"": func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Code == CodeBadInput && strings.Contains(err.Error(), `cannot read "wrong@["`)
		},
		"exit": func(err error) bool {
			var d *Died
			return errors.As(err, &d) && d.ExitCode == 3
		},
	} {
		_, err := New(injecting(t, "wrong@[")).Compile(context.Background(), addGraph(t, 3), backends.Options{Extra: map[string]string{"close": close}})
		if !check(err) {
			t.Errorf("closing with %q: %v", close, err)
		}
	}
}
