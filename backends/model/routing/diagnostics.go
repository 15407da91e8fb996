package routing

import (
	"fmt"
	"maps"
	"slices"
)

// DiagnosticsInput is what a run knows about its routing. Levels are usually l0, l1, l2; budgets b1, b2, b3, total.
type DiagnosticsInput struct {
	Utilities      map[string][]float64 // by level
	SelectedCounts map[string]int       // by level, >= 0
	TotalCounts    map[string]int       // by level, >= 0
	BudgetUsed     map[string]float64   // finite, >= 0
	BudgetTotal    map[string]float64   // finite, >= 0
	MuHistory      []float64            // finite, >= 0
	HistogramBins  int                  // 0 means 8
}

// BudgetUsage says how much of a budget was used.
type BudgetUsage struct {
	Used   float64 `json:"used"`
	Budget float64 `json:"budget"`
	Ratio  float64 `json:"ratio"` // Used/Budget, 0 where Budget is 0; above 1 when overspent
}

// Diagnostics summarises the routing of a run. Source: spec 20.
type Diagnostics struct {
	SelectedRatios    map[string]float64     `json:"selected_ratios"` // selected/total, 0 where total is 0
	SelectedCounts    map[string]int         `json:"selected_counts"`
	TotalCounts       map[string]int         `json:"total_counts"`
	UtilityHistograms map[string]Histogram   `json:"utility_histograms"`
	BudgetUsage       map[string]BudgetUsage `json:"budget_usage"`
	MuHistory         []float64              `json:"mu_history"`
	// Warnings name overspent budgets, sorted. They are no part of the JSON form, whose keys are fixed.
	Warnings []string `json:"-"`
}

// NewDiagnostics checks and combines what a run knows. More tiles selected than there are is an error also where there are
// none, which the original lets pass.
func NewDiagnostics(in DiagnosticsInput) (Diagnostics, error) {
	d := Diagnostics{SelectedRatios: map[string]float64{}, SelectedCounts: map[string]int{}, TotalCounts: map[string]int{},
		UtilityHistograms: map[string]Histogram{}, BudgetUsage: map[string]BudgetUsage{}, MuHistory: append([]float64{}, in.MuHistory...)}
	maps.Copy(d.SelectedCounts, in.SelectedCounts)
	maps.Copy(d.TotalCounts, in.TotalCounts)
	if err := d.addRatios(); err != nil {
		return Diagnostics{}, err
	}
	bins := in.HistogramBins
	if bins == 0 {
		bins = 8
	}
	for _, level := range slices.Sorted(maps.Keys(in.Utilities)) {
		h, err := UtilityHistogram(in.Utilities[level], bins)
		if err != nil {
			return Diagnostics{}, fmt.Errorf("utilities of level %s: %w", level, err)
		}
		d.UtilityHistograms[level] = h
	}
	if err := d.addBudgets(in.BudgetUsed, in.BudgetTotal); err != nil {
		return Diagnostics{}, err
	}
	for i, mu := range in.MuHistory {
		if err := checkBudget(fmt.Sprintf("mu_history[%d]", i), mu); err != nil {
			return Diagnostics{}, err
		}
	}
	return d, nil
}

func (d *Diagnostics) addRatios() error {
	for _, level := range unionKeys(d.SelectedCounts, d.TotalCounts) {
		selected, total := d.SelectedCounts[level], d.TotalCounts[level]
		if selected < 0 || total < 0 {
			return fmt.Errorf("level %s has %d of %d tiles selected: counts must be >= 0", level, selected, total)
		}
		if selected > total {
			return fmt.Errorf("level %s has %d of %d tiles selected: must be at most the total", level, selected, total)
		}
		d.SelectedRatios[level] = ratio(float64(selected), float64(total))
	}
	return nil
}

func (d *Diagnostics) addBudgets(used, total map[string]float64) error {
	for _, name := range unionKeys(used, total) {
		u := BudgetUsage{Used: used[name], Budget: total[name]}
		if err := checkBudget(fmt.Sprintf("used budget %s", name), u.Used); err != nil {
			return err
		}
		if err := checkBudget(fmt.Sprintf("budget %s", name), u.Budget); err != nil {
			return err
		}
		u.Ratio = ratio(u.Used, u.Budget)
		if u.Used > u.Budget+eps {
			d.Warnings = append(d.Warnings, fmt.Sprintf("budget %s is overspent: %v used of %v", name, u.Used, u.Budget))
		}
		d.BudgetUsage[name] = u
	}
	return nil
}

func ratio(part, whole float64) float64 {
	if whole == 0 {
		return 0
	}
	return part / whole
}

// unionKeys returns the keys of both maps, sorted.
func unionKeys[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}
