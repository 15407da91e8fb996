package config

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// rule says which values a field may have: in words for messages, and as a test of the value (not of its pointer).
type rule struct {
	want string
	ok   func(value any) bool
	enum bool // text of a fixed set: read without regard to case and surrounding blanks
}

var (
	boolean = rule{want: "true or false", ok: func(any) bool { return true }}
	text    = rule{want: "text", ok: func(any) bool { return true }}
	unit    = number("a number in [0,1]", func(v float64) bool { return v >= 0 && v <= 1 })

	belowOne    = number("a number in [0,1)", func(v float64) bool { return v >= 0 && v < 1 })
	positive    = number("a number > 0", func(v float64) bool { return v > 0 })
	nonNegative = number("a number >= 0", func(v float64) bool { return v >= 0 })
	finite      = number("a finite number", func(float64) bool { return true })

	positiveOrNull = rule{want: "a number > 0, or null for none", ok: func(value any) bool {
		v := value.(*float64)
		return v == nil || positive.ok(*v)
	}}
	someTexts = rule{want: "a list of at least one text", ok: func(value any) bool { return len(value.([]string)) > 0 }}
)

// number is a rule for finite floats.
func number(want string, ok func(float64) bool) rule {
	return rule{want: want, ok: func(value any) bool {
		v := value.(float64)
		return !math.IsNaN(v) && !math.IsInf(v, 0) && ok(v)
	}}
}

// between is a rule for integers in [low, high].
func between(low, high int) rule {
	return rule{
		want: fmt.Sprintf("an integer in [%d,%d]", low, high),
		ok:   func(value any) bool { v := value.(int); return v >= low && v <= high },
	}
}

// only is a rule for an integer that can have one value, for a reason.
func only(v int, why string) rule {
	return rule{want: fmt.Sprintf("%d, %s", v, why), ok: func(value any) bool { return value == v }}
}

// oneOf is a rule for text of a fixed set.
func oneOf(names ...string) rule {
	return rule{
		want: "one of " + strings.Join(names, ", "),
		ok:   func(value any) bool { return slices.Contains(names, value.(string)) },
		enum: true,
	}
}

// list is a rule for n integers in [low, high].
func list(n, low, high int) rule {
	return rule{
		want: fmt.Sprintf("a list of %d integers in [%d,%d]", n, low, high),
		ok: func(value any) bool {
			v := value.([]int)
			return len(v) == n && slices.Min(v) >= low && slices.Max(v) <= high
		},
	}
}

// exactly is a rule for a list that can have one value: the strides that the network's layers have.
func exactly(want ...int) rule {
	return rule{
		want: format(want) + ", the strides of P3, P4 and P5",
		ok:   func(value any) bool { return slices.Equal(value.([]int), want) },
	}
}

// joint is a rule that joins several fields. The first key is the one to change when it is broken.
type joint struct {
	keys  []string
	check func(*Config) (ok bool, want string)
}

var joints = []joint{
	{[]string{"model.tile_size_l0", "model.tile_size_l1", "model.nesting_depth", "model.disable_nesting"}, func(c *Config) (bool, string) {
		m := &c.Model
		return c.EffectiveDepth() < 1 || m.TileSizeL0 == 2*m.TileSizeL1, fmt.Sprintf("twice model.tile_size_l1 (%d)", m.TileSizeL1)
	}},
	{[]string{"model.tile_size_l1", "model.tile_size_l2", "model.nesting_depth", "model.disable_nesting"}, func(c *Config) (bool, string) {
		m := &c.Model
		return c.EffectiveDepth() < 2 || m.TileSizeL1 == 2*m.TileSizeL2, fmt.Sprintf("twice model.tile_size_l2 (%d)", m.TileSizeL2)
	}},
	{[]string{"model.input_height", "model.ff_primary_stride", "model.tile_size_l0"}, func(c *Config) (bool, string) {
		return wholeTiles(c, c.Model.InputHeight)
	}},
	{[]string{"model.input_width", "model.ff_primary_stride", "model.tile_size_l0"}, func(c *Config) (bool, string) {
		return wholeTiles(c, c.Model.InputWidth)
	}},
	{[]string{"model.mask_stride", "model.ff_primary_stride", "model.tile_size_l0"}, func(c *Config) (bool, string) {
		side := tileSide(c)
		return side%c.Model.MaskStride == 0, fmt.Sprintf("a divisor of %d, the side of an L0 tile in pixels (ff_primary_stride·tile_size_l0)", side)
	}},
	{[]string{"model.kmax_l1", "model.nesting_depth", "model.disable_nesting"}, func(c *Config) (bool, string) {
		return levelCount(c, 1, c.Model.KmaxL1)
	}},
	{[]string{"model.kmax_l2", "model.nesting_depth", "model.disable_nesting"}, func(c *Config) (bool, string) {
		return levelCount(c, 2, c.Model.KmaxL2)
	}},
	{[]string{"routing.budget_total", "routing.budget_b1", "routing.budget_b2", "routing.budget_b3"}, func(c *Config) (bool, string) {
		sum := c.Routing.BudgetB1 + c.Routing.BudgetB2 + c.Routing.BudgetB3
		return sum <= c.Routing.BudgetTotal+1e-9, fmt.Sprintf("at least budget_b1 + budget_b2 + budget_b3 = %s", format(sum))
	}},
	{[]string{"routing.cost_heavy", "routing.cost_cheap"}, func(c *Config) (bool, string) {
		return c.Routing.CostHeavy > c.Routing.CostCheap, fmt.Sprintf("more than routing.cost_cheap (%s)", format(c.Routing.CostCheap))
	}},
	{[]string{"routing.theta_on", "routing.theta_off"}, func(c *Config) (bool, string) {
		return c.Routing.ThetaOn > c.Routing.ThetaOff, fmt.Sprintf("more than routing.theta_off (%s)", format(c.Routing.ThetaOff))
	}},
	{[]string{"train.mu_max", "train.mu_min"}, func(c *Config) (bool, string) {
		return c.Train.MuMax >= c.Train.MuMin, fmt.Sprintf("at least train.mu_min (%s)", format(c.Train.MuMin))
	}},
	{[]string{"train.mu_init", "train.mu_min", "train.mu_max"}, func(c *Config) (bool, string) {
		t := &c.Train
		ok := t.MuMin > t.MuMax || t.MuInit >= t.MuMin && t.MuInit <= t.MuMax // crossed bounds are the row above's
		return ok, fmt.Sprintf("a number in [mu_min, mu_max] = [%s,%s]", format(t.MuMin), format(t.MuMax))
	}},
	{[]string{"train.dual_lr_max_scale", "train.dual_lr_min_scale"}, func(c *Config) (bool, string) {
		return c.Train.DualLRMaxScale >= c.Train.DualLRMinScale, fmt.Sprintf("at least train.dual_lr_min_scale (%s)", format(c.Train.DualLRMinScale))
	}},
	{[]string{"train.qat_enable", "train.qat_int8", "train.qat_fp8"}, func(c *Config) (bool, string) {
		return c.Train.QATEnable || !c.Train.QATInt8 && !c.Train.QATFP8, "true, as train.qat_int8 or train.qat_fp8 is"
	}},
	{[]string{"data.scale_max", "data.scale_min"}, func(c *Config) (bool, string) {
		return c.Data.ScaleMax >= c.Data.ScaleMin, fmt.Sprintf("at least data.scale_min (%s)", format(c.Data.ScaleMin))
	}},
	{[]string{"runtime.enable_runtime_plugins", "runtime.trt_enable"}, func(c *Config) (bool, string) {
		return c.Runtime.EnableRuntimePlugins || !c.Runtime.TRTEnable, "true, as runtime.trt_enable is"
	}},
	{[]string{"routing.budget_b3", "model.nesting_depth", "model.disable_nesting"}, func(c *Config) (bool, string) {
		ok := c.Model.DisableNesting || c.EffectiveDepth() == 2 || c.Routing.BudgetB3 == 0
		return ok, fmt.Sprintf("0 at model.nesting_depth %d: only depth 2 spends it", c.Model.NestingDepth)
	}},
}

// tileSide is the side of an L0 tile in image pixels.
func tileSide(c *Config) int { return c.Model.FFPrimaryStride * c.Model.TileSizeL0 }

// wholeTiles asks that a side of the input be a whole number of L0 tiles. With the tile sizes halving from level to level
// it then is a whole number of L1 and L2 tiles, and of FF cells.
func wholeTiles(c *Config, pixels int) (bool, string) {
	side := tileSide(c)
	return pixels%side == 0, fmt.Sprintf("a multiple of %d, the side of an L0 tile (ff_primary_stride·tile_size_l0)", side)
}

// levelCount asks for tiles on the levels that run and for none on the others. Under disable_nesting anything goes.
func levelCount(c *Config, level, kmax int) (bool, string) {
	depth := c.Model.NestingDepth
	if depth >= level {
		return c.Model.DisableNesting || kmax > 0, fmt.Sprintf("more than 0 at model.nesting_depth %d", depth)
	}
	return c.Model.DisableNesting || kmax == 0, fmt.Sprintf("0 at model.nesting_depth %d, which has no L%d", depth, level)
}

// Validate checks every field and every joint rule. The error is a Problems with all that is wrong. Enumerated values must
// have their canonical spelling: Parse accepts aliases and capitals and stores that spelling.
func (c Config) Validate() error {
	var problems report
	c.check(&problems)
	return problems.err()
}

// check adds what is wrong with the values, except for keys already reported; a joint rule is left out when one of its keys
// was reported, because its verdict would only repeat that.
func (c *Config) check(problems *report) {
	for _, f := range fields {
		if value := deref(f.at(c)); !problems.bad[f.key] && !f.rule.ok(value) {
			problems.reject(f.key, mismatch(format(value), f.rule.want))
		}
	}
	for _, j := range joints {
		if slices.ContainsFunc(j.keys, func(key string) bool { return problems.bad[key] }) {
			continue
		}
		if ok, want := j.check(c); !ok {
			key := j.keys[0]
			problems.add(key, mismatch(format(deref(byKey[key].at(c))), want))
		}
	}
}
