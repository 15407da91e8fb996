package training

import (
	"fmt"
	"math"
	"slices"
)

// muHistoryLimit bounds the recorded history of a controller: the latest values are kept.
const muHistoryLimit = 4096

// DualConfig holds the parameters of a [DualController]. Start from [DefaultDualConfig].
type DualConfig struct {
	Budget        float64 // expected cost to aim at; finite, > 0
	MuInit        float64 // in [MuMin, MuMax]
	LR            float64 // step per unit of cost above the budget; > 0
	MuMin, MuMax  float64 // 0 <= MuMin <= MuMax
	Adaptive      bool    // scale steps by 1 + |smoothed relative error|
	LRDecay       float64 // step k (from 0) is divided by 1 + LRDecay*k; >= 0
	DeltaClip     float64 // largest step of mu; 0 means none
	DeadbandRatio float64 // relative errors up to this leave mu alone; in [0,1)
	ErrorEMABeta  float64 // smoothing of the relative error; in [0,1)
	MinScale      float64 // range of the adaptive scale: 0 < MinScale <= MaxScale
	MaxScale      float64
}

// DefaultDualConfig returns the defaults for a budget. Source: spec 14.
func DefaultDualConfig(budget float64) DualConfig {
	return DualConfig{Budget: budget, MuInit: 0.1, LR: 0.01, MuMax: 10, ErrorEMABeta: 0.9, MinScale: 0.5, MaxScale: 3}
}

func (c DualConfig) check() error {
	for _, r := range []struct {
		name  string
		value float64
		ok    bool
		want  string
	}{
		{"budget", c.Budget, c.Budget > 0, "> 0"},
		{"mu_lr", c.LR, c.LR > 0, "> 0"},
		{"mu_min", c.MuMin, c.MuMin >= 0, ">= 0"},
		{"mu_max", c.MuMax, c.MuMax >= c.MuMin, ">= mu_min"},
		{"mu_init", c.MuInit, c.MuInit >= c.MuMin && c.MuInit <= c.MuMax, "in [mu_min, mu_max]"},
		{"lr_decay", c.LRDecay, c.LRDecay >= 0, ">= 0"},
		{"delta_clip", c.DeltaClip, c.DeltaClip >= 0, "> 0, or 0 for none"},
		{"deadband_ratio", c.DeadbandRatio, c.DeadbandRatio >= 0 && c.DeadbandRatio < 1, "in [0, 1)"},
		{"error_ema_beta", c.ErrorEMABeta, c.ErrorEMABeta >= 0 && c.ErrorEMABeta < 1, "in [0, 1)"},
		{"adaptive_lr_min_scale", c.MinScale, c.MinScale > 0, "> 0"},
		{"adaptive_lr_max_scale", c.MaxScale, c.MaxScale >= c.MinScale, ">= adaptive_lr_min_scale"},
	} {
		if !finite(r.value) || !r.ok {
			return fmt.Errorf("%s is %v: must be %s and finite", r.name, r.value, r.want)
		}
	}
	return nil
}

// DualController moves mu, the price of compute, so that the expected cost meets a budget: projected dual ascent with
// optional smoothing, decay, clip and deadband. Source: spec 14.
type DualController struct {
	// Observe, if set, is called after every update.
	Observe func(DualUpdate)

	config   DualConfig
	mu, ema  float64
	updates  int
	history  []float64
	lastStep DualUpdate
}

// NewDualController returns a controller at c.MuInit.
func NewDualController(c DualConfig) (*DualController, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("dual controller: %w", err)
	}
	return &DualController{config: c, mu: c.MuInit, history: []float64{c.MuInit}, lastStep: DualUpdate{EffectiveLR: c.LR}}, nil
}

// Mu returns the current price.
func (d *DualController) Mu() float64 { return d.mu }

// Last returns the latest update; before the first, its EffectiveLR is the configured rate and all else is zero.
func (d *DualController) Last() DualUpdate { return d.lastStep }

// MuHistory returns the prices after each update, oldest first, starting with MuInit; of a long history only the latest 4096.
func (d *DualController) MuHistory() []float64 { return slices.Clone(d.history) }

// BudgetLoss returns mu*(cost - budget), negative below the budget. A budget of 0 means the configured one; any other must be
// finite and > 0.
func (d *DualController) BudgetLoss(cost, budget float64) (float64, error) {
	b, err := d.budget(cost, budget)
	return float64(d.mu * (cost - b)), err
}

// Update moves mu by one observed expected cost and returns it. budget is as in [DualController.BudgetLoss] and is not kept.
//
//	err = cost - budget; e = err/budget; ema = beta*ema + (1-beta)*e
//	eff = LR/(1 + LRDecay*updates) * clamp(1+|ema|, MinScale, MaxScale)   (the scale only if Adaptive)
//	mu  = clamp(mu + clip(eff*err if |e| > DeadbandRatio else 0), MuMin, MuMax)
//
// The smoothed error and the count advance inside the deadband too.
func (d *DualController) Update(cost, budget float64) (float64, error) {
	b, err := d.budget(cost, budget)
	if err != nil {
		return d.mu, err
	}
	c := d.config
	u := DualUpdate{Config: c, Budget: b, Cost: cost, MuPrev: d.mu}
	u.Error = cost - b
	u.RelativeError = u.Error / b
	if !finite(u.RelativeError) {
		return d.mu, fmt.Errorf("expected cost %v for budget %v: their relative difference must be finite", cost, b)
	}
	u.ErrorEMA = float64(c.ErrorEMABeta*d.ema) + float64((1-c.ErrorEMABeta)*u.RelativeError)
	u.EffectiveLR = c.LR / (1 + float64(c.LRDecay*float64(d.updates)))
	if c.Adaptive {
		u.EffectiveLR = float64(u.EffectiveLR * min(max(1+math.Abs(u.ErrorEMA), c.MinScale), c.MaxScale))
	}
	if math.Abs(u.RelativeError) > c.DeadbandRatio {
		u.RawDelta = float64(u.EffectiveLR * u.Error)
	}
	u.AppliedDelta = u.RawDelta
	if c.DeltaClip > 0 {
		u.AppliedDelta = min(max(u.RawDelta, -c.DeltaClip), c.DeltaClip)
	}
	next := d.mu + u.AppliedDelta
	u.MuNext = min(c.MuMax, max(c.MuMin, next))
	u.Clamped = u.MuNext != next
	d.mu, d.ema = u.MuNext, u.ErrorEMA
	d.updates++
	u.Updates = d.updates
	d.lastStep = u
	if len(d.history) == muHistoryLimit {
		d.history = slices.Delete(d.history, 0, 1)
	}
	d.history = append(d.history, d.mu)
	if d.Observe != nil {
		d.Observe(u)
	}
	return d.mu, nil
}

func (d *DualController) budget(cost, budget float64) (float64, error) {
	if budget == 0 {
		budget = d.config.Budget
	}
	if !finite(cost) {
		return 0, fmt.Errorf("expected cost is %v: must be finite", cost)
	}
	if !finite(budget) || budget <= 0 {
		return 0, fmt.Errorf("budget is %v: must be > 0 and finite", budget)
	}
	return budget, nil
}

// ExpectedCost returns the sum over tiles of p*heavy + (1-p)*cheap, in float64. p must be in [0,1]; the tensor form of the
// original took a NaN for 0. cheap must be finite and >= 0, heavy finite and > cheap. Source: spec 14.
func ExpectedCost[T Float](probabilities []T, heavy, cheap float64) (float64, error) {
	if !finite(cheap) || cheap < 0 {
		return 0, fmt.Errorf("c_cheap is %v: must be >= 0 and finite", cheap)
	}
	if !finite(heavy) || heavy <= cheap {
		return 0, fmt.Errorf("c_heavy is %v: must be > c_cheap, which is %v, and finite", heavy, cheap)
	}
	total := 0.0
	for i, v := range probabilities {
		p := float64(v)
		if !(p >= 0 && p <= 1) {
			return 0, fmt.Errorf("probability %v of tile %d: must be in [0, 1]", p, i)
		}
		total += float64(p*heavy) + float64((1-p)*cheap)
	}
	return total, nil
}

// DualStep returns max(0, mu + lr*(cost-budget)), the plain projected step that [DualController] refines. All values must be
// finite; the original turned a NaN into 0. Source: spec 11.
func DualStep(mu, cost, budget, lr float64) (float64, error) {
	for _, v := range []float64{mu, cost, budget, lr} {
		if !finite(v) {
			return 0, fmt.Errorf("dual step of mu %v, cost %v, budget %v, rate %v: all must be finite", mu, cost, budget, lr)
		}
	}
	return max(0, mu+float64(lr*(cost-budget))), nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
