// Package gate decides whether one build computes something else than another, or needs more: time, memory, allocations.
//
// From a cell to a verdict:
//
//  1. Two Programs (program.go) are opened: the builds, with their workers. The cells are those of the backends that
//     either has, so that what the head lost is seen. Program.Describe asks what the builds are; Setup.Run joins
//     them (setup.go).
//  2. Runner.Run (run.go) fills a Record (result.go). First every cell runs once on either side, untimed: each side against the float64
//     oracle on its own graph, and the head against the base, since a head that leaves work out is right by its own graph.
//     Record.unheld (parity.go) says which cells are measured; the others have their state. Where Record.Quality asks, the complete ones
//     then run on a data set on either side (quality.go).
//  3. The screen measures the cells in blocks of base, head, head, base, each a fresh process (slots; measure.Block takes their turns);
//     every process compares what it computed, first, last and of other inputs. A tenth of the cells has an A/A arm, and a fixed workload (workload.go)
//     runs before every turn. Candidates, the worst by Policy.worst (estimate.go), are measured in fresh blocks to confirm them, and so are
//     cells that were too noisy to tell.
//  4. Record.Check (check.go) holds the record against its plan and the numbers against what is possible: live as from a file. A
//     measurement whose numbers make no sense costs its cell (checked).
//  5. Judge (judge.go) is a function of the record alone. blocksOf (blocks.go) makes a series of log ratios of every Metric
//     (metric.go), whose Limit belongs to the kind of machine that executed the cell (policy.go, Record.target). A series is a
//     regression where a confirmation's Hodges-Lehmann estimate reaches δ and its signed-rank test α (estimate.go). The steps of a plan are
//     series beside the metrics, tested together (steps.go). resolution.go says what could have been missed. What the sessions computed speaks before
//     their times (judge.settle), what they find beside them (judge.quality), and controls that moved make the run inconclusive (judge.controls).
//  6. judge.conclude (conclude.go) takes the outcome, its exit code and its sentences: a Verdict.
//
// Read (read.go) and Judge replay a record; Differs says whether the verdict that it holds is that of its samples.
//
// How often these rules err is measured by trials (trial.go), whose noise is fitted (noise.go; of steps the blocks themselves are drawn again,
// stepnoise.go) and simulated (simulate.go) for what is too rare to measure; selfcheck.go sums up.
package gate
