package reports

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/apex-x/apexx/internal/evaluate"
)

// evaluationColumns head the numbers of evaluationRow.
var evaluationColumns = []string{"AP", "AP50", "AP75", "small", "medium", "large", "AR1", "AR10", "AR100"}

// evaluationRow is the quality of boxes or masks of one side, in hundredths.
type evaluationRow struct {
	Kind, Name string
	Numbers    []string
}

// evaluationRows lists boxes and masks, of the candidate and then of the base.
func evaluationRows(e *Evaluation) []evaluationRow {
	var rows []evaluationRow
	add := func(kind, name string, d *DetectionEvaluation) {
		if d == nil {
			return
		}
		c := d.COCO
		row := evaluationRow{Kind: kind, Name: name}
		for _, v := range []float64{c.AP, c.AP50, c.AP75, c.APSmall, c.APMedium, c.APLarge, c.AR1, c.AR10, c.AR100} {
			row.Numbers = append(row.Numbers, hundredths(v))
		}
		rows = append(rows, row)
	}
	add("boxes", e.Name, e.Summary.Det)
	if e.Comparison != nil {
		add("boxes", e.Comparison.Base, e.Comparison.Summary.Det)
	}
	add("masks", e.Name, e.Summary.InstSeg)
	if e.Comparison != nil {
		add("masks", e.Comparison.Base, e.Comparison.Summary.InstSeg)
	}
	return rows
}

// hundredths writes a share; a negative one stands for none.
func hundredths(v float64) string {
	if v < 0 {
		return none
	}
	return fmt.Sprintf("%.2f", 100*v)
}

// scoreRow is how many of the detections of a stratum of scores are right, on both sides.
type scoreRow struct {
	Scores string
	Sides  []scoreCells // of the candidate and, where there is one, of the base
}

// scoreCells are one side of a scoreRow: detections, the shares that are right at an overlap of 0.5 and of 0.75, and the mean score.
type scoreCells struct{ Found, Right50, Right75, Mean string }

// scoreRows lists the strata of the boxes' scores, the highest first, but for those that no side has a detection in.
func scoreRows(e *Evaluation) []scoreRow {
	sides := []*DetectionEvaluation{e.Summary.Det}
	if e.Comparison != nil {
		sides = append(sides, e.Comparison.Summary.Det)
	}
	var rows []scoreRow
	for i := len(e.Summary.Det.Scores) - 1; i >= 0; i-- {
		s := e.Summary.Det.Scores[i]
		row := scoreRow{Scores: fmt.Sprintf("%.1f to %.1f", s.Low, s.High)}
		found := 0
		for _, side := range sides {
			s := side.Scores[i]
			found += s.Found
			cells := scoreCells{fmt.Sprint(s.Found), hundredths(s.Precision50), hundredths(s.Precision75), none}
			if s.Found > 0 {
				cells.Mean = fmt.Sprintf("%.3f", s.MeanScore)
			}
			row.Sides = append(row.Sides, cells)
		}
		if found > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

// evaluationClass is one class in words. Sizes are the AP of small, medium and large objects, each with the number of these.
type evaluationClass struct {
	Name                          string
	Objects, Found                int
	AP, AP50, AP75, Masks, Labels string
	Sizes                         [3]string
}

func evaluationClasses(e *Evaluation) []evaluationClass {
	var list []evaluationClass
	sized := func(ap float64, n int) string { return fmt.Sprintf("%s (%d)", hundredths(ap), n) }
	for i, c := range e.Summary.Det.PerClass {
		row := evaluationClass{Name: c.Name, Objects: c.Objects, Found: c.Found, AP: hundredths(c.AP), AP50: hundredths(c.AP50), AP75: hundredths(c.AP75), Masks: none, Labels: none,
			Sizes: [3]string{sized(c.APSmall, c.Sizes.Small), sized(c.APMedium, c.Sizes.Medium), sized(c.APLarge, c.Sizes.Large)}}
		if m := e.Summary.InstSeg; m != nil {
			row.Masks = hundredths(m.PerClass[i].AP)
		}
		if s := e.Summary.Semantic; s != nil {
			row.Labels = hundredths(s.PerClass[c.Name])
		}
		list = append(list, row)
	}
	return list
}

// evaluationDifference is one difference in points, which are hundredths of AP.
type evaluationDifference struct{ Kind, Metric, Delta, Interval, Word string }

func evaluationDifferences(e *Evaluation) []evaluationDifference {
	var list []evaluationDifference
	if e.Comparison == nil {
		return nil
	}
	for _, side := range []struct {
		kind string
		d    *evaluate.Differences
	}{{"boxes", e.Comparison.Det}, {"masks", e.Comparison.InstSeg}} {
		if side.d == nil {
			continue
		}
		for _, m := range []struct {
			name string
			d    evaluate.Difference
		}{{"AP", side.d.AP}, {"AP50", side.d.AP50}, {"AP75", side.d.AP75}} {
			word := "no difference is shown"
			switch {
			case m.d.High < 0:
				word = "lower"
			case m.d.Low > 0:
				word = "higher"
			}
			list = append(list, evaluationDifference{side.kind, m.name, points(m.d.Delta), fmt.Sprintf("%s to %s", points(m.d.Low), points(m.d.High)), word})
		}
	}
	return list
}

func points(v float64) string { return fmt.Sprintf("%+.2f", 100*v) }

// evaluationSubject says in a line what was evaluated.
func evaluationSubject(e *Evaluation) string {
	text := fmt.Sprintf("%s on %s: %s, %s, %s", e.Name, e.Dataset.Name, counted(e.Dataset.Images, "image"), counted(e.Dataset.Objects, "object"), counted(e.Dataset.Classes, "class"))
	if n := e.Dataset.LeftOut; n > 0 {
		text += fmt.Sprintf(", %s left out", counted(n, "record"))
	}
	return text
}

// otherQuality says what boxes and masks do not.
func otherQuality(e *Evaluation) []string {
	var list []string
	if s := e.Summary.Semantic; s != nil {
		text := fmt.Sprintf("labels of pixels: mIoU %s", hundredths(s.MIoU))
		if e.Comparison != nil && e.Comparison.Summary.Semantic != nil {
			text += fmt.Sprintf(" (%s: %s)", e.Comparison.Base, hundredths(e.Comparison.Summary.Semantic.MIoU))
		}
		list = append(list, text)
	}
	if p := e.Summary.Panoptic; p != nil {
		text := fmt.Sprintf("panoptic: PQ %s, SQ %s, RQ %s; things PQ %s, stuff PQ %s", hundredths(p.All.PQ), hundredths(p.All.SQ), hundredths(p.All.RQ),
			hundredths(p.Things.PQ), hundredths(p.Stuff.PQ))
		if e.Comparison != nil && e.Comparison.Summary.Panoptic != nil {
			text += fmt.Sprintf(" (%s: PQ %s)", e.Comparison.Base, hundredths(e.Comparison.Summary.Panoptic.PQ))
		}
		list = append(list, text)
	}
	if m := e.ModelEval; m != nil && m.DetScoreTarget != nil {
		list = append(list, fmt.Sprintf("best score of an image against %s: mean error %.2g, RMSE %.2g; selected tiles equal in %s %%", e.Comparison.Base,
			m.DetScoreTarget.Bias, m.DetScoreTarget.RMSE, hundredths(m.SelectedTilesTarget.ExactMatch)))
	}
	return list
}

// intervalText says what the intervals are.
func intervalText(c *EvaluationComparison) string {
	return fmt.Sprintf("%g %% intervals of the paired bootstrap over images, %d replicates, seed %d", 100*c.Confidence, c.Replicates, c.Seed)
}

// budgetText says how a verdict came about; "" without one.
func budgetText(e *Evaluation) string {
	if e.Verdict == "" {
		return ""
	}
	if why := e.Comparison.Undecided; why != "" {
		return why
	}
	return fmt.Sprintf("at most %.2f points of AP may be lost to %s; the interval is %s to %s", 100**e.Comparison.MaxMapDrop, e.Comparison.Base,
		points(e.Comparison.Det.AP.Low), points(e.Comparison.Det.AP.High))
}

// EvaluationTable writes the document for a terminal.
func EvaluationTable(w io.Writer, e *Evaluation) error {
	e = clean(e)
	fmt.Fprintf(w, "%s\n\n", evaluationSubject(e))
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(t, "\t")
	for _, name := range evaluationColumns {
		fmt.Fprint(t, "\t", name)
	}
	fmt.Fprintln(t)
	for _, row := range evaluationRows(e) {
		fmt.Fprint(t, row.Kind, "\t", row.Name)
		for _, v := range row.Numbers {
			fmt.Fprint(t, "\t", v)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, d := range evaluationDifferences(e) {
		if i == 0 {
			fmt.Fprintf(w, "\nagainst %s, in points (%s)\n", e.Comparison.Base, intervalText(e.Comparison))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", d.Kind, d.Metric, d.Delta, d.Interval, d.Word)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i, line := range otherQuality(e) {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, line)
	}
	if e.Verdict != "" {
		fmt.Fprintf(w, "\n%s  %s\n", e.Verdict, budgetText(e))
	}
	return nil
}
