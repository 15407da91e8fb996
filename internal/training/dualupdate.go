package training

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/apex-x/apexx/internal/manifest"
)

// DualUpdate is one step of a [DualController].
type DualUpdate struct {
	Config        DualConfig
	Budget, Cost  float64
	Error         float64 // Cost - Budget
	RelativeError float64 // Error / Budget
	ErrorEMA      float64 // smoothed relative error, this step included
	EffectiveLR   float64
	RawDelta      float64 // before the clip
	AppliedDelta  float64 // after the clip, before mu is held in its range
	MuPrev        float64
	MuNext        float64
	Clamped       bool // mu would have left its range
	Updates       int  // this step included
}

// String returns the log form: event=dual_mu_update, then key=value pairs sorted by key.
func (u DualUpdate) String() string {
	clip := "none"
	if u.Config.DeltaClip > 0 {
		clip = logFloat(u.Config.DeltaClip)
	}
	pairs := []struct{ key, value string }{
		{"adaptive_lr", strconv.FormatBool(u.Config.Adaptive)},
		{"budget", logFloat(u.Budget)},
		{"budget_error", logFloat(u.Error)},
		{"clamped", strconv.FormatBool(u.Clamped)},
		{"deadband_ratio", logFloat(u.Config.DeadbandRatio)},
		{"delta_applied", logFloat(u.AppliedDelta)},
		{"delta_clip", clip},
		{"delta_raw", logFloat(u.RawDelta)},
		{"effective_lr", logFloat(u.EffectiveLR)},
		{"error_ema", logFloat(u.ErrorEMA)},
		{"expected_cost", logFloat(u.Cost)},
		{"mu_next", logFloat(u.MuNext)},
		{"mu_prev", logFloat(u.MuPrev)},
		{"normalized_error", logFloat(u.RelativeError)},
		{"update_count", strconv.Itoa(u.Updates)},
	}
	var b strings.Builder
	b.WriteString("event=dual_mu_update")
	for _, p := range pairs {
		fmt.Fprintf(&b, " %s=%s", p.key, p.value)
	}
	return b.String()
}

// logFloat writes a number as the original does, and so as its JSON.
func logFloat(v float64) string {
	text, err := manifest.CanonicalJSON(v)
	if err != nil { // it is not finite
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return string(text)
}
