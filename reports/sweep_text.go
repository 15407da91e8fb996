package reports

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/parity/evidence"
	"github.com/apex-x/apexx/perf/sweep"
)

// sweepResult returns a clean copy without the measurements; parts that are not there are empty.
func sweepResult(r *sweep.Result) *sweep.Result {
	if r == nil {
		r = &sweep.Result{}
	}
	bare := *r
	bare.Measurements = nil
	bare = clean(bare)
	for i := range bare.Cells {
		c := &bare.Cells[i]
		c.Name = cmp.Or(c.Name, clean(c.Cell.String()))
	}
	return &bare
}

// sweepVerdict is what a cell of a sweep comes to: fail where it computes or spends what it should not, error where it did not
// end as it should, unverified where nothing proves what it computes, skipped where it cannot be had here, else pass; and why.
type sweepVerdict struct{ Class, Word, Why string }

func judgeSweepCell(c sweep.CellResult) sweepVerdict {
	why := cmp.Or(strings.Join(slices.DeleteFunc([]string{c.Reason, c.Detail}, func(s string) bool { return s == "" }), ": "), string(c.State))
	ended := c.Ended()
	switch {
	case c.Overspent() != "":
		return sweepVerdict{"fail", "over budget", c.Overspent()}
	case c.Quality != nil && c.State == evidence.Measured && ended == c.Quality.State && c.Quality.Detail != "" && ended != c.Parity.State:
		return qualityVerdict(c)
	case ended == evidence.Fail:
		return sweepVerdict{"fail", "parity", cmp.Or(c.Parity.Detail, "the outputs are not those of the oracle")}
	case c.State == evidence.Unsupported:
		return sweepVerdict{"skipped", string(c.State), why}
	case c.State != evidence.Measured:
		return sweepVerdict{"error", cmp.Or(string(c.State), "not measured"), why}
	case ended == evidence.Unverified:
		return sweepVerdict{"unverified", string(ended), cmp.Or(c.Parity.Detail, "its outputs were not compared")}
	case !ended.Holds():
		return sweepVerdict{"error", string(ended), cmp.Or(c.Parity.Detail, "its outputs could not be compared")}
	case c.Summary == nil:
		return sweepVerdict{"error", "no samples", "the cell counts as measured and has no samples"}
	}
	return sweepVerdict{"pass", string(c.State), ""}
}

// qualityVerdict is what a cell comes to whose evaluation is the worst of it.
func qualityVerdict(c sweep.CellResult) sweepVerdict {
	class := "error"
	switch c.Quality.State {
	case evidence.Fail:
		class = "fail"
	case evidence.Unverified:
		class = "unverified"
	case evidence.Unsupported:
		class = "skipped"
	}
	return sweepVerdict{class, "quality", c.Quality.Detail}
}

// sweepOutcome is the word for a whole sweep, by its exit code as everywhere, the class of its colour, and the count behind it.
func sweepOutcome(r *sweep.Result) (word, class, tally string) {
	count := map[string]int{}
	for _, c := range r.Cells {
		count[judgeSweepCell(c).Class]++
	}
	tally = fmt.Sprintf("%s: %d measured, %d failed, %d broken, %d unsupported", counted(len(r.Cells), "cell"), count["pass"], count["fail"], count["error"], count["skipped"])
	if n := count["unverified"]; n > 0 {
		tally += fmt.Sprintf(", %d unverified", n)
	}
	code := r.ExitCode()
	switch code {
	case exit.OK:
		class = "pass"
	case exit.Failed, exit.Internal:
		class = "fail"
	default:
		class = "warn"
	}
	return evidence.Verdict(code), class, tally
}

// planFacts describes what the sweep set out to do.
func planFacts(r *sweep.Result) []backends.Fact {
	p := r.Plan
	list := facts("judged again", r.JudgedAgain(), "command", r.Command, "started", moment(r.When), "apexx", r.Version)
	if p.Replicates > 0 {
		list = append(list, facts("replicates", counted(p.Replicates, "fresh process"), "samples", samplesBound(p.Iterations, p.BoundNS), "threads", threadsText(p.Threads), "seed", fmt.Sprint(p.Seed))...)
	}
	if p.Quality != nil {
		list = append(list, facts("data set", dataSetText(p.Quality), "annotations", p.Quality.DataSet.Annotations, "pictures", p.Quality.DataSet.Pictures)...)
	}
	for _, profile := range slices.Sorted(maps.Keys(p.Weights)) {
		list = append(list, facts("weights of "+profile, p.Weights[profile])...)
	}
	for _, profile := range slices.Sorted(maps.Keys(p.ConfigSHA256)) {
		list = append(list, facts("configuration of "+profile, p.ConfigSHA256[profile])...)
	}
	for _, backend := range slices.Sorted(maps.Keys(p.Options)) {
		for _, key := range slices.Sorted(maps.Keys(p.Options[backend])) {
			list = append(list, facts(backend+" "+key, p.Options[backend][key])...)
		}
	}
	return list
}
