package plots

import (
	"fmt"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
)

// RecallCurve is the precision at equal steps of recall from 0 to 1.
type RecallCurve struct {
	Name      string // of the series; curves of one name have one style
	Panel     string // curves of one panel are drawn into it together
	Precision []float64
}

// PrecisionRecall draws curves, one panel for each of their panels in the order of their first curve. A nil figure means that there is none.
func PrecisionRecall(curves []RecallCurve) *Figure {
	if len(curves) == 0 {
		return nil
	}
	f := &Figure{Title: "Precision and recall", Height: 330,
		Subtitle: "Mean over the classes of the precision that is reached at each recall or beyond. The area under a curve is the average precision at its overlap."}
	panels, styles := map[string]*plot.Plot{}, map[string]Series{}
	f.Panels = [][]*plot.Plot{nil}
	for _, c := range curves {
		style, known := styles[c.Name]
		if !known {
			style = seriesOf(len(styles))
			styles[c.Name] = style
			f.Legend = append(f.Legend, style.Entry(c.Name, true, false))
		}
		p := panels[c.Panel]
		if p == nil {
			p = recallPanel(c.Panel)
			panels[c.Panel] = p
			f.Panels[0] = append(f.Panels[0], p)
		}
		p.Add(&plotter.Line{XYs: recallPoints(c.Precision), LineStyle: style.Line()})
		p.X.Min, p.X.Max, p.Y.Min, p.Y.Max = 0, 1, 0, 1
	}
	return f
}

func recallPanel(title string) *plot.Plot {
	p := newPanel(title, "recall", "precision")
	linear(&p.X, 0, 1, 5)
	linear(&p.Y, 0, 1, 5)
	addGrid(p)
	return p
}

func recallPoints(precision []float64) plotter.XYs {
	xys := make(plotter.XYs, len(precision))
	for i, v := range precision {
		xys[i] = plotter.XY{X: float64(i) / float64(max(len(precision)-1, 1)), Y: v}
	}
	return xys
}

// PanelAt names a panel by kind and overlap.
func PanelAt(kind string, iou float64) string { return fmt.Sprintf("%s, IoU %.2f", kind, iou) }
