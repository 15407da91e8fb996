package reports

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/perf/accuracy"
	"github.com/apex-x/apexx/perf/gate"
	"github.com/apex-x/apexx/perf/sweep"
)

// qualityText is what a cell finds in a data set, in hundredths, and the difference from its base in points, by itself and with its
// interval. What is not known is a dash or empty.
type qualityText struct{ AP, Difference, Points, Others string }

// qualityOf puts a result into words; dashes where there is none.
func qualityOf(r *accuracy.Result) qualityText {
	d := r.Of(accuracy.BoxAP)
	if d == nil {
		return qualityText{AP: none, Points: none}
	}
	return qualityText{AP: hundredths(d.Candidate), Difference: fmt.Sprintf("%+.2f", 100*d.Delta), Points: d.Points(), Others: strings.Join(otherQualities(r, withPoints), "; ")}
}

// qualityOfBase puts the result of the base itself into words, which differs from nothing.
func qualityOfBase(r *accuracy.Result) qualityText {
	q := qualityOf(r)
	q.Difference, q.Points, q.Others = "", "", strings.Join(otherQualities(r, func(d *accuracy.Difference) string { return hundredths(d.Candidate) }), "; ")
	return q
}

// withPoints writes a number and its difference from the base.
func withPoints(d *accuracy.Difference) string { return hundredths(d.Candidate) + ", " + d.Points() }

// otherQualities lists the metrics beside the AP of boxes, each as text says, and the strata of areas.
func otherQualities(r *accuracy.Result, text func(*accuracy.Difference) string) []string {
	var list []string
	for _, m := range []accuracy.Metric{accuracy.MaskAP, accuracy.MIoU, accuracy.PQ} {
		if d := r.Of(m); d != nil {
			list = append(list, m.Words()+" "+text(d))
		}
	}
	strata := fmt.Sprintf("AP of small, medium and large boxes %s, %s, %s", hundredths(r.Numbers.Boxes.APSmall), hundredths(r.Numbers.Boxes.APMedium), hundredths(r.Numbers.Boxes.APLarge))
	if b := r.Base.Boxes; b != r.Numbers.Boxes {
		strata += fmt.Sprintf(" (%s: %s, %s, %s)", r.Against, hundredths(b.APSmall), hundredths(b.APMedium), hundredths(b.APLarge))
	}
	return append(list, strata)
}

// qualityOfCell is the quality of a cell of a sweep; what went wrong stands in the place of numbers.
func qualityOfCell(c sweep.CellResult) qualityText {
	switch q := c.Quality; {
	case q == nil:
		return qualityText{AP: none}
	case q.Result == nil:
		return qualityText{AP: none, Others: cmp.Or(q.Detail, string(q.State))}
	case q.Result.Against == c.Name:
		return qualityOfBase(q.Result)
	default:
		return qualityOf(q.Result)
	}
}

// dataSetText says on what was evaluated.
func dataSetText(p *accuracy.Plan) string {
	d := p.DataSet
	return fmt.Sprintf("%s: %s, %s, %s", d.Name, counted(d.Images, "image"), counted(d.Objects, "object"), counted(d.Classes, "class"))
}

// qualityFacts says on what a gate evaluated, and what may be lost.
func qualityFacts(p *accuracy.Plan) []backends.Fact {
	if p == nil {
		return nil
	}
	return facts("quality on", dataSetText(p), "annotations", p.DataSet.Annotations, "pictures", p.DataSet.Pictures, "points of AP that may be lost", p.Policy.MaxMapDrop.String(),
		"intervals", fmt.Sprintf("%g %%, %d replicates, seed %d", 100*p.Policy.Confidence, p.Policy.Replicates, p.Policy.Seed))
}

// qualityLines says of a gate's cell what it finds; none where it was not evaluated.
func qualityLines(c gate.Cell) []string {
	if c.Quality == nil {
		return nil
	}
	q := qualityOf(c.Quality)
	return []string{fmt.Sprintf("AP of boxes %s, %s points against %s; %s", q.AP, q.Points, c.Quality.Against, q.Others)}
}
