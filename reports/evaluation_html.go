package reports

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"

	"github.com/apex-x/apexx/backends"
	"github.com/apex-x/apexx/internal/exit"
	"github.com/apex-x/apexx/reports/plots"
)

//go:embed evaluation.html
var evaluationHTML string

var evaluationPage = template.Must(template.Must(perfPage.Clone()).Funcs(template.FuncMap{"datauri": dataURI}).Parse(evaluationHTML))

type evaluationPageData struct {
	perfHead
	Reasons        []string
	Facts          []backends.Fact
	Columns        []string
	Rows           []evaluationRow
	Base, Interval string
	Differences    []evaluationDifference
	Plots          []template.HTML
	Sides          []string // the names of candidate and base
	Scores         []scoreRow
	Classes        []evaluationClass
	Images         []CaseImages
}

// EvaluationHTML writes the document as one self-contained page: the numbers, the differences with their intervals, precision and recall,
// classes, and the images that changed most.
func EvaluationHTML(w io.Writer, e *Evaluation) error {
	e = clean(e)
	word, class := e.Verdict, map[int]string{exit.OK: "pass", exit.Failed: "fail", exit.Inconclusive: "warn"}[e.ExitCode]
	if e.Verdict == "" { // nothing was asked that could pass
		word, class = "AP "+hundredths(e.Summary.Det.MAP), ""
	}
	p := evaluationPageData{
		perfHead: perfHead{template.CSS(pageCSS + perfCSS), "eval", e.Name, word, class, evaluationSubject(e)},
		Reasons:  otherQuality(e), Facts: evaluationFacts(e), Columns: evaluationColumns, Rows: evaluationRows(e), Differences: evaluationDifferences(e),
		Plots: inline(evaluationFigures(e)), Sides: []string{e.Name}, Scores: scoreRows(e), Classes: evaluationClasses(e), Images: e.Images,
	}
	if text := budgetText(e); text != "" {
		p.Reasons = append([]string{text}, p.Reasons...)
	}
	if c := e.Comparison; c != nil {
		p.Base, p.Interval, p.Sides = c.Base, intervalText(c), append(p.Sides, c.Base)
	}
	return evaluationPage.Execute(w, p)
}

func evaluationFacts(e *Evaluation) []backends.Fact {
	list := facts("command", e.Command, "made", e.GeneratedAt, "apexx", e.Version, "annotations", e.Dataset.AnnotationsSHA256)
	for _, v := range e.Variables {
		list = append(list, facts(v.Key, v.Value)...)
	}
	if m := e.Model; m != nil {
		list = append(list, facts("weights", m.WeightsSHA256, "configuration", m.ConfigSHA256)...)
	}
	if n := e.Dataset.ProblemCount; n > 0 {
		list = append(list, facts("problems of the data set", fmt.Sprintf("%d, the first of them: %s", n, e.Dataset.Problems[0]))...)
	}
	return list
}

func evaluationFigures(e *Evaluation) []namedFigure {
	var curves []plots.RecallCurve
	for _, c := range e.Curves {
		curves = append(curves, plots.RecallCurve{Name: c.Name, Panel: plots.PanelAt(c.Kind, c.Threshold), Precision: c.Precision})
	}
	if f := plots.PrecisionRecall(curves); f != nil {
		return []namedFigure{{"precision-recall", f}}
	}
	return nil
}

// WriteEvaluationDir writes what people read of an evaluation into an existing folder: index.html, eval.md, and the pictures as PNG and SVG.
// It returns the paths. Each file is complete or absent.
func WriteEvaluationDir(dir string, e *Evaluation) ([]string, error) {
	files := []outputFile{
		{"index.html", func(w io.Writer) error { return EvaluationHTML(w, e) }},
		{"eval.md", func(w io.Writer) error { return EvaluationMarkdown(w, e) }},
	}
	return writeFiles(dir, append(files, pictureFiles(evaluationFigures(e))...))
}
