package evaluate

import "math"

// Regression compares numbers with their targets (spec/train-eval.md 15.3), error = prediction - target.
type Regression struct {
	MAE  float64 `json:"mae"`
	RMSE float64 `json:"rmse"`
	Bias float64 `json:"bias"` // mean error
	// R2 is 1 - Σ error² / Σ (target - mean)², nil for equal targets.
	R2 *float64 `json:"r2"`
	// Pearson is the correlation, nil where either side is constant.
	Pearson *float64 `json:"pearson_corr"`
	// ExactMatch is the share of predictions that equal their target.
	ExactMatch float64 `json:"exact_match_rate"`
}

// Regress compares at least one prediction with as many targets.
func Regress(predictions, targets []float64) Regression {
	n := float64(len(targets))
	meanP, meanT := sum(predictions)/n, sum(targets)/n
	var r Regression
	var squares, varP, varT, both float64
	for i, t := range targets {
		e := predictions[i] - t
		r.MAE += math.Abs(e) / n
		r.Bias += e / n
		squares += e * e
		varP += (predictions[i] - meanP) * (predictions[i] - meanP)
		varT += (t - meanT) * (t - meanT)
		both += (predictions[i] - meanP) * (t - meanT)
		if e == 0 {
			r.ExactMatch += 1 / n
		}
	}
	r.RMSE = math.Sqrt(squares / n)
	if varT > 0 {
		r2 := 1 - squares/varT
		r.R2 = &r2
		if varP > 0 {
			corr := both / math.Sqrt(varP*varT)
			r.Pearson = &corr
		}
	}
	return r
}

// Spread describes numbers: population standard deviation.
type Spread struct {
	Mean float64 `json:"mean"`
	Std  float64 `json:"std"`
	Min  float64 `json:"min"`
	Max  float64 `json:"max"`
}

// Describe describes at least one number.
func Describe(values []float64) Spread {
	n := float64(len(values))
	s := Spread{Mean: sum(values) / n, Min: math.Inf(1), Max: math.Inf(-1)}
	for _, v := range values {
		s.Std += (v - s.Mean) * (v - s.Mean) / n
		s.Min, s.Max = min(s.Min, v), max(s.Max, v)
	}
	s.Std = math.Sqrt(s.Std)
	return s
}
