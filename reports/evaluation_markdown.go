package reports

import (
	"fmt"
	"io"
	"strings"
)

// EvaluationMarkdown writes the document as GitHub-flavoured Markdown: the table of the original's report (spec/train-eval.md 12.7), then
// COCO's numbers, the differences, and the model's own numbers.
func EvaluationMarkdown(w io.Writer, e *Evaluation) error {
	e = clean(e)
	var s strings.Builder
	fmt.Fprintf(&s, "# Apex-X Evaluation Report\n\n%s.\n\n| Metric | Value |\n|---|---|\n", escapeMarkdown(evaluationSubject(e)))
	for _, row := range originalRows(e) {
		fmt.Fprintf(&s, "| %s | %s |\n", row[0], row[1])
	}
	if e.Summary.Panoptic != nil {
		fmt.Fprintf(&s, "\nPanoptic source: `%s`\n", e.Summary.Panoptic.Source)
	}
	fmt.Fprintf(&s, "\n## COCO\n\n| | | %s |\n|---|---|%s\n", strings.Join(evaluationColumns, " | "), strings.Repeat("--:|", len(evaluationColumns)))
	for _, row := range evaluationRows(e) {
		fmt.Fprintf(&s, "| %s | %s | %s |\n", row.Kind, escapeMarkdown(row.Name), strings.Join(row.Numbers, " | "))
	}
	if c := e.Comparison; c != nil {
		fmt.Fprintf(&s, "\n## Against %s\n\nPoints, with %s.\n\n| | | difference | interval | |\n|---|---|--:|---|---|\n", escapeMarkdown(c.Base), intervalText(c))
		for _, d := range evaluationDifferences(e) {
			fmt.Fprintf(&s, "| %s | %s | %s | %s | %s |\n", d.Kind, d.Metric, d.Delta, d.Interval, d.Word)
		}
		if e.Verdict != "" {
			fmt.Fprintf(&s, "\n**%s**: %s.\n", e.Verdict, escapeMarkdown(budgetText(e)))
		}
	}
	markdownStrata(&s, e)
	markdownModelEval(&s, e.ModelEval)
	_, err := io.WriteString(w, s.String())
	return err
}

// markdownStrata writes the boxes by class and by score, in hundredths.
func markdownStrata(s *strings.Builder, e *Evaluation) {
	s.WriteString("\n## Classes\n\nBeside the AP of small, medium and large objects is the number of these.\n\n" +
		"| | objects | detections | AP | AP50 | AP75 | small | medium | large | masks | labels |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n")
	for _, c := range evaluationClasses(e) {
		fmt.Fprintf(s, "| %s | %d | %d | %s | %s | %s | %s | %s | %s |\n", escapeMarkdown(c.Name), c.Objects, c.Found, c.AP, c.AP50, c.AP75, strings.Join(c.Sizes[:], " | "), c.Masks, c.Labels)
	}
	rows := scoreRows(e)
	if len(rows) == 0 {
		return
	}
	s.WriteString("\n## Scores\n\nBoxes by their scores, and how many of them are right at an overlap of 0.50 and of 0.75")
	if e.Comparison != nil {
		fmt.Fprintf(s, "; first %s, then %s", escapeMarkdown(e.Name), escapeMarkdown(e.Comparison.Base))
	}
	sides := len(rows[0].Sides)
	fmt.Fprintf(s, ".\n\n| scores |%s\n|---|%s\n", strings.Repeat(" detections | right at 0.50 | at 0.75 | mean score |", sides), strings.Repeat("--:|--:|--:|--:|", sides))
	for _, row := range rows {
		fmt.Fprintf(s, "| %s |", row.Scores)
		for _, c := range row.Sides {
			fmt.Fprintf(s, " %s | %s | %s | %s |", c.Found, c.Right50, c.Right75, c.Mean)
		}
		s.WriteString("\n")
	}
}

// originalRows are the rows of the original's table, in its order; n/a where nothing was evaluated.
func originalRows(e *Evaluation) [][2]string {
	var rows [][2]string
	add := func(name string, has bool, v func() float64) {
		text := "n/a"
		if has {
			text = fmt.Sprintf("%.6f", v())
		}
		rows = append(rows, [2]string{name, text})
	}
	for _, part := range []struct {
		name string
		d    *DetectionEvaluation
	}{{"det", e.Summary.Det}, {"inst-seg", e.Summary.InstSeg}} {
		add("COCO mAP ("+part.name+")", part.d != nil, func() float64 { return part.d.MAP })
		add("AP50 ("+part.name+")", part.d != nil, func() float64 { return part.d.AP50 })
		add("AP75 ("+part.name+")", part.d != nil, func() float64 { return part.d.AP75 })
	}
	add("mIoU (semantic)", e.Summary.Semantic != nil, func() float64 { return e.Summary.Semantic.MIoU })
	add("PQ (panoptic)", e.Summary.Panoptic != nil, func() float64 { return e.Summary.Panoptic.PQ })
	return rows
}

func markdownModelEval(s *strings.Builder, m *ModelEvaluation) {
	if m == nil {
		return
	}
	optional := func(v *float64) string {
		if v == nil {
			return "n/a"
		}
		return fmt.Sprintf("%.6f", *v)
	}
	d := m.DetScore
	fmt.Fprintf(s, "\n## Model Dataset Eval\n\n- source: %s\n- samples: %d\n- det_score: mean %.6f, std %.6f, min %.6f, max %.6f\n- selected_tiles: mean %.3f, p95 %.3f\n",
		m.Source, m.NumSamples, d.Mean, d.Std, d.Min, d.Max, m.SelectedTiles.Mean, m.SelectedTiles.P95)
	if t := m.DetScoreTarget; t != nil {
		fmt.Fprintf(s, "- det_score_target: mae %.6f, rmse %.6f, bias %.6f, r2 %s, pearson_corr %s\n", t.MAE, t.RMSE, t.Bias, optional(t.R2), optional(t.Pearson))
	}
	if t := m.SelectedTilesTarget; t != nil {
		fmt.Fprintf(s, "- selected_tiles_target: mae %.6f, rmse %.6f, bias %.6f, exact_match_rate %.6f\n", t.MAE, t.RMSE, t.Bias, t.ExactMatch)
	}
	fmt.Fprintf(s, "- execution_backend: %s\n- precision_profile: %s\n", m.ExecutionBackend, m.PrecisionProfile)
}
