// Package stat holds the statistics of measurements: order statistics, the exact signed-rank test with the Hodges-Lehmann
// estimate and its confidence interval, LoadGen's bound on the samples of a percentile, and binomial intervals.
package stat
