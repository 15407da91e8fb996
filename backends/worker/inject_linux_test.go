package worker

import (
	"context"
	"errors"
	"fmt"
	"math"
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
		"slow=20@a/*":                       "[{a/* 0.2  false  []}]",
		"wrong@[ab]?":                       "[{[ab]? 0  true  []}]",
		" wrong@a ; slow=0.5@b@c":           "[{a 0  true  []} {b@c 0.005  false  []}]",
		"slow=5#pv.stem@a/*":                "[{a/* 0.05 pv.stem false  []}]",
		"slow=5#@a":                         `! cannot read "slow=5#@a"`,
		"wrong#pv.stem@a":                   "[{a 0  true pv.stem []}]",
		"wrong#n unless threads=1, tap=n@a": "[{a 0  true n [{threads 1} {tap n}]}]",
		"wrong#@a":                          `! cannot read "wrong#@a"`,
		"wrong#n unless @a":                 `! cannot read "wrong#n unless @a"`,
		"wrong#n unless tap@a":              `! cannot read "wrong#n unless tap@a"`,
		"wrong# unless tap=n@a":             `! cannot read "wrong# unless tap=n@a"`,
		"slow=20":                           `! cannot read "slow=20"`,
		"slow=20@":                          `! cannot read "slow=20@"`,
		"wrong":                             `! cannot read "wrong"`,
		"fast=20@a":                         `! cannot read "fast=20@a"`,
		"wrong=1@a":                         `! cannot read "wrong=1@a"`,
		"@a":                                `! cannot read "@a"`,
		"wrong@a[":                          `! cannot read "wrong@a["`,
		"slow=0@a":                          `! "0" is not a percentage above 0`,
		"slow=-5@a":                         `! "-5" is not a percentage`,
		"slow=NaN@a":                        `! "NaN" is not a percentage`,
		"slow=Inf@a":                        `! "Inf" is not a percentage`,
		"slow=@a":                           `! "" is not a percentage`,
		"wrong@a;slow=x@b":                  `! "x" is not a percentage`,
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

// TestCheckInjections refuses faults that none of the cells would have.
func TestCheckInjections(t *testing.T) {
	cells := []string{"ort/nano/fp32/256x256/b1/complete", "reference/nano/fp32/256x256/b1/network"}
	for text, want := range map[string]string{
		"":                                       "",
		"slow=20@ort/*/*/*/*/complete":           "",
		"wrong@*/*/*/*/*/*;slow=5@ort/*/*/*/*/*": "",
		"wrong@*":                                `APEXX_INJECT: "*" matches no cell that is measured, such as ort/nano/fp32/256x256/b1/complete (* is any text without a slash)`,
		"slow=20@ort/*/*/*/*/*;wrong@ort/*":      `APEXX_INJECT: "ort/*" matches no cell that is measured, such as ort/nano/fp32/256x256/b1/complete (* is any text without a slash)`,
		"wrong@cuda/*/*/*/*/*":                   `APEXX_INJECT: "cuda/*/*/*/*/*" matches no cell that is measured, such as ort/nano/fp32/256x256/b1/complete (* is any text without a slash)`,
		"wrong":                                  `APEXX_INJECT: cannot read "wrong" (want slow=PERCENT@PATTERN, slow=PERCENT#STEP@PATTERN, wrong@PATTERN, wrong#NODE@PATTERN or wrong#NODE unless OPTION=VALUE,…@PATTERN)`,
	} {
		got := ""
		if err := CheckInjections(text, cells); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%q: %s\nwant %s", text, got, want)
		}
	}
}

// FuzzInjections reads any list: what is accepted can be applied to any cell.
func FuzzInjections(f *testing.F) {
	for _, s := range []string{"slow=20@*/nano/*", "wrong@a;slow=1e2@[a-z]", "slow=0x1p4@a", "wrong@\\", "slow=20@[", ";;@", "wrong#n unless tap=n@*"} {
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
// lengthen a run and cannot shorten it. On a machine that is busy all the time it may take some until one is left alone.
func TestInjectSlow(t *testing.T) {
	w, err := Start(context.Background(), injecting(t, "slow=20@fake/*/slow"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	busy := backends.Options{Extra: map[string]string{"busy": "5ms"}}
	plain, slow := uploaded(t, compileOn(t, w, "fake/a/plain", busy)), uploaded(t, compileOn(t, w, "fake/a/slow", busy))
	fastest := func(s *Session, span Span, least float64) float64 {
		g, err := s.Measure(context.Background(), GroupOptions{Span: span, Samples: 15, Calls: 1, Bound: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		if slices.Min(g.Host) < least {
			t.Errorf("a run took %v ns, want at least %v", slices.Min(g.Host), least)
		}
		return slices.Min(g.Host)
	}
	for _, span := range []Span{ExecuteAlone, EndToEnd} {
		ratio, slowest, plainest := 0.0, math.Inf(1), math.Inf(1)
		for try := 0; try < 20 && !(ratio > 1.17 && ratio < 1.25); try++ {
			slowest, plainest = min(slowest, fastest(slow, span, 6e6)), min(plainest, fastest(plain, span, 5e6))
			ratio = slowest / plainest
		}
		if !(ratio > 1.17 && ratio < 1.25) {
			t.Errorf("%s slowed by 20 %%: a ratio of %.3f", span, ratio)
		}
	}
}

// TestInjectSlowTiming looks at the session's own clocks, of which the fake's say 1 and 3 ns around an execution of 2, 700 on the
// device, 300 and 400 of its steps.
func TestInjectSlowTiming(t *testing.T) {
	s := compileFake(t, injecting(t, "slow=50@*"), "cell", everything)
	if _, err := backends.Run(context.Background(), s, floats(3, 1)); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprintf("%+v", s.LastTiming()), "{Upload:1ns Execute:3ns Download:3ns Device:1.05µs Steps:[450ns 600ns]}"; got != want {
		t.Errorf("timing %s, want %s", got, want)
	}
}

// TestInjectSlowStep lengthens one of the fake's two steps, by name and by its share of the plan, and leaves sessions that tell no steps as they are.
func TestInjectSlowStep(t *testing.T) {
	names := compileFake(t, spec(t, "ok"), "cell", everything).Plan().Steps
	for step, want := range map[string]string{
		names[0].Name: "{Upload:1ns Execute:152ns Download:3ns Device:850ns Steps:[450ns 400ns]}",
		"0.5":         "{Upload:1ns Execute:202ns Download:3ns Device:900ns Steps:[300ns 600ns]}",
	} {
		s := compileFake(t, injecting(t, "slow=50#"+step+"@*"), "cell", everything)
		if _, err := backends.Run(context.Background(), s, floats(3, 1)); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%+v", s.LastTiming()); got != want {
			t.Errorf("step %s: timing %s, want %s", step, got, want)
		}
	}
	for _, step := range []string{"none", "1", "-0.1"} {
		_, err := New(injecting(t, "slow=50#"+step+"@*")).Compile(context.Background(), addGraph(t, 3), backends.Options{})
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the plan has no step %q", step)) {
			t.Errorf("step %s: %v", step, err)
		}
	}
}

func TestInjectWrong(t *testing.T) {
	for cell, want := range map[string]float32{"fake/x": 2*1.01 + 0.01, "fake/y": 2} {
		s := compileFake(t, injecting(t, "wrong@*/x"), cell, backends.Options{})
		out, err := backends.Run(context.Background(), s, floats(3, 1))
		if err != nil {
			t.Fatal(err)
		}
		if got := tensor.Data[float32](out[0].Tensor)[0]; got != want {
			t.Errorf("%s: 1 + 1 = %v, want %v", cell, got, want)
		}
	}
}

// TestInjectBadList compiles under lists that cannot be read or applied. A session that was compiled already is closed: the fake ends
// its process when it is.
func TestInjectBadList(t *testing.T) {
	says := func(text string) func(error) bool {
		return func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Code == CodeBadInput && strings.Contains(err.Error(), text)
		}
	}
	for _, c := range []struct {
		faults, close string
		check         func(error) bool
	}{
		{"wrong@[", "", says(`cannot read "wrong@["`)},
		{"wrong#none@*", "", says(`graph add has no node "none"`)},
		{"wrong#same@*", "", says(`node "same" reads no constant of floats`)},
		{"slow=50#none@*", "exit", func(err error) bool {
			var d *Died
			return errors.As(err, &d) && d.ExitCode == 3
		}},
	} {
		_, err := New(injecting(t, c.faults)).Compile(context.Background(), addGraph(t, 3), backends.Options{Extra: map[string]string{"close": c.close}})
		if !c.check(err) {
			t.Errorf("%s, closing with %q: %v", c.faults, c.close, err)
		}
	}
}
