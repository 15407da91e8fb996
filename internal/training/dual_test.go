package training

import (
	"math"
	"testing"

	"github.com/apex-x/apexx/internal/must"
)

func dual(t *testing.T, c DualConfig) *DualController {
	t.Helper()
	return must.Get(NewDualController(c))(t)
}

// near requires |got-want| <= tol*max(1,|want|).
func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol*max(1, math.Abs(want))) {
		t.Errorf("%s = %.9g, want %.9g", what, got, want)
	}
}

func TestDualUpdate(t *testing.T) {
	c := DefaultDualConfig(10)
	c.MuInit, c.LR, c.MuMax = 1, .2, 5
	d := dual(t, c)
	near(t, "first", must.Get(d.Update(12, 0))(t), 1.4, 1e-15)
	near(t, "second", must.Get(d.Update(9, 0))(t), 1.2, 1e-15)

	c = DefaultDualConfig(5)
	c.MuInit, c.LR, c.MuMin, c.MuMax = .4, 1, .1, .6
	d = dual(t, c)
	for _, s := range []struct{ cost, mu, applied float64 }{{10, .6, 5}, {0, .1, -5}} {
		if mu := must.Get(d.Update(s.cost, 0))(t); mu != s.mu || d.Last().AppliedDelta != s.applied || !d.Last().Clamped {
			t.Errorf("cost %v: mu %v, %v", s.cost, mu, d.Last())
		}
	}

	c = DefaultDualConfig(2)
	c.MuInit = .5
	d = dual(t, c)
	for _, s := range []struct{ cost, budget, want float64 }{{3, 0, .5}, {1, 0, -.5}, {3, 4, -.5}} {
		if got := must.Get(d.BudgetLoss(s.cost, s.budget))(t); got != s.want {
			t.Errorf("loss at cost %v, budget %v is %v, want %v", s.cost, s.budget, got, s.want)
		}
	}

	c = DefaultDualConfig(5)
	c.MuInit, c.LR, c.Adaptive, c.DeltaClip, c.ErrorEMABeta = 0, 1, true, .1, .5
	d = dual(t, c)
	if mu, u := must.Get(d.Update(100, 0))(t), d.Last(); mu != .1 || u.ErrorEMA != 9.5 || u.EffectiveLR != 3 || u.RawDelta != 285 || u.AppliedDelta != .1 {
		t.Errorf("clipped step: mu %v, %v", mu, u)
	}

	c = DefaultDualConfig(10)
	c.MuInit, c.LR, c.DeadbandRatio = 1, .5, .02
	d = dual(t, c)
	if mu, u := must.Get(d.Update(10.1, 0))(t), d.Last(); mu != 1 || u.RawDelta != 0 || u.Updates != 1 {
		t.Errorf("deadband: mu %v, %v", mu, u)
	}
	near(t, "ema in the deadband", d.Last().ErrorEMA, .001, 1e-12)
}

func closedLoop(mu float64) DualConfig {
	return DualConfig{Budget: 10, MuInit: mu, LR: .25, MuMax: 10, Adaptive: true, LRDecay: .01, DeltaClip: .75, ErrorEMABeta: .8, MinScale: .75, MaxScale: 2.5}
}

// The trace of spec 14, whose digits pin the order of operations.
func TestDualClosedLoop(t *testing.T) {
	d := dual(t, closedLoop(0))
	for i, s := range []struct{ cost, ema, eff, raw, applied, mu float64 }{
		{14, 0.08, 0.27, 1.08, 0.75, 0.75},
		{12.5, 0.114, 0.2757425742574257, 0.6893564356435643, 0.6893564356435643, 1.4393564356435644},
		{11.121287128712872, 0.11362574257425742, 0.2729474859250631, 0.3060525027823111, 0.3060525027823111, 1.7454089384258755},
		{10.50918212314825, 0.10108423652237093, 0.2672534554665949, 0.13608068187318703, 0.13608068187318703, 1.8814896202990625},
	} {
		cost := max(0, 14-2*d.Mu())
		mu, u := must.Get(d.Update(cost, 0))(t), d.Last()
		for _, v := range [][2]float64{{cost, s.cost}, {u.ErrorEMA, s.ema}, {u.EffectiveLR, s.eff}, {u.RawDelta, s.raw}, {u.AppliedDelta, s.applied}, {mu, s.mu}} {
			near(t, "step value", v[0], v[1], 4e-16)
		}
		if mu != s.mu {
			t.Errorf("step %d: mu %v, want exactly %v", i+1, mu, s.mu)
		}
	}
	for range 116 {
		must.Get(d.Update(max(0, 14-2*d.Mu()), 0))(t)
	}
	u := d.Last()
	near(t, "final mu", u.MuNext, 2, 1e-12)
	near(t, "final ema", u.ErrorEMA, 6.69e-13, 1e-14)
	near(t, "final rate", u.EffectiveLR, 0.11415525114162889, 1e-15)

	d = dual(t, closedLoop(4))
	for _, want := range []float64{3.25, 2.5606435643564356, 2.2545910615741245, 2.1185103797009375} {
		near(t, "mirrored mu", must.Get(d.Update(max(0, 14-2*d.Mu()), 0))(t), want, 1e-15)
	}
}

func TestDualLog(t *testing.T) {
	c := DefaultDualConfig(10)
	c.DeltaClip = .5
	d := dual(t, c)
	var got string
	d.Observe = func(u DualUpdate) { got = u.String() }
	must.Get(d.Update(20, 0))(t)
	want := "event=dual_mu_update adaptive_lr=false budget=10.0 budget_error=10.0 clamped=false deadband_ratio=0.0 delta_applied=0.1 delta_clip=0.5 " +
		"delta_raw=0.1 effective_lr=0.01 error_ema=0.09999999999999998 expected_cost=20.0 mu_next=0.2 mu_prev=0.1 normalized_error=1.0 update_count=1"
	if got != want {
		t.Errorf("log line\n%s\nwant\n%s", got, want)
	}
}

func TestDualHistoryIsBounded(t *testing.T) {
	d := dual(t, DefaultDualConfig(10))
	if h := d.MuHistory(); len(h) != 1 || h[0] != .1 || d.Last().EffectiveLR != .01 {
		t.Errorf("new controller: history %v, %v", h, d.Last())
	}
	for i := range muHistoryLimit + 10 {
		must.Get(d.Update(10+float64(i%3), 0))(t)
	}
	h := d.MuHistory()
	if len(h) != muHistoryLimit || h[len(h)-1] != d.Mu() {
		t.Errorf("history has %d values, ends with %v, mu is %v", len(h), h[len(h)-1], d.Mu())
	}
}

func TestDualErrors(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		change func(*DualConfig)
		sub    string
	}{
		{func(c *DualConfig) { c.Budget = 0 }, "budget"}, {func(c *DualConfig) { c.Budget = nan }, "budget"}, {func(c *DualConfig) { c.LR = 0 }, "mu_lr"},
		{func(c *DualConfig) { c.MuMin = -1 }, "mu_min"}, {func(c *DualConfig) { c.MuMin, c.MuInit = 11, 11 }, "mu_max"}, {func(c *DualConfig) { c.MuMax = math.Inf(1) }, "finite"},
		{func(c *DualConfig) { c.MuInit = 11 }, "mu_init"}, {func(c *DualConfig) { c.LRDecay = -1 }, "lr_decay"}, {func(c *DualConfig) { c.DeltaClip = -1 }, "delta_clip"},
		{func(c *DualConfig) { c.DeadbandRatio = 1 }, "deadband_ratio"}, {func(c *DualConfig) { c.ErrorEMABeta = 1 }, "error_ema_beta"},
		{func(c *DualConfig) { c.MinScale = 0 }, "min_scale"}, {func(c *DualConfig) { c.MaxScale = .1 }, "max_scale"},
	} {
		config := DefaultDualConfig(10)
		c.change(&config)
		_, err := NewDualController(config)
		must.Fail(t, err, c.sub)
	}
	d := dual(t, DefaultDualConfig(10))
	for _, v := range [][2]float64{{nan, 0}, {1, -1}, {1, nan}, {1, math.Inf(1)}, {math.MaxFloat64, 1e-300}, {-math.MaxFloat64, math.MaxFloat64}} {
		_, err := d.Update(v[0], v[1])
		must.Fail(t, err, "finite")
	}
	if _, err := d.BudgetLoss(nan, 0); err == nil {
		t.Error("the loss of a NaN cost is no error")
	}
	if d.Mu() != .1 || d.Last().Updates != 0 {
		t.Errorf("failed updates moved the controller: mu %v, %v", d.Mu(), d.Last())
	}
}

func TestExpectedCost(t *testing.T) {
	for _, c := range []struct {
		u                  []float64
		heavy, cheap, want float64
	}{{[]float64{0, 1}, 1, 0, 1.2310585786300048}, {[]float64{0, 1, -2}, 1, .2, 1.680209200521698}} {
		if got := must.Get(ExpectedCost(must.Get(SigmoidProbabilities(c.u, 1))(t), c.heavy, c.cheap))(t); got != c.want {
			t.Errorf("expected cost of %v = %v, want %v", c.u, got, c.want)
		}
	}
	if got := must.Get(ExpectedCost([]float32{0, .5, 1}, 2, 0))(t); got != 3 {
		t.Errorf("expected cost %v, want 3", got)
	}
	for _, c := range []struct {
		p            float64
		heavy, cheap float64
		sub          string
	}{{.5, 1, -1, "c_cheap"}, {.5, 1, 1, "c_heavy"}, {.5, math.NaN(), 0, "c_heavy"}, {math.NaN(), 1, 0, "in [0, 1]"}, {1.01, 1, 0, "in [0, 1]"}} {
		_, err := ExpectedCost([]float64{c.p}, c.heavy, c.cheap)
		must.Fail(t, err, c.sub)
	}
}

func TestDualStep(t *testing.T) {
	for _, c := range []struct{ mu, cost, budget, lr, want float64 }{{.1, 2, 1, .5, .6}, {.1, 0, 1, .5, 0}} {
		if got := must.Get(DualStep(c.mu, c.cost, c.budget, c.lr))(t); got != c.want {
			t.Errorf("DualStep%v = %v", c, got)
		}
	}
	_, err := DualStep(.1, math.NaN(), 1, .5)
	must.Fail(t, err, "finite")
}
